#include <string.h>

#include "base/arena.h"
#include "include/weir/schedule.h"

const struct weir_schedule_boundary *weir_schedule_long_boundary(const struct weir_schedule *schedule)
{
    for (int b = 0; b < schedule->n_boundaries; b++)
        if (schedule->boundaries[b].to != schedule->boundaries[b].from + 1)
            return &schedule->boundaries[b];
    return NULL;
}

static bool comes_before(const struct weir_schedule_boundary *a, const struct weir_schedule_boundary *b)
{
    return a->to != b->to ? a->to < b->to : a->from < b->from;
}

static weir_status fits(const struct weir_schedule *schedule, const struct weir_schedule_boundary *b)
{
    if (b->from < 0 || b->to < 0 || b->from >= schedule->n_stages || b->to >= schedule->n_stages)
        return WEIR_FAIL(WEIR_ERR_INVALID, "boundary %d-%d does not fit: the schedule has stages 0 to %d", b->from, b->to,
                         schedule->n_stages - 1);
    if (b->from >= b->to)
        return WEIR_FAIL(WEIR_ERR_INVALID, "boundary %d-%d would be read before it is made: it goes from a stage to a later one",
                         b->from, b->to);
    return WEIR_OK;
}

/* Into its place in the list, which has room. */
static weir_status insert(struct weir_schedule_boundary *list, int n, const struct weir_schedule_boundary *b)
{
    int at = n;
    while (at > 0 && comes_before(b, &list[at - 1]))
        at--;
    if (at > 0 && list[at - 1].from == b->from && list[at - 1].to == b->to)
        return WEIR_FAIL(WEIR_ERR_INVALID, "boundary %d-%d is there twice", b->from, b->to);
    memmove(&list[at + 1], &list[at], sizeof *list * (size_t)(n - at));
    list[at] = *b;
    return WEIR_OK;
}

weir_status weir_schedule_boundaries_set(struct weir_schedule *schedule, const struct weir_schedule_boundary *boundaries, int n,
                                         struct weir_arena *arena)
{
    struct weir_schedule_boundary *list;
    weir_status status = weir_arena_alloc(arena, (size_t)n + 1, sizeof *list, &list);
    for (int b = 0; b < n && !status; b++) {
        status = fits(schedule, &boundaries[b]);
        if (!status)
            status = insert(list, b, &boundaries[b]);
    }
    if (status)
        return status;
    schedule->boundaries = list;
    schedule->n_boundaries = n;
    return WEIR_OK;
}

static bool has_end(const struct weir_schedule *schedule, int stage, bool in)
{
    for (int b = 0; b < schedule->n_boundaries; b++)
        if ((in ? schedule->boundaries[b].to : schedule->boundaries[b].from) == stage)
            return true;
    return false;
}

weir_status weir_schedule_boundaries_feed(const struct weir_schedule *schedule)
{
    for (int s = 0; s < schedule->n_stages && schedule->boundaries; s++) {
        if (s > 0 && !has_end(schedule, s, true))
            return WEIR_FAIL(WEIR_ERR_INVALID, "stage %d is fed by nobody: a boundary into it is missing, such as %d-%d", s, s - 1, s);
        if (s < schedule->n_stages - 1 && !has_end(schedule, s, false))
            return WEIR_FAIL(WEIR_ERR_INVALID, "stage %d feeds nobody: a boundary out of it is missing, such as %d-%d", s, s, s + 1);
    }
    return WEIR_OK;
}

weir_status weir_schedule_nameable(const struct weir_schedule *schedule)
{
    const struct weir_schedule_boundary *b = weir_schedule_long_boundary(schedule);
    return b ? WEIR_FAIL(WEIR_ERR_INVALID, "SEND and RECV cells cannot name what goes from stage %d to stage %d: only compute actions "
                         "may be there ('weir schedule convert' makes such a file)", b->from, b->to)
             : WEIR_OK;
}

weir_status weir_schedule_cells_check(const struct weir_schedule *schedule)
{
    return schedule->has_comms ? weir_schedule_error_name(schedule, weir_schedule_nameable(schedule)) : WEIR_OK;
}
