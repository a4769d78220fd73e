/* The costs of a simulation, checked and laid out as a flow reads them. */
#ifndef WEIR_SCHEDULES_SIMULATE_COST_TABLES_H
#define WEIR_SCHEDULES_SIMULATE_COST_TABLES_H

#include "schedules/check/flow.h"
#include "include/weir/simulate.h"

/* Every cost is a finite number, not negative, and belongs to a stage or edge that is there.  WEIR_ERR_INVALID. */
weir_status weir_costs_check(const struct weir_schedule_costs *costs, const struct weir_schedule *schedule);

weir_status weir_flight_costs_check(const struct weir_flight_costs *flight);

/* B over I + W. */
double weir_costs_at_once(const struct weir_flight_costs *flight);

/* What one stage costs: its own row, or the common values. */
struct weir_stage_costs weir_costs_stage(const struct weir_schedule_costs *costs, int stage);

/* The same of one action: of its micro-batch a slice has its part of time and memory. */
struct weir_stage_costs weir_costs_slice(const struct weir_schedule_costs *costs, int stage, int n_slices);

/* One phase of a reduction over `bytes` (simulate.h has the formula): the owners collect, or they hand back. */
double weir_costs_phase_time(const struct weir_schedule_costs *costs, double bytes, int n_replicas);

/* Fill in *out; the tables live in `arena`.  WEIR_ERR_INVALID: times or bytes whose sum is no finite number; the message
 * names the stage or edge with which it passes the largest.  WEIR_ERR_NOMEM. */
weir_status weir_costs_tables(const struct weir_schedule_costs *costs, const struct weir_simulation_options *options,
                              const struct weir_scan *scan, const struct weir_schedule_edges *edges,
                              struct weir_arena *arena, struct weir_flow_costs *out);

#endif
