/* What a stage keeps of a forward until its backward, and what it makes again.
 *
 * A backward reads what its operations declare (input_needs until I, weight_needs until W).  Without recomputation F keeps
 * all of it.  Of a layer that is recomputed F keeps nothing but what other layers read; the nodes whose results the
 * backward of the layer reads, and those that they depend on, are *replayed* at the start of that backward:
 *
 *     layer l, recomputed         F: x ─▶ n0 ─▶ n1 ─▶ n2 ─▶ y      I: n0, n1 again (n2's result is read by nobody), then
 *                                 └ kept                              the backward of n2, n1, n0
 *
 * x is kept because the replay reads it, unless it is the input of the stage, which lies in its slot anyway.  So every
 * layer of a run of recomputed layers starts again from a kept value, and no more than one layer is replayed at a time.
 * A loss is never replayed: nobody reads its value, and the gradient that it leaves is kept from F on. */
#ifndef WEIR_ENGINE_PROGRAM_KEEPS_H
#define WEIR_ENGINE_PROGRAM_KEEPS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "include/weir/graph.h"

enum weir_keep { WEIR_KEEP_NOT, WEIR_KEEP_FOR_I, WEIR_KEEP_FOR_W };

struct weir_keeps_params {
    const struct weir_graph *graph;
    const bool *wants_grad; /* [n_nodes]; NULL: there is no backward, nothing is kept */
    const bool *recompute;  /* [n_layers], or NULL: no layer */
    int first, end;         /* nodes of the stage: whole layers */
};

/* All of [end - first]. */
struct weir_keeps {
    enum weir_keep *values, *saved; /* how long F keeps the node's output and its saved tensor */
    bool *replayed;
};

weir_status weir_keeps_find(const struct weir_keeps_params *params, struct weir_arena *arena,
                            struct weir_keeps *keeps_out);

/* [n_nodes]: the node's output depends on a parameter. */
weir_status weir_gradients_trace(const struct weir_graph *graph, struct weir_arena *arena, bool **wants_grad_out);

/* The node has calls of backward_input, of backward_weight. */
bool weir_node_has_input_backward(const struct weir_graph *graph, const bool *wants_grad, int node);
bool weir_node_has_weight_backward(const struct weir_graph *graph, int node);

#endif
