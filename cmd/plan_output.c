#include "cmd/plan_output.h"

#include <stdio.h>

#include "cmd/measured_costs.h"
#include "include/weir/plan.h"

/* Parts along the data flow are intervals of the chain of layers. */
static weir_status cut_make(const struct weir_plan *plan, struct weir_arena *arena, struct weir_layer_cut *cut_out)
{
    int *first_layer, n = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)plan->n_parts + 1, sizeof *first_layer, &first_layer);
    if (status)
        return status;
    for (int i = 0; i < plan->n_parts; i++) {
        first_layer[i] = n;
        n += plan->parts[i].n_nodes;
    }
    first_layer[plan->n_parts] = n;
    *cut_out = (struct weir_layer_cut){plan->n_parts, first_layer};
    return WEIR_OK;
}

weir_status plan_output_layout(const struct weir_graph *graph, const struct weir_plan *plan)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_layer_cut cut;
    weir_status status = cut_make(plan, &arena, &cut);
    if (!status)
        status = weir_layer_cut_layout_print(&cut, graph, weir_text_take, &text);
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}

/* The layers that begin parts which have any, if each has those behind the part before it; else 0. */
static int stages_of(const struct weir_plan *plan, int *first_layer)
{
    int n_stages = 0, n = 0;
    for (int i = 0; i < plan->n_parts; i++) {
        first_layer[n_stages] = n;
        for (int k = 0; k < plan->parts[i].n_nodes; k++)
            if (plan->parts[i].nodes[k] != n++)
                return 0;
        n_stages += plan->parts[i].n_nodes > 0;
    }
    first_layer[n_stages] = n;
    return n_stages;
}

/* What stages hold, from the program that they are compiled to. */
static weir_status bytes_compile(const struct weir_engine_config *model, const struct weir_plan *plan, struct weir_arena *arena,
                                 struct weir_stage_costs *stages)
{
    static const struct weir_ceilings any = {1, 1, 1}; /* times are the plan's */
    struct weir_engine_config config = *model;
    const struct weir_stage_costs *found = NULL;
    int *first_layer;
    weir_status status = weir_arena_alloc(arena, (size_t)plan->n_parts + 1, sizeof *first_layer, &first_layer);
    int n = status ? 0 : stages_of(plan, first_layer);
    config.first_layer = first_layer;
    if (n)
        status = weir_stage_costs_find(&config, n, &any, arena, &found);
    for (int i = 0; i < plan->n_parts && n && !status; i++) {
        struct weir_stage_costs *s = &stages[i], times = *s;
        if (!plan->parts[i].n_nodes)
            continue;
        *s = *found++;
        s->forward = times.forward, s->input = times.input, s->weight = times.weight;
    }
    return status;
}

/* Parts of a plan are along the data flow; a stage that got nothing costs nothing. */
weir_status plan_output_costs(const struct weir_cost_graph *graph, const struct weir_engine_config *config, const struct weir_plan *plan)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_stage_costs *stages;
    weir_status status = weir_arena_alloc(&arena, (size_t)plan->n_parts, sizeof *stages, &stages);
    for (int i = 0; i < plan->n_parts && !status; i++)
        for (int n = 0; n < plan->parts[i].n_nodes; n++) {
            const struct weir_cost_node *node = &graph->nodes[plan->parts[i].nodes[n]];
            double per_ms = 1e3 / graph->units_per_second;
            stages[i].forward += node->forward * per_ms;
            stages[i].input += node->input_grad * per_ms;
            stages[i].weight += node->weight_grad * per_ms;
            stages[i].mem_backward += node->activation_bytes;
            stages[i].mem_weight += node->activation_bytes;
            stages[i].param_bytes += node->parameter_bytes;
        }
    if (!status && config)
        status = bytes_compile(config, plan, &arena, stages);
    if (!status)
        measured_costs_print(stages, plan->n_parts, "stages", &(struct measured_beside){.optimizer_ms = 0}, &text);
    status = status ? status : text.status;
    if (!status)
        fputs(text.data, stdout);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}
