/* Free placement: every block on any device, to make the largest load small.
 *
 * Simulated annealing over single moves and exchanges, on coarse and fine levels, with the true loads kept up to date
 * by counters per net and part.  The true objective is flat (only the busiest part counts), so the walk follows the sum
 * of 12th powers of the loads and remembers the best plan by the true objective.  It starts from the best contiguous
 * plan among others and never returns a worse one.  The amount of work follows from `seconds`, not from the clock, so
 * that a seed means one result; the clock only stops a machine that is far too slow. */
#ifndef WEIR_PARTITIONER_FREE_FREE_SEARCH_H
#define WEIR_PARTITIONER_FREE_FREE_SEARCH_H

#include "partitioner/contiguous/split.h"

/* Improve *split (part numbers 0..devices-1 are accelerators, the next `cpus` are CPUs; on_cpu is not used).  Stops at
 * `bound` ticks.  With split->value = WEIR_NEVER there is no plan to start from. */
weir_status weir_free_search(const struct weir_split_problem *problem, int64_t bound, double seconds, uint64_t seed,
                             struct weir_split *split);

/* The same walk kept contiguous: blocks move between neighbouring parts only, never past a predecessor or a successor.
 * *split must hold a contiguous plan without CPUs; it is improved or left as it is. */
weir_status weir_ordered_anneal(const struct weir_split_problem *problem, int64_t bound, int64_t moves, double hot,
                                uint64_t seed, struct weir_split *split);

#endif
