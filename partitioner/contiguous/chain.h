/* Chains: split a row of layers into contiguous stages.
 *
 * The simplest partition problem, and the one most models are: layers in a row, a cost each, stages that are intervals.
 * The solver is exact.  It asks "do n stages suffice when no stage may cost more than T?", which one greedy pass
 * answers, and closes in on the smallest T with two bounds that are always costs of real intervals, so it ends on the
 * optimum and not near it:
 *
 *     feasible T    →  upper bound = the largest stage of the answer               (≤ T)
 *     infeasible T  →  lower bound = the smallest interval that was refused         (> T)
 *
 * The cost of an interval is the sum of its layers from left to right, in double precision.
 *
 * Among all splits with the smallest bottleneck the one with the lexicographically smallest cut positions is returned:
 * every stage is as short as the rest allows, so that the slack lies in the early stages, which hold the most
 * micro-batches in flight.  The answer depends on the costs only.
 *
 *     double cost[] = {4, 1, 1, 3, 2};
 *     int first[4];
 *     weir_chain_split(cost, 5, 3, first);      first = {0, 1, 3, 5}: stages {4} {1 1} {3 2}
 *
 * No allocation, no state; any thread. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_CHAIN_H
#define WEIR_PARTITIONER_CONTIGUOUS_CHAIN_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Split `n_layers` layers with costs `cost` (finite, ≥ 0) into `n_stages` stages, none empty, so that the most
 * expensive stage is as cheap as possible.  Stage s gets the layers first_layer_out[s] .. first_layer_out[s + 1] - 1;
 * the array has n_stages + 1 entries, the last is n_layers.  Takes O(n_layers) per probe and a few dozen probes.
 *
 * WEIR_ERR_INVALID: n_layers < 1, n_stages < 1, a cost (or their sum) that is negative or not finite.  WEIR_ERR_NOFIT:
 * more stages than layers.  On failure the output is untouched. */
weir_status weir_chain_split(const double *cost, int n_layers, int n_stages, int *first_layer_out);

#ifdef __cplusplus
}
#endif

#endif
