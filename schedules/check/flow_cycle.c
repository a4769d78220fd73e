/* Who waits for whom when a flow stands still.
 *
 * Every rank that is not done stands at one action, which waits for another: of another rank, or of the rank itself further
 * down its list.  That one comes after the action at which its rank stands, or is it.  Following that from rank to rank must
 * come back to a rank that has been passed, and the way is told in the actions of the file:
 *
 *     0B0 (row 1, cell 2) waits for 1B0 (row 2, cell 4), which comes after 1F1 (row 2, cell 1), which waits for ...
 *
 * SENDs and RECVs that are not in the file are told as the action whose result they carry. */
#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/text.h"
#include "schedules/check/flow.h"

/* Who stands still: a rank's list, or its channel under the shared model. */
struct node {
    int rank;
    bool channel;
};

/* An action in the list of a rank. */
struct place {
    int rank;
    size_t index;
};

struct wait {
    struct place at, awaited;
    struct node next; /* who stands before `awaited`, or at it */
};

static const struct weir_action *action_of(const struct weir_flow *flow, struct place at)
{
    return &flow->scan->schedule->ranks[at.rank].actions[at.index];
}

static bool is_send(const struct weir_action *a)
{
    return a->type == WEIR_SEND_F || a->type == WEIR_SEND_B;
}

static const double *cell_of(const struct weir_flow *flow, const struct weir_action *receive)
{
    enum weir_direction d = receive->type == WEIR_RECV_F ? WEIR_DIRECTION_FORWARD : WEIR_DIRECTION_BACKWARD;
    return &flow->cells[d][weir_scan_index(flow->scan, receive->stage, receive->mb)];
}

/* The message that the rank of a compute action waits for; under the edge model it need not stand in a list.  false: none of those
 * that the action takes. */
static bool message_find(const struct weir_flow *flow, struct place at, struct weir_action *receive_out)
{
    const struct weir_action *a = action_of(flow, at);
    struct weir_scan_ends sources = weir_scan_sources(flow->scan, a);
    for (int i = 0; i < sources.n; i++) {
        *receive_out = (struct weir_action){.stage = weir_scan_row(&sources.list[i], a->stage), .mb = a->mb,
                                            .type = a->type == WEIR_F ? WEIR_RECV_F : WEIR_RECV_B};
        if (cell_of(flow, receive_out) == flow->ranks[at.rank].waiting)
            return true;
    }
    return false;
}

/* The first action of a rank with one of two types; it is there. */
static struct place action_find(const struct weir_flow *flow, int rank, int stage, int mb, unsigned type, unsigned or_type)
{
    struct place at = {rank, 0};
    for (const struct weir_action *a = action_of(flow, at); a->stage != stage || a->mb != mb || (a->type != type && a->type != or_type); a++)
        at.index++;
    return at;
}

/* What made a message. */
static struct place maker_find(const struct weir_flow *flow, const struct weir_action *receive)
{
    bool forward = receive->type == WEIR_RECV_F;
    int stage = weir_scan_sender(flow->scan, receive);
    return action_find(flow, weir_scan_unit(flow->scan, stage, receive->mb)->rank, stage, receive->mb, forward ? WEIR_F : WEIR_I,
                       forward ? WEIR_F : WEIR_B);
}

static struct place partner_find(const struct weir_flow *flow, const struct weir_action *transfer)
{
    struct weir_action partner;
    int rank = weir_flow_partner(flow, transfer, &partner);
    return action_find(flow, rank, partner.stage, partner.mb, partner.type, partner.type);
}

/* A compute action waits for its input or gradient. */
static void wait_in_compute(const struct weir_flow *flow, struct place at, struct wait *wait)
{
    struct weir_action receive;
    if (!message_find(flow, at, &receive)) { /* the second part of an OVERLAP_F_B */
        at.index++;
        message_find(flow, at, &receive);
    }
    struct place maker = maker_find(flow, &receive);
    *wait = (struct wait){at, maker, {maker.rank, false}};
    if (maker.rank == at.rank)
        return;
    if (flow->model == WEIR_CHANNELS_SHARED) {
        wait->awaited = action_find(flow, at.rank, receive.stage, receive.mb, receive.type, receive.type);
        wait->next = (struct node){at.rank, true};
    } else if (signbit(*cell_of(flow, &receive))) { /* made, but not its turn: its SEND comes after one whose message is not made */
        wait->awaited = partner_find(flow, &receive);
    }
}

/* A SEND or RECV waits for the other rank, or (shared, both there) for the sender's compute. */
static void wait_in_transfer(const struct weir_flow *flow, struct node node, struct place at, struct wait *wait)
{
    const struct weir_action *a = action_of(flow, at);
    struct place partner = partner_find(flow, a);
    *wait = (struct wait){at, partner, {partner.rank, node.channel}};
    if (!node.channel || partner.index != flow->ranks[partner.rank].channel_next)
        return;
    wait->awaited = maker_find(flow, is_send(a) ? action_of(flow, partner) : a);
    wait->next = (struct node){wait->awaited.rank, false};
}

static struct place standing_at(const struct weir_flow *flow, struct node node)
{
    const struct weir_flow_rank *rank = &flow->ranks[node.rank];
    return (struct place){node.rank, node.channel ? rank->channel_next : rank->next};
}

static void wait_find(const struct weir_flow *flow, struct node node, struct wait *wait)
{
    struct place at = standing_at(flow, node);
    if (weir_action_is_compute((enum weir_action_type)action_of(flow, at)->type))
        wait_in_compute(flow, at, wait);
    else
        wait_in_transfer(flow, node, at, wait);
}

/* ---- telling it ---------------------------------------------------------------------------------------------------- */

/* "1F0 (row 2, cell 1)"; of a transfer that is not in the file "the send of 0F0 by rank 0". */
static void place_print(const struct weir_flow *flow, struct place at, struct weir_text *text)
{
    const struct weir_action *a = action_of(flow, at);
    char action[WEIR_ACTION_TEXT], where[WEIR_PLACE_TEXT];
    bool in_file = weir_action_is_compute((enum weir_action_type)a->type) || !flow->scan->file || flow->scan->file->has_comms;
    if (in_file) {
        weir_text_append(text, "%s (%s)", weir_action_str(a, action), weir_scan_place(flow->scan, at.rank, at.index, where));
        return;
    }
    struct place maker = maker_find(flow, is_send(a) ? action_of(flow, partner_find(flow, a)) : a);
    weir_text_append(text, "the %s of %s by rank %d", is_send(a) ? "send" : "receive", weir_action_str(action_of(flow, maker), action),
                     at.rank);
}

static bool same_node(struct node a, struct node b)
{
    return a.rank == b.rank && a.channel == b.channel;
}

static bool same_place(struct place a, struct place b)
{
    return a.rank == b.rank && a.index == b.index;
}

/* The two parts of an OVERLAP_F_B. */
static bool same_pair(const struct weir_flow *flow, struct place a, struct place b)
{
    struct place first = a.index < b.index ? a : b;
    return a.rank == b.rank && a.index + b.index == 2 * first.index + 1 && action_of(flow, first)->fused;
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

/* Slots between neighbours are as many as it takes, and so are those of long boundaries in the end (weir_flow_try). */
static weir_status slots_check(const struct weir_flow *flow)
{
    const struct weir_schedule *s = flow->scan->schedule;
    for (int r = 0; r < s->n_ranks; r++)
        if (flow->ranks[r].next < s->ranks[r].n_actions && flow->ranks[r].ended)
            return WEIR_FAIL(WEIR_ERR_INVALID, "rank %d waits for a slot that is not freed", r);
    return WEIR_OK;
}

static weir_status circle_print(const struct weir_flow *flow, struct node start)
{
    struct weir_text text = {0};
    struct wait wait, next;
    struct node node = start;
    wait_find(flow, node, &wait);
    weir_text_append(&text, "deadlock: ");
    place_print(flow, wait.at, &text);
    do {
        weir_text_append(&text, " waits for ");
        place_print(flow, wait.awaited, &text);
        node = wait.next;
        wait_find(flow, node, &next);
        if (!same_place(wait.awaited, next.at)) {
            weir_text_append(&text, same_pair(flow, wait.awaited, next.at) ? ", which is one with " : ", which comes after ");
            place_print(flow, next.at, &text);
        }
        if (!same_node(node, start))
            weir_text_append(&text, ", which");
        wait = next;
    } while (!same_node(node, start));
    weir_status status = text.status ? text.status : WEIR_FAIL(WEIR_ERR_INVALID, "%s", text.data);
    weir_text_release(&text);
    return status;
}

weir_status weir_flow_cycle(const struct weir_flow *flow)
{
    struct weir_arena work = {0};
    struct node node = {first_stuck(flow), false};
    weir_status status = slots_check(flow);
    if (!status)
        status = circle_enter(flow, &node, &work);
    if (!status)
        status = circle_print(flow, node);
    weir_arena_release(&work);
    return weir_schedule_error_name(flow->scan->schedule, status);
}
