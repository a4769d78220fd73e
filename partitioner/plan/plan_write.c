/* Plans as JSON (Weir's and msr's), graph.txt with stages, and lists of layers; drawings are in plan_draw.c. */
#include <math.h>

#include "partitioner/costs/json_text.h"
#include "partitioner/plan/plan.h"
#include "partitioner/plan/plan_draw.h"
#include "partitioner/plan/plan_explain.h"

const char *const weir_plan_format_names[] = {"json", "msr", "pipedream", "layers", "dot", "explain", NULL};

static void nodes_write(const struct weir_cost_graph *graph, const struct weir_plan_part *part, struct weir_text *text)
{
    weir_text_append(text, "[");
    for (int i = 0; i < part->n_nodes; i++) {
        weir_text_append(text, i ? ", " : "");
        weir_json_id(text, graph, graph->nodes[part->nodes[i]].id);
    }
    weir_text_append(text, "]");
}

static double gap_of(const struct weir_plan *plan)
{
    if (!isfinite(plan->objective))
        return NAN;
    return plan->objective > 0 ? (plan->objective - plan->lower_bound) / plan->objective : 0;
}

static void stage_write(const struct weir_cost_graph *graph, const struct weir_plan_part *part, struct weir_text *text)
{
    weir_text_append(text, "  {\"device\": %d, \"load\": %.17g, \"memory\": %.17g, ", part->device, part->load,
                     part->memory);
    if (part->cpu)
        weir_text_append(text, "\"cpu\": true, ");
    if (part->in_flight)
        weir_text_append(text, "\"replicas\": %d, \"in_flight\": %d, \"recomputed\": %d, ", part->replicas,
                         part->in_flight, part->recomputed);
    weir_text_append(text, "\"time\": %.17g, \"transfer\": %.17g, \"nodes\": ", part->time, part->transfer);
    nodes_write(graph, part, text);
    weir_text_append(text, "}");
}

static void json_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                       struct weir_text *text)
{
    const struct weir_plan *plan = &result->plan;
    weir_text_append(text, "{\"objective\": ");
    weir_json_real(text, plan->objective);
    weir_text_append(text, ", \"lower_bound\": ");
    weir_json_real(text, plan->lower_bound);
    weir_text_append(text, ", \"gap\": ");
    weir_json_real(text, gap_of(plan));
    weir_text_append(text, ", \"seconds\": %.6f, \"ideals\": %lld, \"devices\": %d, \"cpus\": %d,\n \"stages\": [",
                     result->seconds, (long long)result->downsets, result->devices, result->cpus);
    for (int i = 0; i < plan->n_parts; i++) {
        weir_text_append(text, i ? ",\n" : "\n");
        stage_write(graph, &plan->parts[i], text);
    }
    weir_text_append(text, "]");
    for (int i = 0; i < result->n_curve; i++) {
        weir_text_append(text, i ? ",\n" : ",\n \"curve\": [\n");
        weir_text_append(text, "  {\"devices\": %d, \"objective\": ", result->curve[i].devices);
        weir_json_real(text, result->curve[i].objective);
        weir_text_append(text, ", \"lower_bound\": ");
        weir_json_real(text, result->curve[i].lower_bound);
        weir_text_append(text, "}");
    }
    weir_text_append(text, result->n_curve ? "]}\n" : "}\n");
}

/* Every device has an entry, idle ones an empty list. */
static void msr_list_write(const struct weir_cost_graph *graph, const struct weir_plan *plan, int first, int end,
                           struct weir_text *text)
{
    int i = 0;
    while (i < plan->n_parts && plan->parts[i].device < first)
        i++;
    for (int device = first; device < end; device++) {
        bool used = i < plan->n_parts && plan->parts[i].device == device;
        weir_text_append(text, "%s\n  {\"load\": %.17g, \"nodes\": ", device > first ? "," : "",
                         used ? plan->parts[i].load : 0);
        if (used)
            nodes_write(graph, &plan->parts[i++], text);
        else
            weir_text_append(text, "[]");
        weir_text_append(text, "}");
    }
}

static void msr_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                      struct weir_text *text)
{
    weir_text_append(text, "{\"maxLoad\": ");
    weir_json_real(text, result->plan.objective);
    weir_text_append(text, ", \"fpgas\": [");
    msr_list_write(graph, &result->plan, 0, result->devices, text);
    weir_text_append(text, "],\n \"cpus\": [");
    msr_list_write(graph, &result->plan, result->devices, result->devices + result->cpus, text);
    weir_text_append(text, "]}\n");
}

static int stage_of(const struct weir_plan *plan, int node)
{
    for (int i = 0; i < plan->n_parts; i++)
        for (int low = 0, high = plan->parts[i].n_nodes; low < high;) {
            int middle = low + (high - low) / 2, found = plan->parts[i].nodes[middle];
            if (found == node)
                return i;
            if (found < node)
                low = middle + 1;
            else
                high = middle;
        }
    return 0;
}

static weir_status pipedream_write(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                   struct weir_text *text)
{
    for (int v = 0; v < graph->n_nodes; v++) {
        if (!graph->nodes[v].line)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED,
                             "node '%s' does not come from a graph.txt: use --output json or layers",
                             graph->nodes[v].id);
        weir_text_append(text, "%s -- stage_id=%d\n", graph->nodes[v].line, stage_of(plan, v));
    }
    for (int i = 0; i < graph->n_passengers; i++) {
        int anchor = graph->passengers[i].anchor;
        weir_text_append(text, "%s -- stage_id=%d\n", graph->passengers[i].line,
                         anchor < 0 ? 0 : stage_of(plan, anchor));
    }
    for (int e = 0; e < graph->n_edges; e++)
        weir_text_append(text, "\t%s -- %s\n", graph->nodes[graph->edges[e].from].id,
                         graph->nodes[graph->edges[e].to].id);
    for (int i = 0; i < graph->n_passenger_edges; i++)
        weir_text_append(text, "\t%s\n", graph->passenger_edges[i]);
    return text->status;
}

static void layers_write(const struct weir_cost_graph *graph, const struct weir_plan *plan, struct weir_text *text)
{
    for (int i = 0; i < plan->n_parts; i++)
        for (int k = 0; k < plan->parts[i].n_nodes; k++)
            weir_text_append(text, "%s%c", graph->nodes[plan->parts[i].nodes[k]].id,
                             k + 1 < plan->parts[i].n_nodes ? ' ' : '\n');
}

weir_status weir_plan_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                            enum weir_plan_format format, struct weir_text *text)
{
    switch (format) {
    case WEIR_PLAN_JSON:
        json_write(graph, result, text);
        return text->status;
    case WEIR_PLAN_MSR:
        msr_write(graph, result, text);
        return text->status;
    case WEIR_PLAN_PIPEDREAM:
        return pipedream_write(graph, &result->plan, text);
    case WEIR_PLAN_LAYERS:
        layers_write(graph, &result->plan, text);
        return text->status;
    case WEIR_PLAN_DOT:
        return weir_plan_dot_write(graph, &result->plan, text);
    case WEIR_PLAN_EXPLAIN:
        return weir_plan_explain_write(graph, result, text);
    case WEIR_PLAN_FORMATS:
        break;
    }
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "plan format %d", (int)format);
}
