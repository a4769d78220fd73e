/* A cut of a chain, moved border by border while whatever it is for gets better.
 *
 * Layers of 2 2 2 2 2 3 in two stages, one of which runs 1F1B's first rank:
 *
 *     2 2 2 | 2 2 3      the busiest stage works 7
 *     2 2 2 2 | 2 3      the busiest stage works 8, and yet a step may be shorter
 *
 * How long a step is says only a simulation.  So the value of a cut is asked of the caller.  weir_chain_split and ranks.h find the cuts to begin
 * with. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_CLIMB_H
#define WEIR_PARTITIONER_CONTIGUOUS_CLIMB_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The value of a cut, [n_stages + 1]: less is better, INFINITY is no cut.  An error ends the search. */
typedef weir_status (*weir_cut_value_fn)(void *context, const int *first_layer, double *value_out);

/* Move the borders of `first_layer`, [n_stages + 1], while that makes its value less by a part of 1e-6 at least.  One border is moved,
 * or all from one to another, so that a layer leaves one stage and comes to a later or an earlier one; and with at most 12 stages any
 * two, with at most 6 by two layers.  Then the same from the cut that has as many layers on every stage; the better one is taken.
 * `value` is called at most *calls times, the first time with the cut as it was; then *calls is how often it was.
 *
 * *value_out: of the cut that is left, which is never worse than before.  WEIR_ERR_NOMEM and what `value` returns; the cut is the best
 * found so far then. */
weir_status weir_cut_climb(int n_stages, long *calls, weir_cut_value_fn value, void *context, int *first_layer, double *value_out);

#ifdef __cplusplus
}
#endif

#endif
