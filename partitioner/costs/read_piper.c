/* Piper's JSON (https://github.com/msr-fiddle/piper): per node a map "TMPCs" from the tensor-parallel degree to at most
 * two configurations.  The entries of degree 1 are read; there synchronisation inside a node does not exist. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "partitioner/costs/cost_graph_readers.h"
#include "partitioner/costs/cost_json_read.h"
#include "partitioner/costs/node_index.h"

static weir_status sync_check(const json_t *object, const char *where, const char *key)
{
    const char *other;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)json_object_get(object, key), other, value) {
        if (!json_is_number(value))
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' of '%s' must be a number", where, key, other);
        if (json_number_value(value) != 0)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s: '%s' is not zero for t = 1: only models without it are handled",
                             where, key);
    }
    return WEIR_OK;
}

static weir_status variant_read(const json_t *object, const char *where, struct weir_cost_variant *variant)
{
    variant->id = json_string_value(json_object_get(object, "id"));
    weir_status status = weir_json_number(object, where, "timePerSample", &variant->time);
    if (!status)
        status = weir_json_number(object, where, "parameterSize", &variant->parameter_bytes);
    if (!status)
        status = weir_json_number(object, where, "memoryUsageA", &variant->memory_a);
    if (!status)
        status = weir_json_number(object, where, "memoryUsageB", &variant->memory_b);
    if (!status)
        status = sync_check(object, where, "syncTimeFw");
    if (!status)
        status = sync_check(object, where, "syncTimeBw");
    return status;
}

static weir_status node_read(const json_t *object, size_t position, struct weir_cost_graph *graph)
{
    char where[300], id[256];
    snprintf(where, sizeof where, "nodes[%zu]", position);
    if (!json_is_integer(json_object_get(object, "id")))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'id' must be an integer", where);
    weir_status status = weir_cost_json_id(json_object_get(object, "id"), where, id);
    if (status)
        return status;
    snprintf(where, sizeof where, "node %s", id);
    const json_t *variants = json_object_get(json_object_get(object, "TMPCs"), "1");
    size_t n = json_array_size(variants);
    if (n < 1 || n > 2)
        return WEIR_FAIL(n > 2 ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_INVALID,
                         "%s: 'TMPCs' has %zu configurations for t = 1, one or two are handled", where, n);
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    node.id = id;
    node.name = json_string_value(json_object_get(object, "name"));
    node.cpu = NAN;
    node.n_variants = (int)n;
    for (size_t i = 0; !status && i < n; i++)
        status = variant_read(json_array_get(variants, i), where, &node.variants[i]);
    if (status)
        return status;
    node.forward = node.variants[0].time;
    node.parameter_bytes = node.variants[0].memory_b;
    node.activation_bytes = node.variants[0].memory_a;
    return weir_cost_graph_add_node(graph, &node, NULL);
}

static weir_status edge_read(const json_t *object, size_t position, const struct weir_node_index *index,
                             struct weir_cost_graph *graph, int tensor)
{
    char where[64], from[256], to[256];
    snprintf(where, sizeof where, "edges[%zu]", position);
    struct weir_cost_edge edge = {.tensor = tensor};
    weir_status status = weir_cost_json_id(json_object_get(object, "sourceId"), where, from);
    if (!status)
        status = weir_cost_json_id(json_object_get(object, "destId"), where, to);
    if (!status)
        status = weir_json_number(object, where, "communicationCost", &edge.bytes);
    if (status)
        return status;
    edge.from = weir_node_index_find(index, graph, from);
    edge.to = weir_node_index_find(index, graph, to);
    if (edge.from < 0 || edge.to < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: node '%s' is not there", where, edge.from < 0 ? from : to);
    edge.cost = 2 * edge.bytes / graph->bandwidth;
    return weir_cost_graph_add_edge(graph, &edge);
}

static weir_status machine_read(const json_t *root, struct weir_cost_graph *graph)
{
    int64_t devices;
    const char *batch = json_object_get(root, "mbsInBatch") ? "mbsInBatch" : "maxBatchSize"; /* its README's name */
    weir_status status = weir_cost_json_int(root, "document", "maxDevices", 0, &devices);
    if (!status)
        status = weir_cost_json_real(root, "document", "maxMemoryPerDevice", INFINITY, &graph->memory);
    if (!status && !(graph->bandwidth > 0)) /* else the caller knows better */
        status = weir_json_number(root, "document", "bandwidth", &graph->bandwidth);
    if (!status)
        status = weir_cost_json_real(root, "document", batch, 0, &graph->micro_batches);
    if (status)
        return status;
    if (devices < 0 || devices > 1 << 20)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'maxDevices' is not from 0 to %d", 1 << 20);
    if (!(graph->bandwidth > 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'bandwidth' is %g, it must be positive", graph->bandwidth);
    if (graph->micro_batches != floor(graph->micro_batches))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is %g, it must be a whole number", batch, graph->micro_batches);
    graph->devices = (int)devices;
    return WEIR_OK;
}

weir_status weir_cost_graph_read_piper(const json_t *root, double bandwidth, struct weir_cost_graph *graph)
{
    const json_t *nodes, *edges;
    graph->integer_ids = true;
    graph->units_per_second = 1;
    graph->bandwidth = bandwidth;
    weir_status status = weir_cost_json_lists(root, &nodes, &edges);
    if (!status)
        status = machine_read(root, graph);
    for (size_t i = 0; !status && i < json_array_size(nodes); i++)
        status = node_read(json_array_get(nodes, i), i, graph);
    struct weir_node_index index = {0};
    if (!status)
        status = weir_node_index_build(graph, &index);
    for (size_t i = 0; !status && i < json_array_size(edges); i++) /* every edge is its own transfer */
        status = edge_read(json_array_get(edges, i), i, &index, graph, (int)i);
    weir_node_index_release(&index);
    return status;
}
