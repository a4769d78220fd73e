/* Writers of cost graphs: Weir's own JSON and the msr JSON. */
#include <math.h>

#include "partitioner/costs/cost_graph_file.h"
#include "partitioner/costs/cost_json_write.h"

static json_t *variants_json(const struct weir_cost_node *node, struct weir_text *text)
{
    json_t *list = json_array();
    for (int i = 0; i < node->n_variants; i++) {
        const struct weir_cost_variant *variant = &node->variants[i];
        json_t *object = json_object();
        if (variant->id)
            weir_cost_json_set(text, object, "id", weir_cost_json_string(text, variant->id));
        weir_cost_json_set(text, object, "time", weir_cost_json_number(variant->time));
        weir_cost_json_set(text, object, "parameter_bytes", weir_cost_json_number(variant->parameter_bytes));
        weir_cost_json_set(text, object, "memory_a", weir_cost_json_number(variant->memory_a));
        weir_cost_json_set(text, object, "memory_b", weir_cost_json_number(variant->memory_b));
        weir_cost_json_add(text, list, object);
    }
    return list;
}

static json_t *node_json(const struct weir_cost_graph *graph, int v, struct weir_text *text)
{
    const struct weir_cost_node *node = &graph->nodes[v];
    json_t *object = json_object();
    weir_cost_json_set(text, object, "id", weir_cost_json_node_id(text, graph, v));
    weir_cost_json_set(text, object, "name", weir_cost_json_string(text, node->name));
    weir_cost_json_set(text, object, "forward", weir_cost_json_number(node->forward));
    weir_cost_json_set(text, object, "input_grad", weir_cost_json_number(node->input_grad));
    weir_cost_json_set(text, object, "weight_grad", weir_cost_json_number(node->weight_grad));
    if (!isnan(node->cpu))
        weir_cost_json_set(text, object, "cpu", weir_cost_json_number(node->cpu));
    weir_cost_json_set(text, object, "parameter_bytes", weir_cost_json_number(node->parameter_bytes));
    weir_cost_json_set(text, object, "activation_bytes", weir_cost_json_number(node->activation_bytes));
    if (node->color >= 0)
        weir_cost_json_set(text, object, "color", json_integer(node->color));
    if (node->device >= 0)
        weir_cost_json_set(text, object, "device", json_integer(node->device));
    if (node->backward)
        weir_cost_json_set(text, object, "backward_node", json_true());
    if (node->no_accelerator)
        weir_cost_json_set(text, object, "accelerator", json_false());
    if (node->n_variants)
        weir_cost_json_set(text, object, "variants", variants_json(node, text));
    return object;
}

static json_t *edge_json(const struct weir_cost_graph *graph, int e, struct weir_text *text)
{
    const struct weir_cost_edge *edge = &graph->edges[e];
    json_t *object = json_object();
    weir_cost_json_set(text, object, "from", weir_cost_json_node_id(text, graph, edge->from));
    weir_cost_json_set(text, object, "to", weir_cost_json_node_id(text, graph, edge->to));
    weir_cost_json_set(text, object, "tensor", json_integer(edge->tensor));
    weir_cost_json_set(text, object, "bytes", weir_cost_json_number(edge->bytes));
    weir_cost_json_set(text, object, "cost", weir_cost_json_number(edge->cost));
    if (edge->no_cut)
        weir_cost_json_set(text, object, "no_cut", json_true());
    return object;
}

static json_t *machine_json(const struct weir_cost_graph *graph, struct weir_text *text)
{
    json_t *object = json_object();
    weir_cost_json_set(text, object, "format", json_string("weir-cost-graph"));
    weir_cost_json_set(text, object, "version", json_integer(1));
    weir_cost_json_set(text, object, "units_per_second", weir_cost_json_number(graph->units_per_second));
    if (graph->devices)
        weir_cost_json_set(text, object, "devices", json_integer(graph->devices));
    if (graph->cpus)
        weir_cost_json_set(text, object, "cpus", json_integer(graph->cpus));
    if (isfinite(graph->memory))
        weir_cost_json_set(text, object, "memory", weir_cost_json_number(graph->memory));
    if (graph->bandwidth > 0)
        weir_cost_json_set(text, object, "bandwidth", weir_cost_json_number(graph->bandwidth));
    if (graph->micro_batches > 0)
        weir_cost_json_set(text, object, "micro_batches", weir_cost_json_number(graph->micro_batches));
    return object;
}

typedef json_t *(*item_json)(const struct weir_cost_graph *graph, int item, struct weir_text *text);

/* "key": [ ... ], an item to a line. */
static void list_write(const struct weir_cost_graph *graph, const char *key, int n, item_json item,
                       struct weir_text *text)
{
    weir_text_append(text, " \"%s\": [\n", key);
    for (int i = 0; i < n && !text->status; i++) {
        weir_text_append(text, "  ");
        weir_cost_json_append(text, item(graph, i, text));
        weir_text_append(text, i + 1 < n ? ",\n" : "\n");
    }
    weir_text_append(text, " ]");
}

/* {head, "nodes": [...], "edges": [...]} */
static void document_write(const struct weir_cost_graph *graph, json_t *head, item_json node, item_json edge,
                           struct weir_text *text)
{
    weir_cost_json_open(text, head);
    weir_text_append(text, ",\n");
    list_write(graph, "nodes", graph->n_nodes, node, text);
    weir_text_append(text, ",\n");
    list_write(graph, "edges", graph->n_edges, edge, text);
    weir_text_append(text, "}\n");
}

/* A producer has one cost per output in the msr format, a node one class and no device. */
static weir_status msr_check(const struct weir_cost_graph *graph)
{
    if (!graph->integer_ids)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the msr format needs integer node ids");
    for (int v = 0; v < graph->n_nodes; v++)
        if (graph->nodes[v].device >= 0)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "node '%s' is pinned to a device, the msr format has no word for it",
                             graph->nodes[v].id);
    for (int e = 0; e < graph->n_edges; e++)
        if (graph->edges[e].no_cut || graph->edges[e].tensor)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED,
                             "node '%s' has a forbidden cut or several outputs, which the msr format "
                             "cannot say",
                             graph->nodes[graph->edges[e].from].id);
    return WEIR_OK;
}

static json_t *msr_node_json(const struct weir_cost_graph *graph, int v, struct weir_text *text)
{
    const struct weir_cost_node *node = &graph->nodes[v];
    json_t *object = json_object();
    weir_cost_json_set(text, object, "name", weir_cost_json_string(text, node->name));
    weir_cost_json_set(text, object, "id", weir_cost_json_node_id(text, graph, v));
    weir_cost_json_set(text, object, "supportedOnFpga", json_integer(!node->no_accelerator));
    if (!isnan(node->cpu))
        weir_cost_json_set(text, object, "cpuLatency", weir_cost_json_number(node->cpu));
    weir_cost_json_set(text, object, "fpgaLatency", weir_cost_json_number(weir_cost_node_time(node)));
    weir_cost_json_set(text, object, "isBackwardNode", json_integer(node->backward));
    if (node->color >= 0)
        weir_cost_json_set(text, object, "colorClass", json_integer(node->color));
    weir_cost_json_set(text, object, "size", weir_cost_json_number(node->parameter_bytes + node->activation_bytes));
    return object;
}

static json_t *msr_edge_json(const struct weir_cost_graph *graph, int e, struct weir_text *text)
{
    const struct weir_cost_edge *edge = &graph->edges[e];
    json_t *object = json_object();
    weir_cost_json_set(text, object, "sourceId", weir_cost_json_node_id(text, graph, edge->from));
    weir_cost_json_set(text, object, "destId", weir_cost_json_node_id(text, graph, edge->to));
    weir_cost_json_set(text, object, "cost", weir_cost_json_number(edge->cost));
    weir_cost_json_set(text, object, "size", weir_cost_json_number(edge->bytes));
    return object;
}

static json_t *msr_machine_json(const struct weir_cost_graph *graph, struct weir_text *text)
{
    json_t *object = json_object();
    if (isfinite(graph->memory))
        weir_cost_json_set(text, object, "maxSizePerFPGA", weir_cost_json_number(graph->memory));
    weir_cost_json_set(text, object, "maxFPGAs", json_integer(graph->devices));
    weir_cost_json_set(text, object, "maxCPUs", json_integer(graph->cpus));
    return object;
}

weir_status weir_cost_graph_write(const struct weir_cost_graph *graph, enum weir_cost_graph_format format,
                                  struct weir_text *text)
{
    if (format == WEIR_COST_GRAPH_MSR) {
        weir_status status = msr_check(graph);
        if (status)
            return status;
        document_write(graph, msr_machine_json(graph, text), msr_node_json, msr_edge_json, text);
        return text->status;
    }
    if (format != WEIR_COST_GRAPH_WEIR && format != WEIR_COST_GRAPH_AUTO)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "graphs are written in the formats weir and msr, not '%s'",
                         weir_cost_graph_format_names[format]);
    document_write(graph, machine_json(graph, text), node_json, edge_json, text);
    return text->status;
}
