/* Lowering: SEND and RECV actions for a schedule that has none.
 *
 * A send follows the action that makes what it sends.  A receive stands right before the action that needs it, but the
 * receives of a directed edge keep the order of its sends: when micro-batches overtake each other on an edge, the
 * receives of those that were sent earlier move forward with it.
 *
 *     r0  0F0 0SEND_F0 0F1 0SEND_F1 ...        edge 0 → 1 carries 1RECV_F0, 1RECV_F1, ...
 *     r1  1RECV_F0 1F0 1RECV_F1 1F1 ...        rank 1 takes from the edge up to what it needs next
 *
 * An OVERLAP_F_B is one action: its receives stand before it, its sends behind it. */
#include <string.h>

#include "base/arena.h"
#include "schedules/check/edges.h"

struct lowering {
    struct weir_scan scan;
    struct weir_schedule_edges edges;
    size_t *taken;            /* [n_edges] */
    struct weir_action *list; /* of the rank at hand */
    size_t n;
};

static void receives_take(struct lowering *low, int rank, const struct weir_action *action)
{
    int source = weir_scan_source(&low->scan, action);
    if (source < 0 || source == rank)
        return;
    enum weir_action_type type = action->type == WEIR_F ? WEIR_RECV_F : WEIR_RECV_B;
    uint8_t *seen = &low->scan.seen[weir_scan_index(&low->scan, action->stage, action->mb)];
    const struct weir_schedule_edge *edge = &low->edges.edges[weir_schedule_edge_find(&low->edges, source, rank)];
    size_t *taken = &low->taken[edge - low->edges.edges];
    while (!(*seen & 1u << type)) {
        struct weir_action receive = edge->messages[(*taken)++];
        low->scan.seen[weir_scan_index(&low->scan, receive.stage, receive.mb)] |= (uint8_t)(1u << receive.type);
        low->list[low->n++] = receive;
    }
}

static void send_add(struct lowering *low, int rank, const struct weir_action *action)
{
    int target = weir_scan_target(&low->scan, action);
    if (target < 0 || target == rank)
        return;
    struct weir_action send = *action;
    send.type = action->type == WEIR_F ? WEIR_SEND_F : WEIR_SEND_B;
    send.fused = 0;
    low->list[low->n++] = send;
}

static void rank_lower(struct lowering *low, int rank)
{
    const struct weir_schedule_rank *from = &low->scan.schedule->ranks[rank];
    for (size_t i = 0; i < from->n_actions; i++) {
        const struct weir_action *action = &from->actions[i];
        size_t parts = action->fused ? 2 : 1;
        bool compute = weir_action_is_compute((enum weir_action_type)action->type);
        for (size_t k = 0; compute && k < parts; k++)
            receives_take(low, rank, &action[k]);
        for (size_t k = 0; k < parts; k++)
            low->list[low->n++] = action[k];
        for (size_t k = 0; compute && k < parts; k++)
            send_add(low, rank, &action[k]);
        i += parts - 1;
    }
}

static size_t lowered_length(const struct lowering *low, int rank)
{
    size_t n = low->scan.schedule->ranks[rank].n_actions;
    for (int e = 0; e < low->edges.n_edges; e++)
        if (low->edges.edges[e].from == rank || low->edges.edges[e].to == rank)
            n += low->edges.edges[e].n_messages;
    return n;
}

static weir_status lists_lower(struct lowering *low, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_schedule s = *low->scan.schedule;
    struct weir_schedule_rank *ranks;
    weir_status status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    for (int r = 0; !status && r < s.n_ranks; r++) {
        low->n = 0;
        status = weir_arena_alloc(arena, lowered_length(low, r), sizeof *low->list, &low->list);
        if (status)
            break;
        rank_lower(low, r);
        ranks[r] = (struct weir_schedule_rank){.actions = low->list, .n_actions = low->n};
    }
    if (status)
        return status;
    s.ranks = ranks;
    s.has_comms = true;
    *out = s;
    return WEIR_OK;
}

weir_status weir_schedule_lower(const struct weir_schedule *schedule, struct weir_arena *arena,
                                struct weir_schedule *out)
{
    if (schedule->has_comms) {
        *out = *schedule;
        return WEIR_OK;
    }
    struct weir_arena work = {0};
    struct lowering low = {0};
    weir_status status = weir_schedule_nameable(schedule);
    if (!status)
        status = weir_scan_build(schedule, &work, &low.scan);
    if (!status)
        status = weir_schedule_edges_build(&low.scan, &work, &low.edges);
    if (!status)
        status = weir_arena_alloc(&work, (size_t)low.edges.n_edges, sizeof *low.taken, &low.taken);
    if (!status)
        status = lists_lower(&low, arena, out);
    weir_arena_release(&work);
    return status;
}
