/* The chain of actions that determines the makespan, read backwards from the causes that a flow has recorded. */
#ifndef WEIR_SCHEDULES_SIMULATE_CRITICAL_PATH_H
#define WEIR_SCHEDULES_SIMULATE_CRITICAL_PATH_H

#include "schedules/check/flow.h"
#include "include/weir/simulate.h"

/* Fill in result->critical_path.  `reduce` is what a rank does after its list.  WEIR_ERR_NOMEM. */
weir_status weir_critical_path_find(const struct weir_flow *flow, double reduce, struct weir_arena *arena,
                                    struct weir_simulation *result);

#endif
