/* Nets of blocks: the second half of partitioner/blocks/blocks.h. */
#ifndef WEIR_PARTITIONER_BLOCKS_BLOCK_NETS_H
#define WEIR_PARTITIONER_BLOCKS_BLOCK_NETS_H

#include "partitioner/blocks/blocks.h"

/* Fill the net fields; of_node, n and tick are there already. */
weir_status weir_block_nets_build(const struct weir_cost_graph *graph, struct weir_arena *arena,
                                  struct weir_blocks *blocks);

/* The nets of `from` between groups of its blocks; to->n is there already. */
weir_status weir_block_nets_contract(const struct weir_blocks *from, const int *group, struct weir_arena *arena,
                                     struct weir_blocks *to);

#endif
