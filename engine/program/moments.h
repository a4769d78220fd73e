/* Moments in the life of a micro-batch on a stage, as the schedule's lists have them: where each stands in its rank's list,
 * and in which order the stage's micro-batches come to it.
 *
 *     list of the rank    0F0 0F1 0B1 0F2 0B0 0B2      stage 0, moment W: order 1 0 2, index of micro-batch 2 is 2,
 *     position             0   1   2   3   4   5                         its position is 5 */
#ifndef WEIR_ENGINE_PROGRAM_MOMENTS_H
#define WEIR_ENGINE_PROGRAM_MOMENTS_H

#include "base/arena.h"
#include "base/status.h"
#include "include/weir/schedule.h"

enum weir_moment {
    WEIR_MOMENT_F, /* the forward */
    WEIR_MOMENT_I, /* I or B: the input gradient is there */
    WEIR_MOMENT_W, /* W or B: all of the micro-batch's work is done */
    WEIR_MOMENTS
};

struct weir_moments {
    int n_microbatches;
    int *orders, *indices, *positions; /* [n_stages][WEIR_MOMENTS][n_microbatches] */
};

weir_status weir_moments_find(const struct weir_schedule *schedule, struct weir_arena *arena,
                              struct weir_moments *moments_out);

/* Micro-batches of the stage in the order of the moment; of a forward-only schedule only F has one. */
static inline const int *weir_moment_order(const struct weir_moments *moments, int stage, enum weir_moment moment)
{
    return moments->orders + (stage * WEIR_MOMENTS + (int)moment) * moments->n_microbatches;
}

/* The micro-batch's place in that order. */
static inline int weir_moment_index(const struct weir_moments *moments, int stage, int mb, enum weir_moment moment)
{
    return moments->indices[(stage * WEIR_MOMENTS + (int)moment) * moments->n_microbatches + mb];
}

/* The action's place in its rank's list; -1: there is none. */
static inline int weir_moment_position(const struct weir_moments *moments, int stage, int mb, enum weir_moment moment)
{
    return moments->positions[(stage * WEIR_MOMENTS + (int)moment) * moments->n_microbatches + mb];
}

/* The last micro-batch to come to the moment. */
static inline int weir_moment_last(const struct weir_moments *moments, int stage, enum weir_moment moment)
{
    return weir_moment_order(moments, stage, moment)[moments->n_microbatches - 1];
}

#endif
