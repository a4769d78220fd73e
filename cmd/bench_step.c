/* weir bench train: steps of a model on this machine, where their time goes, and what the machine would allow.
 *
 *     tokens/s    targets of a step / median step
 *     mfu         flops of the model (model_flops.h) / median step, of the peak: what large products reach on all ranks at
 *                 once in this run, or --peak-flops
 *     roofline    the step of a machine on which every pass takes the longer of its multiplications at that speed and of its
 *                 bytes at triad speed, and the optimizer its bytes at triad speed; with the schedule's own bubble and the
 *                 stages' imbalance, as the simulator has them
 *
 * With --dtype bf16 the large products are those of ceilings.h in bf16, and the bytes are those of bf16 values. */
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "cmd/bench_command.h"
#include "cmd/bench_run.h"
#include "cmd/ceilings.h"
#include "cmd/compute_dtype.h"
#include "cmd/model_flops.h"
#include "cmd/paths.h"
#include "cmd/schedule_input.h"
#include "include/weir/plan.h"
#include "include/weir/graph.h"
#include "include/weir/info.h"

enum { RANKS = 2, MICROBATCHES = 8 }; /* unless said otherwise */

struct values {
    const char *model, *dtype, *recompute;
    int64_t ranks, chunks, microbatches, microbatch_size, seq_len, steps, warm_up, threads;
    double peak_flops;
    bool json;
};

static const struct option_row rows[] = {
    {"model", 'm', OPTION_TEXT, offsetof(struct values, model), "NAME|PATH", "model, or a folder with config.json (gpt2-tiny)", 0, 0},
    {"ranks", 'p', OPTION_INT, offsetof(struct values, ranks), "P", "ranks of the pipeline (2, or those of a file)", 1, 256},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, chunks), "V", "stages per rank (the schedule's own)", 1, 64},
    {"microbatches", 0, OPTION_INT, offsetof(struct values, microbatches), "M", "micro-batches per step (8, or those of a file)", 1, 65536},
    {"microbatch-size", 0, OPTION_INT, offsetof(struct values, microbatch_size), "B", "samples per micro-batch (4)", 1, 1048576},
    {"seq-len", 0, OPTION_INT, offsetof(struct values, seq_len), "T", "tokens per sample (the model's own)", 1, 1048576},
    {"steps", 'n', OPTION_INT, offsetof(struct values, steps), "N", "steps that are timed (10)", 1, 100000},
    {"warm-up", 0, OPTION_INT, offsetof(struct values, warm_up), "N", "steps before them (2)", 0, 100000},
    {"dtype", 0, OPTION_TEXT, offsetof(struct values, dtype), "NAME", "of values: f32 (default) or bf16", 0, 0},
    {"threads-per-rank", 0, OPTION_INT, offsetof(struct values, threads), "N", "threads of a rank's kernels (1)", 1, 256},
    {"recompute", 0, OPTION_TEXT, offsetof(struct values, recompute), "LIST", "none (default), full, or layers run again in backward", 0, 0},
    {"peak-flops", 0, OPTION_REAL, offsetof(struct values, peak_flops), "PER_S", "of all ranks together, for mfu (measured)", 1, 1e30},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {0},
};

const struct option_table bench_train_table = {
    "bench train", "[SCHEDULE|FILE]", "time training steps, by instruction and operation, beside what the machine can do",
    "weir bench train 1f1b --model gpt2 --seq-len 256 --microbatch-size 1", rows, NULL};

struct part {
    const char *name, *pass;
    double ms, flops; /* of a step, all ranks together; flops 0: not known */
};

enum { INSTRUCTIONS = 5 };

struct bench {
    const struct values *values;
    const char *schedule_name;
    struct weir_arena arena;
    struct bench_settings settings;
    struct weir_schedule schedule;
    struct ceilings ceilings; /* of one rank */
    struct bench_outcome measured;
    double flops, tokens;     /* of a step */
    double roofline_ms;
    struct part instructions[INSTRUCTIONS];
};

/* ---- what the machine would allow ---------------------------------------------------------------------------------- */

/* Bytes per element that an update reads and writes, over the 8 of AdamW's state: 28, and with bf16 the 6 of rounding the parameter
 * for its copy. */
static double update_traffic(const struct bench *b)
{
    return (b->settings.dtype == WEIR_COMPUTE_BF16 ? 34 : 28) / 8.0;
}

static double optimizer_ms(const struct bench *b, const struct weir_stage_costs *stages)
{
    double most = 0;
    for (int r = 0; r < b->schedule.n_ranks; r++) {
        double bytes = 0;
        for (int s = 0; s < b->schedule.n_stages; s++)
            if (b->schedule.stage_rank[s] == r)
                bytes += update_traffic(b) * stages[s].optimizer_bytes;
        most = bytes > most ? bytes : most;
    }
    return 1e3 * most / b->ceilings.triad;
}

static weir_status roofline_find(struct bench *b)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_ceilings at = {b->ceilings.product, b->ceilings.triad, 1e15}; /* stages share memory: nothing is copied */
    struct weir_simulation_options options = {.channels = WEIR_CHANNELS_EDGE};
    const struct weir_stage_costs *stages;
    struct weir_simulation simulation;
    config.graph = b->settings.graph;
    config.dtype = b->settings.dtype;
    config.recompute = b->settings.recompute;
    weir_status status = weir_stage_costs_find(&config, b->schedule.n_stages, &at, &b->arena, &stages);
    if (status)
        return status;
    struct weir_schedule_costs costs = {.overlap_gain = 1, .stages = stages, .n_stages = b->schedule.n_stages,
                                        .optimizer = optimizer_ms(b, stages)};
    status = weir_schedule_simulate(&b->schedule, &costs, &options, &b->arena, &simulation);
    b->roofline_ms = simulation.makespan;
    return status;
}

/* Whole ones: a schedule's own are slices of them, where it cuts sequences. */
static int microbatches_of(const struct bench *b)
{
    return b->schedule.n_microbatches / weir_schedule_slices(&b->schedule);
}

/* ---- what was measured --------------------------------------------------------------------------------------------- */

/* Of the median step. */
static void instructions_add_up(struct bench *b)
{
    static const char *const names[INSTRUCTIONS] = {"F", "B", "I", "W", "optimizer"};
    const struct bench_step *step = &b->measured.median_step;
    for (int i = 0; i < INSTRUCTIONS; i++) {
        b->instructions[i].name = names[i];
        for (size_t e = 0; e < step->n_events; e++)
            if (!strcmp(step->events[e].category, names[i]))
                b->instructions[i].ms += (double)(step->events[e].end_ns - step->events[e].start_ns) / 1e6;
    }
}

static weir_status model_open(struct bench *b)
{
    const struct values *v = b->values;
    struct weir_model_params params = {.microbatch_size = v->microbatch_size, .seq_len = v->seq_len};
    struct paths paths = {0};
    paths_read_model_name(&paths, "--model", v->model);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    if (!status)
        status = weir_model_open(v->model, &b->arena, &b->settings.model);
    if (status)
        return status;
    if (b->settings.model->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    return weir_model_build(b->settings.model, &params, &b->arena, &b->settings.graph);
}

/* A file has its own ranks, chunks and micro-batches. */
static weir_status file_open(struct bench *b)
{
    const struct values *v = b->values;
    weir_status status = weir_pipeline_schedule(b->schedule_name, 0, (int)v->chunks, (int)v->microbatches, &b->arena, &b->schedule);
    if (!status && v->ranks && b->schedule.n_ranks != v->ranks)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d rank%s, --ranks says %lld", b->schedule_name, b->schedule.n_ranks,
                           b->schedule.n_ranks == 1 ? "" : "s", (long long)v->ranks);
    return status;
}

static weir_status schedule_open(struct bench *b)
{
    const struct values *v = b->values;
    const struct weir_schedule_kind *kind;
    if (weir_pipeline_is_file(b->schedule_name))
        return file_open(b);
    weir_status status = weir_schedule_kind_find(b->schedule_name, &kind);
    if (status)
        return status;
    int chunks = v->chunks ? (int)v->chunks : weir_schedule_kind_chunks(kind);
    return weir_pipeline_schedule(b->schedule_name, (int)(v->ranks ? v->ranks : RANKS) * chunks, chunks,
                                  (int)(v->microbatches ? v->microbatches : MICROBATCHES), &b->arena, &b->schedule);
}

static weir_status bench_measure(struct bench *b)
{
    weir_status status = compute_dtype_read(b->values->dtype, true, &b->settings.dtype);
    if (!status)
        status = model_open(b);
    if (!status)
        status = schedule_open(b);
    if (!status)
        status = ceilings_measure(b->schedule.n_ranks, (int)b->values->threads, 300,
                                  b->settings.dtype == WEIR_COMPUTE_BF16 ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32, &b->ceilings);
    if (!status)
        status = bench_run(&b->settings, &b->schedule, &b->arena, &b->measured);
    if (!status)
        status = roofline_find(b);
    if (status)
        return status;
    b->flops = model_flops(b->settings.graph) * microbatches_of(b);
    b->tokens = (double)b->settings.graph->n_targets * microbatches_of(b);
    instructions_add_up(b);
    return WEIR_OK;
}

static double peak_of(const struct bench *b)
{
    return b->values->peak_flops > 0 ? b->values->peak_flops : b->ceilings.product * b->schedule.n_ranks;
}

/* ---- what it shows ------------------------------------------------------------------------------------------------- */

static void part_print(const char *name, const char *pass, double ms, double whole, double flops)
{
    printf("%-14s %-16s %10.3f %7.2f %%", name, pass, ms, 100 * ms / whole);
    if (flops > 0 && ms > 0)
        printf(" %9.1f", flops / ms / 1e6);
    printf("\n");
}

/* Of a step in the mean, all ranks together: what is neither an operation's nor the optimizer's, and what no rank works in. */
static double hand_over_ms(const struct bench *b)
{
    const struct bench_outcome *m = &b->measured;
    double in_ops = 0;
    for (size_t i = 0; i < m->n_ops; i++)
        in_ops += (double)m->ops[i].ns / 1e6 / (double)b->values->steps;
    return m->busy_ms - in_ops - m->optimizer_mean_ms;
}

static double waiting_ms(const struct bench *b)
{
    return b->measured.mean_ms * b->schedule.n_ranks - b->measured.busy_ms;
}

static void parts_print(const struct bench *b)
{
    const struct bench_outcome *m = &b->measured;
    double ranks = b->schedule.n_ranks, steps = (double)b->values->steps, whole = m->mean_ms * ranks;
    printf("\n%-14s %-16s %10s %9s %9s\n", "the median step", "", "ms", "share", "");
    for (int i = 0; i < INSTRUCTIONS; i++)
        if (b->instructions[i].ms > 0)
            part_print(b->instructions[i].name, "", b->instructions[i].ms, m->median_ms * ranks, 0);
    printf("\n%-14s %-16s %10s %9s %9s\n", "a step in the mean", "", "ms", "share", "GFLOP/s");
    for (size_t i = 0; i < m->n_ops; i++)
        part_print(m->ops[i].op, m->ops[i].pass, (double)m->ops[i].ns / 1e6 / steps, whole, m->ops[i].flops / steps);
    part_print("optimizer", "", m->optimizer_mean_ms, whole, 0);
    part_print("hand-over", "", hand_over_ms(b), whole, 0);
    part_print("waiting", "", waiting_ms(b), whole, 0);
}

static void table_print(const struct bench *b)
{
    const struct values *v = b->values;
    const struct bench_outcome *m = &b->measured;
    char name[1024], model[1024];
    int ranks = b->schedule.n_ranks, microbatches = microbatches_of(b);
    printf("weir %s, %s in %s: %s on %d rank%s, %d micro-batch%s of %d, %d thread%s per rank, %s; %d step%s\n", weir_version(),
           weir_printable(b->settings.model->name, model, sizeof model), compute_dtypes[b->settings.dtype],
           weir_printable(b->schedule_name, name, sizeof name), ranks, ranks == 1 ? "" : "s", microbatches,
           microbatches == 1 ? "" : "es", (int)v->microbatch_size, (int)v->threads, v->threads == 1 ? "" : "s",
           weir_info_instructions(), (int)v->steps, v->steps == 1 ? "" : "s");
    printf("ceilings of this run, per rank with all ranks busy: ");
    ceilings_print(&b->ceilings);
    printf("step      %10.3f ms median, %.3f fastest, %.3f slowest; bubble %.1f %%\n", m->median_ms, m->fastest_ms, m->slowest_ms,
           100 * m->bubble);
    printf("%-9s %10.1f\n", b->settings.model->data == WEIR_DATA_IMAGES ? "samples/s" : "tokens/s", 1e3 * b->tokens / m->median_ms);
    printf("flops     %10.4g of the model in a step, %.1f GFLOP/s\n", b->flops, b->flops / m->median_ms / 1e6);
    printf("mfu       %10.1f %% of %.1f GFLOP/s (%s)\n", 1e5 * b->flops / m->median_ms / peak_of(b), peak_of(b) / 1e9,
           v->peak_flops > 0 ? "--peak-flops" : "measured");
    printf("roofline  %10.3f ms, %.1f %% of it reached\n", b->roofline_ms, 100 * b->roofline_ms / m->median_ms);
    parts_print(b);
}

static bool rows_append(const struct bench *b, json_t *operations, json_t *instructions)
{
    const struct bench_outcome *m = &b->measured;
    double steps = (double)b->values->steps;
    bool whole = operations && instructions;
    for (size_t i = 0; whole && i < m->n_ops; i++)
        whole = !json_array_append_new(operations, json_pack("{s:s, s:s, s:f, s:f}", "operation", m->ops[i].op, "pass", m->ops[i].pass, "ms",
                                                             (double)m->ops[i].ns / 1e6 / steps, "flops", m->ops[i].flops / steps));
    for (int i = 0; whole && i < INSTRUCTIONS; i++)
        whole = !json_array_append_new(instructions,
                                       json_pack("{s:s, s:f}", "instruction", b->instructions[i].name, "ms", b->instructions[i].ms));
    return whole;
}

/* Stages of each rank; null where ranks have different numbers of them. */
static json_t *chunks_json(const struct weir_schedule *schedule)
{
    int of_first = 0;
    for (int r = 0; r < schedule->n_ranks; r++) {
        int n = 0;
        for (int s = 0; s < schedule->n_stages; s++)
            n += schedule->stage_rank[s] == r;
        if (r && n != of_first)
            return json_null();
        of_first = n;
    }
    return json_integer(of_first);
}

static weir_status json_write(const struct bench *b)
{
    const struct bench_outcome *m = &b->measured;
    json_t *operations = json_array(), *instructions = json_array();
    if (!rows_append(b, operations, instructions)) {
        json_decref(operations);
        json_decref(instructions);
        return schedule_json_print(NULL);
    }
    json_t *root = json_pack("{s:s, s:o, s:s, s:o, s:s, s:i, s:i, s:o, s:i, s:I, s:I, s:s, s:I, s:I, s:I}", "weir", weir_version(), "model",
                             weir_json_utf8(b->settings.model->name), "dtype", compute_dtypes[b->settings.dtype], "schedule",
                             weir_json_utf8(b->schedule_name), "instructions_set", weir_info_instructions(), "ranks",
                             b->schedule.n_ranks, "stages", b->schedule.n_stages, "chunks", chunks_json(&b->schedule),
                             "microbatches", microbatches_of(b), "microbatch_size", (json_int_t)b->values->microbatch_size,
                             "seq_len", (json_int_t)(b->settings.graph->n_targets / b->values->microbatch_size), "recompute",
                             b->settings.recompute ? b->settings.recompute : "none", "threads", (json_int_t)b->values->threads,
                             "steps", (json_int_t)b->values->steps, "warm_up", (json_int_t)b->values->warm_up);
    json_t *figures = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o}", "step_ms", m->median_ms,
                                "fastest_ms", m->fastest_ms, "slowest_ms", m->slowest_ms, "bubble", m->bubble, "loss", m->loss,
                                "tokens_per_s", 1e3 * b->tokens / m->median_ms, "flops", b->flops, "mfu",
                                1e3 * b->flops / m->median_ms / peak_of(b), "roofline_ms", b->roofline_ms, "optimizer_ms",
                                m->optimizer_mean_ms, "mean_ms", m->mean_ms, "hand_over_ms", hand_over_ms(b), "waiting_ms",
                                waiting_ms(b), "ceilings", ceilings_json(&b->ceilings), "operations", operations, "instructions",
                                instructions);
    if (root && figures)
        json_object_update(root, figures);
    json_decref(figures);
    return schedule_json_print(root);
}

int bench_train_run(int argc, char **argv)
{
    struct values values = {.model = "gpt2-tiny", .dtype = "f32", .microbatch_size = 4, .steps = 10, .warm_up = 2, .threads = 1};
    struct options given; /* nothing to release without --config */
    const char *name = "1f1b";
    int n = 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &bench_train_table, argc, argv, &values, &name, 1, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    struct bench b = {.values = &values, .schedule_name = name,
                      .settings = {.n_steps = (int)values.steps, .n_warm_up = (int)values.warm_up, .threads = (int)values.threads,
                                   .recompute = values.recompute, .keeps_events = true, .keeps_ops = true}};
    if (!status)
        status = bench_measure(&b);
    if (!status && values.json)
        status = json_write(&b);
    else if (!status)
        table_print(&b);
    weir_arena_release(&b.arena);
    return options_report("bench train", status);
}
