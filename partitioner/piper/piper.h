/* Piper's model for tensor-parallel degree 1 (Tarnawski, Narayanan, Phanishayee, "Piper: multidimensional planner for
 * DNN parallelization", NeurIPS 2021).
 *
 * A stage is a contiguous set of nodes on d devices that share its samples; d divides N, the micro-batches of a step.
 * With s devices in this and all later stages a device keeps y = ceil(s / d) micro-batches in flight.  Every node runs
 * one of its configurations (as is, or with its activations recomputed), such that Σ (memory_a · y + memory_b) fits:
 *
 *     time per sample of a stage = Σ time / d + (2 Σ cut bytes / d + 4 (d − 1) Σ parameter bytes / (d N)) / bandwidth
 *
 * The objective is the largest of the stages.  Cut bytes are counted per edge. */
#ifndef WEIR_PARTITIONER_PIPER_PIPER_H
#define WEIR_PARTITIONER_PIPER_PIPER_H

#include "partitioner/plan/plan_solve.h"

/* plans_out[i] is for first + i devices; parts live in `arena`. */
weir_status weir_piper_solve(const struct weir_cost_graph *graph, const struct weir_plan_options *options, int first,
                             int last, struct weir_arena *arena, struct weir_plan *plans_out);

#endif
