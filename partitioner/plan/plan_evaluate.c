/* Score and check a split that somebody made. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "partitioner/blocks/block_groups.h"
#include "partitioner/plan/plan_solve.h"
#include "partitioner/plan/plan_parts.h"

static weir_status places_check(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                                const int *device_of)
{
    for (int v = 0; v < graph->n_nodes; v++) {
        const struct weir_cost_node *node = &graph->nodes[v];
        int device = device_of[v];
        if (device < 0 || device >= options->devices + options->cpus)
            return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' is on no device of the plan", node->id);
        if (device < options->devices && node->no_accelerator)
            return WEIR_FAIL(WEIR_ERR_NOFIT, "node '%s' cannot run on an accelerator, but is on device %d", node->id,
                             device);
        if (device >= options->devices && isnan(node->cpu))
            return WEIR_FAIL(WEIR_ERR_NOFIT, "node '%s' has no CPU time, but is on CPU %d", node->id,
                             device - options->devices);
        if (node->device >= 0 && node->device != device)
            return WEIR_FAIL(WEIR_ERR_NOFIT, "node '%s' is pinned to device %d, but is on device %d", node->id,
                             node->device, device);
    }
    for (int e = 0; e < graph->n_edges; e++)
        if (graph->edges[e].no_cut && device_of[graph->edges[e].from] != device_of[graph->edges[e].to])
            return WEIR_FAIL(WEIR_ERR_NOFIT, "the edge '%s' -> '%s' must not be cut",
                             graph->nodes[graph->edges[e].from].id, graph->nodes[graph->edges[e].to].id);
    return WEIR_OK;
}

struct colored {
    int64_t color;
    int node;
};

static int colored_compare(const void *a, const void *b)
{
    const struct colored *x = a, *y = b;
    if (x->color != y->color)
        return x->color < y->color ? -1 : 1;
    return x->node - y->node;
}

static weir_status colors_check(const struct weir_cost_graph *graph, const int *device_of)
{
    struct colored *items;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *items, &items);
    if (status)
        return status;
    int n = 0;
    for (int v = 0; v < graph->n_nodes; v++)
        if (graph->nodes[v].color >= 0)
            items[n++] = (struct colored){graph->nodes[v].color, v};
    qsort(items, (size_t)n, sizeof *items, colored_compare);
    for (int i = 1; i < n && !status; i++)
        if (items[i].color == items[i - 1].color && device_of[items[i].node] != device_of[items[i - 1].node])
            status = WEIR_FAIL(WEIR_ERR_NOFIT, "nodes '%s' and '%s' have color %lld and must share a part",
                               graph->nodes[items[i - 1].node].id, graph->nodes[items[i].node].id,
                               (long long)items[i].color);
    weir_free(items);
    return status;
}

static weir_status memory_check(const struct weir_plan_options *options, const struct weir_plan_part *parts,
                                int n_parts)
{
    for (int i = 0; i < n_parts; i++)
        if (!parts[i].cpu && parts[i].memory > options->memory)
            return WEIR_FAIL(WEIR_ERR_NOFIT,
                             "device %d needs %.0f bytes, the cap is %.0f: use more devices or more " WEIR_OPTION("memory"),
                             parts[i].device, parts[i].memory, options->memory);
    return WEIR_OK;
}

/* Contiguous means that the parts, joined into one node each, have no cycle in the forward order. */
static weir_status contiguity_find(const struct weir_cost_graph *graph, const int *device_of, int n,
                                   bool *contiguous_out)
{
    size_t m = (size_t)graph->n_edges;
    int(*pairs)[2] = NULL, *scratch = NULL, head = 0, tail = 0;
    unsigned char *forward = NULL;
    weir_status status = weir_alloc(m, sizeof *pairs, &pairs);
    if (!status)
        status = weir_alloc((size_t)n, 1, &forward);
    if (!status)
        status = weir_alloc(3 * (size_t)n + 2 + m, sizeof *scratch, &scratch);
    if (status)
        goto release;
    for (int v = 0; v < graph->n_nodes; v++)
        if (!graph->nodes[v].backward)
            forward[device_of[v]] = 1;
    int *waits = scratch, *queue = scratch + n, *first = scratch + 2 * n, *to = first + n + 2;
    int n_pairs = weir_block_order_pairs(graph, device_of, forward, pairs);
    for (int i = 0; i < n_pairs; i++) {
        waits[pairs[i][1]]++;
        first[pairs[i][0] + 2]++;
    }
    for (int p = 0; p <= n; p++)
        first[p + 1] += first[p];
    for (int i = 0; i < n_pairs; i++)
        to[first[pairs[i][0] + 1]++] = pairs[i][1];
    for (int p = 0; p < n; p++)
        if (!waits[p])
            queue[tail++] = p;
    for (; head < tail; head++)
        for (int i = first[queue[head]]; i < first[queue[head] + 1]; i++)
            if (!--waits[to[i]])
                queue[tail++] = to[i];
    *contiguous_out = tail == n;
release:
    weir_free(scratch);
    weir_free(forward);
    weir_free(pairs);
    return status;
}

weir_status weir_plan_evaluate(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                               const int *device_of, struct weir_arena *arena, struct weir_plan *plan_out,
                               bool *contiguous_out)
{
    struct weir_plan_part *parts;
    struct weir_plan plan = {0};
    weir_status status = weir_plan_cap_check(options->memory);
    if (!status)
        status = places_check(graph, options, device_of);
    if (!status)
        status = colors_check(graph, device_of);
    if (!status)
        status = weir_plan_parts_build(graph, device_of, options->devices, options->cpus, arena, &parts, &plan.n_parts);
    if (!status)
        status = memory_check(options, parts, plan.n_parts);
    bool contiguous = false;
    if (!status)
        status = contiguity_find(graph, device_of, options->devices + options->cpus, &contiguous);
    if (status)
        return status;
    plan.parts = parts;
    plan.objective = weir_plan_parts_objective(parts, plan.n_parts);
    *plan_out = plan;
    *contiguous_out = contiguous;
    return WEIR_OK;
}
