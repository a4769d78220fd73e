#include "engine/program/planner_cuts.h"

#include "engine/program/trips.h"
#include "partitioner/plan/plan_solve.h"

bool weir_planner_is_plain(const struct weir_graph *graph)
{
    for (int l = 1; l < graph->n_layers; l++)
        if (graph->layers[l].n_crossing != 1 || weir_layer_crossing_bytes(graph, l) != weir_layer_crossing_bytes(graph, 1))
            return false;
    return true;
}

/* Parts are intervals of layers, because the edges keep these in their order. */
static weir_status cut_take(const struct weir_plan *plan, int n_layers, struct weir_arena *arena, int **first_layer_out)
{
    int *first_layer;
    weir_status status = weir_arena_alloc(arena, (size_t)plan->n_parts + 1, sizeof *first_layer, &first_layer);
    for (int i = 0; i < plan->n_parts && !status; i++)
        first_layer[i] = plan->parts[i].nodes[0];
    if (status)
        return status;
    first_layer[plan->n_parts] = n_layers;
    *first_layer_out = first_layer;
    return WEIR_OK;
}

weir_status weir_planner_cut(const struct weir_graph *graph, const double *times, const struct weir_ceilings *ceilings, int n_stages,
                             struct weir_arena *arena, int **first_layer_out)
{
    struct weir_arena work = {0};
    struct weir_cost_graph costs;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    *first_layer_out = NULL;
    weir_status status = weir_model_cost_graph(graph, NULL, ceilings, &costs);
    if (status)
        return status;
    for (int l = 0; l < graph->n_layers; l++) {
        costs.nodes[l].forward = times[l];
        costs.nodes[l].input_grad = costs.nodes[l].weight_grad = 0;
    }
    options.devices = n_stages;
    status = weir_plan_solve(&costs, &options, &work, &result);
    if (!status && result.plan.n_parts == n_stages)
        status = cut_take(&result.plan, graph->n_layers, arena, first_layer_out);
    weir_cost_graph_release(&costs);
    weir_arena_release(&work);
    return status;
}

weir_status weir_planner_boundaries(const struct weir_graph *graph, const int *first_layer, int n_stages, struct weir_arena *arena,
                                    const struct weir_plan_boundary **boundaries_out, int *n_out)
{
    const struct weir_trip *trips;
    struct weir_plan_boundary *list;
    struct weir_arena work = {0};
    int n_trips, n = 0;
    weir_status status = weir_trips_find(graph, first_layer, n_stages, &work, &trips, &n_trips);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_trips, sizeof *list, &list);
    for (int t = 0; t < n_trips && !status; t++) {
        if (!n || list[n - 1].from != trips[t].from || list[n - 1].to != trips[t].to)
            list[n++] = (struct weir_plan_boundary){.from = trips[t].from, .to = trips[t].to};
        list[n - 1].n_values++;
        list[n - 1].bytes += (double)weir_shape_bytes(weir_graph_shape(graph, trips[t].value));
    }
    weir_arena_release(&work);
    if (status)
        return status;
    *boundaries_out = list;
    *n_out = n;
    return WEIR_OK;
}
