#include "schedules/simulate/critical_path.h"

#include <string.h>

#include "base/alloc.h"

/* Where the walk stands: an action of a list, or a message of an edge. */
struct at {
    bool transfer;
    int where; /* rank of the action; edge model: edge of the message; else: rank of the SEND */
    size_t index;
    bool none;
};

struct path {
    const struct weir_flow *flow;
    struct weir_path_step *steps; /* last one first */
    size_t n, capacity;
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

/* The place of an action in the list of a rank; a backward matches I and B. */
static struct at action_find(const struct path *path, int rank, int stage, int mb, unsigned type)
{
    size_t i = 0;
    const struct weir_action *a = action_at(path, rank, 0);
    unsigned other = type == WEIR_B ? WEIR_I : type;
    for (; a->stage != stage || a->mb != mb || (a->type != type && a->type != other); i++)
        a++;
    if (i > 0 && a[-1].fused)
        i--; /* an OVERLAP_F_B is known by its first part */
    return (struct at){.where = rank, .index = i};
}

/* The action before `index` that takes part in the walk: compute, and transfers when they hold up the rank. */
static struct at action_before(const struct path *path, int rank, size_t index)
{
    bool blocking = path->flow->model == WEIR_CHANNELS_BLOCKING;
    while (index-- > 0) {
        const struct weir_action *a = action_at(path, rank, index);
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

/* The transfer that brought what `a` waited for. */
static struct at transfer_find(const struct path *path, int rank, const struct weir_action *a)
{
    const struct weir_flow *flow = path->flow;
    bool forward = a->type == WEIR_F;
    int source = weir_scan_source(flow->scan, a);
    if (flow->model != WEIR_CHANNELS_EDGE) {
        struct at at =
            action_find(path, source, a->stage + (forward ? -1 : 1), a->mb, forward ? WEIR_SEND_F : WEIR_SEND_B);
        at.transfer = true;
        return at;
    }
    int e = weir_schedule_edge_find(flow->edges, source, rank);
    const struct weir_action *message = flow->edges->edges[e].messages;
    size_t i = 0;
    while (message[i].stage != a->stage || message[i].mb != a->mb || (message[i].type == WEIR_RECV_F) != forward)
        i++;
    return (struct at){.transfer = true, .where = e, .index = i};
}

/* Does `a` release the slot of direction `d` of stage and copy that `unit` is? */
static bool releases(const struct weir_flow *flow, const struct weir_action *a, int unit, bool forward)
{
    if (a->type > WEIR_B || weir_scan_unit_index(flow->scan, a->stage, a->mb) != unit)
        return false;
    if (!forward)
        return a->type == WEIR_I || a->type == WEIR_B;
    return a->type == WEIR_W || a->type == WEIR_B || (a->type == WEIR_F && !flow->scan->trainable);
}

/* The action whose end freed the slot that message `index` of edge `e` took. */
static struct at slot_find(const struct path *path, int e, size_t index)
{
    const struct weir_flow *flow = path->flow;
    const struct weir_schedule_edge *edge = &flow->edges->edges[e];
    const struct weir_action *message = &edge->messages[index];
    bool forward = message->type == WEIR_RECV_F;
    int unit = weir_scan_unit_index(flow->scan, message->stage, message->mb);
    long release = -flow->scan->units[unit].slots[!forward];
    for (size_t i = 0; i < index; i++)
        release += edge->messages[i].type == message->type &&
                   weir_scan_unit_index(flow->scan, edge->messages[i].stage, edge->messages[i].mb) == unit;
    size_t i = 0;
    for (;; i++)
        if (releases(flow, action_at(path, edge->to, i), unit, forward) && release-- == 0)
            break;
    if (i > 0 && action_at(path, edge->to, i - 1)->fused)
        i--;
    return (struct at){.where = edge->to, .index = i};
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
    if (cause == WEIR_CAUSE_PRODUCER)
        return action_find(path, from, partner.stage, partner.mb, partner.type == WEIR_SEND_F ? WEIR_F : WEIR_B);
    if (cause == WEIR_CAUSE_SLOT)
        return slot_find(path, at.where, at.index);
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
    while (index-- > 0)
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

weir_status weir_critical_path_find(const struct weir_flow *flow, double reduce, struct weir_arena *arena,
                                    struct weir_simulation *result)
{
    struct path path = {.flow = flow};
    struct weir_path_step *steps;
    weir_status status = WEIR_OK;
    for (struct at at = last_action(&path, reduce); !status && !at.none;) {
        status = step_add(&path, at);
        at = at.transfer ? before_transfer(&path, at) : before_action(&path, at);
    }
    if (!status)
        status = weir_arena_alloc(arena, path.n, sizeof *steps, &steps);
    if (!status) {
        for (size_t i = 0; i < path.n; i++)
            steps[i] = path.steps[path.n - 1 - i];
        result->critical_path = steps;
        result->n_path = path.n;
    }
    weir_free(path.steps);
    return status;
}
