/* Arranging: which device plays which rank of which replica, and how fast the links between them are then.
 *
 * Two ways to deal devices out are weighed, in the order of the tree, where neighbours have fast links:
 *
 *     pipelines together     replica 0: ranks 0 1 2 3 | replica 1: ranks 0 1 2 3      transfers stay near, reductions go far
 *     replicas together      rank 0: replicas 0 1 | rank 1: replicas 0 1 | ...        reductions stay near, transfers go far
 *
 * The one whose transfers and reductions of a step take less time is taken.  All boundaries of all replicas are taken to send at
 * the same time, and so are all rings of reductions: they share the links on which they meet.  Where devices differ, the
 * fastest are used.  Within a pipeline ranks are then placed so that the sum of bytes over rates is least: exactly for up to
 * WEIR_PLACE_EXACT ranks, else by turning round stretches of the row until nothing gets better. */
#ifndef WEIR_PARTITIONER_TOPOLOGY_ARRANGE_H
#define WEIR_PARTITIONER_TOPOLOGY_ARRANGE_H

#include "partitioner/topology/topology_tree.h"

enum { WEIR_PLACE_EXACT = 8 };

/* Of a step. */
struct weir_traffic {
    double transfer_bytes; /* over each boundary of two ranks, both directions together */
    double n_transfers;    /* how many of these */
    double reduce_bytes;   /* gradients of each rank */
    bool wraps;            /* the last rank sends to the first, too */
};

struct weir_arrangement {
    int n_ranks, n_replicas;
    const int *device_of;      /* [n_replicas × n_ranks]: index of the topology's device, replica by replica */
    bool replicas_together;
    const struct weir_topology_path *to_next; /* [n_ranks]: from a rank to the next, the slowest of all replicas; the last: to the first */
    struct weir_topology_path ring;           /* of the rank whose reduction is slowest */
    const double *speed, *memory;             /* [n_ranks]: of the rank's slowest and of its smallest device */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Everything in *out lives in `arena`.  WEIR_ERR_USAGE: fewer devices than n_ranks × n_replicas. */
weir_status weir_arrange(const struct weir_topology *topology, const struct weir_traffic *traffic, int n_ranks, int n_replicas,
                         struct weir_arena *arena, struct weir_arrangement *out);

/* The sum over boundaries of bytes over rate, and latencies: what placing makes small.  Seconds. */
double weir_place_cost(const struct weir_topology *topology, const struct weir_traffic *traffic, const int *devices, int n_ranks);

/* Put the best n_ranks of `devices` [n] first, in the order of ranks.  With n > n_ranks some stay out. */
void weir_place(const struct weir_topology *topology, const struct weir_traffic *traffic, int *devices, int n, int n_ranks);

#ifdef __cplusplus
}
#endif

#endif
