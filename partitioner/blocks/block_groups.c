/* Nodes that must share a block: a union-find over colors, devices and edges that must not be cut, then the strongly
 * connected components of the forward order between the groups, since a contiguous part that holds one end of a cycle
 * holds all of it.
 *
 * Components: Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Computing 1 (1972), with its own stack,
 * because a chain of 10^6 nodes is as deep as it is long. */
#include "partitioner/blocks/block_groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/blocks/union_find.h"

struct keyed {
    int64_t key;
    int node;
};

static int keyed_compare(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->node - y->node;
}

static void equal_keys_join(struct keyed *items, int n, int *parent)
{
    qsort(items, (size_t)n, sizeof *items, keyed_compare);
    for (int i = 1; i < n; i++)
        if (items[i].key == items[i - 1].key)
            weir_union_join(parent, items[i].node, items[i - 1].node);
}

static weir_status demands_join(const struct weir_cost_graph *graph, int *parent)
{
    struct keyed *items;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *items, &items);
    if (status)
        return status;
    int n = 0;
    for (int v = 0; v < graph->n_nodes; v++)
        if (graph->nodes[v].color >= 0)
            items[n++] = (struct keyed){graph->nodes[v].color, v};
    equal_keys_join(items, n, parent);
    n = 0;
    for (int v = 0; v < graph->n_nodes; v++)
        if (graph->nodes[v].device >= 0)
            items[n++] = (struct keyed){graph->nodes[v].device, v};
    equal_keys_join(items, n, parent);
    weir_free(items);
    for (int e = 0; e < graph->n_edges; e++)
        if (graph->edges[e].no_cut)
            weir_union_join(parent, graph->edges[e].from, graph->edges[e].to);
    return WEIR_OK;
}

int weir_block_order_pairs(const struct weir_cost_graph *graph, const int *group, const unsigned char *forward,
                           int (*pairs_out)[2])
{
    int n = 0;
    for (int e = 0; e < graph->n_edges; e++) {
        int from = graph->edges[e].from, to = graph->edges[e].to;
        bool back_from = graph->nodes[from].backward, back_to = graph->nodes[to].backward;
        int a = group[from], b = group[to];
        if (a == b)
            continue;
        if (!back_from && !back_to) {
            pairs_out[n][0] = a, pairs_out[n++][1] = b;
        } else if (back_from && back_to && (!forward[a] || !forward[b])) {
            pairs_out[n][0] = b, pairs_out[n++][1] = a;
        }
    }
    return n;
}

/* Tarjan's strongly connected components without recursion; every component is joined in `parent`. */
struct tarjan {
    const int *first, *to;
    int *index, *low, *stack, *call, *at;
    unsigned char *on_stack;
    int n_stack, n_call, next;
};

static void component_enter(struct tarjan *t, int v)
{
    t->index[v] = t->low[v] = ++t->next;
    t->stack[t->n_stack++] = v;
    t->on_stack[v] = 1;
    t->at[v] = t->first[v];
    t->call[t->n_call++] = v;
}

static void component_leave(struct tarjan *t, int v, int *parent)
{
    if (t->low[v] == t->index[v])
        for (int w = -1; w != v;) {
            w = t->stack[--t->n_stack];
            t->on_stack[w] = 0;
            weir_union_join(parent, w, v);
        }
    t->n_call--;
    if (t->n_call && t->low[t->call[t->n_call - 1]] > t->low[v])
        t->low[t->call[t->n_call - 1]] = t->low[v];
}

static void components_join(struct tarjan *t, int n, int *parent)
{
    for (int root = 0; root < n; root++) {
        if (t->index[root])
            continue;
        component_enter(t, root);
        while (t->n_call) {
            int v = t->call[t->n_call - 1];
            if (t->at[v] == t->first[v + 1]) {
                component_leave(t, v, parent);
                continue;
            }
            int w = t->to[t->at[v]++];
            if (!t->index[w])
                component_enter(t, w);
            else if (t->on_stack[w] && t->low[v] > t->index[w])
                t->low[v] = t->index[w];
        }
    }
}

/* Fuse cycles of the contracted forward graph.  `parent` is over nodes; groups are named by their root node. */
static weir_status cycles_join(const struct weir_cost_graph *graph, int *parent)
{
    size_t n = (size_t)graph->n_nodes, m = (size_t)graph->n_edges;
    int *scratch, (*pairs)[2] = NULL;
    unsigned char *flags = NULL;
    weir_status status = weir_alloc(7 * n + 2 + m, sizeof *scratch, &scratch);
    if (status)
        return status;
    status = weir_alloc(2 * n, 1, &flags);
    if (!status)
        status = weir_alloc(m, sizeof *pairs, &pairs);
    if (status)
        goto release;
    int *group = scratch, *first = group + n, *to = first + n + 2;
    struct tarjan t = {.first = first, .to = to, .index = to + m, .on_stack = flags};
    t.low = t.index + n, t.stack = t.low + n, t.call = t.stack + n, t.at = t.call + n;
    unsigned char *forward = flags + n;
    for (int v = 0; v < graph->n_nodes; v++) {
        group[v] = weir_union_root(parent, v);
        if (!graph->nodes[v].backward)
            forward[group[v]] = 1;
    }
    int n_pairs = weir_block_order_pairs(graph, group, forward, pairs);
    for (int i = 0; i < n_pairs; i++)
        first[pairs[i][0] + 2]++;
    for (size_t v = 0; v <= n; v++)
        first[v + 1] += first[v];
    for (int i = 0; i < n_pairs; i++)
        to[first[pairs[i][0] + 1]++] = pairs[i][1];
    components_join(&t, graph->n_nodes, parent);
release:
    weir_free(pairs);
    weir_free(flags);
    weir_free(scratch);
    return status;
}

/* Can node v join its neighbour for free?  The memory cap must not be able to bind. */
static bool weightless(const struct weir_cost_node *node, bool cpus, bool memory_free)
{
    return weir_cost_node_time(node) == 0 && node->device < 0 && !node->no_accelerator && (!cpus || node->cpu == 0) &&
           (memory_free || node->parameter_bytes + node->activation_bytes == 0);
}

/* Join every weightless group that has one neighbour with that neighbour, or with group 0 when it has none, until none
 * is left.  near[g]: -1 no neighbour, -2 several, else the one. */
static bool leaves_join_once(const struct weir_cost_graph *graph, const unsigned char *heavy, int *near, int *parent)
{
    int n = graph->n_nodes;
    bool joined = false;
    for (int v = 0; v < n; v++)
        near[v] = -1;
    for (int e = 0; e < graph->n_edges; e++) {
        int a = weir_union_root(parent, graph->edges[e].from), b = weir_union_root(parent, graph->edges[e].to);
        if (a == b)
            continue;
        near[a] = near[a] == -1 || near[a] == b ? b : -2;
        near[b] = near[b] == -1 || near[b] == a ? a : -2;
    }
    for (int v = 0; v < n; v++) {
        if (parent[v] != v || heavy[v] || near[v] == -2 || (near[v] == -1 && v == weir_union_root(parent, 0)))
            continue;
        int other = weir_union_root(parent, near[v] == -1 ? 0 : near[v]);
        if (other == v)
            continue;
        weir_union_join(parent, v, other);
        joined = true;
    }
    return joined;
}

static weir_status leaves_join(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                               int *parent)
{
    double memory = 0;
    for (int v = 0; v < graph->n_nodes; v++)
        memory += graph->nodes[v].parameter_bytes + graph->nodes[v].activation_bytes;
    bool memory_free = memory <= purpose->memory;
    int *near;
    unsigned char *heavy = NULL;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *near, &near);
    if (status)
        return status;
    status = weir_alloc((size_t)graph->n_nodes, 1, &heavy);
    for (bool more = !status; more;) {
        memset(heavy, 0, (size_t)graph->n_nodes);
        for (int v = 0; v < graph->n_nodes; v++)
            if (!weightless(&graph->nodes[v], purpose->cpus, memory_free))
                heavy[weir_union_root(parent, v)] = 1;
        more = leaves_join_once(graph, heavy, near, parent);
    }
    weir_free(heavy);
    weir_free(near);
    return status;
}

weir_status weir_block_groups(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                              int *of_node_out, int *n_blocks_out)
{
    int *parent;
    weir_status status = weir_alloc((size_t)graph->n_nodes, sizeof *parent, &parent);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        parent[v] = v;
    status = demands_join(graph, parent);
    if (!status && purpose->contiguous)
        status = cycles_join(graph, parent);
    if (!status)
        status = leaves_join(graph, purpose, parent);
    int n = 0;
    for (int v = 0; !status && v < graph->n_nodes; v++) {
        int root = weir_union_root(parent, v);
        of_node_out[v] = root == v ? n++ : of_node_out[root];
    }
    *n_blocks_out = n;
    weir_free(parent);
    return status;
}
