/* Checks and storage of cost graphs.  What one number can show is checked when it is added; what needs the whole graph
 * (ids, nets, sums, cycles) in weir_cost_graph_finish, in time linear in nodes and edges but for nets with many edges
 * and several tensors. */
#include "partitioner/costs/cost_graph.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/costs/node_index.h"

enum { MOST_NODES = 4000000, MOST_EDGES = 16000000 };

static const double most_bytes = 0x1p60, most_sum = 0x1p61;
static const double least_units = 1e-15, most_units = 1e15, most_micro_batches = 1e9;

void weir_cost_graph_init(struct weir_cost_graph *graph)
{
    *graph = (struct weir_cost_graph){.memory = INFINITY, .units_per_second = 1e3};
}

void weir_cost_graph_release(struct weir_cost_graph *graph)
{
    weir_free(graph->nodes);
    weir_free(graph->edges);
    weir_free(graph->passengers);
    weir_free(graph->passenger_edges);
    weir_arena_release(&graph->arena);
    weir_cost_graph_init(graph);
}

double weir_cost_node_time(const struct weir_cost_node *node)
{
    return node->forward + node->input_grad + node->weight_grad;
}

static weir_status amount_check(const char *id, const char *what, double value, double most)
{
    if (!isfinite(value) || value < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s is %g, it must be finite and not negative", id, what, value);
    if (value > most)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': %s is %g, at most %g is handled", id, what, value, most);
    return WEIR_OK;
}

static weir_status variant_check(const char *id, const struct weir_cost_variant *variant)
{
    weir_status status = amount_check(id, "time of a configuration", variant->time, 1e100);
    if (!status)
        status = amount_check(id, "parameter size of a configuration", variant->parameter_bytes, most_bytes);
    if (!status)
        status = amount_check(id, "memory per micro-batch of a configuration", variant->memory_a, most_bytes);
    if (!status)
        status = amount_check(id, "memory of a configuration", variant->memory_b, most_bytes);
    return status;
}

static weir_status node_check(const struct weir_cost_node *node)
{
    const struct {
        const char *what;
        double value, most;
    } amounts[] = {
        {"forward time", node->forward, 1e100},
        {"input-gradient time", node->input_grad, 1e100},
        {"weight-gradient time", node->weight_grad, 1e100},
        {"CPU time", isnan(node->cpu) ? 0 : node->cpu, 1e100},
        {"parameter size", node->parameter_bytes, most_bytes},
        {"activation size", node->activation_bytes, most_bytes},
    };
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        weir_status status = amount_check(node->id, amounts[i].what, amounts[i].value, amounts[i].most);
        if (status)
            return status;
    }
    for (int i = 0; i < node->n_variants; i++) {
        weir_status status = variant_check(node->id, &node->variants[i]);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status strings_copy(struct weir_cost_graph *graph, struct weir_cost_node *node)
{
    weir_status status = weir_arena_strdup(&graph->arena, node->id, &node->id);
    if (!status)
        status = node->name ? weir_arena_strdup(&graph->arena, node->name, &node->name) : WEIR_OK;
    if (!status && node->line)
        status = weir_arena_strdup(&graph->arena, node->line, &node->line);
    if (!node->name)
        node->name = node->id;
    for (int i = 0; !status && i < node->n_variants; i++)
        if (node->variants[i].id)
            status = weir_arena_strdup(&graph->arena, node->variants[i].id, &node->variants[i].id);
    return status;
}

weir_status weir_cost_graph_add_node(struct weir_cost_graph *graph, const struct weir_cost_node *node, int *index_out)
{
    if (!node->id || !*node->id)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node %d has no id", graph->n_nodes);
    if (graph->n_nodes >= MOST_NODES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "more than %d nodes", MOST_NODES);
    struct weir_cost_node copy = *node;
    weir_status status = node_check(node);
    if (!status)
        status = weir_grow(&graph->nodes, &graph->node_capacity, (size_t)graph->n_nodes + 1, sizeof copy);
    if (!status)
        status = strings_copy(graph, &copy);
    if (status)
        return status;
    if (index_out)
        *index_out = graph->n_nodes;
    graph->nodes[graph->n_nodes++] = copy;
    return WEIR_OK;
}

weir_status weir_cost_graph_add_edge(struct weir_cost_graph *graph, const struct weir_cost_edge *edge)
{
    int n = graph->n_nodes;
    if (edge->from < 0 || edge->from >= n || edge->to < 0 || edge->to >= n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "edge %d -> %d: there are %d nodes", edge->from, edge->to, n);
    const char *id = graph->nodes[edge->from].id;
    if (edge->from == edge->to)
        return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s' has an edge to itself", id);
    if (graph->n_edges >= MOST_EDGES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "more than %d edges", MOST_EDGES);
    weir_status status = amount_check(id, "cost of an edge", edge->cost, 1e100);
    if (!status)
        status = amount_check(id, "size of an edge", edge->bytes, most_bytes);
    if (!status)
        status = weir_grow(&graph->edges, &graph->edge_capacity, (size_t)graph->n_edges + 1, sizeof *edge);
    if (status)
        return status;
    graph->edges[graph->n_edges++] = *edge;
    return WEIR_OK;
}

static weir_status ids_check(const struct weir_cost_graph *graph)
{
    struct weir_node_index index = {0};
    weir_status status = weir_node_index_build(graph, &index);
    weir_node_index_release(&index);
    return status;
}

/* Group edges by producer: order_out lists edge indices, from first[v] to first[v + 1] those that leave v. */
static void edges_by_producer(const struct weir_cost_graph *graph, int *first, int *order)
{
    int n = graph->n_nodes;
    memset(first, 0, sizeof(int) * ((size_t)n + 2));
    for (int e = 0; e < graph->n_edges; e++)
        first[graph->edges[e].from + 2]++;
    for (int v = 0; v <= n; v++)
        first[v + 1] += first[v];
    for (int e = 0; e < graph->n_edges; e++)
        order[first[graph->edges[e].from + 1]++] = e;
}

/* `seen` is scratch with one entry per node, zero at first. */
static weir_status nets_check(const struct weir_cost_graph *graph, const int *first, const int *order, int *seen)
{
    for (int v = 0; v < graph->n_nodes; v++)
        for (int i = first[v]; i < first[v + 1]; i++) {
            const struct weir_cost_edge *edge = &graph->edges[order[i]];
            if (seen[edge->to] == v + 1)
                return WEIR_FAIL(WEIR_ERR_INVALID, "edge '%s' -> '%s' stands twice", graph->nodes[v].id,
                                 graph->nodes[edge->to].id);
            seen[edge->to] = v + 1;
            const struct weir_cost_edge *other = &graph->edges[order[first[v]]];
            for (int k = first[v]; k < i && other->tensor != edge->tensor; k++)
                other = &graph->edges[order[k]];
            if (other->tensor == edge->tensor && fabs(other->cost - edge->cost) > 1e-6 * (1 + fabs(edge->cost)))
                return WEIR_FAIL(WEIR_ERR_INVALID,
                                 "edges of node '%s' cost %g and %g: the edges of one output have one cost",
                                 graph->nodes[v].id, other->cost, edge->cost);
        }
    return WEIR_OK;
}

/* Kahn's algorithm; what is never freed of its inputs lies on or behind a cycle. */
static weir_status cycle_check(const struct weir_cost_graph *graph, const int *first, const int *order, int *waits,
                               int *queue)
{
    int n = graph->n_nodes, head = 0, tail = 0;
    memset(waits, 0, sizeof(int) * (size_t)n);
    for (int e = 0; e < graph->n_edges; e++)
        waits[graph->edges[e].to]++;
    for (int v = 0; v < n; v++)
        if (!waits[v])
            queue[tail++] = v;
    while (head < tail) {
        int v = queue[head++];
        for (int i = first[v]; i < first[v + 1]; i++)
            if (!--waits[graph->edges[order[i]].to])
                queue[tail++] = graph->edges[order[i]].to;
    }
    for (int v = 0; tail < n && v < n; v++)
        if (waits[v])
            return WEIR_FAIL(WEIR_ERR_INVALID, "the graph has a cycle: node '%s' is on it or behind it",
                             graph->nodes[v].id);
    return WEIR_OK;
}

static weir_status machine_check(const struct weir_cost_graph *graph)
{
    if (!(graph->memory >= 1))
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "the memory of a device is %g bytes: it must be at least 1, or left out for no cap",
                         graph->memory);
    if (!(graph->bandwidth >= 0 && isfinite(graph->bandwidth)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the bandwidth is %g bytes/s, it must be finite and not negative",
                         graph->bandwidth);
    if (!(graph->units_per_second >= least_units && graph->units_per_second <= most_units))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a second has %g units of time, from %g to %g are handled",
                         graph->units_per_second, least_units, most_units);
    if (!(graph->micro_batches >= 0 && graph->micro_batches <= most_micro_batches))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a step has %g micro-batches, at most %g are handled", graph->micro_batches,
                         most_micro_batches);
    return WEIR_OK;
}

/* Solvers add bytes up as 64-bit integers. */
static weir_status sum_check(const struct weir_cost_graph *graph)
{
    double sum = 0, most = -1;
    const char *id = "";
    for (int v = 0; v < graph->n_nodes; v++) {
        double bytes = graph->nodes[v].parameter_bytes + graph->nodes[v].activation_bytes;
        sum += bytes;
        if (bytes > most)
            most = bytes, id = graph->nodes[v].id;
    }
    if (sum > most_sum)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "the sizes of all nodes add up to %g bytes (node '%s' has %g), at most %g are handled", sum, id,
                         most, most_sum);
    return WEIR_OK;
}

weir_status weir_cost_graph_finish(const struct weir_cost_graph *graph)
{
    if (!graph->n_nodes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the graph has no nodes");
    weir_status status = machine_check(graph);
    if (!status)
        status = sum_check(graph);
    if (!status)
        status = ids_check(graph);
    if (status)
        return status;
    size_t n = (size_t)graph->n_nodes;
    int *scratch;
    status = weir_alloc(3 * n + 2 + (size_t)graph->n_edges, sizeof *scratch, &scratch);
    if (status)
        return status;
    int *first = scratch, *seen = first + n + 2, *queue = seen + n, *order = queue + n;
    edges_by_producer(graph, first, order);
    status = nets_check(graph, first, order, seen);
    if (!status)
        status = cycle_check(graph, first, order, seen, queue);
    weir_free(scratch);
    return status;
}

int weir_cost_graph_find(const struct weir_cost_graph *graph, const char *id)
{
    for (int v = 0; v < graph->n_nodes; v++)
        if (!strcmp(graph->nodes[v].id, id))
            return v;
    return -1;
}

const char *weir_cost_graph_suspicion(const struct weir_cost_graph *graph, struct weir_arena *arena)
{
    double time = 0, transfer = 0, fastest = 0;
    for (int v = 0; v < graph->n_nodes; v++)
        time += weir_cost_node_time(&graph->nodes[v]);
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        transfer += edge->cost;
        if (edge->cost > 0)
            fastest = fmax(fastest, edge->bytes / edge->cost * graph->units_per_second);
    }
    const char *text = NULL;
    if (fastest > 1e12)
        (void)weir_arena_printf(arena, &text,
                                "an edge moves %.3g bytes/s: are its cost and the node times in one unit?", fastest);
    else if (time > 0 && transfer > 0 && transfer < time * 5e-5 * graph->n_edges / (1 + graph->n_nodes))
        (void)weir_arena_printf(arena, &text,
                                "all transfers together take %.3g of the compute time: are the units right?",
                                transfer / time);
    else if (time > 0 && transfer > 300 * time)
        (void)weir_arena_printf(arena, &text,
                                "all transfers together take %.3g times the compute time: are the units right?",
                                transfer / time);
    return text;
}
