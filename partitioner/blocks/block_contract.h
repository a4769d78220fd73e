/* Smaller problems from larger ones: join blocks, keep what a partitioner sees. */
#ifndef WEIR_PARTITIONER_BLOCKS_BLOCK_CONTRACT_H
#define WEIR_PARTITIONER_BLOCKS_BLOCK_CONTRACT_H

#include "partitioner/blocks/blocks.h"

/* Blocks with equal group[b] (0..n_groups-1) become one block of *out, which lives in `arena`; of_node maps the blocks
 * of `blocks`.  The forward order is left out.  Groups with two different pins must not occur. */
weir_status weir_blocks_contract(const struct weir_blocks *blocks, const int *group, int n_groups,
                                 struct weir_arena *arena, struct weir_blocks *out);

#endif
