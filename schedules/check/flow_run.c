/* The compute streams of a flow: what a rank does until it has to wait. */
#include <math.h>

#include "schedules/check/flow.h"

/* When an action has ended, and when it has the slots for its results. */
struct finish {
    double ended, time;
};

/* Something was made on `rank` for the end of a boundary: hand it to its own rank at once, to another one over the edge. */
static void deliver(struct weir_flow *flow, int rank, const struct weir_scan_end *end, int mb, enum weir_direction d, struct finish at)
{
    size_t cell = weir_scan_index(flow->scan, weir_scan_row(end, end->stage), mb);
    int to = weir_scan_unit(flow->scan, end->stage, mb)->rank;
    if (to == rank) {
        flow->cells[d][cell] = at.time;
        return;
    }
    flow->cells[d][cell] = -at.time;
    if (flow->delay[d] && at.time > at.ended)
        flow->delay[d][cell] = at.time - at.ended;
    weir_flow_made(flow, rank, to);
}

/* `a` has read the last of what came over the boundaries of `ends`. */
static void slots_release(struct weir_flow *flow, const struct weir_action *a, struct weir_scan_ends ends, enum weir_direction d,
                          double time)
{
    for (int i = 0; i < ends.n; i++)
        weir_flow_released(flow, weir_scan_unit_index(flow->scan, weir_scan_row(&ends.list[i], a->stage), a->mb), d, time);
}

/* The results of one compute action. */
static void action_finish(struct weir_flow *flow, int rank, const struct weir_action *a, struct finish at)
{
    struct weir_scan_ends ins = flow->scan->ins[a->stage], outs = flow->scan->outs[a->stage];
    bool forward = a->type == WEIR_F, backward = a->type == WEIR_I || a->type == WEIR_B;
    for (int i = 0; i < outs.n && forward; i++)
        deliver(flow, rank, &outs.list[i], a->mb, WEIR_DIRECTION_FORWARD, at);
    for (int i = 0; i < ins.n && backward; i++)
        deliver(flow, rank, &ins.list[i], a->mb, WEIR_DIRECTION_BACKWARD, at);
    if (backward)
        slots_release(flow, a, outs, WEIR_DIRECTION_BACKWARD, at.time);
    if (a->type == WEIR_W || a->type == WEIR_B || (forward && !flow->scan->trainable))
        slots_release(flow, a, ins, WEIR_DIRECTION_FORWARD, at.time);
}

static const double *cell_at(const struct weir_flow *flow, const struct weir_action *a, const struct weir_scan_end *source)
{
    return &flow->cells[a->type != WEIR_F][weir_scan_index(flow->scan, weir_scan_row(source, a->stage), a->mb)];
}

/* All that `a` takes from elsewhere has arrived; else the rank waits for the first that has not. */
static bool inputs_are_there(const struct weir_flow *flow, struct weir_flow_rank *rank, const struct weir_action *a)
{
    struct weir_scan_ends sources = weir_scan_sources(flow->scan, a);
    for (int i = 0; i < sources.n; i++) {
        const double *cell = cell_at(flow, a, &sources.list[i]);
        if (signbit(*cell) || isinf(*cell)) {
            rank->waiting = cell;
            return false;
        }
    }
    return true;
}

/* Raise *start to the arrival of what `a` takes, which is there. */
static void inputs_await(const struct weir_flow *flow, struct weir_flow_rank *rank, const struct weir_action *a, double *start,
                         uint8_t *cause)
{
    struct weir_scan_ends sources = weir_scan_sources(flow->scan, a);
    const double *delay = flow->delay[a->type != WEIR_F];
    for (int i = 0; i < sources.n; i++) {
        const double *cell = cell_at(flow, a, &sources.list[i]);
        if (*cell <= *start)
            continue;
        double held = delay ? delay[cell - flow->cells[a->type != WEIR_F]] : 0;
        rank->exposed += held < *cell - *start ? held : *cell - *start;
        *start = *cell;
        *cause = a->type == WEIR_F ? WEIR_CAUSE_FORWARD : WEIR_CAUSE_BACKWARD;
    }
}

/* The work of an action, both parts of an OVERLAP_F_B together. */
static double work(const struct weir_flow *flow, const struct weir_action *a)
{
    const double *type = flow->costs.type;
    if (!type)
        return 0;
    double time = type[4 * a->stage + a->type];
    return a->fused ? time + type[4 * a[1].stage + a[1].type] : time;
}

static void record(const struct weir_flow *flow, int rank, size_t index, double start, double end, uint8_t cause)
{
    if (flow->record.cause)
        flow->record.cause[rank][index] = cause;
    if (flow->record.start) {
        flow->record.start[rank][index] = start;
        flow->record.end[rank][index] = end;
    }
}

/* What decided that the rank goes on at its `time`. */
static uint8_t time_cause(const struct weir_flow_rank *rank)
{
    return rank->first < 0 ? WEIR_CAUSE_NONE : rank->held ? WEIR_CAUSE_SLOT : WEIR_CAUSE_RANK;
}

/* Bring one compute action (both parts of an OVERLAP_F_B) to its end.  false when what it takes is not there. */
static bool action_work(struct weir_flow *flow, int r, const struct weir_action *a)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    double start = rank->time;
    uint8_t cause = time_cause(rank);
    if (!inputs_are_there(flow, rank, a) || (a->fused && !inputs_are_there(flow, rank, a + 1)))
        return false;
    inputs_await(flow, rank, a, &start, &cause);
    if (a->fused)
        inputs_await(flow, rank, a + 1, &start, &cause);
    double done = work(flow, a), cost = a->fused ? flow->costs.overlap_gain * done : done, end = start + cost;
    record(flow, r, rank->next, start, end, cause);
    if (rank->first < 0)
        rank->first = start;
    rank->busy += cost;
    rank->gained += done - cost;
    rank->time = end;
    rank->ended = true;
    return true;
}

/* Run one compute action.  false when the rank must wait. */
static bool action_run(struct weir_flow *flow, int r, const struct weir_action *a)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    if (!rank->ended && !action_work(flow, r, a))
        return false;
    struct finish at = {rank->time, rank->time};
    if (flow->model == WEIR_CHANNELS_EDGE && !weir_flow_slots_take(flow, r, a, &at.time))
        return false;
    rank->time = at.time;
    rank->held = at.time > at.ended;
    rank->ended = false;
    action_finish(flow, r, a, at);
    if (a->fused)
        action_finish(flow, r, a + 1, at);
    rank->next += a->fused ? 2 : 1;
    return true;
}

/* REDUCE_GRAD runs beside the compute stream, in the order of the list. */
static void reduce_run(const struct weir_flow *flow, int r, const struct weir_action *a)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    int unit = weir_scan_stage_unit(flow->scan, a->stage, r);
    bool after_another = rank->reduced > rank->time;
    uint8_t before = rank->held ? WEIR_CAUSE_SLOT : WEIR_CAUSE_RANK;
    double start = after_another ? rank->reduced : rank->time;
    double cost = flow->costs.reduce ? flow->costs.reduce[unit] : 0;
    rank->reduced = start + cost;
    rank->reduce_work += cost;
    record(flow, r, rank->next, start, rank->reduced, after_another ? WEIR_CAUSE_CHANNEL : before);
}

static void rank_run(struct weir_flow *flow, int r)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[r];
    rank->waiting = NULL;
    if (flow->model == WEIR_CHANNELS_SHARED)
        weir_flow_channel_run(flow, r);
    while (rank->next < list->n_actions) {
        const struct weir_action *a = &list->actions[rank->next];
        if (weir_action_is_compute((enum weir_action_type)a->type)) {
            if (!action_run(flow, r, a))
                return;
            continue;
        }
        bool transfer = a->type <= WEIR_RECV_B;
        if (transfer && flow->model == WEIR_CHANNELS_BLOCKING && !weir_flow_meet(flow, r))
            return;
        if (a->type == WEIR_REDUCE_GRAD)
            reduce_run(flow, r, a);
        rank->next++;
    }
}

weir_status weir_flow_run(struct weir_flow *flow)
{
    const struct weir_schedule *s = flow->scan->schedule;
    for (int e = 0; flow->costs.transfer && e < flow->edges->n_edges; e++)
        flow->channels[e].cost = flow->costs.transfer[e];
    for (int r = s->n_ranks - 1; r >= 0; r--)
        weir_flow_wake(flow, r);
    while (flow->n_ready || weir_flow_slots_add(flow)) {
        int r = flow->ready[--flow->n_ready];
        flow->ranks[r].queued = false;
        rank_run(flow, r);
    }
    if (flow->status)
        return flow->status;
    for (int r = 0; r < s->n_ranks; r++)
        flow->tight = flow->tight || flow->ranks[r].ended;
    for (int r = 0; r < s->n_ranks; r++)
        if (flow->ranks[r].next < s->ranks[r].n_actions)
            return weir_flow_cycle(flow);
    return WEIR_OK;
}
