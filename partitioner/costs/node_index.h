/* Find nodes of a cost graph by id: an open-addressing table of node indices. */
#ifndef WEIR_PARTITIONER_COSTS_NODE_INDEX_H
#define WEIR_PARTITIONER_COSTS_NODE_INDEX_H

#include "partitioner/costs/cost_graph.h"

struct weir_node_index {
    int *slots; /* node index + 1, 0: free */
    size_t n_slots;
};

/* WEIR_ERR_INVALID: two nodes have one id.  An all-zero index may be released. */
weir_status weir_node_index_build(const struct weir_cost_graph *graph, struct weir_node_index *index_out);

/* Index of the node, or -1. */
int weir_node_index_find(const struct weir_node_index *index, const struct weir_cost_graph *graph, const char *id);

void weir_node_index_release(struct weir_node_index *index);

#endif
