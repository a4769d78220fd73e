/* Order-based search: the contiguous solver for graphs with too many downsets, and the source of first answers for the
 * exact one.
 *
 * Along one topological order of the blocks the prefixes are the only downsets, and the dynamic program is quick.  The
 * search then changes the order and keeps the plan: blocks are re-ordered inside the parts of the best plan only (depth
 * first, breadth first, smallest cut next, or at random), so every new order still contains that plan, and the program
 * can only find one at least as good.  Deterministic for a seed as long as the deadline is not met. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_ORDER_SEARCH_H
#define WEIR_PARTITIONER_CONTIGUOUS_ORDER_SEARCH_H

#include "partitioner/blocks/split.h"

/* Improve *split (which may be empty) for at most `rounds` orders, until it meets `bound` or the deadline passes. */
weir_status weir_order_search(const struct weir_split_problem *problem, int64_t bound, int rounds, uint64_t seed,
                              struct weir_split_table *table, struct weir_split *split);

#endif
