/* REDUCE_GRAD actions: where the gradients of a stage are added over the replicas. */
#include <string.h>

#include "base/arena.h"
#include "include/weir/schedule.h"

/* Mark with 1 in ends[] the actions after which a stage without a REDUCE_GRAD has all of its weight gradients; returns
 * how many there are.  `ended` says which stages have been met from behind. */
static size_t ends_mark(const struct weir_schedule *s, int rank, uint8_t *ends, uint8_t *ended)
{
    size_t n = 0;
    const struct weir_schedule_rank *list = &s->ranks[rank];
    for (size_t i = list->n_actions; i-- > 0;) {
        const struct weir_action *a = &list->actions[i];
        bool known = a->stage >= 0 && a->stage < s->n_stages; /* what is not is for the check to say */
        if (known && a->type == WEIR_REDUCE_GRAD)
            ended[a->stage] = 1;
        ends[i] = known && (a->type == WEIR_W || a->type == WEIR_B) && !ended[a->stage];
        if (ends[i])
            ended[a->stage] = 1, n++;
    }
    return n;
}

/* Copy a list with its reductions: each behind the sends that follow its action, so that nobody waits for it. */
static void list_extend(const struct weir_schedule_rank *list, const uint8_t *ends, struct weir_action *out)
{
    int pending = -1; /* stage whose reduction comes behind the next sends */
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        bool send = a->type == WEIR_SEND_F || a->type == WEIR_SEND_B;
        if (pending >= 0 && !send) {
            *out++ = (struct weir_action){.stage = pending, .mb = -1, .type = WEIR_REDUCE_GRAD};
            pending = -1;
        }
        *out++ = *a;
        if (ends[i])
            pending = a->stage;
    }
    if (pending >= 0)
        *out = (struct weir_action){.stage = pending, .mb = -1, .type = WEIR_REDUCE_GRAD};
}

static weir_status rank_extend(const struct weir_schedule *s, int rank, uint8_t *ended, struct weir_arena *arena,
                               struct weir_schedule_rank *out)
{
    struct weir_arena work = {0};
    const struct weir_schedule_rank *list = &s->ranks[rank];
    struct weir_action *actions;
    uint8_t *ends;
    memset(ended, 0, (size_t)s->n_stages);
    weir_status status = weir_arena_alloc(&work, list->n_actions, 1, &ends);
    size_t n = status ? 0 : list->n_actions + ends_mark(s, rank, ends, ended);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *actions, &actions);
    if (!status) {
        list_extend(list, ends, actions);
        *out = (struct weir_schedule_rank){.actions = actions, .n_actions = n};
    }
    weir_arena_release(&work);
    return status;
}

weir_status weir_schedule_add_reductions(const struct weir_schedule *schedule, struct weir_arena *arena,
                                         struct weir_schedule *out)
{
    struct weir_schedule s = *schedule;
    struct weir_arena work = {0};
    struct weir_schedule_rank *ranks;
    uint8_t *ended;
    weir_status status = weir_arena_alloc(&work, (size_t)s.n_stages, 1, &ended);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    for (int r = 0; !status && r < s.n_ranks; r++)
        status = rank_extend(schedule, r, ended, arena, &ranks[r]);
    if (!status) {
        s.ranks = ranks;
        *out = s;
    }
    weir_arena_release(&work);
    return status;
}
