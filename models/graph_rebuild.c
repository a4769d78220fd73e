/* The same graph for another number of samples, another storage type or a part of its positions: what its builder did is done
 * again. */
#include <inttypes.h>

#include "include/weir/graph.h"
#include "models/graph_making.h"

/* What the new graph has in place of the old one's. */
struct change {
    int64_t microbatch_size;
    enum weir_dtype storage;
    int64_t first, length, whole; /* positions, of how many; length 0: all that the old one has */
};

static struct weir_shape shape_changed(const struct weir_graph *graph, struct weir_shape shape, const struct change *change)
{
    shape.dims[0] = change->microbatch_size;
    if (change->length)
        shape.dims[1] = change->length;
    shape.dtype = shape.dtype == graph->storage ? change->storage : shape.dtype;
    return shape;
}

static weir_status rebuild(const struct weir_graph *graph, const struct change *change, struct weir_arena *arena,
                           const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, graph->name, arena);
    if (!b.making)
        return WEIR_ERR_NOMEM;
    b.making->graph.storage = change->storage;
    b.making->graph.first_position = change->first;
    b.making->graph.n_positions = change->whole;
    weir_graph_hf(&b, graph->hf_config, graph->hf_prefix);
    for (int i = 0; i < graph->n_inputs; i++)
        weir_graph_input(&b, graph->inputs[i].name, shape_changed(graph, graph->inputs[i].shape, change));
    for (int i = 0; i < graph->n_params; i++) { /* all first, so that they keep their numbers */
        const struct weir_param *param = &graph->params[i];
        weir_graph_param(&b, param->name, param->init, param->scale, param->decay);
        weir_graph_param_sizes(&b, i, param->sizes);
    }
    for (int n = 0; n < graph->n_nodes; n += graph->nodes[n].shapes.n_outputs) {
        const struct weir_node *node = &graph->nodes[n];
        if (n == graph->layers[node->layer].first_node)
            weir_graph_layer(&b, graph->layers[node->layer].name);
        weir_graph_node(&b, node->name, node->op, node->shapes.attr, node->op->attr_bytes, node->shapes.n_inputs, node->inputs,
                        node->shapes.n_params, node->params);
    }
    return graph->n_targets ? weir_graph_finish(&b, graph_out) : weir_graph_finish_forward(&b, graph_out);
}

weir_status weir_graph_resize(const struct weir_graph *graph, int64_t microbatch_size, struct weir_arena *arena,
                              const struct weir_graph **graph_out)
{
    struct change change = {microbatch_size, graph->storage, graph->first_position, 0, graph->n_positions};
    return rebuild(graph, &change, arena, graph_out);
}

weir_status weir_graph_cast(const struct weir_graph *graph, enum weir_dtype storage, struct weir_arena *arena,
                            const struct weir_graph **graph_out)
{
    if (storage != WEIR_DTYPE_F32 && storage != WEIR_DTYPE_BF16)
        return WEIR_FAIL(WEIR_ERR_INVALID, "values of graph '%s' can be f32 or bf16, not dtype %d", graph->name, (int)storage);
    struct change change = {graph->microbatch_size, storage, graph->first_position, 0, graph->n_positions};
    return rebuild(graph, &change, arena, graph_out);
}

/* Every input is (samples, positions, ..) with the same positions, and every row knows slices. */
static weir_status slices_check(const struct weir_graph *graph)
{
    for (int i = 0; i < graph->n_inputs; i++) {
        const struct weir_shape *shape = &graph->inputs[i].shape;
        if (shape->n_dims < 2 || shape->dims[1] != graph->inputs[0].shape.dims[1])
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model '%s' has no sequences to cut into slices: its input '%s' has no positions",
                             graph->name, graph->inputs[i].name);
    }
    for (int n = 0; n < graph->n_nodes; n++)
        if (!(graph->nodes[n].op->flags & WEIR_OP_SLICES))
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "node '%s' cannot work on slices of a sequence: operation '%s' lacks the flag "
                             "WEIR_OP_SLICES", graph->nodes[n].name, graph->nodes[n].op->name);
    return WEIR_OK;
}

weir_status weir_graph_slice(const struct weir_graph *graph, int64_t first, int64_t length, struct weir_arena *arena,
                             const struct weir_graph **graph_out)
{
    weir_status status = slices_check(graph);
    int64_t whole = graph->inputs[0].shape.dims[1];
    if (!status && (first < 0 || length < 1 || first > whole - length))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "a slice of %" PRId64 " positions from %" PRId64 " on does not fit sequences of %" PRId64,
                           length, first, whole);
    struct change change = {graph->microbatch_size, graph->storage, first, length, whole};
    return status ? status : rebuild(graph, &change, arena, graph_out);
}
