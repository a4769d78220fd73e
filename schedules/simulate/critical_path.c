/* The walk goes back in time, and in every list, and on every edge, it only ever meets entries that stand before those it
 * has met: what happens earlier on a rank stands earlier in its list.  So each list and each edge keeps the place where the
 * walk was last, the next search starts there and goes down, and all searches together look at every entry a few times. */
#include "schedules/simulate/critical_path.h"

#include "base/alloc.h"
#include "base/arena.h"

/* Where the walk stands: an action of a list, or a message of an edge. */
struct at {
    bool transfer;
    int where; /* rank of the action; edge model: edge of the message; else: rank of the SEND */
    size_t index;
    bool none;
};

/* Where the walk was last among the messages to a unit, or the releases of its slots. */
struct counted {
    size_t index, ordinal; /* so many stand before `index` */
};

struct path {
    const struct weir_flow *flow;
    struct weir_path_step *steps; /* last one first */
    size_t n, capacity;
    size_t *list_place;           /* [n_ranks]: entry where the walk was last */
    size_t *edge_place;           /* [n_edges], edge model */
    struct counted *messages[2];  /* [n_units] per direction: among the messages of its edge */
    struct counted *releases[2];  /* [n_units] per direction: in the list of its rank */
    size_t *looked;               /* entries that were looked at */
};

static const struct weir_action *action_at(const struct path *path, int rank, size_t index)
{
    return &path->flow->scan->schedule->ranks[rank].actions[index];
}

static bool is_send(unsigned type)
{
    return type == WEIR_SEND_F || type == WEIR_SEND_B;
}

static bool is_transfer(unsigned type)
{
    return type >= WEIR_SEND_F && type <= WEIR_RECV_B;
}

/* Nearest to the place where the walk was last: down from there, and up again when it is not below. */
static size_t entry_find(const struct path *path, const struct weir_action *entries, size_t n, size_t *place, int stage,
                         int mb, unsigned type)
{
    unsigned other = type == WEIR_B ? WEIR_I : type;
    size_t from = *place + 1 < n ? *place + 1 : n - 1; /* the second part of an OVERLAP_F_B stands one above */
    for (size_t i = 0; i < n; i++) {
        size_t at = i <= from ? from - i : i;
        const struct weir_action *a = &entries[at];
        ++*path->looked;
        if (a->stage == stage && a->mb == mb && (a->type == type || a->type == other)) {
            *place = at;
            return at;
        }
    }
    return 0; /* a sound schedule has it */
}

/* The place of an action in the list of a rank; a backward matches I and B. */
static struct at action_find(const struct path *path, int rank, int stage, int mb, unsigned type)
{
    const struct weir_schedule_rank *list = &path->flow->scan->schedule->ranks[rank];
    size_t i = entry_find(path, list->actions, list->n_actions, &path->list_place[rank], stage, mb, type);
    if (i > 0 && list->actions[i - 1].fused)
        i--; /* an OVERLAP_F_B is known by its first part */
    return (struct at){.where = rank, .index = i};
}

/* The action before `index` that takes part in the walk: compute, and transfers when they hold up the rank. */
static struct at action_before(const struct path *path, int rank, size_t index)
{
    bool blocking = path->flow->model == WEIR_CHANNELS_BLOCKING;
    while (index-- > 0) {
        const struct weir_action *a = action_at(path, rank, index);
        ++*path->looked;
        if (a->type <= WEIR_B) {
            if (index > 0 && a[-1].fused)
                index--;
            return (struct at){.where = rank, .index = index};
        }
        if (blocking && is_transfer(a->type)) {
            if (is_send(a->type))
                return (struct at){.transfer = true, .where = rank, .index = index};
            struct weir_action send;
            int from = weir_flow_partner(path->flow, a, &send);
            struct at at = action_find(path, from, send.stage, send.mb, send.type);
            at.transfer = true;
            return at;
        }
    }
    return (struct at){.none = true};
}

/* The transfer before `index` on the channel of a rank, named by its SEND (shared). */
static struct at channel_before(const struct path *path, int rank, size_t index)
{
    while (index-- > 0) {
        const struct weir_action *a = action_at(path, rank, index);
        ++*path->looked;
        if (!is_transfer(a->type))
            continue;
        struct at at = {.transfer = true, .where = rank, .index = index};
        if (!is_send(a->type)) {
            struct weir_action send;
            int from = weir_flow_partner(path->flow, a, &send);
            at = action_find(path, from, send.stage, send.mb, send.type);
            at.transfer = true;
        }
        return at;
    }
    return (struct at){.none = true};
}

/* The last to arrive of what `a` took from other stages. */
static struct weir_scan_end last_source(const struct weir_flow *flow, const struct weir_action *a)
{
    struct weir_scan_ends sources = weir_scan_sources(flow->scan, a);
    struct weir_scan_end last = sources.list[0];
    double latest = -1;
    for (int i = 0; i < sources.n; i++) {
        int row = weir_scan_row(&sources.list[i], a->stage);
        double time = flow->cells[a->type != WEIR_F][weir_scan_index(flow->scan, row, a->mb)];
        if (time > latest)
            latest = time, last = sources.list[i];
    }
    return last;
}

/* The transfer that brought what `a` waited for. */
static struct at transfer_find(const struct path *path, int rank, const struct weir_action *a)
{
    const struct weir_flow *flow = path->flow;
    bool forward = a->type == WEIR_F;
    struct weir_scan_end end = last_source(flow, a);
    int source = weir_scan_unit(flow->scan, end.stage, a->mb)->rank;
    if (flow->model != WEIR_CHANNELS_EDGE) {
        struct at at = action_find(path, source, end.stage, a->mb, forward ? WEIR_SEND_F : WEIR_SEND_B);
        at.transfer = true;
        return at;
    }
    int e = weir_schedule_edge_find(flow->edges, source, rank);
    const struct weir_schedule_edge *edge = &flow->edges->edges[e];
    size_t i = entry_find(path, edge->messages, edge->n_messages, &path->edge_place[e], weir_scan_row(&end, a->stage), a->mb,
                          forward ? WEIR_RECV_F : WEIR_RECV_B);
    return (struct at){.transfer = true, .where = e, .index = i};
}

/* The stage that has the slots of direction `forward` of a row. */
static int owner_of(const struct weir_scan *scan, int row, bool forward)
{
    struct weir_action receive = {.stage = row, .type = forward ? WEIR_RECV_F : WEIR_RECV_B};
    return weir_scan_receiver(scan, &receive);
}

/* Does `a` release the slot of direction `d` of row and copy that `unit` is? */
static bool releases(const struct weir_flow *flow, const struct weir_action *a, int unit, bool forward)
{
    int row = unit / flow->scan->schedule->n_copies;
    if (a->type > WEIR_B || a->stage != owner_of(flow->scan, row, forward) || weir_scan_unit_index(flow->scan, row, a->mb) != unit)
        return false;
    if (!forward)
        return a->type == WEIR_I || a->type == WEIR_B;
    return a->type == WEIR_W || a->type == WEIR_B || (a->type == WEIR_F && !flow->scan->trainable);
}

/* How many messages of direction `forward` for `unit` stand before `index`: counted from where it was last. */
static size_t message_ordinal(const struct path *path, const struct weir_schedule_edge *edge, size_t index, int unit,
                              bool forward)
{
    struct counted *c = &path->messages[!forward][unit];
    unsigned type = forward ? WEIR_RECV_F : WEIR_RECV_B;
    bool down = index < c->index;
    for (; c->index != index; c->index += down ? -1 : 1) {
        const struct weir_action *m = &edge->messages[down ? c->index - 1 : c->index];
        bool one = m->type == type && weir_scan_unit_index(path->flow->scan, m->stage, m->mb) == unit;
        ++*path->looked;
        c->ordinal = down ? c->ordinal - one : c->ordinal + one;
    }
    return c->ordinal;
}

/* The place in the list of `rank` of release number `ordinal` of a slot of `unit`. */
static size_t release_place(const struct path *path, int rank, size_t ordinal, int unit, bool forward)
{
    struct counted *c = &path->releases[!forward][unit];
    for (; c->ordinal <= ordinal; c->index++, ++*path->looked) /* up to behind it */
        c->ordinal += releases(path->flow, action_at(path, rank, c->index), unit, forward);
    for (; c->ordinal > ordinal; c->index--, ++*path->looked) /* down to it */
        c->ordinal -= releases(path->flow, action_at(path, rank, c->index - 1), unit, forward);
    return c->index;
}

/* The action whose end freed the slot that message `index` of edge `e` took. */
static struct at slot_find(const struct path *path, int e, size_t index)
{
    const struct weir_flow *flow = path->flow;
    const struct weir_schedule_edge *edge = &flow->edges->edges[e];
    const struct weir_action *message = &edge->messages[index];
    bool forward = message->type == WEIR_RECV_F;
    int unit = weir_scan_unit_index(flow->scan, message->stage, message->mb);
    size_t ordinal = message_ordinal(path, edge, index, unit, forward) - (size_t)flow->scan->units[unit].slots[!forward];
    size_t i = release_place(path, edge->to, ordinal, unit, forward);
    if (i > 0 && action_at(path, edge->to, i - 1)->fused)
        i--;
    return (struct at){.where = edge->to, .index = i};
}

/* The message over the end of a boundary that the result of `a` went to. */
static struct at message_find(const struct path *path, int rank, const struct weir_action *a, const struct weir_scan_end *end)
{
    const struct weir_flow *flow = path->flow;
    int to = weir_scan_unit(flow->scan, end->stage, a->mb)->rank, e = weir_schedule_edge_find(flow->edges, rank, to);
    const struct weir_schedule_edge *edge = &flow->edges->edges[e];
    size_t i = entry_find(path, edge->messages, edge->n_messages, &path->edge_place[e], weir_scan_row(end, end->stage), a->mb,
                          a->type == WEIR_F ? WEIR_RECV_F : WEIR_RECV_B);
    return (struct at){.transfer = true, .where = e, .index = i};
}

/* The message whose slot the rank waited for behind the action at `at`; none: it did not wait. */
static struct at held_find(const struct path *path, struct at at)
{
    const struct weir_flow *flow = path->flow;
    const struct weir_action *a = action_at(path, at.where, at.index);
    int holder = flow->model == WEIR_CHANNELS_EDGE ? flow->record.holder[at.where][at.index] - 1 : -1;
    struct weir_scan_ends targets = weir_scan_targets(flow->scan, a);
    if (holder >= targets.n) {
        holder -= targets.n;
        targets = weir_scan_targets(flow->scan, ++a);
    }
    return holder < 0 ? (struct at){.none = true} : message_find(path, at.where, a, &targets.list[holder]);
}

/* The action whose end let the rank of `at` go on: that one, or the one that freed the slot of its result, perhaps after it had waited for
 * a slot itself. */
static struct at end_find(const struct path *path, struct at at)
{
    struct at message = at.none ? at : held_find(path, at);
    while (!message.none) {
        at = slot_find(path, message.where, message.index);
        message = held_find(path, at);
    }
    return at;
}

static struct at before_transfer(const struct path *path, struct at at)
{
    const struct weir_flow *flow = path->flow;
    bool edge_model = flow->model == WEIR_CHANNELS_EDGE;
    unsigned cause =
        edge_model ? flow->record.transfer_cause[at.where][at.index] : flow->record.cause[at.where][at.index];
    struct weir_action message, partner;
    int from = at.where, to = 0;
    if (edge_model) {
        from = flow->edges->edges[at.where].from;
        message = flow->edges->edges[at.where].messages[at.index];
        weir_flow_partner(flow, &message, &partner);
    } else {
        partner = *action_at(path, at.where, at.index);
        to = weir_flow_partner(flow, &partner, &message);
    }
    if (cause == WEIR_CAUSE_PRODUCER || cause == WEIR_CAUSE_SLOT)
        return end_find(path, action_find(path, from, partner.stage, partner.mb, partner.type == WEIR_SEND_F ? WEIR_F : WEIR_B));
    if (edge_model)
        return (struct at){.transfer = true, .where = at.where, .index = at.index - 1};
    if (cause == WEIR_CAUSE_CHANNEL)
        return channel_before(path, from, at.index);
    if (cause == WEIR_CAUSE_RANK)
        return action_before(path, from, at.index);
    size_t receive = action_find(path, to, message.stage, message.mb, message.type).index;
    return flow->model == WEIR_CHANNELS_BLOCKING ? action_before(path, to, receive) : channel_before(path, to, receive);
}

/* The REDUCE_GRAD before `index` on its rank. */
static struct at reduction_before(const struct path *path, int rank, size_t index)
{
    while (index-- > 0 && ++*path->looked)
        if (action_at(path, rank, index)->type == WEIR_REDUCE_GRAD)
            return (struct at){.where = rank, .index = index};
    return (struct at){.none = true};
}

static struct at before_action(const struct path *path, struct at at)
{
    const struct weir_action *a = action_at(path, at.where, at.index);
    unsigned cause = path->flow->record.cause[at.where][at.index];
    if (a->type == WEIR_REDUCE_GRAD && cause == WEIR_CAUSE_CHANNEL)
        return reduction_before(path, at.where, at.index);
    if (cause == WEIR_CAUSE_SLOT)
        return end_find(path, action_before(path, at.where, at.index));
    if (cause == WEIR_CAUSE_NONE && path->flow->model != WEIR_CHANNELS_BLOCKING)
        return (struct at){.none = true};
    if (cause == WEIR_CAUSE_RANK || cause == WEIR_CAUSE_NONE)
        return action_before(path, at.where, at.index);
    if (a->fused && (a->type == WEIR_F) != (cause == WEIR_CAUSE_FORWARD))
        a++;
    return transfer_find(path, at.where, a);
}

static weir_status step_add(struct path *path, struct at at)
{
    const struct weir_flow *flow = path->flow;
    struct weir_path_step step = {.rank = at.where};
    weir_status status = weir_grow(&path->steps, &path->capacity, path->n + 1, sizeof *path->steps);
    if (status)
        return status;
    if (at.transfer && flow->model == WEIR_CHANNELS_EDGE) {
        const struct weir_schedule_edge *edge = &flow->edges->edges[at.where];
        weir_flow_partner(flow, &edge->messages[at.index], &step.action);
        step.rank = edge->from;
        step.duration = flow->costs.transfer[at.where];
    } else if (at.transfer) {
        struct weir_action receive;
        step.action = *action_at(path, at.where, at.index);
        int to = weir_flow_partner(flow, &step.action, &receive);
        step.duration = flow->costs.transfer[weir_schedule_edge_find(flow->edges, at.where, to)];
    } else {
        const struct weir_action *a = action_at(path, at.where, at.index);
        step.action = *a;
        if (a->type == WEIR_REDUCE_GRAD) {
            step.duration = flow->costs.reduce[weir_scan_stage_unit(flow->scan, a->stage, at.where)];
            path->steps[path->n++] = step;
            return WEIR_OK;
        }
        step.duration = flow->costs.type[4 * a->stage + a->type];
        if (a->fused)
            step.partner = a[1];
        if (a->fused)
            step.duration = flow->costs.overlap_gain * (step.duration + flow->costs.type[4 * a[1].stage + a[1].type]);
    }
    path->steps[path->n++] = step;
    return WEIR_OK;
}

/* The last compute action or reduction of the rank that ends last. */
static struct at last_action(const struct path *path, double reduce)
{
    const struct weir_flow *flow = path->flow;
    int last = 0;
    double latest = -1;
    for (int r = 0; r < flow->scan->schedule->n_ranks; r++) {
        const struct weir_flow_rank *rank = &flow->ranks[r];
        double end = rank->time + (flow->scan->rank_reduces[r] || !flow->scan->trainable ? 0 : reduce);
        end = rank->reduced > end ? rank->reduced : end;
        if (end > latest)
            latest = end, last = r;
    }
    size_t n = flow->scan->schedule->ranks[last].n_actions;
    if (flow->ranks[last].reduced > flow->ranks[last].time)
        return reduction_before(path, last, n);
    return action_before(path, last, n);
}

static weir_status path_open(struct path *path, struct weir_arena *work)
{
    const struct weir_flow *flow = path->flow;
    size_t n_ranks = (size_t)flow->scan->schedule->n_ranks, n_edges = (size_t)flow->edges->n_edges;
    size_t n_units = (size_t)flow->scan->n_rows * (size_t)flow->scan->schedule->n_copies;
    weir_status status = weir_arena_alloc(work, n_ranks, sizeof *path->list_place, &path->list_place);
    if (!status)
        status = weir_arena_alloc(work, n_edges, sizeof *path->edge_place, &path->edge_place);
    for (int d = 0; !status && d < 2; d++) {
        status = weir_arena_alloc(work, n_units, sizeof *path->messages[d], &path->messages[d]);
        if (!status)
            status = weir_arena_alloc(work, n_units, sizeof *path->releases[d], &path->releases[d]);
    }
    for (size_t r = 0; !status && r < n_ranks; r++)
        path->list_place[r] = flow->scan->schedule->ranks[r].n_actions;
    for (size_t e = 0; !status && e < n_edges; e++)
        path->edge_place[e] = flow->edges->edges[e].n_messages;
    return status;
}

static void place_keep(const struct path *path, struct at at)
{
    if (at.transfer && path->flow->model == WEIR_CHANNELS_EDGE)
        path->edge_place[at.where] = at.index;
    else
        path->list_place[at.where] = at.index;
}

static weir_status path_give(const struct path *path, struct weir_arena *arena, struct weir_simulation *result)
{
    struct weir_path_step *steps;
    weir_status status = weir_arena_alloc(arena, path->n, sizeof *steps, &steps);
    if (status)
        return status;
    for (size_t i = 0; i < path->n; i++)
        steps[i] = path->steps[path->n - 1 - i];
    result->critical_path = steps;
    result->n_path = path->n;
    return WEIR_OK;
}

weir_status weir_critical_path_find(const struct weir_flow *flow, double reduce, struct weir_arena *arena,
                                    struct weir_simulation *result)
{
    struct path path = {.flow = flow, .looked = &result->n_looked};
    struct weir_arena work = {0};
    weir_status status = path_open(&path, &work);
    struct at at = status ? (struct at){.none = true} : last_action(&path, reduce);
    while (!status && !at.none) {
        place_keep(&path, at);
        status = step_add(&path, at);
        at = at.transfer ? before_transfer(&path, at) : before_action(&path, at);
    }
    if (!status)
        status = path_give(&path, arena, result);
    weir_free(path.steps);
    weir_arena_release(&work);
    return status;
}
