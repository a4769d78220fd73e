#include "cmd/plan_output.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/text.h"
#include "cmd/measured_costs.h"
#include "include/weir/plan.h"

static int parts_of(const weir_split *split)
{
    struct weir_split_info info;
    weir_split_info(split, &info);
    return info.n_parts;
}

/* Parts along the data flow are intervals of the chain of layers. */
static weir_status cut_make(const weir_split *split, struct weir_arena *arena, struct weir_layer_cut *cut_out)
{
    struct weir_split_part part;
    int *first_layer, n = 0, n_parts = parts_of(split);
    weir_status status = weir_arena_alloc(arena, (size_t)n_parts + 1, sizeof *first_layer, &first_layer);
    for (int i = 0; i < n_parts && !status; i++) {
        status = weir_split_part_get(split, i, &part);
        first_layer[i] = n;
        n += status ? 0 : part.n_nodes;
    }
    if (status)
        return status;
    first_layer[n_parts] = n;
    *cut_out = (struct weir_layer_cut){n_parts, first_layer};
    return WEIR_OK;
}

weir_status plan_output_layout(const struct weir_graph *graph, const weir_split *split)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_layer_cut cut;
    weir_status status = cut_make(split, &arena, &cut);
    if (!status)
        status = weir_layer_cut_layout_print(&cut, graph, weir_text_take, &text);
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}

/* The layers that begin parts which have any, if each has those behind the part before it; else 0. */
static int stages_of(const weir_split *split, int *first_layer)
{
    struct weir_split_part part;
    int n_stages = 0, n = 0, n_parts = parts_of(split);
    for (int i = 0; i < n_parts && !weir_split_part_get(split, i, &part); i++) {
        first_layer[n_stages] = n;
        for (int k = 0; k < part.n_nodes; k++)
            if (part.nodes[k] != n++)
                return 0;
        n_stages += part.n_nodes > 0;
    }
    first_layer[n_stages] = n;
    return n_stages;
}

/* What stages hold, from the program that they are compiled to. */
static weir_status bytes_compile(const struct weir_engine_config *model, const weir_split *split, struct weir_arena *arena,
                                 struct weir_stage_costs *stages)
{
    static const struct weir_ceilings any = {1, 1, 1}; /* times are the split's */
    struct weir_engine_config config = *model;
    const struct weir_stage_costs *found = NULL;
    struct weir_split_part part;
    int *first_layer, n_parts = parts_of(split);
    weir_status status = weir_arena_alloc(arena, (size_t)n_parts + 1, sizeof *first_layer, &first_layer);
    int n = status ? 0 : stages_of(split, first_layer);
    config.first_layer = first_layer;
    if (n)
        status = weir_stage_costs_find(&config, n, &any, arena, &found);
    for (int i = 0; i < n_parts && n && !status; i++) {
        struct weir_stage_costs *s = &stages[i], times = *s;
        status = weir_split_part_get(split, i, &part);
        if (status || !part.n_nodes)
            continue;
        *s = *found++;
        s->forward = times.forward, s->input = times.input, s->weight = times.weight;
    }
    return status;
}

static weir_status part_add(const weir_cost_graph *graph, const struct weir_split_part *part, struct weir_stage_costs *stage)
{
    struct weir_cost_graph_info info;
    struct weir_cost_node_info node;
    weir_status status = WEIR_OK;
    weir_cost_graph_info(graph, &info);
    double per_ms = 1e3 / info.units_per_second;
    for (int n = 0; n < part->n_nodes && !status; n++) {
        status = weir_cost_graph_node_get(graph, part->nodes[n], &node);
        if (status)
            return status;
        stage->forward += node.forward * per_ms;
        stage->input += node.input_grad * per_ms;
        stage->weight += node.weight_grad * per_ms;
        stage->mem_backward += node.activation_bytes;
        stage->mem_weight += node.activation_bytes;
        stage->param_bytes += node.parameter_bytes;
    }
    return status;
}

/* Parts of a split are along the data flow; a stage that got nothing costs nothing. */
weir_status plan_output_costs(const weir_cost_graph *graph, const struct weir_engine_config *config, const weir_split *split)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    struct weir_stage_costs *stages;
    struct weir_split_part part;
    int n_parts = parts_of(split);
    weir_status status = weir_arena_alloc(&arena, (size_t)n_parts, sizeof *stages, &stages);
    for (int i = 0; i < n_parts && !status; i++) {
        status = weir_split_part_get(split, i, &part);
        if (!status)
            status = part_add(graph, &part, &stages[i]);
    }
    if (!status && config)
        status = bytes_compile(config, split, &arena, stages);
    if (!status)
        measured_costs_print(stages, n_parts, "stages", &(struct measured_beside){.optimizer_ms = 0}, &text);
    status = status ? status : text.status;
    if (!status)
        fputs(text.data, stdout);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}
