/* The compute streams of a flow: what a rank does until it has to wait. */
#include <math.h>

#include "schedules/check/flow.h"

/* Something was made at `time` on `rank`: hand it to its own rank at once, to another one over the edge. */
static void deliver(struct weir_flow *flow, int rank, int stage, int mb, enum weir_direction d, double time)
{
    if (stage < 0 || stage >= flow->scan->schedule->n_stages)
        return;
    double *cell = &flow->cells[d][weir_scan_index(flow->scan, stage, mb)];
    int to = weir_scan_unit(flow->scan, stage, mb)->rank;
    if (to == rank) {
        *cell = time;
        return;
    }
    *cell = -time;
    weir_flow_made(flow, rank, to);
}

/* The results of one compute action that ended at `time`. */
static void action_finish(struct weir_flow *flow, int rank, const struct weir_action *a, double time)
{
    int u = weir_scan_unit_index(flow->scan, a->stage, a->mb);
    if (a->type == WEIR_F) {
        deliver(flow, rank, a->stage + 1, a->mb, WEIR_DIRECTION_FORWARD, time);
        if (!flow->scan->trainable)
            weir_flow_released(flow, u, WEIR_DIRECTION_FORWARD, time);
    } else if (a->type == WEIR_I || a->type == WEIR_B) {
        deliver(flow, rank, a->stage - 1, a->mb, WEIR_DIRECTION_BACKWARD, time);
        weir_flow_released(flow, u, WEIR_DIRECTION_BACKWARD, time);
    }
    if (a->type == WEIR_W || a->type == WEIR_B)
        weir_flow_released(flow, u, WEIR_DIRECTION_FORWARD, time);
}

/* The cell that `a` needs from elsewhere, or NULL. */
static const double *cell_needed(const struct weir_flow *flow, const struct weir_action *a)
{
    if (a->type == WEIR_F)
        return a->stage > 0 ? &flow->cells[WEIR_DIRECTION_FORWARD][weir_scan_index(flow->scan, a->stage, a->mb)] : NULL;
    if (a->type == WEIR_W || a->stage == flow->scan->schedule->n_stages - 1)
        return NULL;
    return &flow->cells[WEIR_DIRECTION_BACKWARD][weir_scan_index(flow->scan, a->stage, a->mb)];
}

/* Raise *start to the arrival of what `a` needs.  false when it has not arrived; the rank then waits for it. */
static bool input_wait(const struct weir_flow *flow, struct weir_flow_rank *rank, const struct weir_action *a,
                       double *start, uint8_t *cause)
{
    const double *cell = cell_needed(flow, a);
    if (!cell)
        return true;
    if (signbit(*cell) || isinf(*cell)) {
        rank->waiting = cell;
        return false;
    }
    if (*cell > *start) {
        const double *delay = flow->delay[a->type != WEIR_F];
        double held = delay ? delay[cell - flow->cells[a->type != WEIR_F]] : 0;
        rank->exposed += held < *cell - *start ? held : *cell - *start;
        *start = *cell;
        *cause = a->type == WEIR_F ? WEIR_CAUSE_FORWARD : WEIR_CAUSE_BACKWARD;
    }
    return true;
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

/* Run one compute action (both parts of an OVERLAP_F_B).  false when the rank must wait. */
static bool action_run(struct weir_flow *flow, int r, const struct weir_action *a)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    double start = rank->time;
    uint8_t cause = rank->first < 0 ? WEIR_CAUSE_NONE : WEIR_CAUSE_RANK;
    if (!input_wait(flow, rank, a, &start, &cause))
        return false;
    if (a->fused && !input_wait(flow, rank, a + 1, &start, &cause))
        return false;
    double done = work(flow, a), cost = a->fused ? flow->costs.overlap_gain * done : done, end = start + cost;
    record(flow, r, rank->next, start, end, cause);
    if (rank->first < 0)
        rank->first = start;
    rank->busy += cost;
    rank->gained += done - cost;
    rank->time = end;
    action_finish(flow, r, a, end);
    if (a->fused)
        action_finish(flow, r, a + 1, end);
    rank->next += a->fused ? 2 : 1;
    return true;
}

/* REDUCE_GRAD runs beside the compute stream, in the order of the list. */
static void reduce_run(const struct weir_flow *flow, int r, const struct weir_action *a)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    int unit = weir_scan_stage_unit(flow->scan, a->stage, r);
    bool after_another = rank->reduced > rank->time;
    double start = after_another ? rank->reduced : rank->time;
    double cost = flow->costs.reduce ? flow->costs.reduce[unit] : 0;
    rank->reduced = start + cost;
    rank->reduce_work += cost;
    record(flow, r, rank->next, start, rank->reduced, after_another ? WEIR_CAUSE_CHANNEL : WEIR_CAUSE_RANK);
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
    while (flow->n_ready) {
        int r = flow->ready[--flow->n_ready];
        flow->ranks[r].queued = false;
        rank_run(flow, r);
    }
    for (int r = 0; r < s->n_ranks; r++)
        if (flow->ranks[r].next < s->ranks[r].n_actions)
            return weir_flow_cycle(flow);
    return WEIR_OK;
}
