#include "cmd/plan_output.h"

#include <stdio.h>

#include "engine/program/layer_cut.h"

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
        status = weir_layer_cut_layout_print(&cut, graph, &text);
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}
