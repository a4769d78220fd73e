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

/* As weir_stage_costs_find (include/weir/plan.h), of a configuration that is this library's own. */
weir_status weir_stage_costs_make(const struct weir_engine_config *config, int n_stages,
                                  const struct weir_ceilings *ceilings, struct weir_arena *arena,
                                  const struct weir_stage_costs **stages_out);

#ifdef __cplusplus
}
#endif

#endif
