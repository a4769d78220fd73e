/* Who waits for whom when a flow stands still.
 *
 * Every rank that is not done waits for one cell.  Its maker is another rank, or the rank itself further down its list;
 * or the cell is made and its message stands behind another one on the edge, which waits for its maker or for a slot.
 * Following that from rank to rank must come back to a rank that has been passed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "schedules/flow.h"

struct wait {
    struct weir_action receive; /* what the rank waits for, named as a receive */
    int rank;                   /* whom it waits for */
    char detail[160];           /* " behind ..." */
};

static const struct weir_action *next_action(const struct weir_flow *flow, int rank)
{
    return &flow->scan->schedule->ranks[rank].actions[flow->ranks[rank].next];
}

static enum weir_direction direction_of(const struct weir_action *receive)
{
    return receive->type == WEIR_RECV_F ? WEIR_FORWARD : WEIR_BACKWARD;
}

static const double *cell_of(const struct weir_flow *flow, const struct weir_action *receive)
{
    return &flow->cells[direction_of(receive)][weir_scan_index(flow->scan, receive->stage, receive->mb)];
}

static struct weir_action receive_for(const struct weir_action *a)
{
    return (struct weir_action){
        .stage = a->stage, .mb = a->mb, .type = a->type == WEIR_F ? WEIR_RECV_F : WEIR_RECV_B};
}

static int maker_of(const struct weir_flow *flow, const struct weir_action *receive)
{
    int from = receive->type == WEIR_RECV_F ? receive->stage - 1 : receive->stage + 1;
    return weir_scan_unit(flow->scan, from, receive->mb)->rank;
}

/* The message is made but has not arrived: what stands at the head of its edge decides. */
static void wait_on_edge(const struct weir_flow *flow, int rank, struct wait *wait)
{
    int from = wait->rank, e = weir_edge_find(flow->edges, from, rank);
    const struct weir_action *head = &flow->edges->edges[e].messages[flow->channels[e].next];
    char text[WEIR_ACTION_TEXT];
    weir_action_str(head, text);
    if (signbit(*cell_of(flow, head))) {
        snprintf(wait->detail, sizeof wait->detail, " behind %s on the edge from rank %d, which needs a slot of stage %d",
                 text, from, head->stage);
        wait->rank = rank;
    } else {
        snprintf(wait->detail, sizeof wait->detail, " behind %s on the edge from rank %d", text, from);
    }
}

static void wait_find(const struct weir_flow *flow, int rank, struct wait *wait)
{
    const struct weir_action *a = next_action(flow, rank);
    struct weir_action receive = receive_for(a);
    if (a->fused && cell_of(flow, &receive) != flow->ranks[rank].waiting)
        receive = receive_for(a + 1);
    *wait = (struct wait){.receive = receive, .rank = maker_of(flow, &receive)};
    if (signbit(*cell_of(flow, &receive)))
        wait_on_edge(flow, rank, wait);
}

static void wait_print(const struct weir_flow *flow, int rank, const struct wait *wait, struct weir_text *text)
{
    char action[WEIR_ACTION_TEXT];
    if (wait->rank == rank && !*wait->detail) {
        weir_text_append(text, " waits in %s for stage %d, which comes later in its own row",
                         weir_action_str(next_action(flow, rank), action),
                         wait->receive.stage + (wait->receive.type == WEIR_RECV_F ? -1 : 1));
        return;
    }
    weir_text_append(text, " waits in %s%s for %s%d", weir_action_str(&wait->receive, action), wait->detail,
                     wait->rank == rank ? "itself, rank " : "rank ", wait->rank);
}

static int first_stuck(const struct weir_flow *flow)
{
    int r = 0;
    while (flow->ranks[r].next >= flow->scan->schedule->ranks[r].n_actions)
        r++;
    return r;
}

weir_status weir_flow_cycle(const struct weir_flow *flow)
{
    struct weir_arena work = {0};
    struct weir_text text = {0};
    bool *passed;
    struct wait wait;
    int start = first_stuck(flow), rank;
    weir_status status = weir_arena_alloc(&work, (size_t)flow->scan->schedule->n_ranks, sizeof *passed, &passed);
    if (status)
        return status;
    for (rank = start; !passed[rank]; rank = wait.rank) {
        passed[rank] = true;
        wait_find(flow, rank, &wait);
    }
    start = rank;
    weir_text_append(&text, "deadlock: rank %d", start);
    do {
        wait_find(flow, rank, &wait);
        wait_print(flow, rank, &wait, &text);
        rank = wait.rank;
        if (rank != start)
            weir_text_append(&text, ", which");
    } while (rank != start);
    status = text.status ? text.status : WEIR_FAIL(WEIR_ERR_INVALID, "%s", text.data);
    weir_text_release(&text);
    weir_arena_release(&work);
    return status;
}
