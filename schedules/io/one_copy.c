/* One copy of two: what a schedule with two copies of the weights does on one of them, where the other one does the same from the
 * other end.
 *
 *     chimera, 2 ranks, 4 micro-batches          copy 0        copy 1, its ranks and micro-batches renumbered
 *       0F0 1F2 1B2 0B0 0F1 1F3 1B3 0B1          0F0 0B0 ..    0F0 0B0 ..        (rank 1: 0F2, 0B2 ..)
 *       0F2 1F0 1B0 0B2 0F3 1F1 1B1 0B3          1F0 1B0 ..    1F0 1B0 ..        (rank 0: 1F2, 1B2 ..)       */
#include "base/arena.h"
#include "include/weir/schedule.h"

struct halves {
    const struct weir_schedule *whole;
    struct weir_schedule_rank *ranks; /* [n_ranks]: of copy 0 */
    int n;                            /* micro-batches of a copy */
};

static weir_status shape_check(const struct weir_schedule *s)
{
    if (s->n_copies != 2 || s->n_stages != s->n_ranks || s->n_ranks % 2 || s->n_microbatches % 2)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%d stages on %d ranks with %d copies of the weights and %d micro-batches: two "
                         "copies are run with one stage per rank and copy, an even number of ranks and an even number of "
                         "micro-batches", s->n_stages, s->n_ranks, s->n_copies, s->n_microbatches);
    return WEIR_OK;
}

/* The copy that the action of `rank` belongs to. */
static int copy_of(const struct weir_action *action, int rank)
{
    return action->stage != rank;
}

static weir_status place_check(const struct halves *h, int rank, const struct weir_action *action)
{
    char text[WEIR_ACTION_TEXT];
    int copy = copy_of(action, rank), last = h->whole->n_ranks - 1;
    if (copy && action->stage != last - rank)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "row %d has %s: a schedule with two copies is run when stage s stands on rank s and "
                         "on rank %d - s, here stages %d and %d on rank %d", rank + 1, weir_action_str(action, text), last, rank,
                         last - rank, rank);
    if (action->mb / h->n != copy)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "row %d has %s: a schedule with two copies is run when the one whose stage 0 is on "
                         "rank 0 has micro-batches 0 to %d and the other one the rest", rank + 1, weir_action_str(action, text),
                         h->n - 1);
    return WEIR_OK;
}

static weir_status copy_0_take(struct halves *h, int rank, struct weir_arena *arena)
{
    const struct weir_schedule_rank *list = &h->whole->ranks[rank];
    struct weir_action *actions;
    size_t n = 0;
    weir_status status = weir_arena_alloc(arena, list->n_actions, sizeof *actions, &actions);
    for (size_t a = 0; a < list->n_actions && !status; a++) {
        const struct weir_action *action = &list->actions[a];
        if (!weir_action_is_compute((enum weir_action_type)action->type))
            continue;
        status = place_check(h, rank, action);
        if (copy_of(action, rank))
            continue;
        actions[n] = *action;
        actions[n++].fused = 0;
    }
    if (!status)
        h->ranks[rank] = (struct weir_schedule_rank){.actions = actions, .n_actions = n};
    return status;
}

/* The next compute action of the row from *at on, or NULL; *at is behind it. */
static const struct weir_action *action_next(const struct weir_schedule_rank *list, size_t *at)
{
    while (*at < list->n_actions)
        if (weir_action_is_compute((enum weir_action_type)list->actions[(*at)++].type))
            return &list->actions[*at - 1];
    return NULL;
}

/* The rank as far from the other end does the same with the other copy: stage for stage, its micro-batches in their place. */
static weir_status rows_compare(const struct halves *h, int rank)
{
    char text[WEIR_ACTION_TEXT], wanted[WEIR_ACTION_TEXT];
    int other = h->whole->n_ranks - 1 - rank;
    size_t at = 0, other_at = 0;
    const struct weir_action *mine, *theirs;
    do {
        mine = action_next(&h->whole->ranks[rank], &at);
        theirs = action_next(&h->whole->ranks[other], &other_at);
        struct weir_action same = mine ? *mine : (struct weir_action){0};
        same.mb = (same.mb + h->n) % h->whole->n_microbatches;
        if (!mine && !theirs)
            return WEIR_OK;
        if (!mine || !theirs || same.stage != theirs->stage || same.type != theirs->type || same.mb != theirs->mb)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "row %d has %s where row %d asks for %s: a schedule with two copies is run when "
                             "both do the same, each from its end", other + 1, theirs ? weir_action_str(theirs, text) : "nothing more",
                             rank + 1, mine ? weir_action_str(&same, wanted) : "nothing more");
    } while (true);
}

weir_status weir_schedule_one_copy(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_schedule half = *schedule;
    struct halves h = {.whole = schedule, .n = schedule->n_microbatches / 2};
    int *stage_rank;
    weir_status status = shape_check(schedule);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *h.ranks, &h.ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)schedule->n_stages, sizeof *stage_rank, &stage_rank);
    for (int r = 0; r < schedule->n_ranks && !status; r++)
        status = copy_0_take(&h, r, arena);
    for (int r = 0; r < schedule->n_ranks / 2 && !status; r++)
        status = rows_compare(&h, r);
    for (int s = 0; s < schedule->n_stages && !status; s++)
        stage_rank[s] = s;
    if (status)
        return status;
    half.n_copies = 1;
    half.n_microbatches = h.n;
    half.has_comms = false;
    half.ranks = h.ranks;
    half.stage_rank = stage_rank;
    *out = half;
    return WEIR_OK;
}
