/* weir profile: what each layer of a model takes on this machine (profile_measure.h), as a file of costs. */
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/replace.h"
#include "cmd/command.h"
#include "cmd/compute_dtype.h"
#include "cmd/measured_costs.h"
#include "cmd/paths.h"
#include "cmd/profile_measure.h"
#include "cmd/synonyms.h"
#include "include/weir/info.h"

struct profile_options {
    const char *model, *out, *device, *dtype, *optimizer, *recompute;
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
    {"optimizer", 0, OPTION_TEXT, FIELD(optimizer), "NAME", "adamw (default) or sgd", 0, 0},
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
    struct profile_request request;
    struct profile_result result;
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
    return weir_model_build(p->model, &params, &p->arena, &p->request.graph);
}

static weir_status choices_read(struct profile *p)
{
    static const char *const optimizers[] = {"sgd", "adamw", NULL}; /* as the enum */
    const struct profile_options *o = p->options;
    bool on_cpu = !strncmp(o->device, "cpu", 3);
    int optimizer = WEIR_OPTIMIZER_ADAMW, threads = (int)o->threads, cores = weir_info_cores() / threads;
    enum weir_compute dtype = WEIR_COMPUTE_F32;
    weir_status status = compute_dtype_read(o->dtype, on_cpu, &dtype);
    if (!status && weir_info_device_is_dry(o->device))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "--device %s computes nothing, so there is nothing to measure: use --device cpu or cuda", o->device);
    if (!status && o->optimizer)
        status = weir_name_find("optimizer", name_understood(o->optimizer, optimizers, NULL), optimizers, &optimizer);
    p->request.model = p->model;
    p->request.device = o->device;
    p->request.dtype = dtype;
    p->request.optimizer = (enum weir_optimizer)optimizer;
    p->request.recompute = o->recompute;
    p->request.threads = threads;
    p->request.n_ranks = o->ranks ? (int)o->ranks : !on_cpu || cores < 1 ? 1 : cores > 64 ? 64 : cores;
    p->request.n_rounds = (int)o->rounds;
    return status;
}

/* ---- the file ------------------------------------------------------------------------------------------------------- */

/* Flops of a micro-batch over the time of all layers: what --flops of weir plan stands for. */
static void summary_print(const struct profile *p)
{
    const struct weir_graph *graph = p->request.graph;
    const struct profile_result *r = &p->result;
    double flops = 0, ms = 0;
    int n_ranks = r->n_ranks;
    char name[1024];
    for (int n = 0; n < graph->n_nodes; n++)
        for (int pass = 0; pass < WEIR_PASSES; pass++)
            flops += graph->nodes[n].shapes.flops[pass];
    for (int l = 0; l < graph->n_layers; l++)
        ms += r->layers[l].forward + r->layers[l].input + r->layers[l].weight;
    fprintf(stderr, "weir profile: %s, %d layers on %d busy rank%s: %.3f ms a micro-batch, %.4g Gflop/s (--flops %.3g), optimizer %.3f ms",
            weir_printable(p->options->model, name, sizeof name), graph->n_layers, n_ranks, n_ranks == 1 ? "" : "s", ms,
            flops / ms / 1e6, 1e3 * flops / ms, r->optimizer_ms);
    if (r->hand_over_ms > 0)
        fprintf(stderr, ", a hand-over %.3f ms", r->hand_over_ms);
    if (r->flight.factor > 0)
        fprintf(stderr, ", %.1f %% longer with many micro-batches in flight, %.1f %% with W apart from I", 100 * (r->flight.factor - 1),
                100 * (1 / r->flight.at_once - 1));
    fprintf(stderr, ";\nmedians of %d rounds, the widest spread is %.1f %%\n", (int)p->options->rounds, 100 * r->spread);
}

static weir_status costs_write(struct profile *p)
{
    struct weir_text text = {0};
    measured_costs_print(p->result.layers, p->request.graph->n_layers, "layers",
                         &(struct measured_beside){.transfer_ms = p->result.hand_over_ms, .flight = p->result.flight}, &text);
    weir_status status = text.status;
    if (!status && p->options->out)
        status = weir_file_write(p->options->out, text.data, text.length);
    else if (!status)
        fputs(text.data, stdout);
    if (!status && !p->options->quiet)
        summary_print(p);
    weir_text_release(&text);
    return status;
}

static weir_status profile(struct profile *p)
{
    weir_status status = model_build(p);
    if (!status)
        status = choices_read(p);
    if (!status)
        status = profile_measure(&p->request, &p->arena, &p->result);
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
    struct profile p = {.options = &options};
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
