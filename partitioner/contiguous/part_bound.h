/* A lower bound from one block: whatever part holds it, with the cheapest company, has at least this load.
 *
 *     load of a part S = Σ time of its blocks + Σ cost of nets that touch S and leave it
 *
 * is the capacity of a cut: the block is the source, every other block in S pays its time to the sink, a net pays its
 * cost when it touches S without lying in it.  So the smallest load of any set that holds the block is a minimum cut
 * (sets that are no intervals are allowed, which keeps it a lower bound). */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_PART_BOUND_H
#define WEIR_PARTITIONER_CONTIGUOUS_PART_BOUND_H

#include "partitioner/blocks/split.h"

/* Raise *bound (ticks) by the blocks that alone cost most.  Does nothing with CPUs, for blocks that an accelerator cannot
 * run, or past the problem's deadline.  WEIR_ERR_NOMEM. */
weir_status weir_part_bound_raise(const struct weir_split_problem *problem, int64_t *bound);

#endif
