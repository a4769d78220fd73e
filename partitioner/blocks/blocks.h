/* Blocks: a cost graph boiled down to what the solvers look at.
 *
 * Nodes that must share a part become one block: equal colors, equal pins, ends of edges that must not be cut and, for
 * contiguous plans, cycles of the contracted forward graph.  A backward node follows its color; a color with backward
 * nodes only takes part in the forward order through its reversed backward edges (as in dnn-partitioning, dp.cpp).
 * Blocks without time that touch a single other block join it: in any plan the join costs nothing.
 *
 * Times are whole ticks, so that sums are exact, do not depend on order, and can be undone: the whole problem has less
 * than 2^58 ticks, a tick is below 10^-17 of it.  Nets with the same blocks are added up, nets inside one block vanish.
 *
 *     load(S) = Σ time + Σ cost of the nets that touch S and are not inside S                              (ticks)
 */
#ifndef WEIR_PARTITIONER_BLOCKS_BLOCKS_H
#define WEIR_PARTITIONER_BLOCKS_BLOCKS_H

#include "partitioner/costs/cost_graph.h"

#define WEIR_NEVER (INT64_MAX / 4) /* the time of what cannot run there; more than any sum */

struct weir_blocks {
    int n;
    int64_t *time, *cpu; /* ticks; WEIR_NEVER */
    int64_t *memory;     /* bytes */
    int *pin;            /* accelerator, or -1 */
    int *of_node;        /* [graph nodes]: block of each node */

    int n_nets, n_members;
    int64_t *net_cost;            /* > 0 */
    int *net_first, *net_block;   /* blocks of net e: net_block[net_first[e] .. net_first[e + 1]), ascending */
    int *block_first, *block_net; /* nets of a block */

    int *succ_first, *succ, *pred_first, *pred; /* the forward order; absent for free placement */

    double tick;        /* time of one tick */
    int64_t total_time; /* of blocks that can run on an accelerator */
    int64_t total_memory;
    bool unsupported; /* some block has time WEIR_NEVER */
};

/* What the plan is for; it decides what may be joined. */
struct weir_blocks_purpose {
    bool contiguous; /* fuse cycles and build the order */
    bool cpus;       /* some part may be on a CPU */
    double memory;   /* cap per accelerator */
};

/* Everything lives in `arena`.  WEIR_ERR_NOFIT: nodes that must share a part are pinned to two accelerators. */
weir_status weir_blocks_build(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                              struct weir_arena *arena, struct weir_blocks *blocks_out);

/* Load of the blocks with inside[b] != 0, on an accelerator.  WEIR_NEVER or more when one cannot run there. */
int64_t weir_blocks_load(const struct weir_blocks *blocks, const unsigned char *inside);

/* A bound for the load of any part that holds block b: each of its nets is paid or taken in whole, and a neighbour's
 * time is shared among the nets that would take it in. */
int64_t weir_blocks_load_bound(const struct weir_blocks *blocks, int block, int *scratch);

#endif
