/* Edges: what crosses from rank to rank, and in which order.
 *
 * An edge is a directed pair of ranks, a FIFO; its messages stand in the order of the sender's list.  A message is
 * named by its receive, 3RECV_F1 or 1RECV_B0, because that says whose input or gradient it is; between stages that are no
 * neighbours the boundary's row stands in place of the stage (weir_scan_row).
 *
 *     rank 0:  0F0 0F1 2F0 ...      edge 0 → 1:  1RECV_F0 1RECV_F1 3RECV_F0 ...                                       */
#ifndef WEIR_SCHEDULES_CHECK_EDGES_H
#define WEIR_SCHEDULES_CHECK_EDGES_H

#include "schedules/check/scan.h"

struct weir_schedule_edge {
    int from, to;
    int next_out;                 /* next edge that leaves `from`, -1 at the end */
    struct weir_action *messages; /* receives, in the order of the sends */
    size_t n_messages;
};

struct weir_schedule_edges {
    struct weir_schedule_edge *edges;
    int n_edges;
    int *first_out; /* [n_ranks]: first edge that leaves the rank, -1 */
};

/* Collect the messages of a scanned schedule: those of its SEND actions, or what follows from its compute actions when
 * it has no communication.  WEIR_ERR_NOMEM. */
weir_status weir_schedule_edges_build(const struct weir_scan *scan, struct weir_arena *arena,
                                      struct weir_schedule_edges *out);

/* The edge between two ranks, or -1. */
static inline int weir_schedule_edge_find(const struct weir_schedule_edges *edges, int from, int to)
{
    int e = edges->first_out[from];
    while (e >= 0 && edges->edges[e].to != to)
        e = edges->edges[e].next_out;
    return e;
}

/* Compare the order of the receives in the lists with that of the sends.  WEIR_ERR_INVALID names the first difference.
 * */
weir_status weir_schedule_edges_match(const struct weir_scan *scan, const struct weir_schedule_edges *edges,
                                      struct weir_arena *arena);

#endif
