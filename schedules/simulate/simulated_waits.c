#include "schedules/simulate/simulated_waits.h"

#include <string.h>

#include "base/arena.h"

enum { FORWARD, BACKWARD, DIRECTIONS };

/* When and where (stage, micro-batch) was made: the end of its F, of its I or B.  With two copies of the weights a micro-batch
 * goes through one of them, so the rank follows from who made it and not from the stage. */
struct maker {
    double end;
    int rank;
    uint8_t type;
    const struct weir_transfer_time *transfer; /* that took it to another rank; NULL: none is known */
};

struct made {
    const struct weir_schedule *schedule;
    struct maker *by[DIRECTIONS];
    const struct weir_transfer_time **longs[DIRECTIONS]; /* [n_boundaries][n_microbatches]: of boundaries between stages that are no
                                                            neighbours; what goes to the next stage is the maker's */
};

static size_t cell(const struct made *made, int row, int mb)
{
    return (size_t)row * (size_t)made->schedule->n_microbatches + (size_t)mb;
}

static struct maker *maker_of(const struct made *made, int direction, int stage, int mb)
{
    return &made->by[direction][cell(made, stage, mb)];
}

static int direction_of(const struct weir_action *action)
{
    return action->type == WEIR_F ? FORWARD : action->type == WEIR_I || action->type == WEIR_B ? BACKWARD : -1;
}

/* The place in the list of the boundary between two stages, in either direction. */
static int boundary_find(const struct weir_schedule *s, int a, int b)
{
    int i = 0;
    while (s->boundaries[i].from != (a < b ? a : b) || s->boundaries[i].to != (a < b ? b : a))
        i++;
    return i;
}

/* Where the transfer from stage to stage stands. */
static const struct weir_transfer_time **transfer_of(const struct made *made, int direction, int from, int to, int mb)
{
    if (from + 1 == to || to + 1 == from)
        return &maker_of(made, direction, from, mb)->transfer;
    return &made->longs[direction][cell(made, boundary_find(made->schedule, from, to), mb)];
}

static void transfers_fill(struct made *made, const struct weir_simulation *s)
{
    for (size_t i = 0; i < s->n_transfers; i++) {
        const struct weir_transfer_time *t = &s->transfers[i];
        *transfer_of(made, t->receive.type == WEIR_RECV_F ? FORWARD : BACKWARD, t->source, t->receive.stage, t->receive.mb) = t;
    }
}

static weir_status made_fill(struct made *made, const struct weir_simulation *s, struct weir_arena *arena)
{
    size_t cells = (size_t)s->lowered.n_stages * (size_t)s->lowered.n_microbatches;
    weir_status status = WEIR_OK;
    made->schedule = &s->lowered;
    for (int d = 0; d < DIRECTIONS && !status; d++) {
        status = weir_arena_alloc(arena, cells, sizeof *made->by[d], &made->by[d]);
        if (!status)
            status = weir_arena_alloc(arena, cell(made, s->lowered.n_boundaries, 0), sizeof *made->longs[d], &made->longs[d]);
    }
    for (int r = 0; r < s->lowered.n_ranks && !status; r++)
        for (size_t a = 0; a < s->lowered.ranks[r].n_actions; a++) {
            const struct weir_action *action = &s->lowered.ranks[r].actions[a];
            int direction = direction_of(action);
            bool second = a > 0 && action[-1].fused; /* of an OVERLAP_F_B, whose times stand at the first */
            if (direction >= 0)
                *maker_of(made, direction, action->stage, action->mb) =
                    (struct maker){s->end[r][second ? a - 1 : a], r, action->type, NULL};
        }
    if (!status)
        transfers_fill(made, s);
    return status;
}

static double within(double time, double from, double to)
{
    return time < from ? from : time > to ? to : time;
}

/* The part of the wait by which the transfer came later than it had to. */
static void hold_find(const struct maker *maker, const struct weir_transfer_time *t, struct weir_simulated_wait *wait)
{
    double could = t ? maker->end + (t->end - t->start) : 0;
    bool held = t && t->held_by && could < wait->end;
    wait->held = held ? wait->end - within(could, wait->made, wait->end) : 0;
    wait->held_by = wait->held > 0 ? t->held_by : NULL;
}

/* What `action` takes from stage `from`, when it came later than what was found before. */
static void source_take(const struct made *made, const struct weir_action *action, int from, struct weir_simulated_wait *wait,
                        double *came)
{
    int direction = direction_of(action);
    if (from < 0 || from >= made->schedule->n_stages)
        return;
    const struct maker *maker = maker_of(made, direction, from, action->mb);
    const struct weir_transfer_time *t = *transfer_of(made, direction, from, action->stage, action->mb);
    double arrival = t ? t->end : maker->end;
    if (maker->rank == wait->rank || (wait->cause && arrival <= *came))
        return;
    *came = arrival;
    wait->cause = direction == FORWARD ? "input" : "gradient";
    wait->peer = maker->rank;
    wait->awaited = (struct weir_action){from, action->mb, maker->type, 0};
    wait->made = within(maker->end, wait->start, wait->end);
    hold_find(maker, t, wait);
}

/* `wait` knows its time.  Of the two parts of an OVERLAP_F_B, and of several boundaries, the cause is what came last; *came is when
 * that was. */
static void cause_find(const struct made *made, const struct weir_action *action, struct weir_simulated_wait *wait, double *came)
{
    const struct weir_schedule *s = made->schedule;
    int direction = direction_of(action);
    if (direction >= 0 && !s->boundaries)
        source_take(made, action, action->stage + (direction == FORWARD ? -1 : 1), wait, came);
    for (int b = 0; b < s->n_boundaries && direction >= 0; b++)
        if ((direction == FORWARD ? s->boundaries[b].to : s->boundaries[b].from) == action->stage)
            source_take(made, action, direction == FORWARD ? s->boundaries[b].from : s->boundaries[b].to, wait, came);
}

/* The result of `action`, when it went to another rank; of several the last to begin its way. */
static void sent_take(const struct made *made, const struct weir_action *action, int to, const struct weir_transfer_time **sent)
{
    int direction = direction_of(action);
    if (to < 0 || to >= made->schedule->n_stages)
        return;
    const struct weir_transfer_time *t = *transfer_of(made, direction, action->stage, to, action->mb);
    if (t && (!*sent || t->start > (*sent)->start))
        *sent = t;
}

static void sent_find(const struct made *made, const struct weir_action *action, const struct weir_transfer_time **sent)
{
    const struct weir_schedule *s = made->schedule;
    int direction = direction_of(action);
    if (direction >= 0 && !s->boundaries)
        sent_take(made, action, action->stage + (direction == FORWARD ? 1 : -1), sent);
    for (int b = 0; b < s->n_boundaries && direction >= 0; b++)
        if ((direction == FORWARD ? s->boundaries[b].from : s->boundaries[b].to) == action->stage)
            sent_take(made, action, direction == FORWARD ? s->boundaries[b].to : s->boundaries[b].from, sent);
}

/* Behind the action at `a` of its list a rank waits until the slots of its results are free: when that is over, by the way of the
 * result that was last.  `came` is when what the next action takes has arrived: a wait that lasts longer is for slots all of it. */
static bool slot_wait_find(const struct made *made, const struct weir_action *a, double came, struct weir_simulated_wait *wait)
{
    const struct weir_transfer_time *sent = NULL;
    sent_find(made, a, &sent);
    if (a->fused)
        sent_find(made, a + 1, &sent);
    bool slot = sent && sent->held_by && strstr(sent->held_by, "slot");
    if (!sent || sent->start <= wait->start || (!slot && came >= wait->end))
        return false;
    *wait = (struct weir_simulated_wait){.rank = wait->rank, .action = *a, .peer = sent->to, .awaited.type = WEIR_ACTION_TYPES, .start = wait->start,
                                         .end = slot && sent->start < wait->end ? sent->start : wait->end,
                                         .cause = sent->receive.type == WEIR_RECV_F ? "input slot" : "gradient slot"};
    wait->made = wait->end;
    return true;
}

/* The transfer that a SEND or RECV of a list stands for, and its direction's maker. */
static const struct maker *maker_for(const struct made *made, const struct weir_action *action)
{
    bool forward = action->type == WEIR_SEND_F || action->type == WEIR_RECV_F;
    bool send = action->type == WEIR_SEND_F || action->type == WEIR_SEND_B;
    return maker_of(made, forward ? FORWARD : BACKWARD, action->stage + (send ? 0 : forward ? -1 : 1), action->mb);
}

/* blocking: what the rank does right before an action may be to send, or to receive for a later one. */
static void blocking_find(const struct weir_simulation *s, const struct made *made, size_t a, struct weir_simulated_wait *wait)
{
    const struct weir_action *list = s->lowered.ranks[wait->rank].actions;
    while (a > 0 && !weir_action_is_compute((enum weir_action_type)list[a - 1].type) && list[a - 1].type > WEIR_RECV_B)
        a--;
    const struct weir_action *last = a ? &list[a - 1] : NULL;
    if (!last || weir_action_is_compute((enum weir_action_type)last->type))
        return;
    const struct maker *maker = maker_for(made, last);
    bool send = maker->rank == wait->rank;
    if (!send && last->stage == wait->action.stage && last->mb == wait->action.mb)
        return;
    wait->cause = send ? "send" : "receive";
    wait->peer = send ? maker->transfer->to : maker->rank;
    wait->awaited = *last;
    wait->made = within(maker->transfer->start, wait->start, wait->end);
    wait->held = 0;
    wait->held_by = NULL;
}

/* The end of a rank's compute actions, and of what it reduces behind them. */
static double rank_end(const struct weir_simulation *s, int r)
{
    double last = 0;
    for (size_t a = 0; a < s->lowered.ranks[r].n_actions; a++)
        if (weir_action_is_compute((enum weir_action_type)s->lowered.ranks[r].actions[a].type) && s->end[r][a] > last)
            last = s->end[r][a];
    return last + s->reduction_exposed[r];
}

static int last_rank(const struct weir_simulation *s)
{
    int last = 0;
    for (int r = 1; r < s->lowered.n_ranks; r++)
        last = rank_end(s, r) > rank_end(s, last) ? r : last;
    return last;
}

/* The part of the wait from `start` on. */
static void wait_cut(struct weir_simulated_wait *wait, double start)
{
    wait->start = start;
    wait->made = within(wait->made, start, wait->end);
    wait->held = within(wait->held, 0, wait->end - wait->made);
    wait->held_by = wait->held > 0 ? wait->held_by : NULL;
}

static size_t rank_waits(const struct weir_simulation *s, const struct made *made, int r, struct weir_simulated_wait *waits)
{
    double free_at = 0;
    size_t n = 0;
    const struct weir_action *before = NULL;
    for (size_t a = 0; a < s->lowered.ranks[r].n_actions; a++) {
        const struct weir_action *action = &s->lowered.ranks[r].actions[a];
        if (!weir_action_is_compute((enum weir_action_type)action->type) || (a > 0 && action[-1].fused))
            continue;
        struct weir_simulated_wait wait = {.rank = r, .action = *action, .peer = -1, .start = free_at, .made = free_at,
                                           .end = s->start[r][a]};
        double came = 0;
        cause_find(made, action, &wait, &came);
        if (action->fused)
            cause_find(made, action + 1, &wait, &came);
        struct weir_simulated_wait slot = wait;
        if (s->channels == WEIR_CHANNELS_EDGE && before && wait.end > wait.start && slot_wait_find(made, before, came, &slot)) {
            waits[n++] = slot;
            wait_cut(&wait, slot.end);
        }
        before = action;
        if (wait.end > wait.start && s->channels == WEIR_CHANNELS_BLOCKING)
            blocking_find(s, made, a, &wait);
        if (wait.end > wait.start)
            waits[n++] = wait;
        free_at = s->end[r][a] > free_at ? s->end[r][a] : free_at;
    }
    free_at += s->reduction_exposed[r];
    if (s->optimizer_start > free_at)
        waits[n++] = (struct weir_simulated_wait){.rank = r, .action = {-1, -1, WEIR_ACTION_TYPES, 0}, .cause = "norm",
                                                  .peer = last_rank(s), .start = free_at, .made = s->optimizer_start,
                                                  .end = s->optimizer_start};
    return n;
}

weir_status weir_simulation_waits(const struct weir_simulation *simulation, struct weir_arena *arena,
                                  const struct weir_simulated_wait **waits_out, size_t *n_out)
{
    struct made made;
    struct weir_simulated_wait *waits;
    size_t room = 0, n = 0;
    for (int r = 0; r < simulation->lowered.n_ranks; r++)
        room += 2 * simulation->lowered.ranks[r].n_actions + 1;
    weir_status status = weir_arena_alloc(arena, room, sizeof *waits, &waits);
    if (!status)
        status = made_fill(&made, simulation, arena);
    if (status)
        return status;
    for (int r = 0; r < simulation->lowered.n_ranks; r++)
        n += rank_waits(simulation, &made, r, waits + n);
    *waits_out = waits;
    *n_out = n;
    return WEIR_OK;
}
