/* The transfers of a flow under the three channel models.
 *
 * edge       a transfer starts at max(made, previous transfer of the edge done); made is when it has its slot
 * shared     at max(made, previous transfer of the sender done, previous transfer of the receiver done)
 * blocking   at max(sender has come to it, receiver has come to it); both go on when it is done */
#include <math.h>

#include "schedules/check/flow.h"

/* Thousands of rows are walked in turn, each in order: too many for the processor to see, so the next line is asked for
 * when this one is used. */
static void line_ahead(const void *used)
{
    __builtin_prefetch((const void *)((uintptr_t)used + 64)); /* an address, never read: it may lie behind the end */
}

static void arrive(struct weir_flow *flow, double *cell, int d, double time, int to)
{
    double delay = time + *cell; /* the cell holds minus the time when it was made */
    if (delay > 0 && flow->delay[d])
        flow->delay[d][cell - flow->cells[d]] += delay; /* to what it has waited for a slot */
    *cell = time;
    if (flow->ranks[to].waiting == cell)
        weir_flow_wake(flow, to);
}

static double transfer_cost(const struct weir_flow *flow, int e)
{
    return flow->costs.transfer ? flow->costs.transfer[e] : 0;
}

/* The next transfer of edge `e`, under every model. */
static void transfer_record(const struct weir_flow *flow, int e, double end, uint8_t cause)
{
    size_t i = flow->channels[e].next++;
    if (flow->record.transfer_cause)
        flow->record.transfer_cause[e][i] = cause;
    if (flow->record.transfer_end)
        flow->record.transfer_end[e][i] = end;
}

/* ---- edge -------------------------------------------------------------------------------------------------------- */

/* The units of other ranks into whose slots the results of an action go. */
struct targets {
    struct weir_scan_ends ends;
    int mb, rank;
    enum weir_direction d;
};

static struct targets targets_of(const struct weir_flow *flow, int rank, const struct weir_action *a)
{
    return (struct targets){weir_scan_targets(flow->scan, a), a->mb, rank, a->type == WEIR_F ? WEIR_DIRECTION_FORWARD : WEIR_DIRECTION_BACKWARD};
}

/* The i-th of them; NULL: it is on the rank itself. */
static struct weir_flow_unit *target_at(const struct weir_flow *flow, const struct targets *t, int i)
{
    const struct weir_scan_end *end = &t->ends.list[i];
    struct weir_flow_unit *unit = &flow->units[weir_scan_unit_index(flow->scan, weir_scan_row(end, end->stage), t->mb)];
    return unit->remote[t->d] ? unit : NULL;
}

static bool may_grow(const struct weir_flow *flow, const struct weir_flow_unit *unit)
{
    return flow->growth && !flow->status && unit - flow->units < flow->scan->schedule->n_stages * flow->scan->schedule->n_copies;
}

static bool slots_are_free(const struct weir_flow *flow, const struct targets *t)
{
    for (int i = 0; i < t->ends.n; i++) {
        struct weir_flow_unit *unit = target_at(flow, t, i);
        if (!unit || unit->free[t->d])
            continue;
        unit->blocked[t->d] = t->rank;
        return false;
    }
    return true;
}

/* The place in the ring behind `at`. */
static int32_t place_after(const struct weir_flow *flow, const struct weir_flow_unit *unit, enum weir_direction d, int32_t at)
{
    return at + 1 == weir_flow_room(flow, unit->slots[d]) ? 0 : at + 1;
}

/* Take the slot that has been free longest; returns since when.  One that nothing was in is free from the start. */
static double slot_take(struct weir_flow *flow, struct weir_flow_unit *unit, enum weir_direction d, double time)
{
    const double *released = &unit->released[d][unit->oldest[d]];
    double since = *released;
    bool tight = since > 0 && since >= time;
    if (tight && may_grow(flow, unit)) {
        flow->status = weir_flow_slot_add(flow, unit, d);
        return 0;
    }
    line_ahead(released);
    unit->oldest[d] = place_after(flow, unit, d, unit->oldest[d]);
    unit->free[d]--;
    flow->tight = flow->tight || tight;
    return since;
}

/* Raise *latest to when all slots of the targets are free; *holder becomes the number of the last of them, from `first` on. */
static void slots_use(struct weir_flow *flow, const struct targets *t, double time, int first, double *latest, int *holder)
{
    for (int i = 0; i < t->ends.n; i++) {
        struct weir_flow_unit *unit = target_at(flow, t, i);
        if (!unit)
            continue;
        double since = slot_take(flow, unit, t->d, time);
        if (since > *latest)
            *latest = since, *holder = first + i;
    }
}

bool weir_flow_slots_take(struct weir_flow *flow, int rank, const struct weir_action *a, double *time)
{
    struct targets first = targets_of(flow, rank, a), second = {0};
    if (a->fused)
        second = targets_of(flow, rank, a + 1);
    if (!slots_are_free(flow, &first) || !slots_are_free(flow, &second))
        return false;
    double ended = *time;
    int holder = 0;
    slots_use(flow, &first, ended, 1, time, &holder);
    slots_use(flow, &second, ended, 1 + first.ends.n, time, &holder);
    if (flow->record.holder && holder)
        flow->record.holder[rank][flow->ranks[rank].next] = holder;
    return true;
}

/* The slots that may grow of those for which the rank stands still; `grow`: each gets one more. */
static int lacking(struct weir_flow *flow, const struct targets *t, bool grow)
{
    int n = 0;
    for (int i = 0; i < t->ends.n; i++) {
        struct weir_flow_unit *unit = target_at(flow, t, i);
        if (!unit || unit->free[t->d] || !may_grow(flow, unit))
            continue;
        n++;
        if (grow)
            flow->status = weir_flow_slot_add(flow, unit, t->d);
        if (!grow || flow->status)
            continue;
        unit->released[t->d][unit->newest[t->d]] = 0;
        unit->newest[t->d] = place_after(flow, unit, t->d, unit->newest[t->d]);
        unit->free[t->d]++;
    }
    return n;
}

static int rank_lacks(struct weir_flow *flow, int rank, bool grow)
{
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[rank];
    const struct weir_action *a = &list->actions[flow->ranks[rank].next];
    if (!flow->ranks[rank].ended)
        return 0;
    struct targets first = targets_of(flow, rank, a), second = {0};
    if (a->fused)
        second = targets_of(flow, rank, a + 1);
    return lacking(flow, &first, grow) + lacking(flow, &second, grow);
}

/* Whatever happens next happens no earlier than the earliest of these waits began, which would last. */
bool weir_flow_slots_add(struct weir_flow *flow)
{
    int earliest = -1;
    for (int r = 0; r < flow->scan->schedule->n_ranks; r++)
        if (rank_lacks(flow, r, false) && (earliest < 0 || flow->ranks[r].time < flow->ranks[earliest].time))
            earliest = r;
    if (earliest < 0)
        return false;
    rank_lacks(flow, earliest, true);
    weir_flow_wake(flow, earliest);
    return true;
}

/* Move the next message of the edge when it is made. */
static bool edge_move(struct weir_flow *flow, int e)
{
    struct weir_flow_edge *channel = &flow->channels[e];
    const struct weir_action *message = &channel->messages[channel->next];
    int d = message->type == WEIR_RECV_F ? WEIR_DIRECTION_FORWARD : WEIR_DIRECTION_BACKWARD;
    double *cell = &flow->cells[d][weir_scan_index(flow->scan, message->stage, message->mb)];
    if (!signbit(*cell))
        return false;
    double start = -*cell;
    bool slot = flow->delay[d] && flow->delay[d][cell - flow->cells[d]] > 0;
    uint8_t cause = slot ? WEIR_CAUSE_SLOT : WEIR_CAUSE_PRODUCER;
    if (channel->time > start)
        start = channel->time, cause = WEIR_CAUSE_CHANNEL;
    channel->time = start + channel->cost;
    transfer_record(flow, e, channel->time, cause);
    line_ahead(message);
    line_ahead(cell);
    arrive(flow, cell, d, channel->time, channel->to);
    return true;
}

static void edge_run(struct weir_flow *flow, int e)
{
    while (flow->channels[e].next < flow->channels[e].n_messages && edge_move(flow, e))
        continue;
}

void weir_flow_released(struct weir_flow *flow, int u, enum weir_direction d, double time)
{
    struct weir_flow_unit *unit = &flow->units[u];
    if (flow->model != WEIR_CHANNELS_EDGE || !unit->remote[d])
        return;
    unit->released[d][unit->newest[d]] = time;
    line_ahead(&unit->released[d][unit->newest[d]]);
    unit->newest[d] = place_after(flow, unit, d, unit->newest[d]);
    unit->free[d]++;
    if (unit->blocked[d] >= 0)
        weir_flow_wake(flow, unit->blocked[d]);
    unit->blocked[d] = -1;
}

void weir_flow_made(struct weir_flow *flow, int from, int to)
{
    if (flow->model == WEIR_CHANNELS_EDGE)
        edge_run(flow, weir_schedule_edge_find(flow->edges, from, to));
    else if (flow->model == WEIR_CHANNELS_SHARED)
        weir_flow_channel_run(flow, from);
}

/* ---- shared and blocking ----------------------------------------------------------------------------------------- */

static bool is_send(const struct weir_action *action)
{
    return action->type == WEIR_SEND_F || action->type == WEIR_SEND_B;
}

static bool is_transfer(const struct weir_action *action)
{
    return action->type >= WEIR_SEND_F && action->type <= WEIR_RECV_B;
}

int weir_flow_partner(const struct weir_flow *flow, const struct weir_action *action, struct weir_action *partner_out)
{
    bool forward = action->type == WEIR_SEND_F || action->type == WEIR_RECV_F, send = is_send(action);
    int stage = send ? action->stage + (forward ? 1 : -1) : weir_scan_sender(flow->scan, action);
    unsigned type = forward ? (send ? WEIR_RECV_F : WEIR_SEND_F) : (send ? WEIR_RECV_B : WEIR_SEND_B);
    *partner_out = (struct weir_action){.stage = stage, .mb = action->mb, .type = (uint8_t)type};
    return weir_scan_unit(flow->scan, stage, action->mb)->rank;
}

static bool same(const struct weir_action *a, const struct weir_action *b)
{
    return a->stage == b->stage && a->mb == b->mb && a->type == b->type;
}

/* The next transfer on the channel of a rank, or NULL. */
static const struct weir_action *channel_head(struct weir_flow *flow, int rank)
{
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[rank];
    size_t *next = &flow->ranks[rank].channel_next;
    while (*next < list->n_actions && !is_transfer(&list->actions[*next]))
        ++*next;
    return *next < list->n_actions ? &list->actions[*next] : NULL;
}

static double *cell_of(const struct weir_flow *flow, const struct weir_action *receive, int *d_out)
{
    *d_out = receive->type == WEIR_RECV_F ? WEIR_DIRECTION_FORWARD : WEIR_DIRECTION_BACKWARD;
    return &flow->cells[*d_out][weir_scan_index(flow->scan, receive->stage, receive->mb)];
}

/* Do the transfer at the heads of the channels of `from` and `to`.  false when it is not made yet. */
static bool channels_transfer(struct weir_flow *flow, int from, int to, const struct weir_action *receive)
{
    int d;
    double *cell = cell_of(flow, receive, &d);
    if (!signbit(*cell))
        return false;
    struct weir_flow_rank *a = &flow->ranks[from], *b = &flow->ranks[to];
    double start = -*cell;
    uint8_t cause = WEIR_CAUSE_PRODUCER;
    if (a->channel_time > start)
        start = a->channel_time, cause = WEIR_CAUSE_CHANNEL;
    if (b->channel_time > start)
        start = b->channel_time, cause = WEIR_CAUSE_PEER;
    if (flow->record.cause)
        flow->record.cause[from][a->channel_next] = cause;
    int e = weir_schedule_edge_find(flow->edges, from, to);
    a->channel_time = b->channel_time = start + transfer_cost(flow, e);
    transfer_record(flow, e, a->channel_time, cause);
    a->channel_next++;
    b->channel_next++;
    arrive(flow, cell, d, a->channel_time, to);
    return true;
}

void weir_flow_channel_run(struct weir_flow *flow, int rank)
{
    const struct weir_action *head;
    while ((head = channel_head(flow, rank))) {
        struct weir_action partner;
        int other = weir_flow_partner(flow, head, &partner);
        const struct weir_action *other_head = channel_head(flow, other);
        if (!other_head || !same(other_head, &partner))
            return;
        bool send = is_send(head);
        if (!channels_transfer(flow, send ? rank : other, send ? other : rank, send ? &partner : head))
            return;
        weir_flow_wake(flow, other);
    }
}

bool weir_flow_meet(struct weir_flow *flow, int rank)
{
    const struct weir_action *action = &flow->scan->schedule->ranks[rank].actions[flow->ranks[rank].next];
    struct weir_action partner;
    int other = weir_flow_partner(flow, action, &partner), d;
    const struct weir_schedule_rank *list = &flow->scan->schedule->ranks[other];
    struct weir_flow_rank *a = &flow->ranks[rank], *b = &flow->ranks[other];
    if (b->next >= list->n_actions || !same(&list->actions[b->next], &partner))
        return false;
    bool send = is_send(action);
    struct weir_flow_rank *from = send ? a : b, *to = send ? b : a;
    double *cell = cell_of(flow, send ? &partner : action, &d);
    double start = from->time > to->time ? from->time : to->time;
    int e = weir_schedule_edge_find(flow->edges, (int)(from - flow->ranks), (int)(to - flow->ranks));
    double end = start + transfer_cost(flow, e);
    uint8_t cause = to->time > from->time ? WEIR_CAUSE_PEER : WEIR_CAUSE_RANK;
    if (flow->record.cause)
        flow->record.cause[from - flow->ranks][from->next] = cause;
    transfer_record(flow, e, end, cause);
    from->exposed += end - from->time;
    to->exposed += end - to->time;
    from->time = to->time = end;
    *cell = end;
    b->next++;
    weir_flow_wake(flow, other);
    return true;
}
