/* Plans as JSON (Weir's and msr's), graph.txt with stages, and lists of layers; drawings are in plan_draw.c. */
#include <math.h>

#include "partitioner/costs/cost_json_write.h"
#include "partitioner/plan/plan_solve.h"
#include "partitioner/plan/plan_draw.h"
#include "partitioner/plan/plan_explain.h"

const char *const weir_plan_format_names[] = {"json", "msr", "pipedream", "layers", "dot", "explain", NULL};

static json_t *nodes_json(const struct weir_cost_graph *graph, const struct weir_plan_part *part,
                          struct weir_text *text)
{
    json_t *list = json_array();
    for (int i = 0; part && i < part->n_nodes; i++)
        weir_cost_json_add(text, list, weir_cost_json_node_id(text, graph, part->nodes[i]));
    return list;
}

static double gap_of(const struct weir_plan *plan)
{
    if (!isfinite(plan->objective))
        return NAN;
    return plan->objective > 0 ? (plan->objective - plan->lower_bound) / plan->objective : 0;
}

static json_t *part_json(const struct weir_cost_graph *graph, const struct weir_plan_part *part, struct weir_text *text)
{
    json_t *object = json_object();
    weir_cost_json_set(text, object, "device", json_integer(part->device));
    weir_cost_json_set(text, object, "load", weir_cost_json_number(part->load));
    weir_cost_json_set(text, object, "memory", weir_cost_json_number(part->memory));
    if (part->cpu)
        weir_cost_json_set(text, object, "cpu", json_true());
    if (part->in_flight) {
        weir_cost_json_set(text, object, "replicas", json_integer(part->replicas));
        weir_cost_json_set(text, object, "in_flight", json_integer(part->in_flight));
        weir_cost_json_set(text, object, "recomputed", json_integer(part->recomputed));
    }
    weir_cost_json_set(text, object, "time", weir_cost_json_number(part->time));
    weir_cost_json_set(text, object, "transfer", weir_cost_json_number(part->transfer));
    weir_cost_json_set(text, object, "nodes", nodes_json(graph, part, text));
    return object;
}

static json_t *point_json(const struct weir_plan_point *point, struct weir_text *text)
{
    json_t *object = json_object();
    weir_cost_json_set(text, object, "devices", json_integer(point->devices));
    weir_cost_json_set(text, object, "objective", weir_cost_json_number(point->objective));
    weir_cost_json_set(text, object, "lower_bound", weir_cost_json_number(point->lower_bound));
    return object;
}

static json_t *bounds_json(const struct weir_plan *plan, struct weir_text *text)
{
    json_t *object = json_object();
    weir_cost_json_set(text, object, "objective", weir_cost_json_number(plan->objective));
    weir_cost_json_set(text, object, "lower_bound", weir_cost_json_number(plan->lower_bound));
    weir_cost_json_set(text, object, "gap", weir_cost_json_number(gap_of(plan)));
    return object;
}

static void json_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                       struct weir_text *text)
{
    const struct weir_plan *plan = &result->plan;
    weir_cost_json_open(text, bounds_json(plan, text));
    weir_text_append(text, ", \"seconds\": %.6f, \"ideals\": %lld, \"devices\": %d, \"cpus\": %d,\n \"stages\": [",
                     result->seconds, (long long)result->downsets, result->devices, result->cpus);
    for (int i = 0; i < plan->n_parts; i++) {
        weir_text_append(text, i ? ",\n  " : "\n  ");
        weir_cost_json_append(text, part_json(graph, &plan->parts[i], text));
    }
    weir_text_append(text, "]");
    for (int i = 0; i < result->n_curve; i++) {
        weir_text_append(text, i ? ",\n  " : ",\n \"curve\": [\n  ");
        weir_cost_json_append(text, point_json(&result->curve[i], text));
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
        const struct weir_plan_part *part = used ? &plan->parts[i++] : NULL;
        json_t *object = json_object();
        weir_cost_json_set(text, object, "load", weir_cost_json_number(part ? part->load : 0));
        weir_cost_json_set(text, object, "nodes", nodes_json(graph, part, text));
        weir_text_append(text, device > first ? ",\n  " : "\n  ");
        weir_cost_json_append(text, object);
    }
}

static void msr_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                      struct weir_text *text)
{
    weir_text_append(text, "{\"maxLoad\": ");
    weir_cost_json_append(text, weir_cost_json_number(result->plan.objective));
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
                             "node '%s' does not come from a graph.txt: use " WEIR_OPTION("output=json") " or layers",
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
        for (int k = 0; k < plan->parts[i].n_nodes; k++) {
            weir_text_append_name(text, graph->nodes[plan->parts[i].nodes[k]].id);
            weir_text_append(text, "%c", k + 1 < plan->parts[i].n_nodes ? ' ' : '\n');
        }
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
        return result->plan.n_parts ? pipedream_write(graph, &result->plan, text) : WEIR_OK;
    case WEIR_PLAN_LAYERS:
        layers_write(graph, &result->plan, text);
        return text->status;
    case WEIR_PLAN_DOT:
        return result->plan.n_parts ? weir_plan_dot_write(graph, &result->plan, text) : WEIR_OK;
    case WEIR_PLAN_EXPLAIN:
        return weir_plan_explain_write(graph, result, text);
    case WEIR_PLAN_FORMATS:
        break;
    }
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "plan format %d", (int)format);
}
