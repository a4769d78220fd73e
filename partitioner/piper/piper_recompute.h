/* Which nodes of a stage run their second configuration, so that the stage fits with the least extra time.
 *
 * A 0/1 knapsack: each node with two configurations offers Δtime for Δbytes.  Equal offers are counted together, which
 * is what makes transformers easy; branch and bound with the fractional bound decides, and where it would take too long
 * the best answer so far stands (the greedy one is its first). */
#ifndef WEIR_PARTITIONER_PIPER_PIPER_RECOMPUTE_H
#define WEIR_PARTITIONER_PIPER_PIPER_RECOMPUTE_H

#include "partitioner/costs/cost_graph.h"

struct weir_piper_offer {
    double time, bytes, parameters; /* extra time, bytes saved, extra parameter bytes */
    int n;                          /* equal offers */
};

struct weir_piper_choice {
    double time, memory, parameters; /* of the stage */
    int recomputed;                  /* nodes on their second configuration */
};

/* The cheapest choice for `nodes` with `in_flight` micro-batches under `cap` bytes.  `offers` has room for n_nodes.
 * false: nothing fits. */
bool weir_piper_recompute(const struct weir_cost_graph *graph, const int *nodes, int n_nodes, int in_flight,
                           double cap, struct weir_piper_offer *offers, struct weir_piper_choice *choice_out);

#endif
