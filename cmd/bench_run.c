#include "cmd/bench_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"

struct times {
    double *values; /* ms */
    size_t n, room;
};

struct run {
    const struct bench_settings *settings;
    const struct weir_schedule *schedule;
    weir_engine *engine;
    struct weir_step_event *events;
    size_t room;
    struct times *actions; /* [n_stages][4]: F, I, W, B */
    double *optimizer;     /* [n_steps]: all ranks together */
    struct weir_step_report *reports; /* [n_steps] */
    struct bench_step *steps;         /* [n_steps]: with keeps_events */
    struct weir_op_time *ops[2];      /* [ops_room]: with keeps_ops, after the warm-up and at the end */
    size_t n_ops[2], ops_room;
    int64_t busy_ns;
    void *data;
};

/* ---- data ---------------------------------------------------------------------------------------------------------- */

/* Numbers that every model takes: small tokens and classes, pixels from 0 to 1. */
static void input_fill(const struct weir_shape *shape, int limit, int64_t key, void *data)
{
    int64_t n = weir_shape_elements(shape);
    for (int64_t i = 0; i < n; i++) {
        int value = (int)((i * 31 + key * 17 + 5) % limit);
        if (shape->dtype == WEIR_DTYPE_F32)
            ((float *)data)[i] = (float)value / (float)limit;
        else
            ((int32_t *)data)[i] = value;
    }
}

static weir_status step_feed(const struct run *run, int step)
{
    const struct weir_graph *graph = run->settings->graph;
    bool images = run->settings->model->data == WEIR_DATA_IMAGES;
    int limit = images ? 10 : run->settings->model->vocabulary < 200 ? (int)run->settings->model->vocabulary : 200;
    weir_status status = WEIR_OK;
    int whole = run->schedule->n_microbatches / weir_schedule_slices(run->schedule);
    int n = whole * (run->settings->n_replicas > 1 ? run->settings->n_replicas : 1);
    for (int mb = 0; !status && mb < n; mb++)
        for (int i = 0; !status && i < graph->n_inputs; i++) {
            input_fill(&graph->inputs[i].shape, limit, (int64_t)step * 1000 + mb, run->data);
            status = weir_engine_feed(run->engine, graph->inputs[i].name, mb, run->data);
        }
    return status;
}

static size_t largest_input(const struct weir_graph *graph)
{
    size_t most = 0;
    for (int i = 0; i < graph->n_inputs; i++)
        most = weir_shape_bytes(&graph->inputs[i].shape) > most ? weir_shape_bytes(&graph->inputs[i].shape) : most;
    return most;
}

/* ---- times --------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t n)
{
    if (!n)
        return 0;
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

static double milliseconds(const struct weir_step_event *event)
{
    return (double)(event->end_ns - event->start_ns) / 1e6;
}

static weir_status events_take(struct run *run, int step)
{
    static const char *const types[] = {"F", "I", "W", "B"};
    size_t n = weir_engine_events(run->engine, run->events, run->room);
    weir_status status = WEIR_OK;
    for (size_t i = 0; !status && i < n && i < run->room; i++) {
        const struct weir_step_event *event = &run->events[i];
        if (!strcmp(event->category, "optimizer"))
            run->optimizer[step] += milliseconds(event);
        for (int t = 0; !status && t < 4; t++)
            if (event->stage >= 0 && event->mb >= 0 && !strcmp(event->category, types[t])) {
                struct times *times = &run->actions[4 * event->stage + t];
                status = weir_grow(&times->values, &times->room, times->n + 1, sizeof *times->values);
                if (!status)
                    times->values[times->n++] = milliseconds(event);
            }
    }
    return status;
}

static void ops_take(struct run *run, int when)
{
    if (run->settings->keeps_ops)
        run->n_ops[when] = weir_engine_op_times(run->engine, run->ops[when], run->ops_room);
}

static int by_op_time(const void *a, const void *b)
{
    const struct weir_op_time *x = a, *y = b;
    return (x->ns < y->ns) - (x->ns > y->ns);
}

/* What was added since the warm-up, longest first. */
static void ops_subtract(const struct run *run)
{
    for (size_t i = 0; i < run->n_ops[1]; i++)
        for (size_t k = 0; k < run->n_ops[0]; k++) {
            struct weir_op_time *row = &run->ops[1][i];
            const struct weir_op_time *before = &run->ops[0][k];
            if (strcmp(row->op, before->op) != 0 || strcmp(row->pass, before->pass) != 0)
                continue;
            row->calls -= before->calls;
            row->ns -= before->ns;
            row->flops -= before->flops;
        }
    if (run->n_ops[1])
        qsort(run->ops[1], run->n_ops[1], sizeof *run->ops[1], by_op_time);
}

static weir_status ops_room_make(struct run *run, struct weir_arena *arena)
{
    run->ops_room = (size_t)run->settings->graph->n_nodes * WEIR_PASSES;
    weir_status status = weir_arena_alloc(arena, run->ops_room, sizeof *run->ops[0], &run->ops[0]);
    return status ? status : weir_arena_alloc(arena, run->ops_room, sizeof *run->ops[1], &run->ops[1]);
}

static weir_status steps_run(struct run *run, struct weir_arena *arena)
{
    const struct bench_settings *s = run->settings;
    struct weir_step_report ignored;
    weir_status status = WEIR_OK;
    for (int step = 0; !status && step < s->n_warm_up + s->n_steps; step++) {
        int kept = step - s->n_warm_up;
        if (!kept)
            ops_take(run, 0);
        status = step_feed(run, step);
        if (!status)
            status = weir_engine_step(run->engine, 1e-3, kept < 0 ? &ignored : &run->reports[kept]);
        if (!status && kept >= 0)
            status = events_take(run, kept);
        if (!status && kept >= 0 && s->keeps_events)
            status = bench_step_keep(run->engine, arena, &run->steps[kept]);
        for (int r = 0; !status && kept >= 0 && r < run->reports[kept].n_ranks; r++)
            run->busy_ns += run->reports[kept].compute_ns[r];
    }
    if (!status)
        ops_take(run, 1);
    ops_subtract(run);
    return status;
}

/* ---- the outcome --------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct weir_step_report *x = a, *y = b;
    return (x->step_ns > y->step_ns) - (x->step_ns < y->step_ns);
}

static weir_status outcome_make(struct run *run, struct weir_arena *arena, struct bench_outcome *out)
{
    int n = run->settings->n_steps, n_stages = run->schedule->n_stages;
    struct weir_stage_costs *stages;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *stages, &stages);
    if (status)
        return status;
    *out = (struct bench_outcome){.loss = run->reports[n - 1].loss, .stages = stages};
    for (int r = 0; r < run->reports[n - 1].n_ranks; r++)
        if (run->reports[n - 1].peak_bytes[r] > out->peak_bytes)
            out->peak_bytes = run->reports[n - 1].peak_bytes[r];
    qsort(run->reports, (size_t)n, sizeof *run->reports, by_time);
    out->fastest_ms = (double)run->reports[0].step_ns / 1e6;
    out->median_ms = (double)run->reports[n / 2].step_ns / 1e6;
    out->slowest_ms = (double)run->reports[n - 1].step_ns / 1e6;
    out->bubble = run->reports[n / 2].bubble;
    out->median_step = run->steps[run->reports[n / 2].step - run->settings->n_warm_up];
    out->ops = run->ops[1];
    out->n_ops = run->n_ops[1];
    out->busy_ms = (double)run->busy_ns / 1e6 / n;
    for (int i = 0; i < n; i++) {
        out->mean_ms += (double)run->reports[i].step_ns / 1e6 / n;
        out->optimizer_mean_ms += run->optimizer[i] / n;
    }
    out->optimizer_ms = median(run->optimizer, (size_t)n);
    for (int s = 0; s < n_stages; s++) {
        struct times *t = &run->actions[4 * s];
        double both = median(t[WEIR_B].values, t[WEIR_B].n);
        stages[s] = (struct weir_stage_costs){.forward = median(t[WEIR_F].values, t[WEIR_F].n),
                                              .input = both > 0 ? both : median(t[WEIR_I].values, t[WEIR_I].n),
                                              .weight = both > 0 ? 0 : median(t[WEIR_W].values, t[WEIR_W].n)};
    }
    return WEIR_OK;
}

static weir_status run_open(struct run *run, struct weir_arena *work)
{
    const struct bench_settings *s = run->settings;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = s->graph;
    config.schedule = run->schedule;
    config.dtype = s->dtype;
    config.threads_per_rank = s->threads;
    config.recompute = s->recompute;
    config.first_layer = s->first_layer;
    config.replicas = s->n_replicas > 1 ? s->n_replicas : 1;
    config.zero = s->zero;
    weir_status status = weir_engine_open(&config, &run->engine);
    if (!status)
        run->room = weir_engine_events(run->engine, NULL, 0) + 4096;
    for (int r = 0; !status && r < run->schedule->n_ranks; r++)
        run->room += 2 * run->schedule->ranks[r].n_actions;
    if (!status)
        status = weir_arena_alloc(work, run->room, sizeof *run->events, &run->events);
    if (!status)
        status = weir_arena_alloc(work, 4 * (size_t)run->schedule->n_stages, sizeof *run->actions, &run->actions);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_steps, sizeof *run->optimizer, &run->optimizer);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_steps, sizeof *run->reports, &run->reports);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_steps, sizeof *run->steps, &run->steps);
    if (!status)
        status = weir_arena_alloc(work, largest_input(s->graph), 1, &run->data);
    return status;
}

weir_status bench_run(const struct bench_settings *settings, const struct weir_schedule *schedule,
                      struct weir_arena *arena, struct bench_outcome *out)
{
    struct run run = {.settings = settings, .schedule = schedule};
    struct weir_arena work = {0};
    weir_status status = run_open(&run, &work);
    if (!status && settings->keeps_ops)
        status = ops_room_make(&run, arena);
    if (!status)
        status = steps_run(&run, arena);
    if (!status)
        status = outcome_make(&run, arena, out);
    weir_engine_close(run.engine);
    for (int i = 0; run.actions && i < 4 * schedule->n_stages; i++)
        weir_free(run.actions[i].values);
    weir_arena_release(&work);
    return status;
}
