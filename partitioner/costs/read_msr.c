/* dnn-partitioning's JSON (https://github.com/msr-fiddle/dnn-partitioning): accelerators are called FPGAs, flags are
 * 0/1 or booleans, colour classes and sizes are optional, an edge's "size" is not used by its authors and kept as
 * bytes. */
#include <math.h>
#include <stdio.h>

#include "partitioner/costs/cost_graph_readers.h"
#include "partitioner/costs/cost_json_read.h"
#include "partitioner/costs/node_index.h"

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
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    node.id = id;
    node.name = json_string_value(json_object_get(object, "name"));
    bool supported = true;
    double time = 0;
    status = weir_json_number(object, where, "fpgaLatency", &time);
    if (!status)
        status = weir_cost_json_real(object, where, "cpuLatency", NAN, &node.cpu);
    if (!status)
        status = weir_cost_json_bool(object, where, "supportedOnFpga", true, &supported);
    if (!status)
        status = weir_cost_json_bool(object, where, "isBackwardNode", false, &node.backward);
    if (!status)
        status = weir_cost_json_int(object, where, "colorClass", -1, &node.color);
    if (!status)
        status = weir_cost_json_real(object, where, "size", 0, &node.parameter_bytes);
    if (status)
        return status;
    if (node.color < -1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'colorClass' is %lld, it must not be negative", where,
                         (long long)node.color);
    node.no_accelerator = !supported;
    *(node.backward ? &node.input_grad : &node.forward) = supported ? time : 0;
    return weir_cost_graph_add_node(graph, &node, NULL);
}

static weir_status edge_read(const json_t *object, size_t position, const struct weir_node_index *index,
                             struct weir_cost_graph *graph)
{
    char where[64];
    snprintf(where, sizeof where, "edges[%zu]", position);
    struct weir_cost_edge edge = {0};
    weir_status status = weir_cost_json_end(object, where, "sourceId", graph, index, &edge.from);
    if (!status)
        status = weir_cost_json_end(object, where, "destId", graph, index, &edge.to);
    if (!status)
        status = weir_json_number(object, where, "cost", &edge.cost);
    if (!status)
        status = weir_cost_json_real(object, where, "size", 0, &edge.bytes);
    return status ? status : weir_cost_graph_add_edge(graph, &edge);
}

static weir_status machine_read(const json_t *root, struct weir_cost_graph *graph)
{
    int64_t devices = 0, cpus = 0;
    weir_status status = weir_cost_json_real(root, "document", "maxSizePerFPGA", INFINITY, &graph->memory);
    if (!status)
        status = weir_cost_json_int(root, "document", "maxFPGAs", 0, &devices);
    if (!status)
        status = weir_cost_json_int(root, "document", "maxCPUs", 0, &cpus);
    if (status)
        return status;
    if (devices < 0 || devices > 1 << 20 || cpus < 0 || cpus > 1 << 20)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'maxFPGAs' or 'maxCPUs' is not from 0 to %d", 1 << 20);
    graph->devices = (int)devices;
    graph->cpus = (int)cpus;
    return WEIR_OK;
}

weir_status weir_cost_graph_read_msr(const json_t *root, struct weir_cost_graph *graph)
{
    const json_t *nodes, *edges, *value;
    size_t i;
    graph->integer_ids = true;
    weir_status status = weir_cost_json_lists(root, &nodes, &edges);
    if (!status)
        status = machine_read(root, graph);
    for (i = 0; !status && i < json_array_size(nodes); i++)
        status = node_read(json_array_get(nodes, i), i, graph);
    struct weir_node_index index = {0};
    if (!status)
        status = weir_node_index_build(graph, &index);
    for (i = 0; !status && i < json_array_size(edges); i++) {
        value = json_array_get(edges, i);
        status = edge_read(value, i, &index, graph);
    }
    weir_node_index_release(&index);
    return status;
}
