#include "engine/run/inputs.h"

#include <string.h>

#include "engine/run/transfer.h"
#include "kernels/op_rows.h"

weir_status weir_input_find(const struct weir_graph *graph, const char *name, int *input_out)
{
    for (int i = 0; i < graph->n_inputs; i++)
        if (!strcmp(graph->inputs[i].name, name)) {
            *input_out = i;
            return WEIR_OK;
        }
    return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has no input '%s'", graph->name, name);
}

/* The size of the vocabulary that the node looks `input` up in; 0: it does not. */
static int64_t vocabulary_of(const struct weir_node *node, int input)
{
    for (int i = 0; i < node->shapes.n_inputs; i++) {
        if (!weir_value_is_input(node->inputs[i]) || weir_value_input(node->inputs[i]) != input)
            continue;
        if (node->op == &weir_op_embedding)
            return node->shapes.params[0].dims[0];
        if (node->op == &weir_op_cross_entropy && i == 1)
            return node->shapes.inputs[0].dims[node->shapes.inputs[0].n_dims - 1];
    }
    return 0;
}

weir_status weir_input_check(const struct weir_graph *graph, int input, const void *data)
{
    const int32_t *numbers = data;
    int64_t n = weir_shape_elements(&graph->inputs[input].shape);
    for (int k = 0; k < graph->n_nodes && graph->inputs[input].shape.dtype == WEIR_DTYPE_I32; k++) {
        int64_t vocabulary = vocabulary_of(&graph->nodes[k], input);
        for (int64_t i = 0; i < n && vocabulary; i++)
            if (numbers[i] < 0 || numbers[i] >= vocabulary)
                return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': input '%s' has %d at %lld, it must be from 0 to %lld",
                                 graph->nodes[k].name, graph->inputs[input].name, (int)numbers[i], (long long)i,
                                 (long long)vocabulary - 1);
    }
    return WEIR_OK;
}

/* Of (samples, positions, ..) the positions of each slice follow each other, sample by sample. */
static weir_status slices_push(struct weir_rank *rank, const struct weir_build *build, int input, size_t offset, const char *data)
{
    const struct weir_shape *whole = &build->graph->inputs[input].shape;
    size_t row = weir_shape_bytes(whole) / (size_t)whole->dims[0], position = row / (size_t)whole->dims[1], before = 0;
    weir_status status = WEIR_OK;
    for (int k = 0; k < build->program->n_slices; k++) {
        size_t bytes = position * (size_t)build->slices[k]->inputs[input].shape.dims[1];
        for (int64_t sample = 0; sample < whole->dims[0] && !status; sample++, offset += bytes)
            status = weir_push(rank, WEIR_MEMORY_DATA, offset, data + (size_t)sample * row + before, bytes);
        before += bytes;
    }
    return status;
}

weir_status weir_input_push(struct weir_runner *runner, int input, int replica, int mb, const void *data)
{
    const struct weir_build *build = &runner->build;
    const struct weir_shape *shape = &build->graph->inputs[input].shape;
    bool same_type = shape->dtype == build->config.graph->inputs[input].shape.dtype;
    size_t bytes = weir_shape_bytes(shape), stride = (bytes + 63) / 64 * 64;
    weir_status status = WEIR_OK;
    for (int r = 0; r < build->program->n_ranks && !status; r++) {
        struct weir_rank *rank = weir_rank_at(&runner->machine, replica, r);
        size_t offset = build->program->ranks[r].input_offsets[input];
        if (offset == SIZE_MAX || !weir_rank_is_here(rank))
            continue;
        offset += stride * (size_t)mb;
        status = build->slices ? slices_push(rank, build, input, offset, data)
                 : same_type ? weir_push(rank, WEIR_MEMORY_DATA, offset, data, bytes)
                           : weir_push_bf16(rank, WEIR_MEMORY_DATA, offset, data, weir_shape_elements(shape));
    }
    return status;
}
