/* Cuts of models with branches: by all that crosses them.
 *
 * Where one value crosses every border between layers, as large as at every other, the best cut is a matter of work.  Skip connections
 * make borders differ.  Then a number of stages has a second cut:
 *
 *     by work                    the busiest stage has least to do (chain.h)
 *     by work and transfers      the stage that works and transfers longest is as short as can be: exact (plan.h), over the edges
 *                                of model_costs.h, whose sum is what goes into a stage and out of it
 *
 * A run transfers while it works, so that either may be the faster: the planner simulates both, each with its own boundaries. */
#ifndef WEIR_ENGINE_PROGRAM_PLANNER_CUTS_H
#define WEIR_ENGINE_PROGRAM_PLANNER_CUTS_H

#include "engine/program/model_costs.h"

enum weir_planner_by { WEIR_PLANNER_BY_WORK, WEIR_PLANNER_BY_TRANSFERS, WEIR_PLANNER_CUTS };

/* What one stage hands to a later one with every micro-batch, and gets back as gradients. */
struct weir_planned_boundary {
    int from, to; /* stages */
    int n_values;
    double bytes; /* each way */
};

/* Every border is crossed by one value, of as many bytes as at every other: a cut is a matter of work. */
bool weir_planner_is_plain(const struct weir_graph *graph);

/* The cut by work and transfers: `times`, [n_layers], in ms.  *first_layer_out, [n_stages + 1] in `arena`, is NULL where fewer
 * stages would be better. */
weir_status weir_planner_cut(const struct weir_graph *graph, const double *times, const struct weir_ceilings *ceilings, int n_stages,
                             struct weir_arena *arena, int **first_layer_out);

/* All boundaries of a cut, by `to`, then by `from`. */
weir_status weir_planner_boundaries(const struct weir_graph *graph, const int *first_layer, int n_stages, struct weir_arena *arena,
                                    const struct weir_planned_boundary **boundaries_out, int *n_out);

#endif
