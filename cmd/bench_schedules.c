/* weir bench schedules: every schedule run on this machine, beside what was predicted.
 *
 * The prediction knows nothing of the run it is held to.  F, I and W of every stage are measured first, in a step in which one
 * rank runs all stages, one after the other; then each schedule is simulated with these and run.
 *
 *     one rank, S stages     F I W of each stage ──▶ simulate ──▶ predicted
 *     P ranks                run                              ──▶ measured */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/printable.h"
#include "base/text.h"
#include "cmd/bench_command.h"
#include "cmd/bench_run.h"
#include "cmd/drawing.h"
#include "cmd/paths.h"
#include "cmd/schedule_auto.h"
#include "cmd/schedule_input.h"
#include "include/weir/plan.h"
#include "include/weir/graph.h"

enum { MOST_NAMES = 64, MOST_CHUNKS = 64 };

struct values {
    const char *model, *recompute, *html;
    int64_t ranks, chunks, microbatches, microbatch_size, seq_len, steps, warm_up, threads;
    bool json, csv;
};

static const struct option_row bench_rows[] = {
    {"model", 'm', OPTION_TEXT, offsetof(struct values, model), "NAME|PATH", "model, or a folder with config.json (gpt2-tiny)", 0, 0},
    {"ranks", 'p', OPTION_INT, offsetof(struct values, ranks), "P", "ranks of the pipeline (2)", 1, 1024},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, chunks), "V", "stages per rank (each schedule's own)", 1, MOST_CHUNKS},
    {"microbatches", 0, OPTION_INT, offsetof(struct values, microbatches), "M", "micro-batches per step (8)", 1, 65536},
    {"microbatch-size", 0, OPTION_INT, offsetof(struct values, microbatch_size), "B", "samples per micro-batch (4)", 1, 1048576},
    {"seq-len", 0, OPTION_INT, offsetof(struct values, seq_len), "T", "tokens per sample (the model's own)", 1, 1048576},
    {"steps", 'n', OPTION_INT, offsetof(struct values, steps), "N", "steps that are timed (10)", 1, 100000},
    {"warm-up", 0, OPTION_INT, offsetof(struct values, warm_up), "N", "steps before them (2)", 0, 100000},
    {"threads-per-rank", 0, OPTION_INT, offsetof(struct values, threads), "N", "threads of a rank's kernels (1)", 1, 1024},
    {"recompute", 0, OPTION_TEXT, offsetof(struct values, recompute), "LIST", "none (default), full, or layers run again in backward", 0, 0},
    {"html", 0, OPTION_TEXT, offsetof(struct values, html), "FILE", "draw prediction and median step of each as one page", 0, 0},
    {"csv", 0, OPTION_FLAG, offsetof(struct values, csv), NULL, "print one line per schedule, comma-separated", 0, 0},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {0},
};

const struct option_table bench_schedules_table = {
    "bench schedules", "[NAME ...]", "run schedules on this machine, beside what was predicted",
    "weir bench schedules 1f1b zb-h1 zbv --ranks 2 --microbatches 8", bench_rows, NULL};

struct row {
    const char *name;
    int chunks, n_stages;
    bool is_exact; /* its losses are those of one stage, or of two copies of the weights those of two replicas of it */
    int n_copies;
    struct bench_outcome measured;
    double predicted_ms, predicted_bubble;
    const struct weir_timeline *timelines[2]; /* with --html: predicted, measured */
    const char *reason; /* why it did not run; NULL: it did */
};

struct bench {
    const struct values *values;
    struct bench_settings settings;
    struct weir_arena arena;
    struct bench_outcome alone[MOST_CHUNKS + 1]; /* by chunks: one rank with the stages of all; stages NULL: not run yet */
    struct row rows[MOST_NAMES];
    int n_rows;
};

/* ---- one schedule -------------------------------------------------------------------------------------------------- */

/* Costs of the stages, measured once for each number of chunks. */
static weir_status costs_measure(struct bench *b, int chunks, struct weir_schedule_costs *costs)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule alone;
    int n_stages = (int)b->values->ranks * chunks;
    struct weir_schedule_params params = {.n_ranks = 1, .n_chunks = n_stages, .n_microbatches = (int)b->values->microbatches};
    struct bench_outcome *outcome = &b->alone[chunks];
    weir_status status = weir_schedule_kind_find("interleaved-zb", &kind);
    if (!status && !outcome->stages)
        status = weir_schedule_build(kind, &params, &b->arena, &alone);
    if (!status && !outcome->stages)
        status = bench_run(&b->settings, &alone, &b->arena, outcome);
    if (status)
        return status;
    *costs = (struct weir_schedule_costs){.overlap_gain = 1, .stages = outcome->stages, .n_stages = n_stages,
                                          .optimizer = outcome->optimizer_ms / (double)b->values->ranks};
    return WEIR_OK;
}

/* What the model's stages hand to each other, for all but the run, which finds that by itself. */
static weir_status boundaries_take(struct bench *b, int n_stages, struct weir_schedule *schedule)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    const struct weir_schedule_boundary *boundaries;
    int n;
    config.graph = b->settings.graph;
    config.first_layer = b->settings.first_layer;
    weir_status status = weir_stage_boundaries_find(&config, n_stages, &b->arena, &boundaries, &n);
    return status ? status : weir_schedule_boundaries_set(schedule, boundaries, n, &b->arena);
}

/* auto holds no more than 1f1b, or with several chunks interleaved. */
static weir_status schedule_make_here(struct bench *b, struct row *row, const struct weir_schedule_costs *costs,
                                      struct weir_schedule *out)
{
    const struct weir_schedule_kind *kind;
    if (!schedule_is_auto(row->name) && weir_schedule_kind_find(row->name, &kind) == WEIR_OK && kind->takes_slices)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s cuts sequences, the others do not: weir train --slices K runs it", row->name);
    if (!schedule_is_auto(row->name))
        return weir_pipeline_schedule(row->name, row->n_stages, row->chunks, (int)b->values->microbatches, &b->arena, out);
    int p = (int)b->values->ranks, v = row->chunks;
    struct weir_stage_costs *stages;
    struct weir_auto_result result;
    struct weir_schedule handing = {.n_stages = row->n_stages};
    weir_status status = weir_arena_alloc(&b->arena, (size_t)row->n_stages, sizeof *stages, &stages);
    if (!status)
        status = boundaries_take(b, row->n_stages, &handing);
    if (status)
        return status;
    for (int s = 0; s < row->n_stages; s++) {
        stages[s] = costs->stages[s];
        stages[s].mem_backward = stages[s].mem_weight = 1; /* activations are counted */
    }
    struct weir_schedule_costs counted = *costs;
    counted.stages = stages;
    struct weir_auto_request request = {.n_ranks = p, .n_chunks = v, .n_microbatches = (int)b->values->microbatches,
                                        .costs = &counted, .memory_cap = v == 1 ? p : (v + 1) * p - 1,
                                        .boundaries = handing.boundaries, .n_boundaries = handing.n_boundaries};
    status = weir_schedule_auto(&request, &b->arena, &result);
    if (status)
        return status;
    *out = result.schedule;
    out->boundaries = NULL;
    out->n_boundaries = 0;
    return WEIR_OK;
}

static weir_status timelines_make(struct bench *b, struct row *row, const struct weir_simulation *simulation,
                                  const struct weir_schedule_costs *costs)
{
    const struct bench_step *step = &row->measured.median_step;
    const char *title;
    weir_status status = drawing_title(row->name, &simulation->lowered, "predicted", &b->arena, &title);
    if (!status)
        status = weir_timeline_of_simulation(simulation, costs, title, "ms", &b->arena, &row->timelines[0]);
    if (!status)
        status = weir_arena_printf(&b->arena, &title, "%s: measured, the median of %d steps", row->name, b->settings.n_steps);
    return status ? status
                  : weir_timeline_of_step(&simulation->lowered, step->events, step->n_events, step->waits, step->n_waits, title,
                                          &b->arena, &row->timelines[1]);
}

static weir_status row_measure(struct bench *b, struct row *row)
{
    struct weir_schedule schedule, handing;
    struct weir_schedule_costs costs;
    struct weir_simulation simulation;
    struct weir_schedule_report report;
    struct weir_simulation_options options = {.keep_times = b->values->html, .keep_path = b->values->html};
    weir_status status = costs_measure(b, row->chunks, &costs);
    if (!status)
        status = schedule_make_here(b, row, &costs, &schedule);
    if (status)
        return status;
    handing = schedule;
    status = boundaries_take(b, row->n_stages, &handing);
    if (!status)
        status = weir_schedule_check(&handing, WEIR_CHANNELS_EDGE, &b->arena, &report);
    if (!status)
        status = weir_schedule_simulate(&handing, &costs, &options, &b->arena, &simulation);
    if (!status)
        status = bench_run(&b->settings, &schedule, &b->arena, &row->measured);
    if (!status && b->values->html)
        status = timelines_make(b, row, &simulation, &costs);
    if (status)
        return status;
    row->is_exact = report.wgrad_ascending;
    row->n_copies = schedule.n_copies;
    row->predicted_ms = simulation.makespan;
    row->predicted_bubble = simulation.bubble;
    return WEIR_OK;
}

/* A schedule that cannot run at this size is left out with the reason; a device that fails is not. */
static weir_status row_add(struct bench *b, const char *name)
{
    const struct weir_schedule_kind *kind;
    struct row *row = &b->rows[b->n_rows];
    char reason[WEIR_ERROR_MAX];
    weir_status status = schedule_name_check(name);
    if (status)
        return status;
    int own = schedule_is_auto(name) || weir_schedule_kind_find(name, &kind) ? 1 : weir_schedule_kind_chunks(kind);
    *row = (struct row){.name = name, .chunks = b->values->chunks ? (int)b->values->chunks : own};
    row->n_stages = (int)b->values->ranks * row->chunks;
    status = row_measure(b, row);
    if (status == WEIR_ERR_INVALID || status == WEIR_ERR_UNSUPPORTED || status == WEIR_ERR_USAGE || status == WEIR_ERR_NOFIT)
        status = weir_arena_strdup(&b->arena, options_error(reason), &row->reason);
    if (!status)
        b->n_rows++;
    return status;
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

/* Whose losses the row's are, to the bit; NULL: it adds gradients in an order of its own. */
static const char *losses_of(const struct row *row)
{
    return !row->is_exact ? NULL : row->n_copies > 1 ? "one stage with 2 replicas" : "one stage";
}

/* What ran in so many copies of the weights gave the same result, to the bit. */
static weir_status losses_same(const struct bench *b, int n_copies)
{
    const struct row *first = NULL;
    for (int i = 0; i < b->n_rows; i++) {
        const struct row *row = &b->rows[i];
        if (row->reason || !row->is_exact || row->n_copies != n_copies)
            continue;
        if (first && memcmp(&first->measured.loss, &row->measured.loss, sizeof row->measured.loss))
            return WEIR_FAIL(WEIR_ERR_INTERNAL, "%s gives loss %.17g, %s %.17g", row->name, row->measured.loss, first->name,
                             first->measured.loss);
        first = first ? first : row;
    }
    return WEIR_OK;
}

static weir_status losses_check(const struct bench *b)
{
    int n = 0;
    for (int i = 0; i < b->n_rows; i++)
        n += !b->rows[i].reason;
    weir_status status = losses_same(b, 1);
    if (!status)
        status = losses_same(b, 2);
    if (!status && !n && b->n_rows)
        return WEIR_FAIL(WEIR_ERR_INVALID, "no schedule ran; %s: %s", b->rows[0].name, b->rows[0].reason);
    return status;
}

/* Two copies of the weights add the gradients of either first. */
static void copies_print(const struct bench *b)
{
    for (int i = 0, told = 0; i < b->n_rows; i++)
        if (!b->rows[i].reason && b->rows[i].n_copies > 1)
            printf("%s  %s\n", told++ ? "" : "\nlosses of one stage with 2 replicas, not of one stage\n", b->rows[i].name);
}

static int by_measured(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if ((x->reason != NULL) != (y->reason != NULL))
        return x->reason ? 1 : -1;
    return (x->measured.median_ms > y->measured.median_ms) - (x->measured.median_ms < y->measured.median_ms);
}

static void table_print(const struct bench *b)
{
    const struct values *v = b->values;
    char name[1024];
    printf("weir %s, %s: %d ranks, %d micro-batches of %d, %d threads per rank; median of %d steps, in ms\n\n", weir_version(),
           weir_printable(b->settings.model->name, name, sizeof name), (int)v->ranks, (int)v->microbatches,
           (int)v->microbatch_size, (int)v->threads, (int)v->steps);
    printf("%-15s %3s %10s %10s %10s %10s %9s %9s %9s %9s\n", "schedule", "v", "predicted", "measured", "fastest", "slowest",
           "ratio", "bubble", "measured", "MiB");
    for (int i = 0; i < b->n_rows; i++) {
        const struct row *r = &b->rows[i];
        if (!r->reason)
            printf("%-15s %3d %10.3f %10.3f %10.3f %10.3f %9.2f %7.1f %% %7.1f %% %9.1f\n", r->name, r->chunks, r->predicted_ms,
                   r->measured.median_ms, r->measured.fastest_ms, r->measured.slowest_ms,
                   r->measured.median_ms / r->predicted_ms, 100 * r->predicted_bubble, 100 * r->measured.bubble,
                   (double)r->measured.peak_bytes / 1048576);
    }
    copies_print(b);
    for (int i = 0, told = 0; i < b->n_rows; i++)
        if (b->rows[i].reason)
            printf("%s  %s: %s\n", told++ ? "" : "\nleft out\n", b->rows[i].name, b->rows[i].reason);
}

static void csv_print(const struct bench *b)
{
    puts("schedule,chunks,predicted_ms,measured_ms,fastest_ms,slowest_ms,predicted_bubble,measured_bubble,peak_bytes");
    for (int i = 0; i < b->n_rows; i++) {
        const struct row *r = &b->rows[i];
        if (r->reason)
            fprintf(stderr, "left out: %s: %s\n", r->name, r->reason);
        else
            printf("%s,%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%zu\n", r->name, r->chunks, r->predicted_ms, r->measured.median_ms,
                   r->measured.fastest_ms, r->measured.slowest_ms, r->predicted_bubble, r->measured.bubble,
                   r->measured.peak_bytes);
    }
}

static json_t *row_json(const struct row *r)
{
    if (r->reason)
        return json_pack("{s:s, s:i, s:o}", "schedule", r->name, "chunks", r->chunks, "reason", weir_json_utf8(r->reason));
    return json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:s?}", "schedule", r->name, "chunks", r->chunks,
                     "predicted_ms", r->predicted_ms, "measured_ms", r->measured.median_ms, "fastest_ms",
                     r->measured.fastest_ms, "slowest_ms", r->measured.slowest_ms, "predicted_bubble", r->predicted_bubble,
                     "measured_bubble", r->measured.bubble, "peak_bytes", (json_int_t)r->measured.peak_bytes, "loss",
                     r->measured.loss, "losses_of", losses_of(r));
}

static weir_status json_write(const struct bench *b)
{
    json_t *kept = json_array(), *left_out = json_array();
    bool whole = kept && left_out;
    for (int i = 0; whole && i < b->n_rows; i++)
        whole = !json_array_append_new(b->rows[i].reason ? left_out : kept, row_json(&b->rows[i]));
    if (whole)
        return schedule_json_print(json_pack("{s:o, s:I, s:I, s:o, s:o}", "model", weir_json_utf8(b->settings.model->name), "ranks",
                                             (json_int_t)b->values->ranks, "microbatches",
                                             (json_int_t)b->values->microbatches, "schedules", kept, "left_out", left_out));
    json_decref(kept);
    json_decref(left_out);
    return schedule_json_print(NULL);
}

static weir_status page_write(const struct bench *b)
{
    const struct weir_timeline *all[2 * MOST_NAMES];
    int n = 0;
    for (int i = 0; i < b->n_rows; i++)
        for (int k = 0; !b->rows[i].reason && k < 2; k++)
            all[n++] = b->rows[i].timelines[k];
    return drawing_write(all, n, DRAWING_HTML, &(struct weir_draw_options){0}, b->values->html);
}

static weir_status paths_register(const struct values *values)
{
    struct paths paths = {0};
    paths_read_model_name(&paths, "--model", values->model);
    paths_write(&paths, "--html", values->html);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static weir_status model_open(struct bench *b)
{
    const struct values *v = b->values;
    struct weir_model_params params = {.microbatch_size = v->microbatch_size, .seq_len = v->seq_len};
    weir_status status = weir_model_open(v->model, &b->arena, &b->settings.model);
    if (status)
        return status;
    if (b->settings.model->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    return weir_model_build(b->settings.model, &params, &b->arena, &b->settings.graph);
}

static weir_status bench(const struct values *values, const char *const *names, int n)
{
    struct bench b = {.values = values,
                      .settings = {.n_steps = (int)values->steps, .n_warm_up = (int)values->warm_up,
                                   .threads = (int)values->threads, .recompute = values->recompute,
                                   .keeps_events = values->html}};
    weir_status status = paths_register(values);
    if (!status && values->csv && values->json)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "--csv and --json exclude each other");
    if (!status)
        status = model_open(&b);
    for (int i = 0; !status && i < n; i++)
        status = row_add(&b, names[i]);
    for (int i = 0; !status && !n && weir_schedule_kind_at(i) && i < MOST_NAMES - 1; i++)
        status = row_add(&b, weir_schedule_kind_at(i)->name);
    if (!status && !n)
        status = row_add(&b, "auto");
    if (!status)
        status = losses_check(&b);
    if (!status)
        qsort(b.rows, (size_t)b.n_rows, sizeof *b.rows, by_measured);
    if (!status && values->json)
        status = json_write(&b);
    else if (!status && values->csv)
        csv_print(&b);
    else if (!status)
        table_print(&b);
    if (!status && values->html)
        status = page_write(&b);
    weir_arena_release(&b.arena);
    return status;
}

int bench_schedules_run(int argc, char **argv)
{
    struct values values = {.model = "gpt2-tiny", .ranks = 2, .microbatches = 8, .microbatch_size = 4, .steps = 10,
                            .warm_up = 2, .threads = 1};
    struct options given; /* nothing to release without --config */
    const char *names[MOST_NAMES - 1];
    int n = 0;
    enum option_outcome outcome;
    weir_status status =
        options_parse(&given, &bench_schedules_table, argc, argv, &values, names, MOST_NAMES - 1, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status)
        status = bench(&values, names, n);
    return options_report("bench schedules", status);
}
