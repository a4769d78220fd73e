/* What the actions of a model's stages cost: what weir_schedule_simulate reads, without a run.
 *
 *     F, I, W      by analysis, in ms, as the planner has them (model_costs.h)
 *     memory       of the compiled program: what a micro-batch of a stage keeps from F to I, from F to W and from I to W
 *                  (program.h), and the bytes of its parameters, gradients and optimizer state
 *
 * Neither depends on the schedule, only on how layers are dealt out to stages. */
#ifndef WEIR_ENGINE_PROGRAM_STAGE_COSTS_H
#define WEIR_ENGINE_PROGRAM_STAGE_COSTS_H

#include "include/weir/weir.h"
#include "engine/program/model_costs.h"
#include "include/weir/simulate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The costs of `n_stages` stages of the model that `config` describes; its schedule is not read, and its device is asked
 * nothing.  *stages_out, [n_stages], lives in `arena`.  WEIR_ERR_NOFIT: more stages than layers.  WEIR_ERR_USAGE,
 * WEIR_ERR_INVALID as weir_engine_open and weir_model_cost_graph. */
weir_status weir_stage_costs_find(const struct weir_engine_config *config, int n_stages,
                                  const struct weir_ceilings *ceilings, struct weir_arena *arena,
                                  const struct weir_stage_costs **stages_out);

/* What those stages hand to each other, for weir_schedule_boundaries_set().  [*n_out] in `arena`; statuses as above. */
weir_status weir_stage_boundaries_find(const struct weir_engine_config *config, int n_stages, struct weir_arena *arena,
                                       const struct weir_schedule_boundary **boundaries_out, int *n_out);

#ifdef __cplusplus
}
#endif

#endif
