#include "base/arena.h"
#include "include/weir/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/grown.h"
#include "kernels/infer.h"
#include "kernels/op_rows.h"
#include "models/graph_making.h"

/* A tensor or a sum that counts more is no model but a wrong number; bytes of a few such sums still fit into 64 bits. */
static const int64_t MOST_ELEMENTS = (int64_t)1 << 56;

static weir_status name_check(const char *name, const char *what)
{
    return name && *name ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INVALID, "a %s has no name", what);
}

/* Whatever a program fills a shape with, it can be printed and multiplied afterwards. */
static weir_status shape_check(const struct weir_shape *shape, const char *what, const char *name)
{
    char text[WEIR_SHAPE_TEXT];
    if (shape->n_dims < 0 || shape->n_dims > WEIR_MAX_DIMS || (unsigned)shape->dtype > WEIR_DTYPE_BF16)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s '%s' has %d dimensions of dtype %d, a shape has at most %d of a known "
                         "dtype", what,
                         name, shape->n_dims, (int)shape->dtype, WEIR_MAX_DIMS);
    for (int i = 0; i < shape->n_dims; i++)
        if (shape->dims[i] < 1)
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s '%s' is %s: every dimension must be at least 1", what, name,
                             weir_shape_str(shape, text));
    if (weir_shape_elements(shape) > MOST_ELEMENTS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s '%s' is %s: more than 2^56 elements cannot be", what, name,
                         weir_shape_str(shape, text));
    return WEIR_OK;
}

void weir_graph_begin(struct weir_graph_builder *builder, const char *name, struct weir_arena *arena)
{
    struct weir_graph_making *b;
    builder->making = NULL;
    if (weir_arena_alloc(arena, 1, sizeof *b, &b))
        return;
    builder->making = b;
    b->arena = arena;
    b->status = name_check(name, "graph");
    if (!b->status)
        b->status = weir_arena_strdup(arena, name, &b->graph.name);
}

weir_status weir_graph_status(const struct weir_graph_builder *builder)
{
    return builder->making ? builder->making->status : WEIR_ERR_NOMEM;
}

void weir_graph_hf(struct weir_graph_builder *builder, const char *hf_config, const char *hf_prefix)
{
    if (weir_graph_status(builder))
        return;
    builder->making->graph.hf_config = hf_config;
    builder->making->graph.hf_prefix = hf_prefix;
}

static weir_status input_check(const struct weir_graph_making *b, const char *name, const struct weir_shape *shape)
{
    weir_status status = name_check(name, "graph input");
    if (!status)
        status = shape_check(shape, "input", name);
    if (!status && shape->n_dims < 1)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "input '%s' has no dimensions: the first one is the sample", name);
    if (!status && b->graph.n_inputs && shape->dims[0] != b->inputs[0].shape.dims[0])
        status = WEIR_FAIL(WEIR_ERR_INVALID, "input '%s' has %lld samples, input '%s' has %lld", name,
                           (long long)shape->dims[0], b->inputs[0].name, (long long)b->inputs[0].shape.dims[0]);
    return status;
}

int weir_graph_input(struct weir_graph_builder *builder, const char *name, struct weir_shape shape)
{
    struct weir_graph_making *b = builder->making;
    if (!b)
        return 0;
    if (!b->status)
        b->status = input_check(b, name, &shape);
    if (!b->status)
        b->status = weir_arena_grow(b->arena, &b->inputs, &b->input_room, (size_t)b->graph.n_inputs + 1, sizeof *b->inputs);
    if (b->status)
        return 0;
    struct weir_graph_input *input = &b->inputs[b->graph.n_inputs];
    input->shape = shape;
    b->status = weir_arena_strdup(b->arena, name, &input->name);
    return weir_input_value(b->graph.n_inputs++);
}

void weir_graph_layer(struct weir_graph_builder *builder, const char *name)
{
    struct weir_graph_making *b = builder->making;
    if (!b)
        return;
    if (!b->status)
        b->status = name_check(name, "layer");
    if (!b->status)
        b->status = weir_arena_grow(b->arena, &b->layers, &b->layer_room, (size_t)b->graph.n_layers + 1, sizeof *b->layers);
    if (b->status)
        return;
    struct weir_layer *layer = &b->layers[b->graph.n_layers];
    *layer = (struct weir_layer){.first_node = b->graph.n_nodes};
    b->status = weir_arena_strdup(b->arena, name, &layer->name);
    b->graph.n_layers++;
}

static weir_status param_check(const char *name, enum weir_init init, double scale)
{
    weir_status status = name_check(name, "parameter");
    if (!status && init != WEIR_INIT_NORMAL && init != WEIR_INIT_CONSTANT)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "parameter '%s' has initial values of kind %d, there are normal and "
                           "constant", name,
                           (int)init);
    if (!status && !isfinite(scale))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "parameter '%s' has the scale %g, a number is needed", name, scale);
    return status;
}

int weir_graph_param(struct weir_graph_builder *builder, const char *name, enum weir_init init, double scale, bool decay)
{
    struct weir_graph_making *b = builder->making;
    if (!b)
        return 0;
    if (!b->status)
        b->status = param_check(name, init, scale);
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

void weir_graph_param_sizes(struct weir_graph_builder *builder, int param, const char *sizes)
{
    struct weir_graph_making *b = builder->making;
    if (!b)
        return;
    if (!b->status && (param < 0 || param >= b->graph.n_params))
        b->status = WEIR_FAIL(WEIR_ERR_INVALID, "there is no parameter %d, the graph has %d so far", param, b->graph.n_params);
    if (!b->status && sizes && !b->params[param].sizes)
        b->status = weir_arena_strdup(b->arena, sizes, &b->params[param].sizes);
}

static weir_status param_bind(struct weir_graph_making *b, struct weir_node *node, int slot)
{
    struct weir_param *param = &b->params[node->params[slot]];
    const struct weir_shape *shape = &node->shapes.params[slot];
    weir_status status = shape_check(shape, "parameter", param->name);
    if (status)
        return status;
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
    bool fine = true;
    for (int i = 0; i < shapes->n_outputs; i++)
        fine = fine && (shapes->outputs[i].dtype != WEIR_DTYPE_F32 || shapes->storage == WEIR_DTYPE_F32);
    for (int i = 0; i < shapes->n_params; i++)
        fine = fine && shapes->params[i].dtype == shapes->storage;
    if (fine)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': operation '%s' is for f32 alone", node->name, node->op->name);
}

/* A row of a program that knows another struct is copied into one of this library's, in the arena. */
static weir_status row_take(struct weir_graph_making *b, const char *name, const struct weir_op **op)
{
    struct weir_op *own;
    if (!*op || (*op)->struct_bytes == sizeof *own)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(b->arena, 1, sizeof *own, &own);
    if (!status && weir_grown_take("weir_op", "set struct_bytes to sizeof(struct weir_op)", *op, (*op)->struct_bytes, own, sizeof *own))
        return weir_error_prefix(WEIR_ERR_INVALID, "node '%s': ", name);
    if (status)
        return status;
    own->struct_bytes = sizeof *own;
    *op = own;
    return WEIR_OK;
}

static weir_status row_check(const struct weir_graph_making *b, const char *name, const struct weir_op *op)
{
    weir_status status = name_check(name, "node");
    if (status)
        return status;
    if (!b->graph.n_layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' stands before the first layer", name);
    if (!op)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' has no operation", name);
    if (!op->name || !op->infer)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': the row of operation '%s' has no %s", name, op->name ? op->name : "",
                         op->name ? "infer" : "name");
    if (op->attr_bytes > WEIR_GROWN_MOST)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': the row of operation '%s' has attributes of %zu bytes, at most %d can be", name,
                         op->name, op->attr_bytes, WEIR_GROWN_MOST);
    return WEIR_OK;
}

static weir_status value_check(const struct weir_graph_making *b, const char *name, int slot, int value)
{
    if (!weir_value_is_input(value) && value >= b->graph.n_nodes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': input %d is value %d, the nodes before it are 0 to "
                         "%d", name, slot, value,
                         b->graph.n_nodes - 1);
    if (weir_value_is_input(value) && weir_value_input(value) >= b->graph.n_inputs)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': input %d is input %d of the graph, which has %d so far", name, slot,
                         weir_value_input(value), b->graph.n_inputs);
    return WEIR_OK;
}

/* What the node takes is there: counts, values, parameters. */
static weir_status takes_check(const struct weir_graph_making *b, const char *name, int n_inputs, const int *inputs,
                               int n_params, const int *params)
{
    if (n_inputs > WEIR_OP_INPUTS || n_params > WEIR_OP_PARAMS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' has more than %d inputs or %d parameters", name, WEIR_OP_INPUTS,
                         WEIR_OP_PARAMS);
    if (n_inputs < 0 || n_params < 0 || (n_inputs && !inputs) || (n_params && !params))
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' has %d inputs and %d parameters, of which a list is "
                         "missing", name, n_inputs,
                         n_params);
    weir_status status = WEIR_OK;
    for (int i = 0; i < n_inputs && !status; i++)
        status = value_check(b, name, i, inputs[i]);
    for (int i = 0; i < n_params && !status; i++)
        if (params[i] < 0 || params[i] >= b->graph.n_params)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': parameter %d is number %d, the graph has %d so far", name, i,
                               params[i], b->graph.n_params);
    return status;
}

static void inputs_set(const struct weir_graph_making *b, int n_inputs, const int *inputs, struct weir_node *node)
{
    node->shapes.n_inputs = n_inputs;
    for (int i = 0; i < n_inputs; i++) {
        node->inputs[i] = inputs[i];
        node->shapes.inputs[i] = weir_value_is_input(inputs[i]) ? b->inputs[weir_value_input(inputs[i])].shape
                                                                : b->nodes[inputs[i]].shapes.output;
    }
}

/* A loss has one, and so has a sum, whose inputs get its gradient. */
static weir_status outputs_check(const struct weir_node *node)
{
    const struct weir_op_shapes *shapes = &node->shapes;
    weir_status status = WEIR_OK;
    if (shapes->n_outputs < 1 || shapes->n_outputs > WEIR_OP_OUTPUTS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s has %d outputs, a row has 1 to %d", node->name, node->op->name,
                         shapes->n_outputs, WEIR_OP_OUTPUTS);
    if (shapes->n_outputs > 1 && node->op->flags & (WEIR_OP_LOSS | WEIR_OP_SUM))
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s has %d outputs, a %s has one", node->name, node->op->name,
                         shapes->n_outputs, node->op->flags & WEIR_OP_LOSS ? "loss" : "sum");
    for (int i = 0; i < shapes->n_outputs && !status; i++)
        status = shape_check(&shapes->outputs[i], "node", node->name);
    return status;
}

enum { NOT_SAID = -1 }; /* dimensions of an output that infer did not set */

/* Ask the row, and hold what it says to what can be. */
static weir_status node_infer(struct weir_node *node, int n_params)
{
    const struct weir_op *op = node->op;
    node->shapes.output.n_dims = NOT_SAID;
    weir_error_clear();
    weir_status status = op->infer(&node->shapes);
    if (status && !*weir_last_error())
        WEIR_FAIL(status, "infer of '%s' returned status %d without a message", op->name, (int)status);
    if (status)
        return weir_error_prefix(status, "node '%s': ", node->name);
    node->shapes.n_outputs = weir_infer_n_outputs(&node->shapes);
    for (int i = 0; i < node->shapes.n_outputs && i < WEIR_OP_OUTPUTS; i++)
        if (node->shapes.outputs[i].n_dims == NOT_SAID)
            return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': infer of '%s' gives output %d no shape", node->name, op->name, i);
    if (node->shapes.n_params != n_params)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s takes %d parameters here, not %d", node->name, op->name,
                         node->shapes.n_params, n_params);
    if ((op->flags & WEIR_OP_LOSS) && (!node->shapes.n_inputs || !node->shapes.inputs[0].n_dims))
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': loss '%s' has no prediction as its first input", node->name, op->name);
    if (node->shapes.saved_bytes > 8 * (uint64_t)MOST_ELEMENTS || node->shapes.cache_bytes > 8 * (uint64_t)MOST_ELEMENTS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s keeps %zu bytes, more than can be", node->name, op->name,
                         node->shapes.saved_bytes > node->shapes.cache_bytes ? node->shapes.saved_bytes
                                                                             : node->shapes.cache_bytes);
    return outputs_check(node);
}

/* The nodes behind node n that stand for its outputs but the first. */
static weir_status parts_add(struct weir_graph_making *b, int n)
{
    int n_outputs = b->nodes[n].shapes.n_outputs;
    weir_status status = weir_arena_grow(b->arena, &b->nodes, &b->node_room, (size_t)(n + n_outputs), sizeof *b->nodes);
    for (int i = 1; i < n_outputs && !status; i++) {
        const struct weir_node *node = &b->nodes[n];
        struct weir_node *part = &b->nodes[n + i];
        *part = (struct weir_node){.op = &weir_op_part, .layer = node->layer, .part = i};
        part->shapes.storage = node->shapes.storage;
        part->shapes.output = node->shapes.outputs[i];
        part->shapes.n_outputs = 1;
        status = weir_arena_printf(b->arena, &part->name, "%s:%d", node->name, i);
    }
    return status;
}

/* The node's own copy, aligned for any type, as large as the row says; all zero where the program gives none. */
static weir_status attr_take(struct weir_graph_making *b, const char *name, const struct weir_op *op, const void *attr,
                             size_t attr_bytes, const void **own_out)
{
    char *own = NULL, what[64];
    if (!attr != !attr_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': its attributes are %zu bytes at %s: give a struct and its sizeof, or NULL and 0",
                         name, attr_bytes, attr ? "an address" : "NULL");
    if (attr && !op->attr_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': operation '%s' takes no attributes, and it is given %zu bytes", name, op->name,
                         attr_bytes);
    weir_status status = op->attr_bytes ? weir_arena_alloc(b->arena, 1, op->attr_bytes, &own) : WEIR_OK;
    snprintf(what, sizeof what, "the attribute struct of '%s'", op->name);
    if (!status && attr && weir_grown_copy(what, attr, attr_bytes, own, op->attr_bytes))
        return weir_error_prefix(WEIR_ERR_INVALID, "node '%s': ", name);
    *own_out = own;
    return status;
}

static weir_status node_add(struct weir_graph_making *b, const char *name, const struct weir_op *op, const void *attr,
                            size_t attr_bytes, int n_inputs, const int *inputs, int n_params, const int *params)
{
    weir_status status = row_take(b, name, &op);
    if (!status)
        status = row_check(b, name, op);
    if (!status)
        status = attr_take(b, name, op, attr, attr_bytes, &attr);
    if (!status)
        status = takes_check(b, name, n_inputs, inputs, n_params, params);
    if (!status)
        status = weir_arena_grow(b->arena, &b->nodes, &b->node_room, (size_t)b->graph.n_nodes + 1, sizeof *b->nodes);
    if (status)
        return status;
    struct weir_node *node = &b->nodes[b->graph.n_nodes];
    memset(node, 0, sizeof *node);
    node->op = op;
    node->layer = b->graph.n_layers - 1;
    node->shapes.attr = attr;
    node->shapes.storage = b->graph.storage;
    node->shapes.first_position = b->graph.first_position;
    node->shapes.n_positions = b->graph.n_positions;
    inputs_set(b, n_inputs, inputs, node);
    status = weir_arena_strdup(b->arena, name, &node->name);
    if (!status)
        status = node_infer(node, n_params);
    for (int i = 0; !status && i < n_params; i++) {
        node->params[i] = params[i];
        status = param_bind(b, node, i);
    }
    if (!status)
        status = storage_check(node);
    return status ? status : parts_add(b, b->graph.n_nodes);
}

int weir_graph_node(struct weir_graph_builder *builder, const char *name, const struct weir_op *op, const void *attr,
                    size_t attr_bytes, int n_inputs, const int *inputs, int n_params, const int *params)
{
    struct weir_graph_making *b = builder->making;
    if (!b)
        return 0;
    if (!b->status)
        b->status = node_add(b, name, op, attr, attr_bytes, n_inputs, inputs, n_params, params);
    if (b->status)
        return 0;
    int n = b->graph.n_nodes;
    b->graph.n_nodes += b->nodes[n].shapes.n_outputs;
    return n;
}

int weir_graph_output(struct weir_graph_builder *builder, int node, int i)
{
    struct weir_graph_making *b = builder->making;
    if (!b || b->status)
        return 0;
    if (node < 0 || node >= b->graph.n_nodes || b->nodes[node].part)
        b->status = WEIR_FAIL(WEIR_ERR_INVALID, "value %d is no node's first output", node);
    else if (i < 0 || i >= b->nodes[node].shapes.n_outputs)
        b->status = WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' has no output %d, it has %d", b->nodes[node].name, i,
                              b->nodes[node].shapes.n_outputs);
    return b->status ? 0 : node + i;
}

/* ---- checks -------------------------------------------------------------------------------------------------------- */

/* The last node that takes each value: of nodes, then of inputs; -1: none does. */
struct uses {
    int *of_nodes, *of_inputs;
};

static weir_status uses_find(const struct weir_graph *graph, struct uses *uses)
{
    weir_status status = weir_alloc((size_t)graph->n_nodes + (size_t)graph->n_inputs, sizeof *uses->of_nodes, &uses->of_nodes);
    if (status)
        return status;
    uses->of_inputs = uses->of_nodes + graph->n_nodes;
    memset(uses->of_nodes, 0xff, sizeof *uses->of_nodes * ((size_t)graph->n_nodes + (size_t)graph->n_inputs));
    for (int n = 0; n < graph->n_nodes; n++)
        for (int i = 0; i < graph->nodes[n].shapes.n_inputs; i++) {
            int value = graph->nodes[n].inputs[i];
            *(weir_value_is_input(value) ? &uses->of_inputs[weir_value_input(value)] : &uses->of_nodes[value]) = n;
        }
    return WEIR_OK;
}

/* Values that nodes before the layer make and nodes from its first on read: those that cross into the layer before it and
 * that layer's own, as far as somebody reads them later. */
static weir_status crossing_find(struct weir_graph_making *b, const struct uses *uses, int l)
{
    struct weir_layer *layer = &b->layers[l];
    const struct weir_layer *before = &b->layers[l - 1];
    int *crossing;
    weir_status status = weir_arena_alloc(b->arena, (size_t)(before->n_crossing + before->n_nodes), sizeof *crossing, &crossing);
    for (int i = 0; i < before->n_crossing + before->n_nodes && !status; i++) {
        int value = i < before->n_crossing ? before->crossing[i] : before->first_node + i - before->n_crossing;
        if (uses->of_nodes[value] >= layer->first_node)
            crossing[layer->n_crossing++] = value;
    }
    layer->crossing = crossing;
    return status;
}

static weir_status border_check(const struct weir_layer *layer)
{
    if (layer->n_crossing)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "layer '%s' and those behind it take nothing from the layers before: a stage that begins "
                     "there would be fed by nobody, join it with a layer that feeds it", layer->name);
}

/* A loss gives a gradient to its prediction alone. */
static weir_status loss_check(const struct weir_graph *graph)
{
    const struct weir_node *loss = &graph->nodes[graph->n_nodes - 1];
    bool *depends = NULL;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *depends, &depends);
    for (int n = 0; n < graph->n_nodes && !status; n++) {
        const struct weir_node *node = &graph->nodes[n];
        depends[n] = node->shapes.n_params > 0 || (node->part && depends[n - node->part]);
        for (int i = 0; i < node->shapes.n_inputs; i++)
            depends[n] = depends[n] || (!weir_value_is_input(node->inputs[i]) && depends[node->inputs[i]]);
    }
    for (int i = 1; i < loss->shapes.n_inputs && !status; i++)
        if (!weir_value_is_input(loss->inputs[i]) && depends[loss->inputs[i]])
            status = WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': its target '%s' depends on parameters, but a loss has no gradient "
                               "for a target", loss->name, graph->nodes[loss->inputs[i]].name);
    weir_free(depends);
    return status;
}

/* Parameters together, and what one micro-batch makes: sums of bytes over them fit. */
static weir_status totals_check(const struct weir_graph *graph)
{
    int64_t params = 0, values = 0;
    for (int i = 0; i < graph->n_params && params <= MOST_ELEMENTS; i++)
        params += weir_shape_elements(&graph->params[i].shape);
    for (int n = 0; n < graph->n_nodes && values <= MOST_ELEMENTS; n++)
        values += weir_shape_elements(&graph->nodes[n].shapes.output) + (int64_t)(graph->nodes[n].shapes.saved_bytes / 4);
    if (params <= MOST_ELEMENTS && values <= MOST_ELEMENTS)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has more than 2^56 elements in its %s: a size of the model is "
                     "wrong", graph->name,
                     params > MOST_ELEMENTS ? "parameters" : "values");
}

static bool is_used(const struct weir_graph *graph, const struct uses *uses, int n)
{
    bool used = false;
    for (int i = 0; i < graph->nodes[n].shapes.n_outputs; i++)
        used = used || uses->of_nodes[n + i] >= 0;
    return used;
}

static weir_status nodes_check(const struct weir_graph *graph, const struct uses *uses, bool forward)
{
    const struct weir_node *result = &graph->nodes[graph->n_nodes - 1];
    if (result->part)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the last node '%s' has several outputs, a graph has one result",
                         graph->nodes[graph->n_nodes - 1 - result->part].name);
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_node *node = &graph->nodes[n];
        bool last = n == graph->n_nodes - 1, loss = node->op->flags & WEIR_OP_LOSS;
        if (forward && loss)
            return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' is a loss in a graph that is run forwards only", node->name);
        if (!forward && last != loss)
            return WEIR_FAIL(WEIR_ERR_INVALID, last ? "the last node '%s' is not a loss"
                                                    : "node '%s' is a loss, but not the last node", node->name);
        if (!last && !node->part && !is_used(graph, uses, n))
            return WEIR_FAIL(WEIR_ERR_INVALID, "the output of node '%s' is never used", node->name);
    }
    for (int i = 0; i < graph->n_inputs; i++)
        if (uses->of_inputs[i] < 0)
            return WEIR_FAIL(WEIR_ERR_INVALID, "input '%s' is never used", graph->inputs[i].name);
    for (int i = 0; i < graph->n_params; i++)
        if (!graph->params[i].n_uses)
            return WEIR_FAIL(WEIR_ERR_INVALID, "parameter '%s' is never used", graph->params[i].name);
    return WEIR_OK;
}

static weir_status layers_close(struct weir_graph_making *b, const struct weir_graph *graph, const struct uses *uses)
{
    for (int l = 0; l < graph->n_layers; l++) {
        int end = l + 1 < graph->n_layers ? b->layers[l + 1].first_node : graph->n_nodes;
        b->layers[l].n_nodes = end - b->layers[l].first_node;
        if (!b->layers[l].n_nodes)
            return WEIR_FAIL(WEIR_ERR_INVALID, "layer '%s' has no nodes", b->layers[l].name);
        weir_status status = l ? crossing_find(b, uses, l) : WEIR_OK;
        if (!status && l)
            status = border_check(&b->layers[l]);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status all_check(struct weir_graph_making *b, const struct weir_graph *graph, bool forward)
{
    struct uses uses;
    weir_status status = uses_find(graph, &uses);
    if (status)
        return status;
    status = layers_close(b, graph, &uses);
    if (!status)
        status = nodes_check(graph, &uses, forward);
    if (!status && !forward)
        status = loss_check(graph);
    weir_free(uses.of_nodes);
    return status ? status : totals_check(graph);
}

static weir_status finish(struct weir_graph_builder *builder, bool forward, const struct weir_graph **graph_out)
{
    struct weir_graph_making *b = builder->making;
    if (weir_graph_status(builder))
        return weir_graph_status(builder);
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
    status = all_check(b, graph, forward);
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
    if (weir_value_is_input(value) ? weir_value_input(value) >= graph->n_inputs : value >= graph->n_nodes)
        return NULL;
    return weir_value_is_input(value) ? &graph->inputs[weir_value_input(value)].shape
                                      : &graph->nodes[value].shapes.output;
}

int weir_node_maker(const struct weir_graph *graph, int node)
{
    return node - graph->nodes[node].part;
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

size_t weir_layer_crossing_bytes(const struct weir_graph *graph, int layer)
{
    size_t bytes = 0;
    for (int i = 0; i < graph->layers[layer].n_crossing; i++)
        bytes += weir_shape_bytes(weir_graph_shape(graph, graph->layers[layer].crossing[i]));
    return bytes;
}

int64_t weir_graph_n_elements(const struct weir_graph *graph)
{
    int64_t n = 0;
    for (int i = 0; i < graph->n_params; i++)
        n += weir_shape_elements(&graph->params[i].shape);
    return n;
}
