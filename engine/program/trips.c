#include "engine/program/trips.h"

#include <stdlib.h>

static int by_stages(const void *a, const void *b)
{
    const struct weir_trip *x = a, *y = b;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* Nodes are looked at in order, so that a value is found with the last stage that read it before. */
static int trips_fill(const struct weir_graph *graph, const int *first_layer, int *holder, struct weir_trip *trips)
{
    int n_trips = 0, stage = 0;
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_node *node = &graph->nodes[n];
        while (node->layer >= first_layer[stage + 1])
            stage++;
        holder[n] = stage;
        for (int i = 0; i < node->shapes.n_inputs; i++) {
            int value = node->inputs[i];
            if (weir_value_is_input(value) || holder[value] == stage)
                continue;
            trips[n_trips++] = (struct weir_trip){holder[value], stage, value};
            holder[value] = stage;
        }
    }
    return n_trips;
}

weir_status weir_trips_find(const struct weir_graph *graph, const int *first_layer, int n_stages, struct weir_arena *arena,
                            const struct weir_trip **trips_out, int *n_out)
{
    struct weir_trip *trips;
    int *holder;
    size_t most = 0;
    for (int n = 0; n < graph->n_nodes && n_stages > 1; n++)
        most += (size_t)graph->nodes[n].shapes.n_inputs;
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_nodes, sizeof *holder, &holder);
    if (!status)
        status = weir_arena_alloc(arena, most, sizeof *trips, &trips);
    if (status)
        return status;
    int n = trips_fill(graph, first_layer, holder, trips);
    if (n)
        qsort(trips, (size_t)n, sizeof *trips, by_stages);
    *trips_out = trips;
    *n_out = n;
    return WEIR_OK;
}
