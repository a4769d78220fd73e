/* Cuts of a chain of layers for ranks that have several stages.
 *
 * Layers of 4 1 1 1 1 1 1 2 in four stages, of which rank 0 has the first and the last, and rank 1 the others:
 *
 *     4 | 1 1 | 1 1 | 1 1 2      no stage works longer than 4, but rank 0 works 8 and rank 1 works 4
 *     4 | 1 1 1 | 1 1 1 | 2      no stage works longer than 4, and each rank works 6
 *
 * weir_chain_split makes either, as it looks at stages alone. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_RANKS_H
#define WEIR_PARTITIONER_CONTIGUOUS_RANKS_H

#include <stdbool.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Move the borders of `first_layer`, [n_stages + 1], a cut of `n_layers` layers of `cost`, so that the busiest rank has less to do:
 * stage i is on rank stage_rank[i], of n_ranks.  Of cuts alike in that, the one with ranks, and then stages, more alike.
 *
 * A local search from this cut and from an even one: borders are moved one by one, with at most 32 stages in runs, and with at most
 * 12 in pairs, while that is better.  It is not always the best of all cuts, and never worse than the one it began with.  *better_out: the busiest rank has less to do by a thousandth at least.
 * WEIR_ERR_NOMEM; then the cut is as it was. */
weir_status weir_chain_even_ranks(const double *cost, int n_layers, int n_stages, const int *stage_rank, int n_ranks, int *first_layer,
                                  bool *better_out);

#ifdef __cplusplus
}
#endif

#endif
