/* Nets between blocks.  Edges of one output are sorted together and become one list of distinct blocks; lists of one
 * block vanish; equal lists are found by their hash, compared in full and added up.  The same steps serve the first
 * build (from edges) and every contraction (from the nets of finer blocks).
 *
 * Invariant: the members of a net ascend, so two nets over the same blocks are equal byte for byte. */
#include "partitioner/blocks/block_nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

struct net {
    int64_t cost;
    uint64_t hash; /* of its blocks */
    int first, n;  /* in members */
};

struct net_list {
    struct net *nets;
    int *members;
    int n, n_members;
};

struct producer_edge {
    int from, tensor, to;
    double cost;
};

static int edge_compare(const void *a, const void *b)
{
    const struct producer_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->tensor != y->tensor)
        return x->tensor < y->tensor ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static int int_compare(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int net_compare(const void *a, const void *b)
{
    const struct net *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->n != y->n)
        return x->n - y->n;
    return (x->first > y->first) - (x->first < y->first);
}

/* Keep the net whose `n` blocks were just put behind the list's members, unless it can never be cut. */
static void net_keep(struct net_list *list, int n, int64_t cost)
{
    int *members = list->members + list->n_members, kept = 1;
    qsort(members, (size_t)n, sizeof *members, int_compare);
    for (int i = 1; i < n; i++)
        if (members[i] != members[kept - 1])
            members[kept++] = members[i];
    if (kept < 2 || cost == 0)
        return;
    list->nets[list->n++] =
        (struct net){cost, weir_hash64(members, sizeof *members * (size_t)kept, 0), list->n_members, kept};
    list->n_members += kept;
}

/* One net from the edges [begin, end) of one output. */
static void net_add(const struct producer_edge *edges, int begin, int end, const struct weir_blocks *blocks,
                    struct net_list *list)
{
    int *members = list->members + list->n_members, n = 0;
    double cost = 0;
    members[n++] = blocks->of_node[edges[begin].from];
    for (int i = begin; i < end; i++) {
        members[n++] = blocks->of_node[edges[i].to];
        cost = fmax(cost, edges[i].cost);
    }
    net_keep(list, n, llround(cost / blocks->tick));
}

/* Add up nets with the same blocks. */
static void nets_merge(struct net_list *list)
{
    qsort(list->nets, (size_t)list->n, sizeof *list->nets, net_compare);
    int kept = 0;
    for (int i = 0; i < list->n; i++) {
        struct net *last = kept ? &list->nets[kept - 1] : NULL;
        const struct net *net = &list->nets[i];
        if (last && last->hash == net->hash && last->n == net->n &&
            !memcmp(list->members + last->first, list->members + net->first, sizeof(int) * (size_t)net->n))
            last->cost += net->cost;
        else
            list->nets[kept++] = *net;
    }
    list->n = kept;
}

static weir_status nets_store(const struct net_list *list, struct weir_arena *arena, struct weir_blocks *blocks)
{
    int n_members = 0;
    for (int e = 0; e < list->n; e++)
        n_members += list->nets[e].n;
    size_t n = (size_t)blocks->n, m = (size_t)list->n, p = (size_t)n_members;
    weir_status status = weir_arena_alloc(arena, m, sizeof(int64_t), &blocks->net_cost);
    if (!status)
        status = weir_arena_alloc(arena, m + 1, sizeof(int), &blocks->net_first);
    if (!status)
        status = weir_arena_alloc(arena, p, sizeof(int), &blocks->net_block);
    if (!status)
        status = weir_arena_alloc(arena, n + 2, sizeof(int), &blocks->block_first);
    if (!status)
        status = weir_arena_alloc(arena, p, sizeof(int), &blocks->block_net);
    if (status)
        return status;
    blocks->n_nets = list->n;
    blocks->n_members = 0;
    for (int e = 0; e < list->n; e++) {
        const struct net *net = &list->nets[e];
        blocks->net_cost[e] = net->cost;
        memcpy(blocks->net_block + blocks->n_members, list->members + net->first, sizeof(int) * (size_t)net->n);
        blocks->n_members += net->n;
        blocks->net_first[e + 1] = blocks->n_members;
    }
    for (int i = 0; i < n_members; i++)
        blocks->block_first[blocks->net_block[i] + 2]++;
    for (int b = 0; b <= blocks->n; b++)
        blocks->block_first[b + 1] += blocks->block_first[b];
    for (int e = 0; e < list->n; e++)
        for (int i = blocks->net_first[e]; i < blocks->net_first[e + 1]; i++)
            blocks->block_net[blocks->block_first[blocks->net_block[i] + 1]++] = e;
    return WEIR_OK;
}

weir_status weir_block_nets_build(const struct weir_cost_graph *graph, struct weir_arena *arena,
                                  struct weir_blocks *blocks)
{
    size_t m = (size_t)graph->n_edges;
    struct producer_edge *edges;
    struct net_list list = {0};
    weir_status status = weir_alloc(m, sizeof *edges, &edges);
    if (status)
        return status;
    status = weir_alloc(m, sizeof *list.nets, &list.nets);
    if (!status)
        status = weir_alloc(2 * m, sizeof *list.members, &list.members);
    if (status)
        goto release;
    for (size_t e = 0; e < m; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        edges[e] = (struct producer_edge){edge->from, edge->tensor, edge->to, edge->cost};
    }
    qsort(edges, m, sizeof *edges, edge_compare);
    for (int begin = 0, end; begin < graph->n_edges; begin = end) {
        for (end = begin + 1;
             end < graph->n_edges && edges[end].from == edges[begin].from && edges[end].tensor == edges[begin].tensor;)
            end++;
        net_add(edges, begin, end, blocks, &list);
    }
    nets_merge(&list);
    status = nets_store(&list, arena, blocks);
release:
    weir_free(list.members);
    weir_free(list.nets);
    weir_free(edges);
    return status;
}

weir_status weir_block_nets_contract(const struct weir_blocks *from, const int *group, struct weir_arena *arena,
                                     struct weir_blocks *to)
{
    struct net_list list = {0};
    weir_status status = weir_alloc((size_t)from->n_nets, sizeof *list.nets, &list.nets);
    if (!status)
        status = weir_alloc((size_t)from->n_members, sizeof *list.members, &list.members);
    for (int e = 0; !status && e < from->n_nets; e++) {
        int n = 0;
        for (int i = from->net_first[e]; i < from->net_first[e + 1]; i++)
            list.members[list.n_members + n++] = group[from->net_block[i]];
        net_keep(&list, n, from->net_cost[e]);
    }
    if (!status) {
        nets_merge(&list);
        status = nets_store(&list, arena, to);
    }
    weir_free(list.members);
    weir_free(list.nets);
    return status;
}
