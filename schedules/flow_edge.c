/* The edge model: one compute stream per rank, one FIFO per directed edge beside it.
 *
 * A transfer starts at max(producer done, previous transfer on that edge done, destination slot free). */
#include <math.h>

#include "schedules/flow.h"

static void rank_wake(struct weir_flow *flow, int rank)
{
    if (flow->ranks[rank].queued)
        return;
    flow->ranks[rank].queued = true;
    flow->ready[flow->n_ready++] = rank;
}

/* The message's slot: free since when?  -1 when every slot is taken. */
static double slot_time(const struct weir_flow_unit *unit, int direction, int slots)
{
    size_t taken = unit->n_taken[direction];
    if (taken < (size_t)slots)
        return 0;
    if (taken >= unit->n_released[direction] + (size_t)slots)
        return -1;
    return unit->released[direction][taken % (size_t)slots];
}

/* Move as many messages over the edge as can go. */
static void edge_poke(struct weir_flow *flow, int e)
{
    const struct weir_edge *edge = &flow->edges->edges[e];
    struct weir_flow_edge *channel = &flow->channels[e];
    while (channel->next < edge->n_messages) {
        const struct weir_action *message = &edge->messages[channel->next];
        int d = message->type == WEIR_RECV_F ? WEIR_FORWARD : WEIR_BACKWARD;
        double *cell = &flow->cells[d][weir_scan_index(flow->scan, message->stage, message->mb)];
        if (!signbit(*cell))
            return;
        int u = weir_scan_unit_index(flow->scan, message->stage, message->mb);
        struct weir_flow_unit *unit = &flow->units[u];
        double slot = slot_time(unit, d, flow->scan->units[u].slots[d]), start = -*cell;
        if (slot < 0) {
            unit->blocked[d] = e;
            return;
        }
        uint8_t cause = WEIR_CAUSE_PRODUCER;
        if (channel->time > start)
            start = channel->time, cause = WEIR_CAUSE_CHANNEL;
        if (slot > start)
            start = slot, cause = WEIR_CAUSE_SLOT;
        if (flow->record.transfer_cause)
            flow->record.transfer_cause[e][channel->next] = cause;
        channel->time = start + (flow->costs.transfer ? flow->costs.transfer[e] : 0);
        *cell = channel->time;
        unit->n_taken[d]++;
        channel->next++;
        if (flow->ranks[edge->to].waiting == cell)
            rank_wake(flow, edge->to);
    }
}

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
    edge_poke(flow, weir_edge_find(flow->edges, rank, to));
}

static void slot_release(struct weir_flow *flow, int u, enum weir_direction d, double time)
{
    const struct weir_scan_unit *info = &flow->scan->units[u];
    if (info->feeder[d] < 0 || info->feeder[d] == info->rank)
        return;
    struct weir_flow_unit *unit = &flow->units[u];
    unit->released[d][unit->n_released[d]++ % (size_t)info->slots[d]] = time;
    int e = unit->blocked[d];
    if (e >= 0) {
        unit->blocked[d] = -1;
        edge_poke(flow, e);
    }
}

/* The results of one compute action that ended at `time`. */
static void action_finish(struct weir_flow *flow, int rank, const struct weir_action *a, double time)
{
    int u = weir_scan_unit_index(flow->scan, a->stage, a->mb);
    if (a->type == WEIR_F) {
        deliver(flow, rank, a->stage + 1, a->mb, WEIR_FORWARD, time);
        if (!flow->scan->trainable)
            slot_release(flow, u, WEIR_FORWARD, time);
    } else if (a->type == WEIR_I || a->type == WEIR_B) {
        deliver(flow, rank, a->stage - 1, a->mb, WEIR_BACKWARD, time);
        slot_release(flow, u, WEIR_BACKWARD, time);
    }
    if (a->type == WEIR_W || a->type == WEIR_B)
        slot_release(flow, u, WEIR_FORWARD, time);
}

/* The cell that `a` needs from elsewhere, or NULL. */
static const double *cell_needed(const struct weir_flow *flow, const struct weir_action *a)
{
    if (a->type == WEIR_F)
        return a->stage > 0 ? &flow->cells[WEIR_FORWARD][weir_scan_index(flow->scan, a->stage, a->mb)] : NULL;
    if (a->type == WEIR_W || a->stage == flow->scan->schedule->n_stages - 1)
        return NULL;
    return &flow->cells[WEIR_BACKWARD][weir_scan_index(flow->scan, a->stage, a->mb)];
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
        *start = *cell;
        *cause = a->type == WEIR_F ? WEIR_CAUSE_FORWARD : WEIR_CAUSE_BACKWARD;
    }
    return true;
}

static double duration(const struct weir_flow *flow, const struct weir_action *a)
{
    const double *type = flow->costs.type;
    double time = type ? type[4 * a->stage + a->type] : 0;
    if (a->fused)
        time = flow->costs.overlap_gain * (time + (type ? type[4 * a[1].stage + a[1].type] : 0));
    return time;
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
    double cost = duration(flow, a), end = start + cost;
    record(flow, r, rank->next, start, end, cause);
    if (rank->first < 0)
        rank->first = start;
    rank->busy += cost;
    rank->time = end;
    action_finish(flow, r, a, end);
    if (a->fused)
        action_finish(flow, r, a + 1, end);
    rank->next += a->fused ? 2 : 1;
    return true;
}

static void reduce_run(const struct weir_flow *flow, struct weir_flow_rank *rank)
{
    double start = rank->reduced > rank->time ? rank->reduced : rank->time;
    rank->reduced = start + flow->costs.reduce;
    rank->reduce_work += flow->costs.reduce;
}

static void rank_run(struct weir_flow *flow, int r)
{
    struct weir_flow_rank *rank = &flow->ranks[r];
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[r];
    rank->waiting = NULL;
    while (rank->next < list->n_actions) {
        const struct weir_action *a = &list->actions[rank->next];
        if (weir_action_is_compute((enum weir_action_type)a->type)) {
            if (!action_run(flow, r, a))
                return;
            continue;
        }
        if (a->type == WEIR_REDUCE_GRAD)
            reduce_run(flow, rank);
        rank->next++;
    }
}

weir_status weir_flow_run_edge(struct weir_flow *flow)
{
    const struct weir_schedule *s = flow->scan->schedule;
    for (int r = s->n_ranks - 1; r >= 0; r--)
        rank_wake(flow, r);
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
