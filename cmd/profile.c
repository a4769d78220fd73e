/* weir profile: what each layer of a model takes on this machine.
 *
 * Every layer is a stage, and one rank holds them all, so that the time of F, I and W of a stage is that of a layer:
 *
 *     0F0 1F0 .. nF0   nI0 nW0 .. 1I0 1W0 0I0 0W0
 *
 * As many replicas as there are cores run this together, each with its threads: cores that share memory and caches slow each
 * other down as they will in a run.  The inputs are random; the learning rate is 0. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/printable.h"
#include "base/replace.h"
#include "cmd/command.h"
#include "cmd/measured_costs.h"
#include "cmd/paths.h"
#include "cmd/synonyms.h"
#include "engine/device/device.h"
#include "engine/program/stage_costs.h"
#include "engine/weir.h"

struct profile_options {
    const char *model, *out, *device, *dtype, *recompute;
    int64_t microbatch_size, seq_len, threads, rounds, ranks;
    bool quiet;
    struct options given;
};

#define FIELD(name) offsetof(struct profile_options, name)

static const struct option_row rows[] = {
    {"model", 'm', OPTION_TEXT, FIELD(model), "NAME|PATH", "model to measure", 0, 0},
    {"microbatch-size", 0, OPTION_INT, FIELD(microbatch_size), "B", "samples per micro-batch (4)", 1, 1048576},
    {"seq-len", 0, OPTION_INT, FIELD(seq_len), "T", "tokens per sample (the model's own)", 1, 1048576},
    {"recompute", 0, OPTION_TEXT, FIELD(recompute), "LIST", "none (default), full, or layers run again in backward", 0, 0},
    {"device", 0, OPTION_TEXT, FIELD(device), "LIST", "cpu (default) or cuda", 0, 0},
    {"dtype", 0, OPTION_TEXT, FIELD(dtype), "NAME", "f32 (default), bf16, or on cuda tf32", 0, 0},
    {"threads-per-rank", 0, OPTION_INT, FIELD(threads), "N", "threads of each rank (1)", 1, 4096},
    {"ranks", 'p', OPTION_INT, FIELD(ranks), "P", "ranks that are busy together (as many as cores; cuda: 1)", 1, 64},
    {"rounds", 0, OPTION_INT, FIELD(rounds), "N", "rounds, of which the medians are taken (9)", 5, 256},
    {"out", 'o', OPTION_TEXT, FIELD(out), "FILE", "write there instead of to standard output", 0, 0},
    {"quiet", 'q', OPTION_FLAG, FIELD(quiet), NULL, "no summary", 0, 0},
    {0},
};

static const struct option_table table = {"profile", "", "measure what each layer of a model takes, with all cores busy",
                                          "weir profile --model gpt2-tiny -o costs.json", rows, NULL};

struct profile {
    const struct profile_options *options;
    struct weir_arena arena;
    const struct weir_model_kind *model;
    struct weir_engine_config config;
    struct weir_schedule schedule;
    struct measured_costs *costs;
    int n_ranks;
};

/* Image models are measured with the images of MNIST: 784 pixels, 10 classes. */
static weir_status model_build(struct profile *p)
{
    struct weir_model_params params = {.microbatch_size = p->options->microbatch_size, .seq_len = p->options->seq_len};
    weir_status status = p->options->model ? weir_model_open(p->options->model, &p->arena, &p->model)
                                           : WEIR_FAIL(WEIR_ERR_USAGE, "--model is missing: 'weir train --model list' shows the models");
    if (status)
        return status;
    if (p->model->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    return weir_model_build(p->model, &params, &p->arena, &p->config.graph);
}

/* One rank, every layer a stage. */
static weir_status schedule_make(struct profile *p)
{
    int n = p->config.graph->n_layers;
    struct weir_text text = {0};
    for (int l = 0; l < n; l++)
        weir_text_append(&text, "%dF0,", l);
    for (int l = n - 1; l >= 0; l--)
        weir_text_append(&text, "%dI0,%dW0%s", l, l, l ? "," : "\n");
    weir_status status = text.status;
    if (!status)
        status = weir_schedule_csv_parse(text.data, text.length, "profile", WEIR_CSV_TORCH, &p->arena, &p->schedule);
    weir_text_release(&text);
    p->config.schedule = &p->schedule;
    return status;
}

static weir_status choices_read(struct profile *p)
{
    static const char *const dtypes[] = {"f32", "tf32", "bf16", NULL}; /* in the order of enum weir_compute */
    const struct profile_options *o = p->options;
    bool on_cpu = !strncmp(o->device, "cpu", 3);
    int dtype = 0, threads = (int)o->threads, cores = weir_cpu_cores() / threads;
    weir_status status = weir_name_find("dtype", name_understood(o->dtype, dtypes, dtype_synonyms), dtypes, &dtype);
    if (!status && dtype == WEIR_COMPUTE_TF32 && on_cpu)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "--dtype %s is for --device cuda: leave it out", dtypes[dtype]);
    p->n_ranks = o->ranks ? (int)o->ranks : !on_cpu || cores < 1 ? 1 : cores > 64 ? 64 : cores;
    p->config.device = o->device;
    p->config.dtype = (enum weir_compute)dtype;
    p->config.recompute = o->recompute;
    p->config.threads_per_rank = threads;
    p->config.replicas = p->n_ranks;
    return status;
}

/* ---- rounds --------------------------------------------------------------------------------------------------------- */

/* Random tokens or classes below `limit`, or random pixels. */
static void input_fill(void *data, const struct weir_shape *shape, int64_t limit, uint64_t *state)
{
    int64_t n = weir_shape_elements(shape);
    for (int64_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        if (shape->dtype == WEIR_DTYPE_I32)
            ((int32_t *)data)[i] = (int32_t)((*state >> 33) % (uint64_t)limit);
        else
            ((float *)data)[i] = (float)(*state >> 40) / 0x1p24f;
    }
}

static weir_status inputs_feed(struct profile *p, weir_engine *engine, uint64_t *state)
{
    const struct weir_graph *graph = p->config.graph;
    weir_status status = WEIR_OK;
    for (int i = 0; i < graph->n_inputs && !status; i++) {
        const struct weir_graph_input *input = &graph->inputs[i];
        void *data;
        status = weir_alloc(1, weir_shape_bytes(&input->shape), &data);
        if (status)
            return status;
        input_fill(data, &input->shape, p->model->vocabulary ? p->model->vocabulary : 10, state);
        for (int mb = 0; mb < p->n_ranks && !status; mb++)
            status = weir_engine_feed(engine, input->name, mb, data);
        weir_free(data);
    }
    return status;
}

static weir_status rounds_run(struct profile *p, weir_engine *engine)
{
    struct weir_step_event *events;
    struct weir_step_report report;
    uint64_t state = 1;
    size_t n = weir_engine_events(engine, NULL, 0);
    weir_status status = weir_arena_alloc(&p->arena, n, sizeof *events, &events);
    for (int64_t round = 0; round <= p->options->rounds && !status; round++) {
        status = inputs_feed(p, engine, &state);
        if (!status)
            status = weir_engine_step(engine, 0, &report);
        if (!status) {
            weir_engine_events(engine, events, n);
            measured_costs_add(p->costs, events, n);
        }
    }
    return status;
}

/* ---- the file ------------------------------------------------------------------------------------------------------- */

static weir_status layers_find(struct profile *p, struct weir_stage_costs **layers_out)
{
    static const struct weir_ceilings any = {1, 1, 1};
    const struct weir_stage_costs *found;
    struct weir_engine_config config = p->config;
    int n = p->config.graph->n_layers;
    config.replicas = 1;
    weir_status status = weir_stage_costs_find(&config, n, &any, &p->arena, &found);
    if (!status)
        status = weir_arena_alloc(&p->arena, (size_t)n, sizeof **layers_out, layers_out);
    for (int l = 0; l < n && !status; l++)
        (*layers_out)[l] = found[l];
    return status;
}

/* Flops of a micro-batch over the time of all layers: what --flops of weir plan stands for. */
static void summary_print(const struct profile *p, const struct measured_summary *summary)
{
    const struct weir_graph *graph = p->config.graph;
    double flops = 0, ms = 0;
    char name[1024];
    for (int n = 0; n < graph->n_nodes; n++)
        for (int pass = 0; pass < WEIR_PASSES; pass++)
            flops += graph->nodes[n].shapes.flops[pass];
    for (int l = 0; l < graph->n_layers; l++)
        ms += summary->stages[l].forward + summary->stages[l].input + summary->stages[l].weight;
    fprintf(stderr, "weir profile: %s, %d layers on %d busy rank%s: %.3f ms a micro-batch, %.4g Gflop/s (--flops %.3g), optimizer %.3f ms;\n"
                    "medians of %d rounds, the widest spread is %.1f %%\n",
            weir_printable(p->options->model, name, sizeof name), graph->n_layers, p->n_ranks, p->n_ranks == 1 ? "" : "s", ms,
            flops / ms / 1e6, 1e3 * flops / ms, summary->optimizer_ms, summary->n_steps, 100 * summary->spread);
}

static weir_status costs_write(struct profile *p)
{
    struct weir_text text = {0};
    struct weir_stage_costs *layers;
    struct measured_summary summary;
    weir_status status = layers_find(p, &layers);
    if (!status)
        status = measured_costs_find(p->costs, layers, &summary);
    if (!status)
        measured_costs_print(layers, p->config.graph->n_layers, "layers", -1, &text);
    status = status ? status : text.status;
    if (!status && p->options->out)
        status = weir_file_write(p->options->out, text.data, text.length);
    else if (!status)
        fputs(text.data, stdout);
    if (!status && !p->options->quiet)
        summary_print(p, &summary);
    weir_text_release(&text);
    return status;
}

static weir_status profile(struct profile *p)
{
    weir_engine *engine = NULL;
    weir_status status = model_build(p);
    if (!status)
        status = choices_read(p);
    if (!status)
        status = schedule_make(p);
    if (!status)
        status = measured_costs_open(p->config.graph->n_layers, &p->arena, &p->costs);
    if (!status)
        status = weir_engine_open(&p->config, &engine);
    if (!status)
        status = rounds_run(p, engine);
    weir_engine_close(engine);
    return status ? status : costs_write(p);
}

static weir_status paths_register(const struct profile_options *options)
{
    struct paths paths = {0};
    paths_read_model_name(&paths, "--model", options->model);
    paths_write(&paths, "--out", options->out);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static int run(int argc, char **argv)
{
    struct profile_options options = {.microbatch_size = 4, .threads = 1, .rounds = 9, .device = "cpu", .dtype = "f32"};
    struct profile p = {.options = &options, .config = WEIR_ENGINE_CONFIG_DEFAULT};
    enum option_outcome outcome;
    int n;
    weir_status status = options_parse(&options.given, &table, argc, argv, &options, NULL, 0, &n, &outcome);
    if (status || outcome == OPTIONS_HELP_SHOWN)
        return options_report("profile", status); /* it has no --config: nothing to release */
    status = paths_register(&options);
    if (!status)
        status = profile(&p);
    weir_arena_release(&p.arena);
    return options_report("profile", status);
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_profile = {"profile", "measure what each layer of a model takes", tables, run, true};
