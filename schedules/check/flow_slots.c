/* How many slots a schedule would need, when it stands still for want of one.
 *
 * An edge is a FIFO: what rank r takes next can arrive when everything that was sent before it has arrived.  Each of those
 * messages lies in a slot of its stage until the action that frees it (the end of W or B for an input, of I or B for a
 * gradient).  So at every action that takes something from the edge the stage needs a slot for each of its messages up to
 * that one, less those that have been freed before in r's list; the most of these is what it needs.
 *
 *     edge 0 → 1:  1RECV_F0 1RECV_F1 1RECV_F2          rank 1:  1F2 1B2 1F1 ...
 *     at 1F2 three inputs have arrived and none is freed: 3 slots
 *
 * With as many no rank can be held up by a slot. */
#include <stdio.h>

#include "base/arena.h"
#include "base/integers.h"
#include "base/text.h"
#include "schedules/check/flow.h"

struct need {
    const struct weir_flow *flow;
    const struct weir_schedule_edge *edge;
    enum weir_direction direction; /* of the messages that want the slot */
    int unit;                      /* whose slots they are */
    int *arrived[2];               /* [n_cells]: own messages on the edge up to the one for the cell */
};

static bool is_own(const struct need *need, const struct weir_action *message)
{
    bool forward = message->type == WEIR_RECV_F;
    return forward == (need->direction == WEIR_DIRECTION_FORWARD) &&
           weir_scan_unit_index(need->flow->scan, message->stage, message->mb) == need->unit;
}

/* Does `a` free a slot of the unit at its end? */
static bool frees(const struct need *need, const struct weir_action *a)
{
    if (a->type > WEIR_B || weir_scan_unit_index(need->flow->scan, a->stage, a->mb) != need->unit)
        return false;
    if (need->direction == WEIR_DIRECTION_BACKWARD)
        return a->type == WEIR_I || a->type == WEIR_B;
    return a->type == WEIR_W || a->type == WEIR_B || (a->type == WEIR_F && !need->flow->scan->trainable);
}

static weir_status arrivals_count(struct need *need, struct weir_arena *work)
{
    const struct weir_scan *scan = need->flow->scan;
    weir_status status = WEIR_OK;
    for (int d = 0; !status && d < 2; d++)
        status = weir_arena_alloc(work, scan->n_cells, sizeof *need->arrived[d], &need->arrived[d]);
    int n = 0;
    for (size_t i = 0; !status && i < need->edge->n_messages; i++) {
        const struct weir_action *message = &need->edge->messages[i];
        n += is_own(need, message);
        need->arrived[message->type == WEIR_RECV_B][weir_scan_index(scan, message->stage, message->mb)] = n;
    }
    return status;
}

/* Own messages that must have arrived when `a` starts; 0 when it takes nothing from the edge. */
static int arrived_before(const struct need *need, const struct weir_action *a)
{
    struct weir_scan_ends sources = weir_scan_sources(need->flow->scan, a);
    int n = 0;
    for (int i = 0; i < sources.n; i++) {
        int row = weir_scan_row(&sources.list[i], a->stage);
        n = weir_int_max(n, need->arrived[a->type != WEIR_F][weir_scan_index(need->flow->scan, row, a->mb)]);
    }
    return n;
}

/* Slots that the list needs in all. */
static int slots_needed(const struct need *need)
{
    const struct weir_schedule_rank *list = &need->flow->scan->schedule->ranks[need->edge->to];
    int freed = 0, most = 0;
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        for (int k = 0; k <= a->fused; k++)
            most = weir_int_max(most, arrived_before(need, a + k) - freed);
        for (int k = 0; k <= a->fused; k++)
            freed += frees(need, a + k);
        i += a->fused;
    }
    return most;
}

/* "1B0, 1B1": the actions that would free the slots which are taken. */
static void holders_print(const struct need *need, struct weir_text *text)
{
    const struct weir_flow *flow = need->flow;
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[need->edge->to];
    size_t n_moved = flow->channels[need->edge - flow->edges->edges].next;
    for (size_t i = flow->ranks[need->edge->to].next; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        char action[WEIR_ACTION_TEXT];
        bool moved = false;
        for (size_t k = 0; k < n_moved && frees(need, a) && !moved; k++)
            moved = is_own(need, &need->edge->messages[k]) && need->edge->messages[k].mb == a->mb;
        if (moved)
            weir_text_append(text, "%s%s", text->length ? ", " : "", weir_action_str(a, action));
    }
}

/* The action that the rank cannot start. */
static const struct weir_action *taker_find(const struct need *need)
{
    const struct weir_flow_rank *rank = &need->flow->ranks[need->edge->to];
    const struct weir_action *a = &need->flow->scan->schedule->ranks[need->edge->to].actions[rank->next];
    return a->fused && !arrived_before(need, a) ? a + 1 : a;
}

weir_status weir_flow_slots(const struct weir_flow *flow, int e, struct weir_arena *work)
{
    const struct weir_schedule_edge *edge = &flow->edges->edges[e];
    const struct weir_action *head = &edge->messages[flow->channels[e].next];
    struct need need = {.flow = flow,
                        .edge = edge,
                        .direction = head->type == WEIR_RECV_F ? WEIR_DIRECTION_FORWARD : WEIR_DIRECTION_BACKWARD,
                        .unit = weir_scan_unit_index(flow->scan, head->stage, head->mb)};
    bool forward = need.direction == WEIR_DIRECTION_FORWARD;
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[edge->to];
    struct weir_text holders = {0};
    char action[WEIR_ACTION_TEXT], where[WEIR_PLACE_TEXT];
    weir_status status = arrivals_count(&need, work);
    if (status)
        return status;
    const struct weir_action *taker = taker_find(&need);
    weir_action_str(taker, action);
    holders_print(&need, &holders);
    if (!holders.status)
        status = WEIR_FAIL(
            WEIR_ERR_INVALID,
            "%s: stage %d has %d %s slots, and %s on rank %d needs %d: they are held until %s have run; run one of these "
            "before %s, or make its %s earlier on rank %d",
            weir_scan_place(flow->scan, edge->to, (size_t)(taker - list->actions), where), head->stage,
            flow->units[need.unit].slots[need.direction], forward ? "input" : "gradient", action, edge->to, slots_needed(&need), holders.data, action, forward ? "input" : "gradient", edge->from);
    status = holders.status ? holders.status : status;
    weir_text_release(&holders);
    return status;
}
