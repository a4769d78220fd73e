/* Order-based search: the contiguous solver for graphs with too many downsets, and the source of first answers for the
 * exact one.
 *
 * Along one topological order of the blocks the prefixes are the only downsets, and the dynamic program is quick.  The
 * search then changes the order and keeps the plan: blocks are re-ordered inside the parts of the best plan only (depth
 * first, breadth first, smallest cut next, or at random), so every new order still contains that plan, and the program
 * can only find one at least as good.  Deterministic for a seed as long as the deadline is not met. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_ORDER_SEARCH_H
#define WEIR_PARTITIONER_CONTIGUOUS_ORDER_SEARCH_H

#include "partitioner/contiguous/split.h"

enum weir_order_rule {
    WEIR_ORDER_DEPTH,   /* last freed first */
    WEIR_ORDER_BREADTH, /* first freed first */
    WEIR_ORDER_CUT,     /* the block that makes the boundary of the prefix smallest */
    WEIR_ORDER_RANDOM,
    WEIR_ORDER_RULES
};

/* A topological order of the blocks.  With `part` (a contiguous split) blocks of earlier parts come first; `rule`
 * WEIR_ORDER_RULES draws a rule per part from `seed`. */
weir_status weir_order_make(const struct weir_blocks *blocks, const int *part, enum weir_order_rule rule, uint64_t seed,
                            int *order_out);

/* The best split along `order` with a value below `limit`.  *split is set when there is one. */
weir_status weir_order_split(const struct weir_split_problem *problem, const int *order, int64_t limit,
                             struct weir_split_table *table, struct weir_split *split);

/* Improve *split (which may be empty) for at most `rounds` orders, until it meets `bound` or the deadline passes. */
weir_status weir_order_search(const struct weir_split_problem *problem, int64_t bound, int rounds, uint64_t seed,
                              struct weir_split_table *table, struct weir_split *split);

#endif
