#include "engine/program/slices.h"

#include "kernels/op_rows.h"

#include <math.h>

/* Per position, and per position and key that attention looks at. */
struct rates {
    double position, pair;
};

static struct rates rates_of(const struct weir_graph *graph, int64_t length)
{
    struct rates rates = {0};
    double n = (double)length;
    for (int node = 0; node < graph->n_nodes; node++)
        for (int pass = 0; pass < WEIR_PASSES; pass++) {
            double cost = weir_node_cost(graph, node, (enum weir_pass)pass);
            if (graph->nodes[node].op == &weir_op_attention)
                rates.pair += cost / (n * (n + 1) / 2);
            else
                rates.position += cost / n;
        }
    return rates;
}

static double cost_before(const struct rates *rates, int64_t position)
{
    double x = (double)position;
    return rates->position * x + rates->pair * x * (x + 1) / 2;
}

/* The position before which `cost` is spent, to the nearest. */
static int64_t position_of(const struct rates *rates, double cost)
{
    double b = rates->position + rates->pair / 2, a = rates->pair / 2;
    return llround(a > 0 ? (sqrt(b * b + 4 * a * cost) - b) / (2 * a) : cost / b);
}

weir_status weir_slices_cut(const struct weir_graph *graph, int n_slices, struct weir_arena *arena, const int64_t **first_out)
{
    const struct weir_shape *shape = &graph->inputs[0].shape;
    int64_t length = shape->n_dims > 1 ? shape->dims[1] : 1, *first;
    if (length < n_slices)
        return WEIR_FAIL(WEIR_ERR_INVALID, "sequences of %lld positions cannot be cut into %d slices: use " WEIR_OPTION("slices=%lld")
                         " at most", (long long)length, n_slices, (long long)length);
    weir_status status = weir_arena_alloc(arena, (size_t)n_slices + 1, sizeof *first, &first);
    if (status)
        return status;
    struct rates rates = rates_of(graph, length);
    double all = cost_before(&rates, length);
    for (int i = 1; i < n_slices; i++) {
        int64_t at = position_of(&rates, all * i / n_slices), least = first[i - 1] + 1, most = length - (n_slices - i);
        first[i] = at < least ? least : at > most ? most : at;
    }
    first[n_slices] = length;
    *first_out = first;
    return WEIR_OK;
}

weir_status weir_slices_build(const struct weir_graph *graph, int n_slices, struct weir_arena *arena,
                              const struct weir_graph *const **graphs_out)
{
    const int64_t *first;
    const struct weir_graph **graphs;
    weir_status status = weir_slices_cut(graph, n_slices, arena, &first);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_slices, sizeof *graphs, &graphs);
    for (int i = 0; i < n_slices && !status; i++)
        status = weir_graph_slice(graph, first[i], first[i + 1] - first[i], arena, &graphs[i]);
    if (!status)
        *graphs_out = graphs;
    return status;
}
