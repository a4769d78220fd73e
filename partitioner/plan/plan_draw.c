/* Graphviz: one cluster per part, hues by the golden ratio so that neighbours differ, cut edges in red with their
 * cost. */
#include "partitioner/plan/plan_draw.h"

#include <math.h>

#include "base/alloc.h"
#include "partitioner/plan/plan_parts.h"

/* Hues far apart for neighbouring parts. */
static double hue(int part)
{
    return fmod(part * 0.381966, 1.0);
}

/* A string of Graphviz: its own escapes are taken literally, control characters are spaces. */
static void quoted_write(struct weir_text *text, const char *string)
{
    weir_text_append(text, "\"");
    for (; *string; string++) {
        bool escaped = *string == '"' || *string == '\\', control = (unsigned char)*string < ' ';
        weir_text_append(text, "%s%c", escaped ? "\\" : "", control ? ' ' : *string);
    }
    weir_text_append(text, "\"");
}

static void dot_node(const struct weir_cost_graph *graph, int v, int part, struct weir_text *text)
{
    const struct weir_cost_node *node = &graph->nodes[v];
    weir_text_append(text, "    n%d [label=", v);
    quoted_write(text, node->name);
    weir_text_append(text, ", tooltip=\"%s: %.6g\", fillcolor=\"%.3f 0.25 1.0\"%s];\n",
                     node->backward ? "backward" : "time", weir_cost_node_time(node), hue(part),
                     node->backward ? ", shape=ellipse" : "");
}

weir_status weir_plan_dot_write(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                struct weir_text *text)
{
    int *part_of;
    weir_status status = weir_plan_parts_of_nodes(graph, plan, &part_of);
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
        bool cut = part_of[edge->from] != part_of[edge->to];
        weir_text_append(text, "  n%d -> n%d", edge->from, edge->to);
        if (cut)
            weir_text_append(text, " [color=red, penwidth=2, label=\"%.4g\"]", edge->cost);
        weir_text_append(text, ";\n");
    }
    weir_text_append(text, "}\n");
    weir_free(part_of);
    return text->status;
}
