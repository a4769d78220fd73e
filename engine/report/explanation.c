#include "include/weir/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/grown.h"
#include "schedules/io/trace_file.h"
#include "schedules/simulate/simulated_waits.h"

/* An event of the file; times in ns. */
struct item {
    int rank;
    int64_t step;
    char type; /* F, I, W, B; o: end of the step; w: wait */
    double start, end;
    const char *cause; /* of a wait; NULL: none */
    int peer;
    double way;
};

struct reader {
    struct weir_arena *arena;
    struct weir_explanation *out;
    struct weir_traced trace;
    struct item *items;
    size_t n_items;
    int64_t last_step;
    double *busy_ns, *first_ns, *last_ns; /* [n_ranks], the latter two of the step that is looked at */
    struct weir_wait_row *rows;
    size_t n_rows, rows_room;
};

/* ---- reading the file ---------------------------------------------------------------------------------------------- */

/* 0: an event of no interest. */
static char type_of(const struct weir_traced_event *event)
{
    static const char letters[] = {[WEIR_TRACED_F] = 'F',         [WEIR_TRACED_I] = 'I', [WEIR_TRACED_W] = 'W', [WEIR_TRACED_B] = 'B',
                                   [WEIR_TRACED_OPTIMIZER] = 'o', [WEIR_TRACED_WAIT] = 'w'};
    return letters[event->kind];
}

static void item_add(struct reader *r, const struct weir_traced_event *event)
{
    const double ns = 1e6; /* of a millisecond */
    if (type_of(event))
        r->items[r->n_items++] = (struct item){event->rank, event->step, type_of(event), event->start * ns,
                                               event->end * ns, event->cause, event->peer, event->way * ns};
}

static weir_status file_read(struct reader *r, const char *path)
{
    const struct weir_traced *trace = &r->trace;
    weir_status status = weir_traced_load(path, r->arena, &r->trace);
    if (!status && trace->simulated)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a prediction: what is explained is a trace of weir train", path);
    if (!status)
        status = weir_arena_alloc(r->arena, trace->n_events, sizeof *r->items, &r->items);
    if (status)
        return status;
    r->out->n_replicas = trace->n_replicas;
    r->out->n_ranks = trace->n_ranks;
    r->last_step = trace->last_step;
    for (size_t i = 0; i < trace->n_events; i++)
        item_add(r, &trace->events[i]);
    return r->n_items ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no work and no waits", path);
}

/* ---- adding up ----------------------------------------------------------------------------------------------------- */

static weir_status row_find(struct reader *r, int rank, const char *cause, int peer, struct weir_wait_row **row_out)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].rank == rank && r->rows[i].peer == peer && !strcmp(r->rows[i].cause, cause)) {
            *row_out = &r->rows[i];
            return WEIR_OK;
        }
    weir_status status = weir_arena_grow(r->arena, &r->rows, &r->rows_room, r->n_rows + 1, sizeof *r->rows);
    if (status)
        return status;
    r->rows[r->n_rows] = (struct weir_wait_row){.rank = rank, .cause = cause, .peer = peer, .simulated_ms = -1};
    *row_out = &r->rows[r->n_rows++];
    return WEIR_OK;
}

static weir_status arrays_make(struct reader *r)
{
    size_t n = (size_t)r->out->n_ranks;
    weir_status status = weir_arena_alloc(r->arena, n, sizeof(double), &r->busy_ns);
    if (!status)
        status = weir_arena_alloc(r->arena, n, sizeof(double), &r->first_ns);
    if (!status)
        status = weir_arena_alloc(r->arena, n, sizeof(double), &r->last_ns);
    return status;
}

static weir_status wait_add(struct reader *r, const struct item *item)
{
    struct weir_wait_row *row;
    bool fill = item->cause && r->last_ns[item->rank] == 0;
    weir_status status = row_find(r, item->rank, fill ? "fill" : item->cause ? item->cause : "hand-over", item->peer, &row);
    if (status)
        return status;
    row->times++;
    row->wait_ms += (item->end - item->start - item->way) / 1e6;
    row->way_ms += item->way / 1e6;
    return WEIR_OK;
}

static void work_add(struct reader *r, const struct item *item)
{
    double ns = item->end - item->start;
    r->busy_ns[item->rank] += ns;
    r->last_ns[item->rank] = item->end > r->last_ns[item->rank] ? item->end : r->last_ns[item->rank];
}

/* Ranks that are done before the last one; returns the step's length in ns. */
static weir_status step_close(struct reader *r, double first, double *length_out)
{
    double last = 0;
    weir_status status = WEIR_OK;
    for (int k = 0; k < r->out->n_ranks; k++)
        last = r->last_ns[k] > last ? r->last_ns[k] : last;
    for (int k = 0; k < r->out->n_ranks && !status; k++) {
        struct weir_wait_row *row;
        if (r->last_ns[k] >= last)
            continue;
        status = row_find(r, k, "step end", -1, &row);
        if (!status) {
            row->times++;
            row->wait_ms += (last - r->last_ns[k]) / 1e6;
        }
    }
    memset(r->last_ns, 0, sizeof *r->last_ns * (size_t)r->out->n_ranks);
    *length_out = last - first;
    return status;
}

static int by_step(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

/* All steps but the first, which warms up, when there are others. */
static weir_status items_add(struct reader *r)
{
    weir_status status = WEIR_OK;
    size_t i = 0;
    double step_ns = 0;
    qsort(r->items, r->n_items, sizeof *r->items, by_step);
    while (r->items[0].step < r->last_step && i < r->n_items && r->items[i].step == r->items[0].step)
        i++;
    r->out->first_step = r->items[i].step;
    while (i < r->n_items && !status) {
        double first = r->items[i].start, length;
        for (int64_t step = r->items[i].step; i < r->n_items && r->items[i].step == step && !status; i++) {
            if (r->items[i].type == 'w')
                status = wait_add(r, &r->items[i]);
            else
                work_add(r, &r->items[i]);
        }
        if (!status)
            status = step_close(r, first, &length);
        if (!status) {
            step_ns += length;
            r->out->n_steps++;
        }
    }
    r->out->step_ms = step_ns / 1e6 / (double)(r->out->n_steps ? r->out->n_steps : 1);
    return status;
}

/* ---- the simulator's answer ---------------------------------------------------------------------------------------- */

/* Every replica is one pipeline. */
static weir_status simulated_add(struct reader *r, const struct weir_simulated_wait *wait, bool fill)
{
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < r->out->n_replicas && !status; replica++) {
        int first = replica * r->trace.schedule.n_ranks;
        struct weir_wait_row *row;
        status = row_find(r, first + wait->rank, fill ? "fill" : wait->cause ? wait->cause : "hand-over",
                          wait->peer < 0 ? -1 : first + wait->peer, &row);
        if (!status)
            row->simulated_ms = (row->simulated_ms < 0 ? 0 : row->simulated_ms) + wait->end - wait->start;
    }
    return status;
}

static weir_status simulate(struct reader *r)
{
    struct weir_schedule_costs costs = {.overlap_gain = 1};
    struct weir_simulation simulation;
    const struct weir_simulated_wait *waits = NULL;
    size_t n = 0;
    weir_status status = weir_traced_costs(&r->trace, r->arena, &costs);
    if (!status)
        status = weir_schedule_simulate(&r->trace.schedule, &costs, &(struct weir_simulation_options){.keep_times = true},
                                        r->arena, &simulation);
    if (!status)
        status = weir_simulation_waits(&simulation, r->arena, &waits, &n);
    for (size_t i = 0; i < n && !status; i++)
        status = simulated_add(r, &waits[i], waits[i].start <= 0 && waits[i].cause);
    r->out->simulated_step_ms = status ? 0 : simulation.makespan;
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static int by_rank_and_time(const void *a, const void *b)
{
    const struct weir_wait_row *x = a, *y = b;
    double p = x->wait_ms + x->way_ms, q = y->wait_ms + y->way_ms;
    return x->rank != y->rank ? x->rank - y->rank : (p < q) - (p > q);
}

static void per_step(struct reader *r)
{
    double n = (double)r->out->n_steps;
    for (size_t i = 0; i < r->n_rows; i++) {
        r->rows[i].times /= n;
        r->rows[i].wait_ms /= n;
        r->rows[i].way_ms /= n;
    }
    for (int k = 0; k < r->out->n_ranks; k++)
        r->busy_ns[k] /= 1e6 * n;
    r->out->busy_ms = r->busy_ns;
}

weir_status weir_explanation_load_sized(const char *path, struct weir_arena *arena, struct weir_explanation *out, size_t out_bytes)
{
    struct weir_explanation explanation = {0};
    struct reader r = {.arena = arena, .out = &explanation};
    weir_status status = file_read(&r, path);
    if (!status)
        status = arrays_make(&r);
    if (!status)
        status = items_add(&r);
    if (!status) {
        per_step(&r);
        status = simulate(&r);
    }
    if (status)
        return status;
    if (r.n_rows)
        qsort(r.rows, r.n_rows, sizeof *r.rows, by_rank_and_time);
    explanation.rows = r.rows;
    explanation.n_rows = (int)r.n_rows;
    weir_grown_give(&explanation, sizeof explanation, out, out_bytes);
    return WEIR_OK;
}
