/* weir bench plan: does the planner choose well?  Every configuration that it chooses from is run, and its choice is held to the
 * fastest.
 *
 *     for each micro-batch size   profile ──▶ layers ──▶ plans of every schedule, ranks, chunks and replicas
 *     all plans                   run once, briefly                    ──▶ the fastest few
 *     the fastest few, and the    run in turns, forwards and backwards ──▶ choice / fastest within a turn, median over turns
 *     planner's choice
 *
 * The choice is what is predicted to take least, of all sizes; no run has been seen when it is made. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/printable.h"
#include "cmd/bench_command.h"
#include "cmd/bench_run.h"
#include "cmd/paths.h"
#include "cmd/profile_measure.h"
#include "cmd/schedule_input.h"
#include "cmd/synonyms.h"
#include "include/weir/info.h"
#include "include/weir/plan.h"

enum { ALL_PLANS = 4096, MOST_TURNS = 64, ROUNDS = 9, MOST_SIZES = 17 /* powers of two up to 65536 */ };

struct values {
    const char *model, *schedule;
    int64_t devices, global_batch, seq_len, most, finalists, turns, steps;
    bool json, quiet;
};

static const struct option_row rows[] = {
    {"model", 'm', OPTION_TEXT, offsetof(struct values, model), "NAME|PATH", "model, or a folder with config.json (gpt2-tiny)", 0, 0},
    {"devices", 'd', OPTION_INT, offsetof(struct values, devices), "K", "cores to plan for, a rank each (as many as there are, up to 8)", 1, 64},
    {"global-batch", 0, OPTION_INT, offsetof(struct values, global_batch), "N", "samples of a step (32)", 1, 65536},
    {"seq-len", 0, OPTION_INT, offsetof(struct values, seq_len), "T", "tokens per sample (the model's own)", 1, 1048576},
    {"schedule", 0, OPTION_TEXT, offsetof(struct values, schedule), "NAME", "one, or any (default)", 0, 0},
    {"most", 0, OPTION_INT, offsetof(struct values, most), "N", "configurations to run; of more, evenly spread ones (256)", 1, ALL_PLANS},
    {"finalists", 0, OPTION_INT, offsetof(struct values, finalists), "N", "the fastest so many are run in turns (5)", 1, 64},
    {"turns", 0, OPTION_INT, offsetof(struct values, turns), "N", "turns of the finalists (7)", 1, MOST_TURNS},
    {"steps", 'n', OPTION_INT, offsetof(struct values, steps), "N", "steps of a turn, after one that warms up (3)", 1, 10000},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct values, quiet), NULL, "no progress", 0, 0},
    {0},
};

const struct option_table bench_plan_table = {"bench plan", "", "run every configuration of a small space, and hold the planner's choice to the fastest",
                                              "weir bench plan --model gpt2-tiny --global-batch 32", rows, NULL};

struct row {
    struct weir_plan_info plan;
    bool is_run;
    double once_ms;            /* of the brief run */
    double turns[MOST_TURNS];  /* [n_turns]: medians, in ms */
    double median_ms, spread;  /* of the turns; spread: (largest - smallest) / median */
};

struct bench {
    const struct values *values;
    struct weir_arena arena;
    const struct weir_model_kind *model;
    const struct weir_graph *graph; /* micro-batches of one sample */
    struct row *rows;
    size_t room;
    int n_rows, n_run, choice, fastest;
    weir_plans *plans[MOST_SIZES]; /* [n_plans]: those of the rows, by size of micro-batches */
    int n_plans;
    int *finalists; /* [n_finalists] */
    int n_finalists, n_turns;
    double ratio; /* choice / fastest */
    int64_t start_ns;
};

/* ---- what can be run -------------------------------------------------------------------------------------------------- */

static weir_status model_open(struct bench *b)
{
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = b->values->seq_len};
    struct paths paths = {0};
    paths_read_model_name(&paths, "--model", b->values->model);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    if (!status)
        status = weir_model_open(b->values->model, &b->arena, &b->model);
    if (status)
        return status;
    if (b->model->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    return weir_model_build(b->model, &params, &b->arena, &b->graph);
}

static void said(const struct bench *b, const char *what, int64_t i, int64_t n)
{
    if (!b->values->quiet)
        fprintf(stderr, "weir bench plan: %s, %" PRId64 " of %" PRId64 ", %.0f s\n", what, i, n, (double)(weir_clock_ns() - b->start_ns) / 1e9);
}

static weir_status rows_add(struct bench *b, const weir_plans *plans)
{
    int n = weir_plans_count(plans);
    weir_status status = weir_arena_grow(&b->arena, &b->rows, &b->room, (size_t)(b->n_rows + n), sizeof *b->rows);
    for (int i = 0; i < n && !status; i++) {
        b->rows[b->n_rows] = (struct row){.is_run = false};
        status = weir_plans_info(plans, i, &b->rows[b->n_rows++].plan);
    }
    return status;
}

/* All plans with micro-batches of `size` samples, as predicted from times measured here. */
static weir_status plans_add(struct bench *b, int64_t size)
{
    struct profile_request profile = {.model = b->model, .device = "cpu", .optimizer = WEIR_OPTIMIZER_ADAMW, .threads = 1,
                                      .n_ranks = (int)b->values->devices, .n_rounds = ROUNDS};
    struct profile_result measured;
    struct weir_plan_request request;
    const char *schedule = b->values->schedule && strcmp(b->values->schedule, "any") != 0 ? schedule_understood(b->values->schedule) : NULL;
    weir_status status = weir_graph_resize(b->graph, size, &b->arena, &profile.graph);
    if (!status)
        status = profile_measure(&profile, &b->arena, &measured);
    if (status)
        return status;
    const struct weir_schedule_costs costs = {.layers = measured.layers, .n_layers = b->graph->n_layers, .transfer = measured.hand_over_ms,
                                              .flight = measured.flight};
    weir_plan_request_init(&request, sizeof request);
    request.graph = b->graph;
    request.n_devices = (int)b->values->devices;
    request.global_batch = b->values->global_batch;
    request.microbatch_size = size;
    request.schedule = schedule;
    request.recompute = "none";
    request.zero = 0;
    request.costs = &costs;
    request.n_top = ALL_PLANS;
    status = weir_plans_find(&request, &b->plans[b->n_plans]);
    return status ? status : rows_add(b, b->plans[b->n_plans++]);
}

static weir_status plans_find(struct bench *b)
{
    int64_t n = 0, i = 0;
    weir_status status = WEIR_OK;
    for (int64_t size = 1; size <= b->values->global_batch; size *= 2)
        n += b->values->global_batch % size == 0;
    for (int64_t size = 1; size <= b->values->global_batch && !status; size *= 2) {
        if (b->values->global_batch % size)
            continue;
        status = plans_add(b, size);
        said(b, "sizes of micro-batches profiled", ++i, n);
    }
    for (int r = 1; r < b->n_rows; r++)
        if (b->rows[r].plan.step_ms < b->rows[b->choice].plan.step_ms)
            b->choice = r;
    return !status && !b->n_rows ? WEIR_FAIL(WEIR_ERR_INVALID, "no configuration was found") : status;
}

/* ---- runs ------------------------------------------------------------------------------------------------------------- */

static weir_status row_run(const struct bench *b, const struct row *row, int n_steps, double *ms_out)
{
    const struct weir_plan_info *plan = &row->plan;
    struct weir_schedule_params params = {.n_ranks = plan->n_ranks, .n_chunks = plan->n_chunks,
                                          .n_microbatches = (int)plan->n_microbatches};
    struct bench_settings settings = {.model = b->model, .n_steps = n_steps, .n_warm_up = 1, .threads = 1, .first_layer = plan->first_layer,
                                      .n_replicas = plan->n_replicas, .zero = plan->zero};
    struct weir_schedule schedule;
    struct bench_outcome outcome;
    struct weir_arena arena = {0};
    const struct weir_schedule_kind *kind;
    weir_status status = plan->order ? WEIR_OK : weir_schedule_kind_find(plan->schedule, &kind);
    if (!status && plan->order)
        schedule = *plan->order;
    else if (!status)
        status = weir_schedule_build(kind, &params, &arena, &schedule);
    if (!status)
        status = weir_graph_resize(b->graph, plan->microbatch_size, &arena, &settings.graph);
    if (!status)
        status = bench_run(&settings, &schedule, &arena, &outcome);
    if (!status)
        *ms_out = outcome.median_ms;
    weir_arena_release(&arena);
    return status;
}

/* Evenly spread where there are too many; the choice is among them. */
static weir_status run_once(struct bench *b)
{
    int64_t n = b->n_rows < b->values->most ? b->n_rows : b->values->most;
    weir_status status = WEIR_OK;
    for (int64_t i = 0; i < n; i++)
        b->rows[i * b->n_rows / n].is_run = true;
    b->rows[b->choice].is_run = true;
    for (int r = 0; r < b->n_rows; r++)
        b->n_run += b->rows[r].is_run;
    for (int r = 0, i = 0; r < b->n_rows && !status; r++) {
        if (!b->rows[r].is_run)
            continue;
        status = row_run(b, &b->rows[r], 1, &b->rows[r].once_ms);
        if (++i % 10 == 0 || i == b->n_run)
            said(b, "configurations run", i, b->n_run);
    }
    return status;
}

/* The fastest rows, and the choice. */
static weir_status finalists_choose(struct bench *b)
{
    int n = b->n_run < b->values->finalists ? b->n_run : (int)b->values->finalists;
    weir_status status = weir_arena_alloc(&b->arena, (size_t)n + 1, sizeof *b->finalists, &b->finalists);
    if (status)
        return status;
    b->finalists[b->n_finalists++] = b->choice;
    while (b->n_finalists < n + 1) {
        int next = -1;
        for (int r = 0; r < b->n_rows; r++) {
            bool taken = !b->rows[r].is_run;
            for (int i = 0; i < b->n_finalists; i++)
                taken |= b->finalists[i] == r;
            if (!taken && (next < 0 || b->rows[r].once_ms < b->rows[next].once_ms))
                next = r;
        }
        if (next < 0)
            break;
        b->finalists[b->n_finalists++] = next;
    }
    return WEIR_OK;
}

static weir_status turns_run(struct bench *b)
{
    weir_status status = WEIR_OK;
    for (b->n_turns = 0; b->n_turns < b->values->turns && !status; b->n_turns++) {
        for (int i = 0; i < b->n_finalists && !status; i++) {
            struct row *row = &b->rows[b->finalists[b->n_turns % 2 ? b->n_finalists - 1 - i : i]];
            status = row_run(b, row, (int)b->values->steps, &row->turns[b->n_turns]);
        }
        said(b, "turns of the fastest", b->n_turns + 1, b->values->turns);
    }
    return status;
}

/* ---- figures ---------------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int n, double *width_out)
{
    double sorted[MOST_TURNS];
    memcpy(sorted, values, (size_t)n * sizeof *values);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    *width_out = sorted[n - 1] - sorted[0];
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void figures_find(struct bench *b)
{
    double ratios[MOST_TURNS], width;
    b->fastest = b->choice;
    for (int i = 0; i < b->n_finalists; i++) {
        struct row *row = &b->rows[b->finalists[i]];
        row->median_ms = median(row->turns, b->n_turns, &width);
        row->spread = width / row->median_ms;
        if (row->median_ms < b->rows[b->fastest].median_ms)
            b->fastest = b->finalists[i];
    }
    for (int t = 0; t < b->n_turns; t++)
        ratios[t] = b->rows[b->choice].turns[t] / b->rows[b->fastest].turns[t];
    b->ratio = median(ratios, b->n_turns, &width);
}

static void table_print(const struct bench *b)
{
    const struct values *v = b->values;
    char name[1024];
    printf("weir %s, %s: a step of %" PRId64 " samples on %" PRId64 " cores; %d of %d configurations run, %d in %d turns of %" PRId64 " steps\n",
           weir_version(), weir_printable(b->model->name, name, sizeof name), v->global_batch, v->devices, b->n_run, b->n_rows,
           b->n_finalists, b->n_turns, v->steps);
    printf("%-7s %5s %6s %8s %7s %13s %-15s %12s %12s %8s\n", "", "ranks", "chunks", "replicas", "samples", "micro-batches", "schedule",
           "predicted", "measured", "spread");
    for (int i = 0; i < b->n_finalists; i++) {
        const struct row *row = &b->rows[b->finalists[i]];
        const struct weir_plan_info *p = &row->plan;
        bool choice = b->finalists[i] == b->choice, fastest = b->finalists[i] == b->fastest;
        printf("%-7s %5d %6d %8d %7" PRId64 " %13" PRId64 " %-15s %9.2f ms %9.2f ms %6.1f %%\n", choice ? "choice" : fastest ? "fastest" : "", p->n_ranks,
               p->n_chunks, p->n_replicas, p->microbatch_size, p->n_microbatches, p->schedule, p->step_ms, row->median_ms, 100 * row->spread);
    }
    if (b->choice == b->fastest)
        printf("the planner's choice is the fastest\n");
    else
        printf("the planner's choice against the fastest: %+.1f %%, the median of %d turns\n", 100 * (b->ratio - 1), b->n_turns);
}

static json_t *row_json(const struct bench *b, int r)
{
    const struct row *row = &b->rows[r];
    const struct weir_plan_info *p = &row->plan;
    json_t *turns = json_array(), *layers = json_array();
    for (int t = 0; t < b->n_turns && row->median_ms > 0; t++)
        weir_json_push(&turns, json_real(row->turns[t]));
    for (int s = 0; s < p->n_stages; s++)
        weir_json_push(&layers, json_integer(p->first_layer[s]));
    return json_pack("{s:i, s:i, s:i, s:i, s:I, s:I, s:s, s:o, s:f, s:f, s:o, s:b, s:b}", "ranks", p->n_ranks, "chunks", p->n_chunks, "replicas",
                     p->n_replicas, "zero", p->zero, "microbatch_size", (json_int_t)p->microbatch_size, "microbatches",
                     (json_int_t)p->n_microbatches, "schedule", p->schedule, "first_layers", layers, "predicted_ms", p->step_ms, "once_ms",
                     row->once_ms, "turns_ms", turns, "choice", r == b->choice, "fastest", r == b->fastest);
}

static weir_status json_write(const struct bench *b)
{
    json_t *all = json_array();
    for (int r = 0; r < b->n_rows; r++)
        if (b->rows[r].is_run)
            weir_json_push(&all, row_json(b, r));
    return schedule_json_print(json_pack("{s:s, s:o, s:I, s:I, s:i, s:f, s:f, s:f, s:o}", "weir", weir_version(), "model",
                                         weir_json_utf8(b->model->name), "devices", (json_int_t)b->values->devices,
                                         "global_batch", (json_int_t)b->values->global_batch, "configurations",
                                         b->n_rows, "choice_ms", b->rows[b->choice].median_ms, "fastest_ms", b->rows[b->fastest].median_ms,
                                         "ratio", b->ratio, "run", all));
}

static weir_status bench(const struct values *values)
{
    struct bench b = {.values = values, .start_ns = weir_clock_ns()};
    weir_status status = model_open(&b);
    if (!status)
        status = plans_find(&b);
    if (!status)
        status = run_once(&b);
    if (!status)
        status = finalists_choose(&b);
    if (!status)
        status = turns_run(&b);
    if (!status)
        figures_find(&b);
    if (!status && values->json)
        status = json_write(&b);
    else if (!status)
        table_print(&b);
    for (int i = 0; i < b.n_plans; i++)
        weir_plans_close(b.plans[i]);
    weir_arena_release(&b.arena);
    return status;
}

static int cores(void)
{
    int n = weir_info_cores();
    return n < 1 ? 1 : n > 8 ? 8 : n;
}

int bench_plan_run(int argc, char **argv)
{
    struct values values = {.model = "gpt2-tiny", .global_batch = 32, .most = 256, .finalists = 5, .turns = 7, .steps = 3};
    struct options given; /* nothing to release without --config */
    int n = 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &bench_plan_table, argc, argv, &values, NULL, 0, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    values.devices = values.devices ? values.devices : cores();
    if (!status)
        status = bench(&values);
    return options_report("bench plan", status);
}
