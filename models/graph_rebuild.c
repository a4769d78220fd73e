/* The same graph for another number of samples or another storage type: what its builder did is done again. */
#include "models/graph.h"

static weir_status rebuild(const struct weir_graph *graph, int64_t microbatch_size, enum weir_dtype storage,
                           struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, graph->name, arena);
    b.graph.storage = storage;
    b.graph.hf_config = graph->hf_config;
    b.graph.hf_prefix = graph->hf_prefix;
    for (int i = 0; i < graph->n_inputs; i++) {
        struct weir_shape shape = graph->inputs[i].shape;
        shape.dims[0] = microbatch_size;
        shape.dtype = shape.dtype == graph->storage ? storage : shape.dtype;
        weir_graph_input(&b, graph->inputs[i].name, shape);
    }
    for (int i = 0; i < graph->n_params; i++) { /* all first, so that they keep their numbers */
        const struct weir_param *param = &graph->params[i];
        weir_graph_param(&b, param->name, param->init, param->scale, param->decay);
        weir_graph_param_sizes(&b, i, param->sizes);
    }
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_node *node = &graph->nodes[n];
        if (n == graph->layers[node->layer].first_node)
            weir_graph_layer(&b, graph->layers[node->layer].name);
        weir_graph_node(&b, node->name, node->op, &node->attr, node->shapes.n_inputs, node->inputs,
                        node->shapes.n_params, node->params);
    }
    return graph->n_targets ? weir_graph_finish(&b, graph_out) : weir_graph_finish_forward(&b, graph_out);
}

weir_status weir_graph_resize(const struct weir_graph *graph, int64_t microbatch_size, struct weir_arena *arena,
                              const struct weir_graph **graph_out)
{
    return rebuild(graph, microbatch_size, graph->storage, arena, graph_out);
}

weir_status weir_graph_cast(const struct weir_graph *graph, enum weir_dtype storage, struct weir_arena *arena,
                            const struct weir_graph **graph_out)
{
    if (storage != WEIR_DTYPE_F32 && storage != WEIR_DTYPE_BF16)
        return WEIR_FAIL(WEIR_ERR_INVALID, "values of graph '%s' can be f32 or bf16, not dtype %d", graph->name, (int)storage);
    return rebuild(graph, graph->microbatch_size, storage, arena, graph_out);
}
