/* The second half of the scan: every list in order, with what is held at each point. */
#include <stdio.h>
#include <string.h>

#include "base/integers.h"
#include "schedules/check/scan.h"

struct walk {
    struct weir_scan *scan;
    int rank;
    size_t index;
    int in_flight; /* on the rank */
    const struct weir_action *action;
    uint8_t *seen;
    struct weir_scan_unit *unit;
};

static weir_status fail(const struct walk *walk, const char *reason, enum weir_action_type other, int stage)
{
    char where[WEIR_PLACE_TEXT], text[WEIR_ACTION_TEXT];
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s %s %d%s%d", weir_scan_place(walk->scan, walk->rank, walk->index, where),
                     weir_action_str(walk->action, text), reason, stage, weir_action_type_str(other), walk->action->mb);
}

/* Another reason, of an action of the list that is walked. */
static weir_status fail_plain(const struct walk *walk, const char *reason)
{
    char where[WEIR_PLACE_TEXT], text[WEIR_ACTION_TEXT];
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s %s", weir_scan_place(walk->scan, walk->rank, walk->index, where),
                     weir_action_str(walk->action, text), reason);
}

/* The number of the action in the order in which backwards come: slices of a micro-batch from the last to the first. */
static int backward_number(const struct walk *walk)
{
    int k = weir_schedule_slices(walk->scan->schedule), mb = walk->action->mb;
    return mb / k * k + k - 1 - mb % k;
}

static weir_status slice_fail(const struct walk *walk, enum weir_action_type type, int by)
{
    char reason[160];
    snprintf(reason, sizeof reason, "comes before %d%s%d, slice %d of the same micro-batch", walk->action->stage,
             weir_action_type_str(type), walk->action->mb + by,
             (walk->action->mb + by) % walk->scan->schedule->n_slices);
    return fail_plain(walk, reason);
}

/* A forward needs the keys and values of the slice before it. */
static weir_status forward_slice_check(const struct walk *walk)
{
    bool first = walk->action->mb % weir_schedule_slices(walk->scan->schedule) == 0;
    return first || walk->seen[-1] & 1u << WEIR_F ? WEIR_OK : slice_fail(walk, WEIR_F, -1);
}

/* A backward needs the gradients that the slice behind it has found. */
static weir_status backward_slice_check(const struct walk *walk)
{
    int k = weir_schedule_slices(walk->scan->schedule);
    bool last = walk->action->mb % k == k - 1;
    return last || walk->seen[1] & (1u << WEIR_I | 1u << WEIR_B) ? WEIR_OK
                                                                 : slice_fail(walk, (enum weir_action_type)walk->action->type, 1);
}

static bool has(const struct walk *walk, enum weir_action_type type)
{
    return *walk->seen & 1u << type;
}

static void hold(struct walk *walk, struct weir_scan_unit *unit, enum weir_direction direction)
{
    if (unit->rank != walk->rank)
        return;
    unit->held[direction]++;
    unit->slots[direction] = weir_int_max(unit->slots[direction], unit->held[direction]);
}

/* The result of a forward or backward goes to a unit of the same rank: it is held from now on. */
static void hand_over(struct walk *walk, int stage, enum weir_direction direction)
{
    if (stage >= 0 && stage < walk->scan->schedule->n_stages)
        hold(walk, weir_scan_unit(walk->scan, stage, walk->action->mb), direction);
}

static weir_status feeder_check(struct walk *walk, enum weir_direction direction)
{
    int source = weir_scan_source(walk->scan, walk->action), *feeder = &walk->unit->feeder[direction];
    if (*feeder >= 0 && *feeder != source)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "stage %d on rank %d is fed by rank %d and by rank %d: a copy takes from one",
                         walk->action->stage, walk->rank, *feeder, source);
    *feeder = source;
    return WEIR_OK;
}

static void activation_release(struct walk *walk)
{
    walk->in_flight--;
    walk->unit->in_flight--;
    walk->unit->held[WEIR_DIRECTION_FORWARD]--;
}

static weir_status forward_walk(struct walk *walk)
{
    int stage = walk->action->stage, source = weir_scan_source(walk->scan, walk->action);
    if (walk->scan->schedule->has_comms && source >= 0 && source != walk->rank && !has(walk, WEIR_RECV_F))
        return fail(walk, "has no input: it needs an earlier", WEIR_RECV_F, stage);
    weir_status status = forward_slice_check(walk);
    if (status)
        return status;
    walk->unit->in_flight++;
    walk->in_flight++;
    walk->unit->peak = weir_int_max(walk->unit->peak, walk->unit->in_flight);
    walk->scan->rank_peak[walk->rank] = weir_int_max(walk->scan->rank_peak[walk->rank], walk->in_flight);
    hand_over(walk, stage + 1, WEIR_DIRECTION_FORWARD);
    if (!walk->scan->trainable)
        activation_release(walk);
    return feeder_check(walk, WEIR_DIRECTION_FORWARD);
}

static weir_status wgrad_walk(struct walk *walk)
{
    if (walk->unit->reduced)
        return fail_plain(walk, "comes after the REDUCE_GRAD of its stage, which must have all gradients");
    if (backward_number(walk) < walk->unit->last_grad)
        walk->scan->wgrad_ascending = false;
    walk->unit->last_grad = backward_number(walk);
    activation_release(walk);
    return WEIR_OK;
}

static weir_status backward_walk(struct walk *walk)
{
    int stage = walk->action->stage, source = weir_scan_source(walk->scan, walk->action);
    const struct weir_action *a = walk->action;
    bool together = walk->index > 0 && a[-1].fused && a[-1].stage == stage && a[-1].mb == a->mb;
    if (!has(walk, WEIR_F) || together)
        return fail(walk, "comes before the end of", WEIR_F, stage);
    if (walk->scan->schedule->has_comms && source >= 0 && source != walk->rank && !has(walk, WEIR_RECV_B))
        return fail(walk, "has no gradient: it needs an earlier", WEIR_RECV_B, stage);
    weir_status status = backward_slice_check(walk);
    if (status)
        return status;
    hand_over(walk, stage - 1, WEIR_DIRECTION_BACKWARD);
    walk->unit->held[WEIR_DIRECTION_BACKWARD]--;
    status = feeder_check(walk, WEIR_DIRECTION_BACKWARD);
    return status || walk->action->type != WEIR_B ? status : wgrad_walk(walk);
}

static weir_status wgrad_only_walk(struct walk *walk)
{
    if (!has(walk, WEIR_I))
        return fail(walk, "comes before", WEIR_I, walk->action->stage);
    return wgrad_walk(walk);
}

/* A stage reduces its gradients once; wgrad_walk sees to it that this is after the last of them. */
static weir_status reduce_walk(const struct walk *walk)
{
    struct weir_scan_unit *unit = &walk->scan->units[weir_scan_stage_unit(walk->scan, walk->action->stage, walk->rank)];
    if (unit->reduced)
        return fail_plain(walk, "stands in the schedule twice");
    unit->reduced = true;
    return WEIR_OK;
}

static weir_status send_walk(const struct walk *walk)
{
    bool forward = walk->action->type == WEIR_SEND_F;
    int stage = walk->action->stage, next = forward ? stage + 1 : stage - 1;
    if (next < 0 || next >= walk->scan->schedule->n_stages)
        return fail_plain(walk, forward ? "has no receiver: it is of the last stage" : "has no receiver: it is of the first stage");
    if (weir_scan_unit(walk->scan, next, walk->action->mb)->rank == walk->rank)
        return fail(walk, "goes to its own rank, which holds", forward ? WEIR_F : WEIR_B, next);
    if (forward ? !has(walk, WEIR_F) : !has(walk, WEIR_I) && !has(walk, WEIR_B))
        return fail(walk, "comes before", forward ? WEIR_F : WEIR_B, stage);
    return WEIR_OK;
}

static weir_status receive_walk(struct walk *walk)
{
    bool forward = walk->action->type == WEIR_RECV_F;
    int stage = walk->action->stage, from = forward ? stage - 1 : stage + 1;
    if (from < 0 || from >= walk->scan->schedule->n_stages)
        return fail_plain(walk, forward ? "has no sender: it is of the first stage" : "has no sender: it is of the last stage");
    if (weir_scan_unit(walk->scan, from, walk->action->mb)->rank == walk->rank)
        return fail(walk, "comes from its own rank, which holds", forward ? WEIR_F : WEIR_B, from);
    return WEIR_OK;
}

static weir_status action_walk(struct walk *walk)
{
    switch ((enum weir_action_type)walk->action->type) {
    case WEIR_F:
        return forward_walk(walk);
    case WEIR_I:
    case WEIR_B:
        return backward_walk(walk);
    case WEIR_W:
        return wgrad_only_walk(walk);
    case WEIR_SEND_F:
    case WEIR_SEND_B:
        return send_walk(walk);
    case WEIR_RECV_F:
    case WEIR_RECV_B:
        return receive_walk(walk);
    default:
        return WEIR_OK;
    }
}

/* With two copies of the weights a micro-batch stays on one of them. */
static weir_status elsewhere_fail(const struct walk *walk)
{
    char reason[96];
    snprintf(reason, sizeof reason, "is on rank %d, but %dF%d is on rank %d", walk->rank, walk->action->stage, walk->action->mb,
             walk->unit->rank);
    return fail_plain(walk, reason);
}

static weir_status list_walk(struct weir_scan *scan, int rank)
{
    const struct weir_schedule_rank *list = &scan->schedule->ranks[rank];
    struct walk walk = {.scan = scan, .rank = rank};
    for (size_t i = 0; i < list->n_actions; i++) {
        walk.index = i;
        walk.action = &list->actions[i];
        if (walk.action->type >= WEIR_WAIT_REDUCE_GRAD) /* weir_scan_waits_check looks at these */
            continue;
        if (walk.action->mb < 0) {
            bool reduce = walk.action->type == WEIR_REDUCE_GRAD;
            weir_status status = reduce ? reduce_walk(&walk) : WEIR_OK;
            if (status)
                return status;
            continue;
        }
        walk.seen = &scan->seen[weir_scan_index(scan, walk.action->stage, walk.action->mb)];
        walk.unit = weir_scan_unit(scan, walk.action->stage, walk.action->mb);
        weir_status status = WEIR_OK;
        if (walk.unit->rank != rank)
            status = elsewhere_fail(&walk);
        if (!status)
            status = action_walk(&walk);
        if (status)
            return status;
        *walk.seen |= (uint8_t)(1u << walk.action->type);
    }
    return WEIR_OK;
}

/* A message that crosses ranks needs both of its ends in a schedule with communication. */
static weir_status ends_check(const struct weir_scan *scan, int stage, int mb, enum weir_direction direction)
{
    int from = direction == WEIR_DIRECTION_FORWARD ? stage - 1 : stage + 1;
    if (from < 0 || from >= scan->schedule->n_stages ||
        weir_scan_unit(scan, from, mb)->rank == weir_scan_unit(scan, stage, mb)->rank)
        return WEIR_OK;
    enum weir_action_type send = direction == WEIR_DIRECTION_FORWARD ? WEIR_SEND_F : WEIR_SEND_B;
    enum weir_action_type receive = direction == WEIR_DIRECTION_FORWARD ? WEIR_RECV_F : WEIR_RECV_B;
    bool sent = scan->seen[weir_scan_index(scan, from, mb)] & 1u << send;
    bool received = scan->seen[weir_scan_index(scan, stage, mb)] & 1u << receive;
    const struct weir_action ends[] = {{.stage = stage, .mb = mb, .type = receive}, {.stage = from, .mb = mb, .type = send}};
    return received == sent ? WEIR_OK : weir_scan_unmatched(scan, &ends[sent], &ends[received]);
}

static weir_status messages_check(const struct weir_scan *scan)
{
    weir_status status = WEIR_OK;
    if (!scan->schedule->has_comms)
        return WEIR_OK;
    for (int s = 0; !status && s < scan->schedule->n_stages; s++)
        for (int k = 0; !status && k < scan->schedule->n_microbatches; k++) {
            status = ends_check(scan, s, k, WEIR_DIRECTION_FORWARD);
            if (!status && scan->trainable)
                status = ends_check(scan, s, k, WEIR_DIRECTION_BACKWARD);
        }
    return status;
}

static void slots_count(struct weir_scan *scan)
{
    int n_units = scan->schedule->n_stages * scan->schedule->n_copies;
    for (int u = 0; u < n_units; u++) {
        struct weir_scan_unit *unit = &scan->units[u];
        if (unit->feeder[WEIR_DIRECTION_FORWARD] != unit->rank)
            unit->slots[WEIR_DIRECTION_FORWARD] = unit->peak + 1;
        unit->slots[WEIR_DIRECTION_BACKWARD] = weir_int_max(unit->slots[WEIR_DIRECTION_BACKWARD], 2);
    }
}

static weir_status lists_scan(struct weir_scan *scan)
{
    weir_status status = WEIR_OK;
    memset(scan->seen, 0, scan->n_cells);
    for (int r = 0; !status && r < scan->schedule->n_ranks; r++)
        status = list_walk(scan, r);
    if (!status)
        status = messages_check(scan);
    if (!status) {
        slots_count(scan);
        weir_scan_longs_count(scan);
    }
    return status;
}

weir_status weir_scan_build(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_scan *scan_out)
{
    struct weir_scan scan;
    weir_status status = weir_scan_placement_build(schedule, arena, &scan);
    if (!status)
        status = lists_scan(&scan);
    if (!status && scan.n_waits)
        status = weir_scan_waits_check(&scan, arena);
    if (!status)
        *scan_out = scan;
    return weir_schedule_error_name(schedule, status);
}
