/* Cost graphs and their splits for programs: include/weir/partition.h. */
#include "include/weir/partition.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/grown.h"
#include "partitioner/plan/plan_solve.h"

struct weir_split {
    struct weir_arena arena;
    const weir_cost_graph *graph;
    struct weir_plan_options options;
    struct weir_plan_result result;
    bool contiguous;
};

static weir_status text_give(weir_status status, struct weir_text *text, weir_text_fn say, void *context)
{
    if (!status)
        status = text->status;
    if (!status && text->length)
        say(context, text->data, text->length);
    weir_text_release(text);
    return status;
}

/* ---- cost graphs ----------------------------------------------------------------------------------------------------- */

const char *weir_cost_graph_form(int index)
{
    return index >= 0 && index < WEIR_COST_GRAPH_FORMATS ? weir_cost_graph_format_names[index] : NULL;
}

/* From a file (text NULL), or from text. */
static weir_status graph_open(const char *name, const char *text, size_t bytes, const char *form, double bandwidth,
                              weir_cost_graph **graph_out)
{
    weir_cost_graph *graph;
    int format = WEIR_COST_GRAPH_AUTO;
    weir_status status = form ? weir_name_find("format", form, weir_cost_graph_format_names, &format) : WEIR_OK;
    if (!status)
        status = weir_alloc(1, sizeof *graph, &graph);
    if (status)
        return status;
    status = text ? weir_cost_graph_parse(text, bytes, name, (enum weir_cost_graph_format)format, bandwidth, graph)
                  : weir_cost_graph_read(name, (enum weir_cost_graph_format)format, bandwidth, graph);
    if (status)
        weir_free(graph);
    else
        *graph_out = graph;
    return status;
}

weir_status weir_cost_graph_open(const char *path, const char *form, double bandwidth, weir_cost_graph **graph_out)
{
    return graph_open(path, NULL, 0, form, bandwidth, graph_out);
}

weir_status weir_cost_graph_open_text(const char *text, size_t bytes, const char *name, const char *form, double bandwidth,
                                      weir_cost_graph **graph_out)
{
    struct weir_text whole = {0}; /* its end is a zero byte, the program's need not be */
    weir_text_append(&whole, "%.*s", (int)bytes, text);
    weir_status status = whole.status;
    if (!status && whole.length != bytes)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has a zero byte, or more bytes than %d", name, INT32_MAX);
    if (!status)
        status = graph_open(name, whole.data ? whole.data : "", bytes, form, bandwidth, graph_out);
    weir_text_release(&whole);
    return status;
}

void weir_cost_graph_close(weir_cost_graph *graph)
{
    if (graph)
        weir_cost_graph_release(graph);
    weir_free(graph);
}

void weir_cost_graph_info_sized(const weir_cost_graph *graph, struct weir_cost_graph_info *info_out, size_t info_bytes)
{
    const struct weir_cost_graph_info own = {.n_nodes = graph->n_nodes, .n_edges = graph->n_edges, .n_devices = graph->devices,
                                             .memory = graph->memory, .units_per_second = graph->units_per_second};
    weir_grown_give(&own, sizeof own, info_out, info_bytes);
}

weir_status weir_cost_graph_node_get_sized(const weir_cost_graph *graph, int index, struct weir_cost_node_info *node_out,
                                           size_t node_bytes)
{
    if (index < 0 || index >= graph->n_nodes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the graph has %d nodes, there is no node %d", graph->n_nodes, index);
    const struct weir_cost_node *node = &graph->nodes[index];
    const struct weir_cost_node_info own = {
        .id = node->id, .name = node->name, .forward = node->forward, .input_grad = node->input_grad,
        .weight_grad = node->weight_grad, .cpu = node->cpu, .parameter_bytes = node->parameter_bytes,
        .activation_bytes = node->activation_bytes};
    weir_grown_give(&own, sizeof own, node_out, node_bytes);
    return WEIR_OK;
}

weir_status weir_cost_graph_print(const weir_cost_graph *graph, const char *form, weir_text_fn say, void *context)
{
    static const char *const written[] = {"weir", "msr", NULL};
    struct weir_text text = {0};
    int index = 0;
    weir_status status = weir_name_find("format", form, written, &index);
    if (!status)
        status = weir_cost_graph_write(graph, index ? WEIR_COST_GRAPH_MSR : WEIR_COST_GRAPH_WEIR, &text);
    return text_give(status, &text, say, context);
}

/* ---- splits ---------------------------------------------------------------------------------------------------------- */

void weir_split_request_init(struct weir_split_request *request, size_t bytes)
{
    const struct weir_split_request own = {.struct_bytes = bytes};
    weir_grown_give(&own, sizeof own, request, bytes);
}

static weir_status split_open(const weir_cost_graph *graph, double memory, weir_split **split_out)
{
    weir_status status = weir_alloc(1, sizeof **split_out, split_out);
    if (status)
        return status;
    (*split_out)->graph = graph;
    (*split_out)->options.memory = memory != 0 ? memory : graph->memory;
    return WEIR_OK;
}

static weir_status request_check(const struct weir_split_request *own)
{
    if ((unsigned)own->objective > WEIR_SPLIT_PIPER)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no objective %d", (int)own->objective);
    if (own->n_devices < 0 || own->n_cpus < 0 || own->curve_first < 0 || own->curve_last < own->curve_first || !(own->seconds >= 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a split for %d devices, %d CPUs, a curve of %d to %d, within %g s cannot be", own->n_devices,
                         own->n_cpus, own->curve_first, own->curve_last, own->seconds);
    return WEIR_OK;
}

weir_status weir_split_find(const weir_cost_graph *graph, const struct weir_split_request *request, weir_split **split_out)
{
    struct weir_split_request own;
    weir_split *split;
    weir_status status = weir_grown_take("weir_split_request", "start with weir_split_request_init", request,
                                         request ? request->struct_bytes : 0, &own, sizeof own);
    if (!status)
        status = request_check(&own);
    if (!status)
        status = split_open(graph, own.memory, &split);
    if (status)
        return status;
    split->options.objective = own.objective == WEIR_SPLIT_PIPER ? WEIR_PLAN_PIPER : WEIR_PLAN_MAX_LOAD;
    split->options.devices = own.n_devices;
    split->options.cpus = own.n_cpus;
    split->options.unordered = own.unordered;
    split->options.seconds = own.seconds;
    split->options.seed = own.seed;
    split->options.curve_first = own.curve_first;
    split->options.curve_last = own.curve_last;
    status = weir_plan_solve(graph, &split->options, &split->arena, &split->result);
    if (status)
        weir_split_close(split);
    else
        *split_out = split;
    return status;
}

weir_status weir_split_score(const weir_cost_graph *graph, const char *path, double memory, weir_split **split_out)
{
    const int *device_of;
    weir_split *split;
    weir_status status = split_open(graph, memory, &split);
    if (status)
        return status;
    status = weir_plan_read(graph, path, &split->arena, &device_of, &split->options.devices, &split->options.cpus);
    if (!status)
        status = weir_plan_evaluate(graph, &split->options, device_of, &split->arena, &split->result.plan, &split->contiguous);
    split->result.devices = split->options.devices;
    split->result.cpus = split->options.cpus;
    if (status)
        weir_split_close(split);
    else
        *split_out = split;
    return status;
}

void weir_split_close(weir_split *split)
{
    if (split)
        weir_arena_release(&split->arena);
    weir_free(split);
}

void weir_split_info_sized(const weir_split *split, struct weir_split_info *info_out, size_t info_bytes)
{
    const struct weir_plan_result *r = &split->result;
    const struct weir_split_info own = {.objective = r->plan.objective, .lower_bound = r->plan.lower_bound, .n_parts = r->plan.n_parts,
                                        .n_devices = r->devices, .n_cpus = r->cpus, .seconds = r->seconds, .n_points = r->n_curve,
                                        .contiguous = split->contiguous};
    weir_grown_give(&own, sizeof own, info_out, info_bytes);
}

weir_status weir_split_part_get_sized(const weir_split *split, int index, struct weir_split_part *part_out, size_t part_bytes)
{
    if (index < 0 || index >= split->result.plan.n_parts)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the split has %d parts, there is no part %d", split->result.plan.n_parts, index);
    const struct weir_plan_part *part = &split->result.plan.parts[index];
    const struct weir_split_part own = {
        .device = part->device, .is_cpu = part->cpu, .load = part->load, .time = part->time, .transfer = part->transfer,
        .memory = part->memory, .replicas = part->replicas, .in_flight = part->in_flight, .recomputed = part->recomputed,
        .nodes = part->nodes, .n_nodes = part->n_nodes};
    weir_grown_give(&own, sizeof own, part_out, part_bytes);
    return WEIR_OK;
}

weir_status weir_split_point_get_sized(const weir_split *split, int index, struct weir_split_point *point_out, size_t point_bytes)
{
    if (index < 0 || index >= split->result.n_curve)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the curve has %d points, there is no point %d", split->result.n_curve, index);
    const struct weir_plan_point *point = &split->result.curve[index];
    const struct weir_split_point own = {point->devices, point->objective, point->lower_bound};
    weir_grown_give(&own, sizeof own, point_out, point_bytes);
    return WEIR_OK;
}

weir_status weir_split_refuse(const weir_split *split)
{
    if (isfinite(split->result.plan.objective))
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is a split, of %d parts", split->result.plan.n_parts);
    return weir_plan_refuse(split->graph, &split->options, &split->result);
}

const char *weir_split_form(int index)
{
    return index >= 0 && index < WEIR_PLAN_FORMATS ? weir_plan_format_names[index] : NULL;
}

weir_status weir_split_write(const weir_split *split, const char *form, weir_text_fn say, void *context)
{
    struct weir_text text = {0};
    int index;
    weir_status status = weir_name_find("output form", form, weir_plan_format_names, &index);
    if (!status)
        status = weir_plan_write(split->graph, &split->result, (enum weir_plan_format)index, &text);
    return text_give(status, &text, say, context);
}
