/* What all generators share: room for every rank's list, and appending to it.
 *
 *     struct weir_builder builder;
 *     status = weir_builder_open(&builder, params, n_stages, 1, 2 * m, arena);
 *     weir_builder_add(&builder, rank, WEIR_F, stage, mb);
 *     return weir_builder_close(&builder, out);
 *
 * A generator knows how many actions a rank gets before it starts, so nothing is moved or grown.  Which rank holds a
 * stage follows from the first action of the stage. */
#ifndef WEIR_SCHEDULES_KINDS_BUILDER_H
#define WEIR_SCHEDULES_KINDS_BUILDER_H

#include "base/integers.h"
#include "include/weir/schedule.h"

struct weir_builder {
    struct weir_arena *arena;
    struct weir_schedule schedule; /* what close hands over */
    struct weir_schedule_rank *ranks;
    struct weir_action **actions; /* [n_ranks][capacity] */
    int *stage_rank;
    size_t capacity; /* actions per rank */
};

/* Start a schedule of params->n_ranks ranks with room for `capacity` actions on each.  WEIR_ERR_NOMEM. */
weir_status weir_builder_open(struct weir_builder *builder, const struct weir_schedule_params *params, int n_stages,
                              int n_copies, size_t capacity, struct weir_arena *arena);

/* Append one action to the list of `rank`. */
void weir_builder_add(struct weir_builder *builder, int rank, enum weir_action_type type, int stage, int mb);

/* Append an OVERLAP_F_B: a forward and the backward that runs with it. */
void weir_builder_add_overlap(struct weir_builder *builder, int rank, int f_stage, int f_mb, int b_stage, int b_mb);

/* Hand the schedule over. */
void weir_builder_close(struct weir_builder *builder, struct weir_schedule *out);

#endif
