/* Maximum flow by Dinic's algorithm, for the lower bounds of the partitioner. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_MAX_FLOW_H
#define WEIR_PARTITIONER_CONTIGUOUS_MAX_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct weir_max_flow_arc {
    int to, next; /* next arc of the same node, -1 none; arc a and a ^ 1 are each other's reverse */
    int64_t room; /* residual capacity */
};

struct weir_max_flow {
    int n_nodes, n_arcs;
    struct weir_max_flow_arc *arcs;
    size_t arc_capacity;
    int *head, *level, *at, *queue; /* [n_nodes] */
};

/* An empty network; released with weir_max_flow_release, which takes all-zero ones too. */
weir_status weir_max_flow_init(int n_nodes, struct weir_max_flow *flow_out);
void weir_max_flow_release(struct weir_max_flow *flow);

/* `back` is the capacity against the arc's direction. */
weir_status weir_max_flow_add(struct weir_max_flow *flow, int from, int to, int64_t room, int64_t back);

/* The largest flow, given that it is below 2^62. */
int64_t weir_max_flow_solve(struct weir_max_flow *flow, int source, int sink);

#endif
