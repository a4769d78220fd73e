/* Topological orders of blocks, by rules that differ in what they keep together. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_ORDER_MAKE_H
#define WEIR_PARTITIONER_CONTIGUOUS_ORDER_MAKE_H

#include "partitioner/blocks/blocks.h"

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

#endif
