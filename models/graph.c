#include "models/graph.h"

#include <string.h>

void weir_graph_begin(struct weir_graph_builder *b, const char *name, struct weir_arena *arena)
{
    memset(b, 0, sizeof *b);
    b->arena = arena;
    b->status = weir_arena_strdup(arena, name, &b->graph.name);
}

int weir_graph_input(struct weir_graph_builder *b, const char *name, struct weir_shape shape)
{
    if (!b->status)
        b->status = weir_arena_grow(b->arena, &b->inputs, &b->input_room, (size_t)b->graph.n_inputs + 1, sizeof *b->inputs);
    if (!b->status && (shape.n_dims < 1 || weir_shape_elements(&shape) < 1))
        b->status = WEIR_FAIL(WEIR_ERR_INVALID, "input '%s' is empty: every dimension must be at least 1", name);
    if (!b->status && b->graph.n_inputs && shape.dims[0] != b->inputs[0].shape.dims[0])
        b->status = WEIR_FAIL(WEIR_ERR_INVALID, "input '%s' has %lld samples, input '%s' has %lld", name,
                              (long long)shape.dims[0], b->inputs[0].name, (long long)b->inputs[0].shape.dims[0]);
    if (b->status)
        return 0;
    struct weir_graph_input *input = &b->inputs[b->graph.n_inputs];
    input->shape = shape;
    b->status = weir_arena_strdup(b->arena, name, &input->name);
    return weir_input_value(b->graph.n_inputs++);
}

void weir_graph_layer(struct weir_graph_builder *b, const char *name)
{
    if (!b->status)
        b->status = weir_arena_grow(b->arena, &b->layers, &b->layer_room, (size_t)b->graph.n_layers + 1, sizeof *b->layers);
    if (b->status)
        return;
    struct weir_layer *layer = &b->layers[b->graph.n_layers];
    *layer = (struct weir_layer){.first_node = b->graph.n_nodes};
    b->status = weir_arena_strdup(b->arena, name, &layer->name);
    b->graph.n_layers++;
}

int weir_graph_param(struct weir_graph_builder *b, const char *name, enum weir_init init, double scale, bool decay)
{
    if (b->status)
        return 0;
    for (int i = 0; i < b->graph.n_params; i++)
        if (!strcmp(b->params[i].name, name))
            return i;
    b->status = weir_arena_grow(b->arena, &b->params, &b->param_room, (size_t)b->graph.n_params + 1, sizeof *b->params);
    if (b->status)
        return 0;
    struct weir_param *param = &b->params[b->graph.n_params];
    *param = (struct weir_param){.init = init, .scale = scale, .decay = decay, .first_node = -1};
    b->status = weir_arena_strdup(b->arena, name, &param->name);
    return b->graph.n_params++;
}

static weir_status param_bind(struct weir_graph_builder *b, struct weir_node *node, int slot)
{
    struct weir_param *param = &b->params[node->params[slot]];
    const struct weir_shape *shape = &node->shapes.params[slot];
    if (param->n_uses == 0) {
        param->shape = *shape;
        param->shape.dtype = WEIR_DTYPE_F32;
        param->first_node = b->graph.n_nodes;
    } else if (param->shape.n_dims != shape->n_dims ||
               memcmp(param->shape.dims, shape->dims, sizeof shape->dims[0] * (size_t)shape->n_dims)) {
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' uses parameter '%s' with another shape than node '%s' does",
                         node->name, param->name, b->nodes[param->first_node].name);
    }
    param->n_uses++;
    return WEIR_OK;
}

/* Rows of embedding programs may not know of storage types, and infer f32 whatever they are asked for. */
static weir_status storage_check(const struct weir_node *node)
{
    const struct weir_op_shapes *shapes = &node->shapes;
    bool fine = shapes->output.dtype != WEIR_DTYPE_F32 || shapes->storage == WEIR_DTYPE_F32;
    for (int i = 0; i < shapes->n_params; i++)
        fine = fine && shapes->params[i].dtype == shapes->storage;
    if (fine)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': operation '%s' is for f32 alone", node->name, node->op->name);
}

static weir_status node_add(struct weir_graph_builder *b, const char *name, const struct weir_op *op,
                            const struct weir_op_attr *attr, int n_inputs, const int *inputs, int n_params,
                            const int *params)
{
    if (!b->graph.n_layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' stands before the first layer", name);
    if (op->struct_bytes != sizeof *op)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': operation '%s' has %zu bytes, this library's rows have %zu: rebuild",
                         name, op->name, op->struct_bytes, sizeof *op);
    if (n_inputs > WEIR_OP_INPUTS || n_params > WEIR_OP_PARAMS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' has more than %d inputs or %d parameters", name, WEIR_OP_INPUTS,
                         WEIR_OP_PARAMS);
    weir_status status = weir_arena_grow(b->arena, &b->nodes, &b->node_room, (size_t)b->graph.n_nodes + 1, sizeof *b->nodes);
    if (status)
        return status;
    struct weir_node *node = &b->nodes[b->graph.n_nodes];
    memset(node, 0, sizeof *node);
    node->op = op;
    node->layer = b->graph.n_layers - 1;
    if (attr)
        node->attr = *attr;
    node->shapes.attr = &node->attr;
    node->shapes.storage = b->graph.storage;
    node->shapes.n_inputs = n_inputs;
    for (int i = 0; i < n_inputs; i++) {
        for (int k = 0; k < i && !(op->flags & WEIR_OP_SUM); k++)
            if (inputs[k] == inputs[i])
                return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' takes the same value twice", name);
        node->inputs[i] = inputs[i];
        node->shapes.inputs[i] = weir_value_is_input(inputs[i]) ? b->inputs[weir_value_input(inputs[i])].shape
                                                                : b->nodes[inputs[i]].shapes.output;
    }
    status = weir_arena_strdup(b->arena, name, &node->name);
    if (!status && (status = op->infer(&node->shapes)))
        return weir_error_prefix(status, "node '%s': ", name);
    if (!status && node->shapes.n_params != n_params)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s takes %d parameters here, not %d", name, op->name,
                         node->shapes.n_params, n_params);
    for (int i = 0; !status && i < n_params; i++) {
        node->params[i] = params[i];
        status = param_bind(b, node, i);
    }
    return status ? status : storage_check(node);
}

int weir_graph_node(struct weir_graph_builder *b, const char *name, const struct weir_op *op,
                    const struct weir_op_attr *attr, int n_inputs, const int *inputs, int n_params, const int *params)
{
    if (!b->status)
        b->status = node_add(b, name, op, attr, n_inputs, inputs, n_params, params);
    if (b->status)
        return 0;
    return b->graph.n_nodes++;
}

/* ---- checks -------------------------------------------------------------------------------------------------------- */

/* The value that the nodes from `first` on take from before it; -1 (an input's value) stands for none yet. */
static weir_status border_check(const struct weir_graph *graph, struct weir_layer *layer)
{
    int first = layer->first_node, crossing = -1;
    for (int n = first; n < graph->n_nodes; n++)
        for (int i = 0; i < graph->nodes[n].shapes.n_inputs; i++) {
            int value = graph->nodes[n].inputs[i];
            if (weir_value_is_input(value) || value >= first || value == crossing)
                continue;
            if (crossing >= 0)
                return WEIR_FAIL(WEIR_ERR_INVALID,
                                 "values '%s' and '%s' both cross into layer '%s': a border may be crossed by one value, "
                                 "join the layers",
                                 graph->nodes[crossing].name, graph->nodes[value].name, layer->name);
            crossing = value;
        }
    if (crossing < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "layer '%s' takes nothing from the layers before it", layer->name);
    layer->input = crossing;
    return WEIR_OK;
}

static bool value_used(const struct weir_graph *graph, int value)
{
    for (int n = 0; n < graph->n_nodes; n++)
        for (int i = 0; i < graph->nodes[n].shapes.n_inputs; i++)
            if (graph->nodes[n].inputs[i] == value)
                return true;
    return false;
}

static weir_status nodes_check(const struct weir_graph *graph, bool forward)
{
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_node *node = &graph->nodes[n];
        bool last = n == graph->n_nodes - 1, loss = node->op->flags & WEIR_OP_LOSS;
        if (forward && loss)
            return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' is a loss in a graph that is run forwards only", node->name);
        if (!forward && last != loss)
            return WEIR_FAIL(WEIR_ERR_INVALID, last ? "the last node '%s' is not a loss"
                                                    : "node '%s' is a loss, but not the last node", node->name);
        if (!last && !value_used(graph, n))
            return WEIR_FAIL(WEIR_ERR_INVALID, "the output of node '%s' is never used", node->name);
    }
    for (int i = 0; i < graph->n_inputs; i++)
        if (!value_used(graph, weir_input_value(i)))
            return WEIR_FAIL(WEIR_ERR_INVALID, "input '%s' is never used", graph->inputs[i].name);
    for (int i = 0; i < graph->n_params; i++)
        if (!graph->params[i].n_uses)
            return WEIR_FAIL(WEIR_ERR_INVALID, "parameter '%s' is never used", graph->params[i].name);
    return WEIR_OK;
}

static weir_status finish(struct weir_graph_builder *b, bool forward, const struct weir_graph **graph_out)
{
    if (b->status)
        return b->status;
    struct weir_graph *graph;
    weir_status status = weir_arena_alloc(b->arena, 1, sizeof *graph, &graph);
    if (status)
        return status;
    *graph = b->graph;
    graph->nodes = b->nodes;
    graph->params = b->params;
    graph->layers = b->layers;
    graph->inputs = b->inputs;
    if (!graph->n_nodes || !graph->n_inputs)
        return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has no nodes or no inputs", graph->name);
    for (int n = 0; n < graph->n_nodes; n++) /* the array may have moved since infer() */
        b->nodes[n].shapes.attr = &b->nodes[n].attr;
    for (int l = 0; l < graph->n_layers; l++) {
        int end = l + 1 < graph->n_layers ? b->layers[l + 1].first_node : graph->n_nodes;
        b->layers[l].n_nodes = end - b->layers[l].first_node;
        if (!b->layers[l].n_nodes)
            return WEIR_FAIL(WEIR_ERR_INVALID, "layer '%s' has no nodes", b->layers[l].name);
        if (l > 0 && (status = border_check(graph, &b->layers[l])))
            return status;
    }
    status = nodes_check(graph, forward);
    if (status)
        return status;
    graph->microbatch_size = graph->inputs[0].shape.dims[0];
    const struct weir_shape *predicted = &graph->nodes[graph->n_nodes - 1].shapes.inputs[0];
    graph->n_targets = forward ? 0 : weir_shape_elements(predicted) / predicted->dims[predicted->n_dims - 1];
    *graph_out = graph;
    return WEIR_OK;
}

weir_status weir_graph_finish(struct weir_graph_builder *b, const struct weir_graph **graph_out)
{
    return finish(b, false, graph_out);
}

weir_status weir_graph_finish_forward(struct weir_graph_builder *b, const struct weir_graph **graph_out)
{
    return finish(b, true, graph_out);
}

const struct weir_shape *weir_graph_shape(const struct weir_graph *graph, int value)
{
    return weir_value_is_input(value) ? &graph->inputs[weir_value_input(value)].shape
                                      : &graph->nodes[value].shapes.output;
}

double weir_node_cost(const struct weir_graph *graph, int node, enum weir_pass pass)
{
    double flops = graph->nodes[node].shapes.flops[pass], traffic = 8 * graph->nodes[node].shapes.bytes[pass];
    return flops > traffic ? flops : traffic;
}

double weir_layer_cost(const struct weir_graph *graph, int layer)
{
    const struct weir_layer *l = &graph->layers[layer];
    double cost = 0;
    for (int n = l->first_node; n < l->first_node + l->n_nodes; n++)
        for (int pass = 0; pass < WEIR_PASSES; pass++)
            cost += weir_node_cost(graph, n, (enum weir_pass)pass);
    return cost;
}

int64_t weir_graph_n_elements(const struct weir_graph *graph)
{
    int64_t n = 0;
    for (int i = 0; i < graph->n_params; i++)
        n += weir_shape_elements(&graph->params[i].shape);
    return n;
}
