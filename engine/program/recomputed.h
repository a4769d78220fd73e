/* Which layers are recomputed, from what the user writes, and what that costs.
 *
 * A list has names of layers and shell patterns as fnmatch(3) takes them, separated by commas:
 *
 *     none                      keep all activations (NULL is the same)
 *     full                      every layer
 *     h.*.mlp                   the MLP half of every block
 *     h.[0-5].*,embed           both halves of blocks 0 to 5, and the embedding */
#ifndef WEIR_ENGINE_PROGRAM_RECOMPUTED_H
#define WEIR_ENGINE_PROGRAM_RECOMPUTED_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "include/weir/graph.h"

/* [n_layers] in the arena.  WEIR_ERR_USAGE names an entry that no layer has, with a suggestion or some layers' names. */
weir_status weir_recomputed_layers(const struct weir_graph *graph, const char *list, struct weir_arena *arena,
                                   bool **layers_out);

/* [n_nodes]: the forward of the node runs again in the backward.  As on one stage; where a border between stages spares a
 * layer some of this, that is not seen. */
weir_status weir_replayed_nodes(const struct weir_graph *graph, const bool *layers, struct weir_arena *arena,
                                bool **nodes_out);

/* Add to each layer's cost (weir_layer_cost) that of its replay. */
weir_status weir_replay_costs_add(const struct weir_graph *graph, const bool *layers, struct weir_arena *arena,
                                  double *costs);

#endif
