#include "partitioner/plan_draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/json_text.h"

/* Hues far apart for neighbouring stages. */
static double hue(int stage)
{
    return fmod(stage * 0.381966, 1.0);
}

static weir_status stages_of_nodes(const struct weir_cost_graph *graph, const struct weir_plan *plan, int **stage_out)
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
    weir_text_append(text, ", tooltip=\"%s: %.6g\", fillcolor=\"%.3f 0.25 1.0\"%s];\n", node->backward ? "backward" : "time",
                     weir_cost_node_time(node), hue(stage), node->backward ? ", shape=ellipse" : "");
}

weir_status weir_plan_dot_write(const struct weir_cost_graph *graph, const struct weir_plan *plan, struct weir_text *text)
{
    int *stage;
    weir_status status = stages_of_nodes(graph, plan, &stage);
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

struct cut {
    int node; /* producer */
    double cost;
};

static int cut_compare(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost > y->cost ? -1 : 1;
    return x->node - y->node;
}

/* The outputs that part `i` pays for, dearest first. */
static weir_status cuts_write(const struct weir_cost_graph *graph, const int *stage, int i, struct weir_text *text)
{
    enum { SHOWN = 3 };
    struct cut *cuts;
    int n = 0, kept = 0;
    weir_status status = weir_alloc((size_t)graph->n_edges, sizeof *cuts, &cuts);
    if (status)
        return status;
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        if ((stage[edge->from] == i) != (stage[edge->to] == i))
            cuts[n++] = (struct cut){edge->from, edge->cost};
    }
    qsort(cuts, (size_t)n, sizeof *cuts, cut_compare);
    for (int k = 0; k < n; k++)
        if (!kept || cuts[k].node != cuts[kept - 1].node)
            cuts[kept++] = cuts[k];
    for (int k = 0; k < kept && k < SHOWN; k++)
        weir_text_append(text, "%s%s '%s' %.4g", k ? ", " : "      moves ", stage[cuts[k].node] == i ? "out" : "in",
                         graph->nodes[cuts[k].node].name, cuts[k].cost);
    if (kept > SHOWN)
        weir_text_append(text, " and %d more", kept - SHOWN);
    weir_text_append(text, kept ? "\n" : "");
    weir_free(cuts);
    return WEIR_OK;
}

static void ends_write(const struct weir_cost_graph *graph, const struct weir_plan_part *part, struct weir_text *text)
{
    weir_text_append(text, "  %s", graph->nodes[part->nodes[0]].name);
    if (part->n_nodes > 1)
        weir_text_append(text, " .. %s (%d nodes)", graph->nodes[part->nodes[part->n_nodes - 1]].name, part->n_nodes);
    weir_text_append(text, "\n");
}

static void head_write(const struct weir_plan_result *result, struct weir_text *text)
{
    const struct weir_plan *plan = &result->plan;
    weir_text_append(text, "objective %.6g on %d device%s", plan->objective, result->devices, result->devices == 1 ? "" : "s");
    if (result->cpus)
        weir_text_append(text, " and %d CPU%s", result->cpus, result->cpus == 1 ? "" : "s");
    if (plan->lower_bound >= plan->objective)
        weir_text_append(text, ": optimal");
    else
        weir_text_append(text, ": no plan of this kind is below %.6g (gap %.2f %%)", plan->lower_bound,
                         100 * (plan->objective - plan->lower_bound) / plan->objective);
    weir_text_append(text, "; %.3f s\n\n", result->seconds);
    weir_text_append(text, "device         load         time     transfer   memory MiB        slack  nodes\n");
}

weir_status weir_plan_explain_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                                    struct weir_text *text)
{
    const struct weir_plan *plan = &result->plan;
    int *stage;
    weir_status status = stages_of_nodes(graph, plan, &stage);
    if (status)
        return status;
    head_write(result, text);
    for (int i = 0; !status && i < plan->n_parts; i++) {
        const struct weir_plan_part *part = &plan->parts[i];
        weir_text_append(text, "%s%-4d %12.6g %12.6g %12.6g %12.1f %12.4g%s", part->cpu ? "c" : " ", part->device, part->load,
                         part->time, part->transfer, part->memory / 1048576, plan->objective - part->load,
                         part->load >= plan->objective ? " <" : "  ");
        ends_write(graph, part, text);
        if (part->in_flight)
            weir_text_append(text, "      %d replica%s, %d micro-batches in flight, %d nodes recomputed\n", part->replicas,
                             part->replicas == 1 ? "" : "s", part->in_flight, part->recomputed);
        status = cuts_write(graph, stage, i, text);
    }
    weir_text_append(text, "\n< is the busiest device: only a plan that relieves it can be better\n");
    weir_free(stage);
    return status ? status : text->status;
}
