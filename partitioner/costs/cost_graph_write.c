/* Writers of cost graphs: Weir's own JSON and the msr JSON. */
#include <math.h>

#include "partitioner/costs/cost_graph_file.h"
#include "partitioner/costs/json_text.h"

static void variant_write(const struct weir_cost_variant *variant, struct weir_text *text)
{
    weir_text_append(text, "{");
    if (variant->id) {
        weir_text_append(text, "\"id\": ");
        weir_json_string(text, variant->id);
        weir_text_append(text, ", ");
    }
    weir_text_append(text, "\"time\": %.17g, \"parameter_bytes\": %.17g, \"memory_a\": %.17g, \"memory_b\": %.17g}",
                     variant->time, variant->parameter_bytes, variant->memory_a, variant->memory_b);
}

static void node_write(const struct weir_cost_graph *graph, const struct weir_cost_node *node, struct weir_text *text)
{
    weir_text_append(text, "  {\"id\": ");
    weir_json_id(text, graph, node->id);
    weir_text_append(text, ", \"name\": ");
    weir_json_string(text, node->name);
    weir_text_append(text, ", \"forward\": %.17g, \"input_grad\": %.17g, \"weight_grad\": %.17g", node->forward,
                     node->input_grad, node->weight_grad);
    if (!isnan(node->cpu))
        weir_text_append(text, ", \"cpu\": %.17g", node->cpu);
    weir_text_append(text, ", \"parameter_bytes\": %.17g, \"activation_bytes\": %.17g", node->parameter_bytes,
                     node->activation_bytes);
    if (node->color >= 0)
        weir_text_append(text, ", \"color\": %lld", (long long)node->color);
    if (node->device >= 0)
        weir_text_append(text, ", \"device\": %d", node->device);
    if (node->backward)
        weir_text_append(text, ", \"backward_node\": true");
    if (node->no_accelerator)
        weir_text_append(text, ", \"accelerator\": false");
    for (int i = 0; i < node->n_variants; i++) {
        weir_text_append(text, i ? ", " : ", \"variants\": [");
        variant_write(&node->variants[i], text);
    }
    weir_text_append(text, node->n_variants ? "]}" : "}");
}

static void weir_write(const struct weir_cost_graph *graph, struct weir_text *text)
{
    weir_text_append(text, "{\"format\": \"weir-cost-graph\", \"version\": 1, \"units_per_second\": %.17g",
                     graph->units_per_second);
    if (graph->devices)
        weir_text_append(text, ", \"devices\": %d", graph->devices);
    if (graph->cpus)
        weir_text_append(text, ", \"cpus\": %d", graph->cpus);
    if (isfinite(graph->memory))
        weir_text_append(text, ", \"memory\": %.17g", graph->memory);
    if (graph->bandwidth > 0)
        weir_text_append(text, ", \"bandwidth\": %.17g", graph->bandwidth);
    if (graph->micro_batches > 0)
        weir_text_append(text, ", \"micro_batches\": %.17g", graph->micro_batches);
    weir_text_append(text, ",\n \"nodes\": [\n");
    for (int v = 0; v < graph->n_nodes; v++) {
        node_write(graph, &graph->nodes[v], text);
        weir_text_append(text, v + 1 < graph->n_nodes ? ",\n" : "\n");
    }
    weir_text_append(text, " ],\n \"edges\": [\n");
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        weir_text_append(text, "  {\"from\": ");
        weir_json_id(text, graph, graph->nodes[edge->from].id);
        weir_text_append(text, ", \"to\": ");
        weir_json_id(text, graph, graph->nodes[edge->to].id);
        weir_text_append(text, ", \"tensor\": %d, \"bytes\": %.17g, \"cost\": %.17g%s}%s\n", edge->tensor, edge->bytes,
                         edge->cost, edge->no_cut ? ", \"no_cut\": true" : "", e + 1 < graph->n_edges ? "," : "");
    }
    weir_text_append(text, " ]}\n");
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

static void msr_node_write(const struct weir_cost_node *node, struct weir_text *text)
{
    weir_text_append(text, "  {\"name\": ");
    weir_json_string(text, node->name);
    weir_text_append(text, ", \"id\": %s, \"supportedOnFpga\": %d, ", node->id, node->no_accelerator ? 0 : 1);
    if (!isnan(node->cpu))
        weir_text_append(text, "\"cpuLatency\": %.17g, ", node->cpu);
    weir_text_append(text, "\"fpgaLatency\": %.17g, \"isBackwardNode\": %d, ", weir_cost_node_time(node),
                     node->backward);
    if (node->color >= 0)
        weir_text_append(text, "\"colorClass\": %lld, ", (long long)node->color);
    weir_text_append(text, "\"size\": %.17g}", node->parameter_bytes + node->activation_bytes);
}

static void msr_write(const struct weir_cost_graph *graph, struct weir_text *text)
{
    weir_text_append(text, "{");
    if (isfinite(graph->memory))
        weir_text_append(text, "\"maxSizePerFPGA\": %.17g, ", graph->memory);
    weir_text_append(text, "\"maxFPGAs\": %d, \"maxCPUs\": %d,\n \"nodes\": [\n", graph->devices, graph->cpus);
    for (int v = 0; v < graph->n_nodes; v++) {
        msr_node_write(&graph->nodes[v], text);
        weir_text_append(text, v + 1 < graph->n_nodes ? ",\n" : "\n");
    }
    weir_text_append(text, " ],\n \"edges\": [\n");
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        weir_text_append(text, "  {\"sourceId\": %s, \"destId\": %s, \"cost\": %.17g, \"size\": %.17g}%s\n",
                         graph->nodes[edge->from].id, graph->nodes[edge->to].id, edge->cost, edge->bytes,
                         e + 1 < graph->n_edges ? "," : "");
    }
    weir_text_append(text, " ]}\n");
}

weir_status weir_cost_graph_write(const struct weir_cost_graph *graph, enum weir_cost_graph_format format,
                                  struct weir_text *text)
{
    if (format == WEIR_COST_GRAPH_MSR) {
        weir_status status = msr_check(graph);
        if (status)
            return status;
        msr_write(graph, text);
        return text->status;
    }
    if (format != WEIR_COST_GRAPH_WEIR && format != WEIR_COST_GRAPH_AUTO)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "graphs are written in the formats weir and msr, not '%s'",
                         weir_cost_graph_format_names[format]);
    weir_write(graph, text);
    return text->status;
}
