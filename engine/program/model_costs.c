#include "engine/program/model_costs.h"

#include "base/alloc.h"
#include "engine/program/recomputed.h"
#include "engine/program/trips.h"

static double pass_ms(const struct weir_node *node, enum weir_pass pass, const struct weir_ceilings *c)
{
    double compute = node->shapes.flops[pass] / c->flops_per_s, traffic = node->shapes.bytes[pass] / c->bytes_per_s;
    return 1e3 * (compute > traffic ? compute : traffic);
}

/* A backward of some node of the layer reads `value`. */
static bool is_kept(const struct weir_graph *graph, const struct weir_layer *layer, int value)
{
    for (int n = layer->first_node; n < layer->first_node + layer->n_nodes; n++) {
        const struct weir_node *node = &graph->nodes[n];
        unsigned needs = node->op->input_needs | (node->shapes.n_params ? node->op->weight_needs : 0);
        if (!weir_value_is_input(value) && n == weir_node_maker(graph, value) && (needs & WEIR_NEEDS_OUTPUT))
            return true;
        for (int i = 0; i < node->shapes.n_inputs; i++)
            if (node->inputs[i] == value && (needs & weir_needs_input(i)))
                return true;
    }
    return false;
}

struct coster {
    const struct weir_graph *graph;
    const struct weir_ceilings *ceilings;
    struct weir_arena arena;
    bool *recompute; /* [n_layers] */
    bool *replayed;  /* [n_nodes] */
};

/* A node of the layer that is replayed reads `value`. */
static bool replay_reads(const struct coster *c, const struct weir_layer *layer, int value)
{
    for (int n = layer->first_node; n < layer->first_node + layer->n_nodes; n++)
        for (int i = 0; i < c->graph->nodes[n].shapes.n_inputs && c->replayed[n]; i++)
            if (c->graph->nodes[n].inputs[i] == value)
                return true;
    return false;
}

static struct weir_cost_node layer_node(const struct coster *c, int l)
{
    const struct weir_graph *graph = c->graph;
    const struct weir_layer *layer = &graph->layers[l];
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    node.id = layer->name;
    for (int i = 0; i < layer->n_crossing; i++)
        if (is_kept(graph, layer, layer->crossing[i]) || replay_reads(c, layer, layer->crossing[i]))
            node.activation_bytes += (double)weir_shape_bytes(weir_graph_shape(graph, layer->crossing[i]));
    for (int n = layer->first_node; n < layer->first_node + layer->n_nodes; n++) {
        const struct weir_op_shapes *shapes = &graph->nodes[n].shapes;
        node.forward += pass_ms(&graph->nodes[n], WEIR_FORWARD, c->ceilings);
        node.input_grad += pass_ms(&graph->nodes[n], WEIR_BACKWARD_INPUT, c->ceilings);
        node.weight_grad += pass_ms(&graph->nodes[n], WEIR_BACKWARD_WEIGHT, c->ceilings);
        if (c->replayed[n])
            node.input_grad += pass_ms(&graph->nodes[n], WEIR_FORWARD, c->ceilings);
        if (!c->recompute[l])
            node.activation_bytes += (double)shapes->saved_bytes;
        if (!c->recompute[l] && is_kept(graph, layer, n))
            node.activation_bytes += (double)weir_shape_bytes(&shapes->output);
        for (int i = 0; i < shapes->n_params; i++) {
            node.parameter_bytes += (double)weir_shape_elements(&shapes->params[i]) * sizeof(float);
            if (graph->storage != WEIR_DTYPE_F32) /* and the copy that kernels read */
                node.parameter_bytes += (double)weir_shape_bytes(&shapes->params[i]);
        }
    }
    node.cpu = node.forward + node.input_grad + node.weight_grad;
    return node;
}

static weir_status layers_add(struct coster *c, const char *recompute, struct weir_cost_graph *costs)
{
    const struct weir_graph *graph = c->graph;
    weir_status status = weir_recomputed_layers(graph, recompute, &c->arena, &c->recompute);
    if (!status)
        status = weir_replayed_nodes(graph, c->recompute, &c->arena, &c->replayed);
    for (int l = 0; l < graph->n_layers && !status; l++) {
        struct weir_cost_node node = layer_node(c, l);
        status = weir_cost_graph_add_node(costs, &node, NULL);
    }
    return status;
}

/* ---- edges ------------------------------------------------------------------------------------------------------------ */

/* `n_tensors`, [n_layers]: what goes from a layer to different ones are different nets. */
static weir_status edge_add(const struct coster *c, int from, int to, double bytes, int *n_tensors, struct weir_cost_graph *costs)
{
    struct weir_cost_edge edge = {.from = from, .to = to, .tensor = n_tensors[from]++, .bytes = bytes,
                                  .cost = 1e3 * 2 * bytes / c->ceilings->link_bytes_per_s};
    return weir_cost_graph_add_edge(costs, &edge);
}

/* The edges into layer `to`, whose trips begin with number *at; one of no bytes where it takes nothing of the layer before. */
static weir_status edges_into(const struct coster *c, int to, const struct weir_trip *trips, int n_trips, int *at, int *n_tensors,
                              struct weir_cost_graph *costs)
{
    weir_status status = WEIR_OK;
    int from = -1;
    while (*at < n_trips && trips[*at].to == to && !status) {
        double bytes = 0;
        for (from = trips[*at].from; *at < n_trips && trips[*at].to == to && trips[*at].from == from; ++*at)
            bytes += (double)weir_shape_bytes(weir_graph_shape(c->graph, trips[*at].value));
        status = edge_add(c, from, to, bytes, n_tensors, costs);
    }
    return status || from == to - 1 ? status : edge_add(c, to - 1, to, 0, n_tensors, costs);
}

/* The trips between layers as if each were a stage. */
static weir_status edges_add(struct coster *c, struct weir_cost_graph *costs)
{
    const struct weir_trip *trips;
    int n = c->graph->n_layers, *first_layer, *n_tensors, n_trips, at = 0;
    weir_status status = weir_arena_alloc(&c->arena, (size_t)n + 1, sizeof *first_layer, &first_layer);
    if (!status)
        status = weir_arena_alloc(&c->arena, (size_t)n, sizeof *n_tensors, &n_tensors);
    for (int l = 0; l <= n && !status; l++)
        first_layer[l] = l;
    if (!status)
        status = weir_trips_find(c->graph, first_layer, n, &c->arena, &trips, &n_trips);
    for (int l = 1; l < n && !status; l++)
        status = edges_into(c, l, trips, n_trips, &at, n_tensors, costs);
    return status;
}

weir_status weir_model_cost_graph(const struct weir_graph *graph, const char *recompute,
                                  const struct weir_ceilings *ceilings, struct weir_cost_graph *costs_out)
{
    if (!(ceilings->flops_per_s > 0 && ceilings->bytes_per_s > 0 && ceilings->link_bytes_per_s > 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the ceilings are %g flops/s, %g bytes/s and %g bytes/s on a link: all must be "
                                           "above 0",
                         ceilings->flops_per_s, ceilings->bytes_per_s, ceilings->link_bytes_per_s);
    struct coster c = {.graph = graph, .ceilings = ceilings};
    struct weir_cost_graph costs;
    weir_cost_graph_init(&costs);
    weir_status status = layers_add(&c, recompute, &costs);
    if (!status)
        status = edges_add(&c, &costs);
    if (!status)
        status = weir_cost_graph_finish(&costs);
    weir_arena_release(&c.arena);
    if (status)
        weir_cost_graph_release(&costs);
    else
        *costs_out = costs;
    return status;
}

weir_status weir_cost_graph_of_model(const struct weir_graph *graph, const char *recompute, const struct weir_ceilings *ceilings,
                                     weir_cost_graph **graph_out)
{
    weir_cost_graph *costs;
    if (!graph || !ceilings)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no %s: it is NULL", graph ? "weir_ceilings" : "graph");
    weir_status status = weir_alloc(1, sizeof *costs, &costs);
    if (status)
        return status;
    status = weir_model_cost_graph(graph, recompute, ceilings, costs);
    if (status)
        weir_free(costs);
    else
        *graph_out = costs;
    return status;
}
