/* The arrays of a graph, entry by entry, for programs with other headers than the library: include/weir/graph.h. */
#include "base/grown.h"
#include "include/weir/graph.h"

static weir_status there(const char *what, int index, int n)
{
    return index >= 0 && index < n ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INVALID, "there is no %s %d, the graph has %d", what, index, n);
}

weir_status weir_graph_node_get_sized(const struct weir_graph *graph, int index, struct weir_node_info *out, size_t bytes)
{
    weir_status status = there("node", index, graph->n_nodes);
    if (status)
        return status;
    const struct weir_node *node = &graph->nodes[index];
    const struct weir_node_info own = {.name = node->name, .op = node->op->name, .layer = node->layer, .output = &node->shapes.output,
                                       .n_inputs = node->shapes.n_inputs, .n_params = node->shapes.n_params,
                                       .inputs = node->inputs, .params = node->params, .attr = node->shapes.attr, .attr_bytes = node->op->attr_bytes,
                                       .n_outputs = node->shapes.n_outputs, .part = node->part};
    weir_grown_give(&own, sizeof own, out, bytes);
    return WEIR_OK;
}

weir_status weir_graph_param_get_sized(const struct weir_graph *graph, int index, struct weir_param *out, size_t bytes)
{
    weir_status status = there("parameter", index, graph->n_params);
    if (!status)
        weir_grown_give(&graph->params[index], sizeof *graph->params, out, bytes);
    return status;
}

weir_status weir_graph_layer_get_sized(const struct weir_graph *graph, int index, struct weir_layer *out, size_t bytes)
{
    weir_status status = there("layer", index, graph->n_layers);
    if (!status)
        weir_grown_give(&graph->layers[index], sizeof *graph->layers, out, bytes);
    return status;
}

weir_status weir_graph_input_get_sized(const struct weir_graph *graph, int index, struct weir_graph_input *out, size_t bytes)
{
    weir_status status = there("input", index, graph->n_inputs);
    if (!status)
        weir_grown_give(&graph->inputs[index], sizeof *graph->inputs, out, bytes);
    return status;
}
