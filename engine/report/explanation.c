#include "engine/report/explanation.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "schedules/simulate/simulated_waits.h"

/* An event of the file; times in ns. */
struct item {
    int rank;
    int64_t step;
    char type; /* F, I, W, B; o: end of the step; w: wait */
    int stage;
    double start, end;
    const char *cause; /* of a wait; NULL: none */
    int peer;
    double way;
};

struct reader {
    const char *path;
    struct weir_arena *arena;
    struct weir_explanation *out;
    struct weir_schedule schedule;
    struct item *items;
    size_t n_items;
    int64_t last_step;
    double *stage_ns[4]; /* [type F I W B][n_stages]: of all steps, micro-batches and replicas */
    double *busy_ns, *first_ns, *last_ns; /* [n_ranks], the latter two of the step that is looked at */
    double optimizer_ns; /* of all ranks and steps */
    struct weir_wait_row *rows;
    size_t n_rows, rows_room;
};

static const char types[] = "FIWB";

/* ---- reading the file ---------------------------------------------------------------------------------------------- */

static weir_status no_trace(const struct reader *r, const char *what)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no trace of weir train: %s", r->path, what);
}

static weir_status about_read(struct reader *r, const json_t *root)
{
    const json_t *about = json_object_get(root, "otherData");
    const char *schedule = json_string_value(json_object_get(about, "schedule"));
    int64_t ranks = json_integer_value(json_object_get(about, "ranks"));
    int64_t replicas = json_integer_value(json_object_get(about, "replicas"));
    if (!schedule)
        return no_trace(r, "it does not say which schedule was run");
    weir_status status =
        weir_schedule_csv_parse(schedule, strlen(schedule), r->path, WEIR_CSV_TORCH, r->arena, &r->schedule);
    if (status)
        return status;
    if (ranks != r->schedule.n_ranks || replicas < 1 || replicas > 65536)
        return no_trace(r, "ranks and replicas are not those of its schedule");
    r->out->n_replicas = (int)replicas;
    r->out->n_ranks = r->schedule.n_ranks * (int)replicas;
    return WEIR_OK;
}

static int text_index(const char *text, const char *const *words)
{
    int i = 0;
    while (words[i] && (!text || strcmp(words[i], text) != 0))
        i++;
    return i;
}

/* 0: an event of no interest. */
static char type_of(const json_t *event)
{
    static const char *const categories[] = {"forward", "backward", "weight", "optimizer", "wait", NULL};
    const char *name = json_string_value(json_object_get(event, "name"));
    switch (text_index(json_string_value(json_object_get(event, "cat")), categories)) {
    case 0:
        return 'F';
    case 1:
        return name && name[strspn(name, "0123456789")] == 'I' ? 'I' : 'B';
    case 2:
        return 'W';
    case 3:
        return 'o';
    case 4:
        return 'w';
    default:
        return 0;
    }
}

static weir_status item_read(struct reader *r, const json_t *event)
{
    const json_t *args = json_object_get(event, "args"), *stage = json_object_get(args, "stage");
    const char *cause = json_string_value(json_object_get(args, "cause"));
    struct item item = {.rank = (int)json_integer_value(json_object_get(event, "pid")), .type = type_of(event),
                        .step = json_integer_value(json_object_get(args, "step")),
                        .stage = stage ? (int)json_integer_value(stage) : -1,
                        .peer = cause ? (int)json_integer_value(json_object_get(args, "peer")) : -1};
    item.start = 1000 * json_number_value(json_object_get(event, "ts"));
    item.end = item.start + 1000 * json_number_value(json_object_get(event, "dur"));
    item.way = 1000 * json_number_value(json_object_get(args, "way_us"));
    bool acts = item.type && item.type != 'o' && item.type != 'w';
    if (!item.type)
        return WEIR_OK;
    if (item.rank < 0 || item.rank >= r->out->n_ranks || item.step < 1 ||
        (acts && (item.stage < 0 || item.stage >= r->schedule.n_stages)))
        return no_trace(r, "an event has a rank, stage or step that its schedule has not");
    r->last_step = item.step > r->last_step ? item.step : r->last_step;
    weir_status status = cause ? weir_arena_strdup(r->arena, cause, &item.cause) : WEIR_OK;
    if (!status)
        r->items[r->n_items++] = item;
    return status;
}

static weir_status items_read(struct reader *r, const json_t *root)
{
    const json_t *events = json_object_get(root, "traceEvents");
    size_t n = json_array_size(events);
    weir_status status = n ? weir_arena_alloc(r->arena, n, sizeof *r->items, &r->items) : no_trace(r, "it has no events");
    for (size_t i = 0; i < n && !status; i++) {
        const json_t *event = json_array_get(events, i);
        const char *phase = json_string_value(json_object_get(event, "ph"));
        if (phase && !strcmp(phase, "X"))
            status = item_read(r, event);
    }
    if (!status && !r->n_items)
        status = no_trace(r, "it has no events of instructions");
    return status;
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
    for (int t = 0; t < 4 && !status; t++)
        status = weir_arena_alloc(r->arena, (size_t)r->schedule.n_stages, sizeof(double), &r->stage_ns[t]);
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
    if (item->type == 'o')
        r->optimizer_ns += ns;
    else
        r->stage_ns[strchr(types, item->type) - types][item->stage] += ns;
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

/* Mean times in ms of one action of each stage. */
static weir_status costs_make(const struct reader *r, struct weir_schedule_costs *costs_out)
{
    int n = r->schedule.n_stages;
    double per_action = 1e6 * (double)r->out->n_steps * r->schedule.n_microbatches * r->out->n_replicas;
    struct weir_stage_costs *stages;
    weir_status status = weir_arena_alloc(r->arena, (size_t)n, sizeof *stages, &stages);
    for (int s = 0; s < n && !status; s++) {
        double both = r->stage_ns[3][s] / per_action;
        stages[s].forward = r->stage_ns[0][s] / per_action;
        stages[s].input = r->stage_ns[1][s] / per_action + both / 2;
        stages[s].weight = r->stage_ns[2][s] / per_action + both / 2;
    }
    *costs_out = (struct weir_schedule_costs){.overlap_gain = 1, .stages = stages, .n_stages = n,
                                              .optimizer = r->optimizer_ns / 1e6 / (double)r->out->n_steps / r->out->n_ranks};
    return status;
}

/* Every replica is one pipeline. */
static weir_status simulated_add(struct reader *r, const struct weir_simulated_wait *wait, bool fill)
{
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < r->out->n_replicas && !status; replica++) {
        int first = replica * r->schedule.n_ranks;
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
    struct weir_schedule_costs costs;
    struct weir_simulation simulation;
    const struct weir_simulated_wait *waits = NULL;
    size_t n = 0;
    weir_status status = costs_make(r, &costs);
    if (!status)
        status = weir_schedule_simulate(&r->schedule, &costs, &(struct weir_simulation_options){.keep_times = true},
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

weir_status weir_explanation_load(const char *path, struct weir_arena *arena, struct weir_explanation *out)
{
    struct weir_explanation explanation = {0};
    struct reader r = {.path = path, .arena = arena, .out = &explanation};
    json_t *root;
    weir_status status = weir_json_load(path, &root);
    if (status)
        return status;
    status = about_read(&r, root);
    if (!status)
        status = items_read(&r, root);
    json_decref(root);
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
    *out = explanation;
    return WEIR_OK;
}
