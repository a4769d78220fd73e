#include "schedules/check/edges.h"

#include "base/large.h"

/* The action whose result `action` hands to other stages: itself, or in a schedule with communication what a SEND sends; its type
 * is WEIR_W when it hands on nothing. */
static struct weir_action result_of(const struct weir_scan *scan, const struct weir_action *action)
{
    struct weir_action source = *action;
    if (scan->schedule->has_comms)
        source.type = action->type == WEIR_SEND_F ? WEIR_F : action->type == WEIR_SEND_B ? WEIR_B : WEIR_W;
    return source;
}

/* The receive that `source`, of `rank`, makes another rank expect; false when that end is on the same rank. */
static bool message_of(const struct weir_scan *scan, const struct weir_action *source, const struct weir_scan_end *end, int rank,
                       struct weir_action *message_out, int *to_out)
{
    *to_out = weir_scan_unit(scan, end->stage, source->mb)->rank;
    *message_out = (struct weir_action){.stage = weir_scan_row(end, end->stage), .mb = source->mb,
                                        .type = source->type == WEIR_F ? WEIR_RECV_F : WEIR_RECV_B};
    return *to_out != rank;
}

static int edge_add(struct weir_schedule_edges *edges, int from, int to)
{
    int e = edges->n_edges++;
    edges->edges[e] = (struct weir_schedule_edge){.from = from, .to = to, .next_out = edges->first_out[from]};
    edges->first_out[from] = e;
    return e;
}

static void message_count(struct weir_schedule_edges *edges, int from, int to, size_t n)
{
    int e = weir_schedule_edge_find(edges, from, to);
    if (e < 0)
        e = edge_add(edges, from, to);
    edges->edges[e].n_messages += n;
}

/* With one copy a complete schedule sends every micro-batch over every boundary: no need to read lists. */
static void stages_count(const struct weir_scan *scan, struct weir_schedule_edges *edges)
{
    size_t m = (size_t)scan->schedule->n_microbatches;
    for (int s = 0; s < scan->schedule->n_stages; s++)
        for (int i = 0; i < scan->outs[s].n; i++) {
            int a = scan->units[s].rank, b = scan->units[scan->outs[s].list[i].stage].rank;
            if (a == b)
                continue;
            message_count(edges, a, b, m);
            if (scan->trainable)
                message_count(edges, b, a, m);
        }
}

static void messages_count(const struct weir_scan *scan, struct weir_schedule_edges *edges, int rank)
{
    const struct weir_schedule_rank *list = &scan->schedule->ranks[rank];
    for (size_t i = 0; i < list->n_actions; i++) {
        struct weir_action message, source = result_of(scan, &list->actions[i]);
        struct weir_scan_ends ends = weir_scan_targets(scan, &source);
        int to;
        for (int k = 0; k < ends.n; k++)
            if (message_of(scan, &source, &ends.list[k], rank, &message, &to))
                message_count(edges, rank, to, 1);
    }
}

static void messages_fill(const struct weir_scan *scan, const struct weir_schedule_edges *edges, int rank)
{
    const struct weir_schedule_rank *list = &scan->schedule->ranks[rank];
    for (size_t i = 0; i < list->n_actions; i++) {
        struct weir_action message, source = result_of(scan, &list->actions[i]);
        struct weir_scan_ends ends = weir_scan_targets(scan, &source);
        for (int k = 0; k < ends.n; k++) {
            int to;
            if (!message_of(scan, &source, &ends.list[k], rank, &message, &to))
                continue;
            struct weir_schedule_edge *edge = &edges->edges[weir_schedule_edge_find(edges, rank, to)];
            edge->messages[edge->n_messages++] = message;
        }
    }
}

/* One block for the messages of all edges. */
static weir_status messages_alloc(const struct weir_schedule_edges *edges, struct weir_arena *arena)
{
    struct weir_action *block;
    size_t n = 0;
    for (int e = 0; e < edges->n_edges; e++)
        n += edges->edges[e].n_messages;
    weir_status status = weir_large_alloc(arena, n, sizeof *block, &block);
    for (int e = 0; !status && e < edges->n_edges; e++) {
        struct weir_schedule_edge *edge = &edges->edges[e];
        edge->messages = block;
        block += edge->n_messages;
        edge->n_messages = 0; /* counted again as they are filled in */
    }
    return status;
}

weir_status weir_schedule_edges_build(const struct weir_scan *scan, struct weir_arena *arena,
                                      struct weir_schedule_edges *out)
{
    const struct weir_schedule *s = scan->schedule;
    /* over a boundary each copy sends forward and backward, to each copy of the other stage */
    size_t most = 2 * (size_t)(s->boundaries ? s->n_boundaries : s->n_stages) * (size_t)s->n_copies * (size_t)s->n_copies;
    struct weir_schedule_edges edges = {0};
    weir_status status = weir_arena_alloc(arena, most, sizeof *edges.edges, &edges.edges);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s->n_ranks, sizeof *edges.first_out, &edges.first_out);
    if (status)
        return status;
    for (int r = 0; r < s->n_ranks; r++)
        edges.first_out[r] = -1;
    if (s->n_copies == 1)
        stages_count(scan, &edges);
    for (int r = 0; s->n_copies > 1 && r < s->n_ranks; r++)
        messages_count(scan, &edges, r);
    status = messages_alloc(&edges, arena);
    if (status)
        return status;
    for (int r = 0; r < s->n_ranks; r++)
        messages_fill(scan, &edges, r);
    *out = edges;
    return WEIR_OK;
}

static weir_status receives_match(const struct weir_scan *scan, const struct weir_schedule_edges *edges, int rank,
                                  size_t *taken)
{
    const struct weir_schedule_rank *list = &scan->schedule->ranks[rank];
    for (size_t i = 0; i < list->n_actions; i++) {
        struct weir_action a = list->actions[i];
        if (a.type != WEIR_RECV_F && a.type != WEIR_RECV_B)
            continue;
        struct weir_action compute = a;
        compute.type = a.type == WEIR_RECV_F ? WEIR_F : WEIR_B;
        int e = weir_schedule_edge_find(edges, weir_scan_source(scan, &compute), rank);
        const struct weir_action *sent = &edges->edges[e].messages[taken[e]++];
        if (sent->stage != a.stage || sent->mb != a.mb || sent->type != a.type) {
            char where[WEIR_PLACE_TEXT], got[WEIR_ACTION_TEXT], wanted[WEIR_ACTION_TEXT];
            struct weir_action send = *sent;
            send.stage += sent->type == WEIR_RECV_F ? -1 : 1;
            send.type = sent->type == WEIR_RECV_F ? WEIR_SEND_F : WEIR_SEND_B;
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s is where rank %d takes what %s of rank %d brings: an edge keeps its order",
                             weir_scan_place(scan, rank, i, where), weir_action_str(&a, got), rank, weir_action_str(&send, wanted),
                             edges->edges[e].from);
        }
    }
    return WEIR_OK;
}

weir_status weir_schedule_edges_match(const struct weir_scan *scan, const struct weir_schedule_edges *edges,
                                      struct weir_arena *arena)
{
    size_t *taken;
    weir_status status = weir_arena_alloc(arena, (size_t)edges->n_edges, sizeof *taken, &taken);
    for (int r = 0; !status && r < scan->schedule->n_ranks; r++)
        status = receives_match(scan, edges, r, taken);
    return weir_schedule_error_name(scan->schedule, status);
}
