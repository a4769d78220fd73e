/* Sums per part.  Every number that a part adds up is one term; terms are sorted by part, kind and value before they
 * are added, so that the same parts have the same loads to the last bit, however nodes are ordered and whoever asks. */
#include "partitioner/plan/plan_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct term {
    int device;
    int kind; /* 0 time, 1 transfer, 2 memory */
    double value;
};

static int term_compare(const void *a, const void *b)
{
    const struct term *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind - y->kind;
    return (x->value > y->value) - (x->value < y->value);
}

struct terms {
    struct term *items;
    size_t n, capacity;
};

static weir_status term_add(struct terms *terms, int device, int kind, double value)
{
    weir_status status = weir_grow(&terms->items, &terms->capacity, terms->n + 1, sizeof *terms->items);
    if (!status)
        terms->items[terms->n++] = (struct term){device, kind, value};
    return status;
}

static weir_status node_terms_add(const struct weir_cost_graph *graph, const int *device_of, int devices,
                                  struct terms *terms)
{
    for (int v = 0; v < graph->n_nodes; v++) {
        const struct weir_cost_node *node = &graph->nodes[v];
        double time = device_of[v] < devices ? weir_cost_node_time(node) : node->cpu;
        weir_status status = term_add(terms, device_of[v], 0, time);
        if (!status)
            status = term_add(terms, device_of[v], 2, node->parameter_bytes + node->activation_bytes);
        if (status)
            return status;
    }
    return WEIR_OK;
}

struct touch {
    int from, tensor, device; /* an output and a part that has one of its nodes */
    double cost;
};

static int touch_compare(const void *a, const void *b)
{
    const struct touch *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->tensor != y->tensor)
        return x->tensor < y->tensor ? -1 : 1;
    return (x->device > y->device) - (x->device < y->device);
}

/* Each distinct part of an output that has more than one pays its cost. */
static weir_status output_terms_add(const struct touch *touches, size_t n, int devices, struct terms *terms)
{
    double cost = 0;
    for (size_t i = 0; i < n; i++)
        cost = touches[i].cost > cost ? touches[i].cost : cost;
    if (touches[0].device == touches[n - 1].device)
        return WEIR_OK;
    for (size_t i = 0; i < n; i++)
        if (touches[i].device < devices && (!i || touches[i].device != touches[i - 1].device)) {
            weir_status status = term_add(terms, touches[i].device, 1, cost);
            if (status)
                return status;
        }
    return WEIR_OK;
}

static weir_status transfer_terms_add(const struct weir_cost_graph *graph, const int *device_of, int devices,
                                      struct terms *terms)
{
    struct touch *touches;
    size_t n = 2 * (size_t)graph->n_edges;
    weir_status status = weir_alloc(n, sizeof *touches, &touches);
    if (status)
        return status;
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        touches[2 * e] = (struct touch){edge->from, edge->tensor, device_of[edge->from], edge->cost};
        touches[2 * e + 1] = (struct touch){edge->from, edge->tensor, device_of[edge->to], edge->cost};
    }
    qsort(touches, n, sizeof *touches, touch_compare);
    for (size_t begin = 0, end; !status && begin < n; begin = end) {
        for (end = begin + 1;
             end < n && touches[end].from == touches[begin].from && touches[end].tensor == touches[begin].tensor;)
            end++;
        status = output_terms_add(touches + begin, end - begin, devices, terms);
    }
    weir_free(touches);
    return status;
}

static weir_status nodes_list(const struct weir_cost_graph *graph, const int *device_of, struct weir_arena *arena,
                              struct weir_plan_part *part, int n_nodes)
{
    int *nodes, n = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)n_nodes, sizeof *nodes, &nodes);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        if (device_of[v] == part->device)
            nodes[n++] = v;
    part->nodes = nodes;
    part->n_nodes = n;
    return WEIR_OK;
}

static void terms_sum(const struct terms *terms, struct weir_plan_part *part)
{
    size_t low = 0, high = terms->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (terms->items[middle].device < part->device)
            low = middle + 1;
        else
            high = middle;
    }
    double sums[3] = {0};
    for (size_t i = low; i < terms->n && terms->items[i].device == part->device; i++)
        sums[terms->items[i].kind] += terms->items[i].value;
    part->time = sums[0];
    part->transfer = sums[1];
    part->memory = sums[2];
    part->load = sums[0] + sums[1];
}

weir_status weir_plan_parts_build(const struct weir_cost_graph *graph, const int *device_of, int devices, int cpus,
                                  struct weir_arena *arena, struct weir_plan_part **parts_out, int *n_parts_out)
{
    struct terms terms = {0};
    struct weir_plan_part *parts = NULL;
    int *count, n_parts = 0, all = devices + cpus;
    weir_status status = weir_alloc((size_t)all, sizeof *count, &count);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        n_parts += count[device_of[v]]++ == 0;
    status = weir_arena_alloc(arena, (size_t)n_parts, sizeof *parts, &parts);
    if (!status)
        status = node_terms_add(graph, device_of, devices, &terms);
    if (!status)
        status = transfer_terms_add(graph, device_of, devices, &terms);
    if (!status && terms.n)
        qsort(terms.items, terms.n, sizeof *terms.items, term_compare);
    for (int device = 0, i = 0; !status && device < all; device++) {
        if (!count[device])
            continue;
        parts[i] = (struct weir_plan_part){.device = device, .cpu = device >= devices, .replicas = 1};
        terms_sum(&terms, &parts[i]);
        status = nodes_list(graph, device_of, arena, &parts[i++], count[device]);
    }
    weir_free(terms.items);
    weir_free(count);
    if (status)
        return status;
    *parts_out = parts;
    *n_parts_out = n_parts;
    return WEIR_OK;
}

double weir_plan_parts_objective(const struct weir_plan_part *parts, int n_parts)
{
    double most = 0;
    for (int i = 0; i < n_parts; i++)
        most = parts[i].load > most ? parts[i].load : most;
    return most;
}

weir_status weir_plan_parts_of_nodes(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                     int **part_of_out)
{
    int *part_of;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *part_of, &part_of);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        part_of[v] = -1;
    for (int i = 0; i < plan->n_parts; i++)
        for (int k = 0; k < plan->parts[i].n_nodes; k++)
            part_of[plan->parts[i].nodes[k]] = i;
    *part_of_out = part_of;
    return WEIR_OK;
}

weir_status weir_plan_cap_check(double memory)
{
    if (memory >= 1)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID,
                     "the memory cap is %g bytes: give " WEIR_OPTION("memory") " of at least one byte, or none for no cap",
                     memory);
}
