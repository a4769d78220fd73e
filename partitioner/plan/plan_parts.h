/* From an assignment of nodes to the parts of a plan, with loads as partitioner/costs/cost_graph.h defines them. */
#ifndef WEIR_PARTITIONER_PLAN_PLAN_PARTS_H
#define WEIR_PARTITIONER_PLAN_PLAN_PARTS_H

#include "partitioner/plan/plan_solve.h"

/* device_of[node]: 0..devices-1 accelerators, then CPUs.  Parts come in ascending order of devices; empty ones are left
 * out.  Sums are taken over sorted terms, so that they do not depend on the order of the nodes. */
weir_status weir_plan_parts_build(const struct weir_cost_graph *graph, const int *device_of, int devices, int cpus,
                                  struct weir_arena *arena, struct weir_plan_part **parts_out, int *n_parts_out);

/* WEIR_ERR_INVALID: a cap below one byte (0 would read as none). */
weir_status weir_plan_cap_check(double memory);

/* The largest load; 0 without parts. */
double weir_plan_parts_objective(const struct weir_plan_part *parts, int n_parts);

/* (*part_of_out)[node]: index of the part it is in, -1 for none; release with weir_free. */
weir_status weir_plan_parts_of_nodes(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                     int **part_of_out);

#endif
