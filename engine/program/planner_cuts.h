/* Cuts of a model's layers into stages.  There are three ways to cut:
 *
 *     by work                    the busiest stage has least to do (weir_chain_split)
 *     by work and transfers      the stage that works and transfers longest is as short as can be: exact (plan.h), over the edges
 *                                of model_costs.h, whose sum is what goes into a stage and out of it
 *     by ranks                   the busiest rank has least to do, where a rank has several stages (ranks.h)
 *
 * Which is the fastest depends on the schedule, so the planner simulates each that differs from the one by work.
 *
 * By transfers: where one value crosses every border between layers, as large as at every other, the best cut is a matter of work.  Skip
 * connections make borders differ.  A run transfers while it works, so that either may be the faster. */
#ifndef WEIR_ENGINE_PROGRAM_PLANNER_CUTS_H
#define WEIR_ENGINE_PROGRAM_PLANNER_CUTS_H

#include "engine/program/model_costs.h"

enum weir_planner_by { WEIR_PLANNER_BY_WORK, WEIR_PLANNER_BY_TRANSFERS, WEIR_PLANNER_BY_RANKS, WEIR_PLANNER_CUTS };

/* Which rank has which stage: from rank 0 to the last and again from rank 0, or back and forth; or neither. */
enum weir_planner_order { WEIR_PLANNER_LOOPS, WEIR_PLANNER_WAVES, WEIR_PLANNER_OTHER };

struct weir_planner_shape {
    int n_ranks, n_chunks;
    enum weir_planner_order order;
};

static inline int weir_planner_rank_of(const struct weir_planner_shape *shape, int stage)
{
    int turn = stage / shape->n_ranks, at = stage % shape->n_ranks;
    return shape->order == WEIR_PLANNER_WAVES && turn % 2 ? shape->n_ranks - 1 - at : at;
}

/* Every border is crossed by one value, of as many bytes as at every other: a cut is a matter of work. */
bool weir_planner_is_plain(const struct weir_graph *graph);

/* The cut by work and transfers: `times`, [n_layers], in ms.  *first_layer_out, [n_stages + 1] in `arena`, is NULL where fewer
 * stages would be better. */
weir_status weir_planner_cut(const struct weir_graph *graph, const double *times, const struct weir_ceilings *ceilings, int n_stages,
                             struct weir_arena *arena, int **first_layer_out);

/* All boundaries of a cut, by `to`, then by `from`. */
weir_status weir_planner_boundaries(const struct weir_graph *graph, const int *first_layer, int n_stages, struct weir_arena *arena,
                                    const struct weir_plan_boundary **boundaries_out, int *n_out);

#endif
