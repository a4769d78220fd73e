/* Unordered plans: every block on any device, to make the largest load small.
 *
 * A contiguous plan is an interval of the data flow per device; an unordered one drops that demand, so a device may get
 * data back from a later one.  "Free placement" is what papers call it; here `free` means memory only.
 *
 * Simulated annealing over single moves and exchanges (partitioner/blocks/anneal.h), on coarse and fine levels.  The
 * search starts from the best contiguous plan among others and never returns a worse one.  The amount of work follows
 * from `seconds`, not from the clock, so that a seed means one result; the clock only stops a machine that is far too
 * slow. */
#ifndef WEIR_PARTITIONER_UNORDERED_UNORDERED_SEARCH_H
#define WEIR_PARTITIONER_UNORDERED_UNORDERED_SEARCH_H

#include "partitioner/blocks/split.h"

/* Improve *split (part numbers 0..devices-1 are accelerators, the next `cpus` are CPUs; on_cpu is not used).  Stops at
 * `bound` ticks.  With split->value = WEIR_NEVER there is no plan to start from. */
weir_status weir_unordered_search(const struct weir_split_problem *problem, int64_t bound, double seconds,
                                  uint64_t seed, struct weir_split *split);

#endif
