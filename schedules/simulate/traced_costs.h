/* Costs out of a trace: what the simulator needs to predict the schedule that was run, or another one of the same stages. */
#ifndef WEIR_SCHEDULES_SIMULATE_TRACED_COSTS_H
#define WEIR_SCHEDULES_SIMULATE_TRACED_COSTS_H

#include "schedules/io/trace_file.h"
#include "include/weir/simulate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The mean time of one action of each stage and type, and of a rank's optimizer, over all steps but the first, which warms up, when
 * there are others; in the unit of the trace.  Of a B half counts as an I and
 * half as a W.  Replaces the stages and the
 * optimizer of *costs, the rest stays: transfers are free unless they are said to cost something, for a trace shows when a message
 * was there but not how long the channel was busy.  WEIR_ERR_INVALID: a stage with an action that was never run.  WEIR_ERR_NOMEM. */
weir_status weir_traced_costs(const struct weir_traced *trace, struct weir_arena *arena, struct weir_schedule_costs *costs);

#ifdef __cplusplus
}
#endif

#endif
