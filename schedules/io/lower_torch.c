#include "schedules/io/lower_torch.h"

#include <string.h>

#include "base/arena.h"
#include "schedules/check/flow.h"

struct rounds {
    struct weir_scan scan;
    struct weir_action **lists; /* [n_ranks] */
    size_t *lengths;
    size_t *next; /* [n_ranks]: compute action that comes next */
};

/* Has what `a` needs been appended to the list of its rank? */
static bool is_ready(const struct rounds *rounds, int rank, const struct weir_action *a)
{
    int source = weir_scan_source(&rounds->scan, a);
    if (source < 0)
        return true;
    bool forward = a->type == WEIR_F;
    if (source != rank)
        return rounds->scan.seen[weir_scan_index(&rounds->scan, a->stage, a->mb)] &
               (forward ? 1u << WEIR_RECV_F : 1u << WEIR_RECV_B);
    uint8_t seen = rounds->scan.seen[weir_scan_index(&rounds->scan, a->stage + (forward ? -1 : 1), a->mb)];
    return seen & (forward ? 1u << WEIR_F : 1u << WEIR_I | 1u << WEIR_B);
}

static void append(struct rounds *rounds, int rank, struct weir_action action)
{
    rounds->lists[rank][rounds->lengths[rank]++] = action;
    if (action.type <= WEIR_RECV_B)
        rounds->scan.seen[weir_scan_index(&rounds->scan, action.stage, action.mb)] |= (uint8_t)(1u << action.type);
}

static void messages_append(struct rounds *rounds, int rank, const struct weir_action *a)
{
    if (!weir_action_is_compute((enum weir_action_type)a->type))
        return;
    int target = weir_scan_target(&rounds->scan, a);
    if (target < 0 || target == rank)
        return;
    bool forward = a->type == WEIR_F;
    append(rounds, rank,
           (struct weir_action){.stage = a->stage, .mb = a->mb, .type = forward ? WEIR_SEND_F : WEIR_SEND_B});
    append(rounds, target,
           (struct weir_action){
               .stage = a->stage + (forward ? 1 : -1), .mb = a->mb, .type = forward ? WEIR_RECV_F : WEIR_RECV_B});
}

/* Append the next action of `rank` when it is ready. */
static bool rank_step(struct rounds *rounds, int rank)
{
    const struct weir_schedule_rank *from = &rounds->scan.schedule->ranks[rank];
    const struct weir_action *a = &from->actions[rounds->next[rank]];
    size_t parts = a->fused ? 2 : 1;
    bool compute = weir_action_is_compute((enum weir_action_type)a->type);
    for (size_t i = 0; compute && i < parts; i++)
        if (!is_ready(rounds, rank, &a[i]))
            return false;
    for (size_t i = 0; i < parts; i++)
        append(rounds, rank, a[i]);
    for (size_t i = 0; i < parts; i++)
        messages_append(rounds, rank, &a[i]);
    rounds->next[rank] += parts;
    return true;
}

/* A flow says in which circle the lists wait. */
static weir_status circle_name(const struct weir_schedule *schedule)
{
    struct weir_arena work = {0};
    struct weir_scan scan;
    weir_status status = weir_scan_build(schedule, &work, &scan);
    if (!status)
        status = weir_flow_check(&scan, WEIR_CHANNELS_EDGE, &work);
    weir_arena_release(&work);
    return status ? status : WEIR_FAIL(WEIR_ERR_INTERNAL, "a sound schedule does not progress in rounds");
}

static weir_status rounds_run(struct rounds *rounds)
{
    const struct weir_schedule *s = rounds->scan.schedule;
    for (bool progress = true, left = true; left;) {
        if (!progress)
            return circle_name(s);
        progress = left = false;
        for (int r = 0; r < s->n_ranks; r++)
            if (rounds->next[r] < s->ranks[r].n_actions) {
                progress |= rank_step(rounds, r);
                left |= rounds->next[r] < s->ranks[r].n_actions;
            }
    }
    return WEIR_OK;
}

/* Room for every list: its own actions, its sends, its receives. */
static weir_status rounds_open(struct rounds *rounds, struct weir_arena *work, struct weir_arena *arena)
{
    const struct weir_schedule *s = rounds->scan.schedule;
    struct weir_schedule_edges edges;
    weir_status status = weir_schedule_edges_build(&rounds->scan, work, &edges);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_ranks, sizeof *rounds->lists, &rounds->lists);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_ranks, sizeof *rounds->lengths, &rounds->lengths);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_ranks, sizeof *rounds->next, &rounds->next);
    if (status)
        return status;
    for (int r = 0; r < s->n_ranks; r++)
        rounds->lengths[r] = s->ranks[r].n_actions;
    for (int e = 0; e < edges.n_edges; e++) {
        rounds->lengths[edges.edges[e].from] += edges.edges[e].n_messages;
        rounds->lengths[edges.edges[e].to] += edges.edges[e].n_messages;
    }
    for (int r = 0; !status && r < s->n_ranks; r++) {
        status = weir_arena_alloc(arena, rounds->lengths[r], sizeof **rounds->lists, &rounds->lists[r]);
        rounds->lengths[r] = 0;
    }
    memset(rounds->scan.seen, 0, rounds->scan.n_cells);
    return status;
}

/* Join each I that is directly followed by its W. */
static size_t merge_into(struct weir_action *to, const struct weir_schedule_rank *from)
{
    size_t n = 0;
    for (size_t i = 0; i < from->n_actions; i++) {
        const struct weir_action *a = &from->actions[i];
        bool second = i > 0 && a[-1].fused;
        to[n] = *a;
        if (a->type == WEIR_I && !second && i + 1 < from->n_actions && a[1].type == WEIR_W && a[1].stage == a->stage &&
            a[1].mb == a->mb) {
            to[n].type = WEIR_B;
            i++;
        }
        n++;
    }
    return n;
}

static weir_status merged(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_schedule s = *schedule;
    struct weir_schedule_rank *ranks;
    weir_status status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    for (int r = 0; !status && r < s.n_ranks; r++) {
        struct weir_action *list;
        status = weir_arena_alloc(arena, s.ranks[r].n_actions, sizeof *list, &list);
        if (!status)
            ranks[r] = (struct weir_schedule_rank){.actions = list, .n_actions = merge_into(list, &s.ranks[r])};
    }
    if (status)
        return status;
    s.ranks = ranks;
    *out = s;
    return WEIR_OK;
}

weir_status weir_schedule_lower_rounds(const struct weir_schedule *schedule, bool merge, struct weir_arena *arena,
                                       struct weir_schedule *out)
{
    if (schedule->has_comms) {
        *out = *schedule;
        return WEIR_OK;
    }
    struct weir_arena work = {0};
    struct rounds rounds = {0};
    struct weir_schedule s = *schedule;
    struct weir_schedule_rank *ranks;
    weir_status status = weir_schedule_nameable(schedule);
    if (!status && merge)
        status = merged(schedule, &work, &s);
    if (!status)
        status = weir_scan_build(&s, &work, &rounds.scan);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    if (!status)
        status = rounds_open(&rounds, &work, arena);
    if (!status)
        status = rounds_run(&rounds);
    if (!status) {
        for (int r = 0; r < s.n_ranks; r++)
            ranks[r] = (struct weir_schedule_rank){.actions = rounds.lists[r], .n_actions = rounds.lengths[r]};
        s.ranks = ranks;
        s.has_comms = true;
        *out = s;
    }
    weir_arena_release(&work);
    return status;
}

static uint32_t bits(enum weir_action_type first, enum weir_action_type last)
{
    return (2u << last) - (1u << first);
}

/* A copy without the actions whose types' bits are in `dropped`. */
static weir_status types_drop(const struct weir_schedule *schedule, uint32_t dropped, struct weir_arena *arena,
                              struct weir_schedule *out)
{
    struct weir_schedule s = *schedule;
    struct weir_schedule_rank *ranks;
    weir_status status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    for (int r = 0; !status && r < s.n_ranks; r++) {
        struct weir_action *list;
        status = weir_arena_alloc(arena, s.ranks[r].n_actions, sizeof *list, &list);
        if (status)
            break;
        ranks[r].actions = list;
        for (size_t i = 0; i < s.ranks[r].n_actions; i++)
            if (!(dropped >> s.ranks[r].actions[i].type & 1)) {
                list[ranks[r].n_actions] = s.ranks[r].actions[i];
                list[ranks[r].n_actions++].fused &= !(dropped >> WEIR_B & 1); /* not without its backward */
            }
    }
    if (status)
        return status;
    s.ranks = ranks;
    s.has_comms = s.has_comms && !(dropped >> WEIR_SEND_F & 1);
    *out = s;
    return WEIR_OK;
}

weir_status weir_schedule_compute_only(const struct weir_schedule *schedule, struct weir_arena *arena,
                                       struct weir_schedule *out)
{
    return types_drop(schedule, bits(WEIR_SEND_F, WEIR_ACTION_TYPES - 1), arena, out);
}

weir_status weir_schedule_forwards(const struct weir_schedule *schedule, struct weir_arena *arena,
                                   struct weir_schedule *out)
{
    return types_drop(schedule, bits(WEIR_I, WEIR_ACTION_TYPES - 1), arena, out);
}

weir_status weir_schedule_lower_torch_2025(const struct weir_schedule *schedule, struct weir_arena *arena,
                                           struct weir_schedule *out)
{
    struct weir_arena work = {0};
    struct weir_schedule compute;
    uint32_t dropped = bits(WEIR_SEND_F, WEIR_RECV_B) | bits(WEIR_WAIT_REDUCE_GRAD, WEIR_WAIT_SEND_B);
    weir_status status = types_drop(schedule, dropped, &work, &compute);
    if (!status)
        status = weir_schedule_lower_rounds(&compute, true, arena, out);
    weir_arena_release(&work);
    return status;
}

weir_status weir_schedule_lower_torch(const struct weir_schedule *schedule, struct weir_arena *arena,
                                      struct weir_schedule *out)
{
    struct weir_arena work = {0};
    struct weir_schedule s;
    uint32_t dropped = bits(WEIR_SEND_F, WEIR_RECV_B) | bits(WEIR_WAIT_SEND_F, WEIR_WAIT_SEND_B);
    weir_status status = types_drop(schedule, dropped, &work, &s);
    if (!status)
        status = weir_schedule_add_reductions(&s, &work, &s);
    if (!status)
        status = weir_schedule_add_waits(&s, &work, &s); /* for reductions: receives may come behind them */
    if (!status)
        status = weir_schedule_lower_rounds(&s, false, &work, &s);
    if (!status)
        status = weir_schedule_add_waits(&s, arena, out); /* for the sends, which are there now */
    weir_arena_release(&work);
    return status;
}
