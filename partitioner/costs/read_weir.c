/* Weir's own JSON: the cost graph field by field (docs/planning.md has the keys). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "partitioner/costs/cost_graph_readers.h"
#include "partitioner/costs/cost_json_read.h"
#include "partitioner/costs/node_index.h"

static weir_status variant_read(const json_t *object, const char *where, struct weir_cost_variant *variant)
{
    static const char *const keys[] = {"id", "time", "parameter_bytes", "memory_a", "memory_b", NULL};
    weir_status status = weir_json_keys(object, where, keys);
    variant->id = json_string_value(json_object_get(object, "id"));
    if (!status)
        status = weir_json_number(object, where, "time", &variant->time);
    if (!status)
        status = weir_cost_json_real(object, where, "parameter_bytes", 0, &variant->parameter_bytes);
    if (!status)
        status = weir_cost_json_real(object, where, "memory_a", 0, &variant->memory_a);
    if (!status)
        status = weir_cost_json_real(object, where, "memory_b", 0, &variant->memory_b);
    return status;
}

static weir_status variants_read(const json_t *object, const char *where, struct weir_cost_node *node)
{
    const json_t *list = json_object_get(object, "variants");
    size_t n = json_array_size(list);
    if (n > 2 || (list && !json_is_array(list)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'variants' must be an array of at most two", where);
    node->n_variants = (int)n;
    for (size_t i = 0; i < n; i++) {
        weir_status status = variant_read(json_array_get(list, i), where, &node->variants[i]);
        if (status)
            return status;
    }
    return WEIR_OK;
}

/* "backward" as a number is the time of a backward that is not split in two. */
static weir_status times_read(const json_t *object, const char *where, struct weir_cost_node *node)
{
    double backward = 0;
    weir_status status = weir_cost_json_real(object, where, "forward", 0, &node->forward);
    if (!status)
        status = weir_cost_json_real(object, where, "backward", 0, &backward);
    if (!status)
        status = weir_cost_json_real(object, where, "input_grad", 0, &node->input_grad);
    if (!status)
        status = weir_cost_json_real(object, where, "weight_grad", 0, &node->weight_grad);
    if (!status)
        status = weir_cost_json_real(object, where, "cpu", NAN, &node->cpu);
    if (status)
        return status;
    if (backward != 0 && (node->input_grad != 0 || node->weight_grad != 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: give 'backward', or 'input_grad' and 'weight_grad', not both", where);
    node->input_grad += backward;
    return WEIR_OK;
}

static weir_status places_read(const json_t *object, const char *where, struct weir_cost_node *node)
{
    int64_t device = -1;
    bool accelerator = true;
    weir_status status = weir_cost_json_real(object, where, "parameter_bytes", 0, &node->parameter_bytes);
    if (!status)
        status = weir_cost_json_real(object, where, "activation_bytes", 0, &node->activation_bytes);
    if (!status)
        status = weir_cost_json_int(object, where, "color", -1, &node->color);
    if (!status)
        status = weir_cost_json_int(object, where, "device", -1, &device);
    if (!status)
        status = weir_cost_json_bool(object, where, "backward_node", false, &node->backward);
    if (!status)
        status = weir_cost_json_bool(object, where, "accelerator", true, &accelerator);
    if (status)
        return status;
    if (node->color < -1 || device < -1 || device > 1 << 20)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'color' or 'device' is out of range", where);
    node->device = (int)device;
    node->no_accelerator = !accelerator;
    return WEIR_OK;
}

static weir_status node_read(const json_t *object, size_t position, struct weir_cost_graph *graph)
{
    static const char *const keys[] = {
        "id",           "name",            "forward",          "backward", "input_grad", "weight_grad",   "cpu",
        "accelerator",  "parameter_bytes", "activation_bytes", "color",    "device",     "backward_node", "variants",
        NULL};
    char where[300], id[256];
    snprintf(where, sizeof where, "nodes[%zu]", position);
    weir_status status = weir_cost_json_id(json_object_get(object, "id"), where, id);
    if (status)
        return status;
    if (json_is_integer(json_object_get(object, "id")))
        graph->integer_ids = graph->integer_ids || position == 0;
    if (graph->integer_ids != (bool)json_is_integer(json_object_get(object, "id")))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: ids must be all integers or all strings", where);
    snprintf(where, sizeof where, "node %s", id);
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    node.id = id;
    node.name = json_string_value(json_object_get(object, "name"));
    status = weir_json_keys(object, where, keys);
    if (!status)
        status = times_read(object, where, &node);
    if (!status)
        status = places_read(object, where, &node);
    if (!status)
        status = variants_read(object, where, &node);
    return status ? status : weir_cost_graph_add_node(graph, &node, NULL);
}

static weir_status edge_read(const json_t *object, size_t position, const struct weir_node_index *index,
                             struct weir_cost_graph *graph)
{
    static const char *const keys[] = {"from", "to", "tensor", "bytes", "cost", "no_cut", NULL};
    char where[64];
    snprintf(where, sizeof where, "edges[%zu]", position);
    struct weir_cost_edge edge = {0};
    int64_t tensor = 0;
    weir_status status = weir_json_keys(object, where, keys);
    if (!status)
        status = weir_cost_json_end(object, where, "from", graph, index, &edge.from);
    if (!status)
        status = weir_cost_json_end(object, where, "to", graph, index, &edge.to);
    if (!status)
        status = weir_cost_json_int(object, where, "tensor", 0, &tensor);
    if (!status)
        status = weir_cost_json_real(object, where, "bytes", 0, &edge.bytes);
    if (!status && graph->bandwidth > 0)
        status = weir_cost_json_real(object, where, "cost", edge.bytes / graph->bandwidth * graph->units_per_second,
                                      &edge.cost);
    else if (!status)
        status = weir_json_number(object, where, "cost", &edge.cost);
    if (!status)
        status = weir_cost_json_bool(object, where, "no_cut", false, &edge.no_cut);
    if (status)
        return status;
    if (tensor < 0 || tensor > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'tensor' is out of range", where);
    edge.tensor = (int)tensor;
    return weir_cost_graph_add_edge(graph, &edge);
}

static weir_status machine_read(const json_t *root, struct weir_cost_graph *graph)
{
    static const char *const keys[] = {"format", "version",   "units_per_second", "devices", "cpus",
                                       "memory", "bandwidth", "micro_batches",    "nodes",   "edges",
                                       NULL};
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, "weir-cost-graph") != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'format' is not \"weir-cost-graph\"");
    int64_t devices = 0, cpus = 0, version = 1;
    weir_status status = weir_json_keys(root, "document", keys);
    if (!status)
        status = weir_cost_json_int(root, "document", "version", 1, &version);
    if (!status)
        status = weir_cost_json_int(root, "document", "devices", 0, &devices);
    if (!status)
        status = weir_cost_json_int(root, "document", "cpus", 0, &cpus);
    if (!status)
        status = weir_cost_json_real(root, "document", "memory", INFINITY, &graph->memory);
    if (!status)
        status = weir_cost_json_real(root, "document", "bandwidth", 0, &graph->bandwidth);
    if (!status)
        status = weir_cost_json_real(root, "document", "micro_batches", 0, &graph->micro_batches);
    if (!status)
        status = weir_cost_json_real(root, "document", "units_per_second", 1e3, &graph->units_per_second);
    if (status)
        return status;
    if (version != 1)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'version' is %lld, files of version 1 are read", (long long)version);
    if (devices < 0 || devices > 1 << 20 || cpus < 0 || cpus > 1 << 20)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'devices' or 'cpus' is not from 0 to %d", 1 << 20);
    graph->devices = (int)devices;
    graph->cpus = (int)cpus;
    return WEIR_OK;
}

weir_status weir_cost_graph_read_weir(const json_t *root, struct weir_cost_graph *graph)
{
    const json_t *nodes, *edges;
    weir_status status = machine_read(root, graph);
    if (!status)
        status = weir_cost_json_lists(root, &nodes, &edges);
    for (size_t i = 0; !status && i < json_array_size(nodes); i++)
        status = node_read(json_array_get(nodes, i), i, graph);
    struct weir_node_index index = {0};
    if (!status)
        status = weir_node_index_build(graph, &index);
    for (size_t i = 0; !status && i < json_array_size(edges); i++)
        status = edge_read(json_array_get(edges, i), i, &index, graph);
    weir_node_index_release(&index);
    return status;
}
