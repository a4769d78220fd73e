/* Trips: where values go when a graph is cut into stages.
 *
 * A value that later stages read goes from the stage that makes it to the first of these, from there to the next that reads
 * it, and so on; its gradient comes back the same way, each reader adding its own part.  A stage between that does not read it
 * never has it.
 *
 *     made by stage 0, read by stages 2 and 5        0 ──▶ 2 ──▶ 5        not by way of 1, 3 and 4
 *
 * So every reader gets one copy, by one transfer, whatever the schedule. */
#ifndef WEIR_ENGINE_PROGRAM_TRIPS_H
#define WEIR_ENGINE_PROGRAM_TRIPS_H

#include "base/arena.h"
#include "include/weir/graph.h"

struct weir_trip {
    int from, to; /* stages, from < to */
    int value;
};

/* All of them, by `to`, then `from`, then value.  `first_layer`, [n_stages + 1], is a partition of the graph's layers. */
weir_status weir_trips_find(const struct weir_graph *graph, const int *first_layer, int n_stages, struct weir_arena *arena,
                            const struct weir_trip **trips_out, int *n_out);

#endif
