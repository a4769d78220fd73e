/* Who waits for whom when a flow stands still.
 *
 * Every rank that is not done waits for one cell.  Its maker is another rank, or the rank itself further down its list;
 * or the cell is made and its message stands behind another one on the edge, which waits for its maker or for a slot.
 * Following that from rank to rank must come back to a rank that has been passed.  Where the way leads over a slot, the
 * number of slots is what is wrong (flow_slots.c). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "schedules/check/flow.h"

/* Who stands still: a rank's list, or its channel under the shared model. */
struct node {
    int rank;
    bool channel;
};

struct wait {
    struct weir_action action; /* what it waits in */
    struct node next;          /* whom it waits for */
    bool later_in_row;         /* nobody else: the maker comes later in the same list */
    int slot_edge;             /* the edge whose first message has no slot, or -1 */
    char detail[128];          /* " behind ..." */
};

static enum weir_direction direction_of(const struct weir_action *receive)
{
    return receive->type == WEIR_RECV_F ? WEIR_DIRECTION_FORWARD : WEIR_DIRECTION_BACKWARD;
}

static const double *cell_of(const struct weir_flow *flow, const struct weir_action *receive)
{
    return &flow->cells[direction_of(receive)][weir_scan_index(flow->scan, receive->stage, receive->mb)];
}

static struct weir_action receive_for(const struct weir_action *a)
{
    return (struct weir_action){.stage = a->stage, .mb = a->mb, .type = a->type == WEIR_F ? WEIR_RECV_F : WEIR_RECV_B};
}

static int maker_of(const struct weir_flow *flow, const struct weir_action *receive)
{
    int from = receive->type == WEIR_RECV_F ? receive->stage - 1 : receive->stage + 1;
    return weir_scan_unit(flow->scan, from, receive->mb)->rank;
}

/* edge: the message is made but has not arrived; what stands at the head of its edge decides. */
static void wait_on_edge(const struct weir_flow *flow, int rank, struct wait *wait)
{
    int from = wait->next.rank, e = weir_schedule_edge_find(flow->edges, from, rank);
    const struct weir_action *head = &flow->edges->edges[e].messages[flow->channels[e].next];
    char text[WEIR_ACTION_TEXT];
    const struct weir_action *own = &wait->action;
    if (head->stage != own->stage || head->mb != own->mb || head->type != own->type)
        snprintf(wait->detail, sizeof wait->detail, " behind %s on the edge from rank %d,", weir_action_str(head, text),
                 from);
    if (!signbit(*cell_of(flow, head)))
        return;
    wait->slot_edge = e;
    wait->next.rank = rank;
}

/* A compute action waits for its input or gradient. */
static void wait_in_compute(const struct weir_flow *flow, int rank, const struct weir_action *a, struct wait *wait)
{
    struct weir_action receive = receive_for(a);
    if (a->fused && cell_of(flow, &receive) != flow->ranks[rank].waiting)
        receive = receive_for(++a);
    *wait = (struct wait){.action = receive, .next = {maker_of(flow, &receive), false}, .slot_edge = -1};
    if (wait->next.rank == rank) {
        wait->action = *a;
        wait->later_in_row = true;
    } else if (flow->model == WEIR_CHANNELS_SHARED) {
        wait->next = (struct node){rank, true};
    } else if (signbit(*cell_of(flow, &receive))) {
        wait_on_edge(flow, rank, wait);
    }
}

/* A SEND or RECV waits for the other rank, or (shared, both there) for the sender's compute. */
static void wait_in_transfer(const struct weir_flow *flow, struct node node, const struct weir_action *a,
                             struct wait *wait)
{
    struct weir_action partner;
    int other = weir_flow_partner(flow, a, &partner);
    *wait = (struct wait){.action = *a, .next = {other, node.channel}, .slot_edge = -1};
    if (!node.channel)
        return;
    const struct weir_action *head = &flow->scan->schedule->ranks[other].actions[flow->ranks[other].channel_next];
    bool met = head->stage == partner.stage && head->mb == partner.mb && head->type == partner.type;
    if (met)
        wait->next = (struct node){a->type == WEIR_SEND_F || a->type == WEIR_SEND_B ? node.rank : other, false};
}

static void wait_find(const struct weir_flow *flow, struct node node, struct wait *wait)
{
    const struct weir_flow_rank *rank = &flow->ranks[node.rank];
    const struct weir_action *a =
        &flow->scan->schedule->ranks[node.rank].actions[node.channel ? rank->channel_next : rank->next];
    if (weir_action_is_compute((enum weir_action_type)a->type))
        wait_in_compute(flow, node.rank, a, wait);
    else
        wait_in_transfer(flow, node, a, wait);
}

static void wait_print(struct node node, const struct wait *wait, struct weir_text *text)
{
    char action[WEIR_ACTION_TEXT];
    weir_text_append(text, " waits in %s%s for ", weir_action_str(&wait->action, action), wait->detail);
    if (wait->later_in_row)
        weir_text_append(text, "stage %d, which comes later in its own row",
                         wait->action.stage + (wait->action.type == WEIR_F ? -1 : 1));
    else if (wait->next.channel)
        weir_text_append(text, wait->next.rank == node.rank ? "its channel, rank %d" : "the channel of rank %d",
                         wait->next.rank);
    else
        weir_text_append(text, wait->next.rank == node.rank ? "itself, rank %d" : "rank %d", wait->next.rank);
}

static int first_stuck(const struct weir_flow *flow)
{
    int r = 0;
    while (flow->ranks[r].next >= flow->scan->schedule->ranks[r].n_actions)
        r++;
    return r;
}

/* A node of the circle that the waits from `node` on lead into. */
static weir_status circle_enter(const struct weir_flow *flow, struct node *node, struct weir_arena *work)
{
    bool *passed;
    struct wait wait;
    weir_status status = weir_arena_alloc(work, 2 * (size_t)flow->scan->schedule->n_ranks, sizeof *passed, &passed);
    for (; !status && !passed[2 * node->rank + node->channel]; *node = wait.next) {
        passed[2 * node->rank + node->channel] = true;
        wait_find(flow, *node, &wait);
    }
    return status;
}

/* The edge with a message that has no slot, of those on the circle, or -1. */
static int slot_edge_find(const struct weir_flow *flow, struct node start)
{
    struct node node = start;
    struct wait wait;
    do {
        wait_find(flow, node, &wait);
        node = wait.next;
    } while (wait.slot_edge < 0 && (node.rank != start.rank || node.channel != start.channel));
    return wait.slot_edge;
}

static weir_status circle_print(const struct weir_flow *flow, struct node start)
{
    struct weir_text text = {0};
    struct wait wait;
    struct node node = start;
    weir_text_append(&text, "deadlock: %srank %d", node.channel ? "the channel of " : "", node.rank);
    do {
        wait_find(flow, node, &wait);
        wait_print(node, &wait, &text);
        node = wait.next;
        if (node.rank != start.rank || node.channel != start.channel)
            weir_text_append(&text, ", which");
    } while (node.rank != start.rank || node.channel != start.channel);
    weir_status status = text.status ? text.status : WEIR_FAIL(WEIR_ERR_INVALID, "%s", text.data);
    weir_text_release(&text);
    return status;
}

weir_status weir_flow_cycle(const struct weir_flow *flow)
{
    struct weir_arena work = {0};
    struct node node = {first_stuck(flow), false};
    weir_status status = circle_enter(flow, &node, &work);
    if (!status) {
        int edge = slot_edge_find(flow, node);
        status = edge < 0 ? circle_print(flow, node) : weir_flow_slots(flow, edge, &work);
    }
    weir_arena_release(&work);
    return weir_schedule_error_name(flow->scan->schedule, status);
}
