/* A lower bound for contiguous plans that counts transfers: for graphs that are too wide for the exact solver.
 *
 * Suppose a plan on k devices has no load above T.  Its first f parts then take between total − (k − f) T and f T of
 * the time, so blocks with little time outside their descendants must be among them and blocks with many ancestors must
 * not. The cheapest set of nets between those two is a minimum cut with the forward order as a closure.  A net that
 * crosses any of the k − 1 cuts is paid by two parts at least; where it may cross m of them, each counts 1/m of it:
 *
 *     k T ≥ total + 2 Σ_f (minimum cut f with costs / m)
 *
 * A T that breaks this is below every plan. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_CUT_BOUND_H
#define WEIR_PARTITIONER_CONTIGUOUS_CUT_BOUND_H

#include "partitioner/blocks/split.h"

/* Raise *bound (ticks) as far as a few tests between it and `high` allow.  Does nothing with CPUs, for more than 64
 * devices or 4,000 blocks, or past the problem's deadline. */
weir_status weir_cut_bound_raise(const struct weir_split_problem *problem, int64_t high, int64_t *bound);

#endif
