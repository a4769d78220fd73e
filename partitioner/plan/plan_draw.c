#include "partitioner/plan/plan_draw.h"

#include <math.h>

#include "base/alloc.h"
#include "partitioner/costs/json_text.h"

/* Hues far apart for neighbouring stages. */
static double hue(int stage)
{
    return fmod(stage * 0.381966, 1.0);
}

weir_status weir_plan_stages_of_nodes(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                      int **stage_out)
{
    int *stage;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *stage, &stage);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        stage[v] = -1;
    for (int i = 0; i < plan->n_parts; i++)
        for (int k = 0; k < plan->parts[i].n_nodes; k++)
            stage[plan->parts[i].nodes[k]] = i;
    *stage_out = stage;
    return WEIR_OK;
}

static void dot_node(const struct weir_cost_graph *graph, int v, int stage, struct weir_text *text)
{
    const struct weir_cost_node *node = &graph->nodes[v];
    weir_text_append(text, "    n%d [label=", v);
    weir_json_string(text, node->name);
    weir_text_append(text, ", tooltip=\"%s: %.6g\", fillcolor=\"%.3f 0.25 1.0\"%s];\n",
                     node->backward ? "backward" : "time", weir_cost_node_time(node), hue(stage),
                     node->backward ? ", shape=ellipse" : "");
}

weir_status weir_plan_dot_write(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                struct weir_text *text)
{
    int *stage;
    weir_status status = weir_plan_stages_of_nodes(graph, plan, &stage);
    if (status)
        return status;
    weir_text_append(text, "digraph plan {\n  rankdir=TB;\n  node [shape=box, style=filled, fontsize=10];\n");
    for (int i = 0; i < plan->n_parts; i++) {
        const struct weir_plan_part *part = &plan->parts[i];
        weir_text_append(text, "  subgraph cluster_%d {\n    label=\"%s %d: load %.6g\"; color=\"%.3f 0.8 0.7\";\n", i,
                         part->cpu ? "CPU" : "device", part->device, part->load, hue(i));
        for (int k = 0; k < part->n_nodes; k++)
            dot_node(graph, part->nodes[k], i, text);
        weir_text_append(text, "  }\n");
    }
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        bool cut = stage[edge->from] != stage[edge->to];
        weir_text_append(text, "  n%d -> n%d", edge->from, edge->to);
        if (cut)
            weir_text_append(text, " [color=red, penwidth=2, label=\"%.4g\"]", edge->cost);
        weir_text_append(text, ";\n");
    }
    weir_text_append(text, "}\n");
    weir_free(stage);
    return text->status;
}
