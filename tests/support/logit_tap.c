#include "tests/support/logit_tap.h"

#include <string.h>

#include "base/arena.h"
#include "kernels/op_rows.h"

static weir_status forward(const struct weir_op_call *call, void *stream)
{
    struct logit_tap *tap = *(struct logit_tap *const *)call->attr;
    memcpy(tap->logits + (int64_t)call->first_sample * tap->per_sample, call->inputs[0].data,
           (size_t)weir_tensor_elements(&call->inputs[0]) * sizeof(float));
    return tap->forward(call, stream);
}

weir_status logit_tap_open(const struct weir_graph *graph, int n_microbatches, struct weir_arena *arena,
                           struct logit_tap *tap)
{
    struct weir_node *nodes;
    struct weir_op *row;
    struct logit_tap **tap_attr;
    const struct weir_op_kernels *kernels = NULL;
    int last = graph->n_nodes - 1;
    const struct weir_shape *logits = &graph->nodes[last].shapes.inputs[0];
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_nodes, sizeof *nodes, &nodes);
    if (!status)
        status = weir_arena_alloc(arena, 1, sizeof *row, &row);
    if (!status)
        status = weir_arena_alloc(arena, 1, sizeof *tap_attr, &tap_attr);
    if (!status)
        status = weir_op_kernels_find(&weir_op_cross_entropy, "cpu", &kernels);
    tap->graph = *graph;
    tap->n = weir_shape_elements(logits) * n_microbatches;
    tap->per_sample = logits->dims[1] * logits->dims[2];
    if (!status)
        status = weir_arena_alloc(arena, (size_t)tap->n, sizeof(float), &tap->logits);
    if (status)
        return status;
    memcpy(nodes, graph->nodes, (size_t)graph->n_nodes * sizeof *nodes);
    *row = weir_op_cross_entropy;
    row->cpu = *kernels;
    row->cpu.forward = forward;
    row->attr_bytes = sizeof *tap_attr;
    *tap_attr = tap;
    tap->forward = kernels->forward;
    nodes[last].op = row;
    nodes[last].shapes.attr = tap_attr;
    tap->graph.nodes = nodes;
    return WEIR_OK;
}
