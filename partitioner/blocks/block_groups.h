/* Which nodes share a block: the first half of partitioner/blocks/blocks.h. */
#ifndef WEIR_PARTITIONER_BLOCKS_BLOCK_GROUPS_H
#define WEIR_PARTITIONER_BLOCKS_BLOCK_GROUPS_H

#include "partitioner/blocks/blocks.h"

/* Fill of_node_out[graph nodes] with block numbers 0..n-1, ascending in the smallest node of the block. */
weir_status weir_block_groups(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                              int *of_node_out, int *n_blocks_out);

/* The forward order between groups as (from, to) pairs, at most n_edges of them; `forward[g]` says that group g has
 * forward nodes, `group` maps nodes.  Returns the number of pairs; pairs inside a group are left out. */
int weir_block_order_pairs(const struct weir_cost_graph *graph, const int *group, const unsigned char *forward,
                           int (*pairs_out)[2]);

#endif
