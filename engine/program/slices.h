/* Slices of sequences: where a micro-batch is cut, and the graphs of its parts.
 *
 *     k = 3      ├─────────────┼──────────┼────────┤ T       position t costs r + c (t + 1): its linear work, and attention
 *                      0            1         2              to t + 1 keys; every slice costs the same */
#ifndef WEIR_ENGINE_PROGRAM_SLICES_H
#define WEIR_ENGINE_PROGRAM_SLICES_H

#include "base/arena.h"
#include "include/weir/graph.h"

/* first_out[0 .. n_slices]: where slice i begins; slices cost about the same by the graph's estimate.  WEIR_ERR_INVALID: fewer
 * positions than slices. */
weir_status weir_slices_cut(const struct weir_graph *graph, int n_slices, struct weir_arena *arena, const int64_t **first_out);

/* The graphs of the slices, [n_slices].  WEIR_ERR_INVALID as above; WEIR_ERR_UNSUPPORTED: the model cannot be cut
 * (weir_graph_slice). */
weir_status weir_slices_build(const struct weir_graph *graph, int n_slices, struct weir_arena *arena,
                              const struct weir_graph *const **graphs_out);

#endif
