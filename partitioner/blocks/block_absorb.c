/* Joins for free (partitioner/blocks/block_absorb.h has the proof).  The proof looks at one block and its nets, so
 * joins of a round must not touch each other: once two blocks are joined, they and all their neighbours are frozen
 * until the caller has rebuilt the nets and asks again. */
#include "partitioner/blocks/block_absorb.h"

#include "base/alloc.h"

struct absorber {
    const struct weir_blocks *blocks;
    bool contiguous, cpus, memory_free;
    int64_t *shared;       /* [blocks] cost of the nets that the looked-at block shares with this one alone */
    unsigned char *frozen; /* a join has changed this block's nets */
};

static bool weightless(const struct absorber *a, int v)
{
    const struct weir_blocks *b = a->blocks;
    return b->time[v] == 0 && (!a->cpus || b->cpu[v] == 0) && (a->memory_free || b->memory[v] == 0) && b->pin[v] < 0;
}

static bool only_neighbour(const int *first, const int *other, int v, int u)
{
    for (int i = first[v]; i < first[v + 1]; i++)
        if (other[i] != u)
            return false;
    return first[v] < first[v + 1];
}

static bool order_allows(const struct absorber *a, int v, int u)
{
    const struct weir_blocks *b = a->blocks;
    if (!a->contiguous)
        return true;
    bool alone = b->succ_first[v] == b->succ_first[v + 1] && b->pred_first[v] == b->pred_first[v + 1];
    return alone || only_neighbour(b->pred_first, b->pred, v, u) || only_neighbour(b->succ_first, b->succ, v, u);
}

static int other_block(const struct weir_blocks *b, int e, int v)
{
    int first = b->net_first[e];
    if (b->net_first[e + 1] - first != 2)
        return -1;
    return b->net_block[first] == v ? b->net_block[first + 1] : b->net_block[first];
}

/* The block that may take in v, or -1. */
static int taker_find(struct absorber *a, int v)
{
    const struct weir_blocks *b = a->blocks;
    int64_t all = 0;
    int taker = -1;
    for (int i = b->block_first[v]; i < b->block_first[v + 1]; i++) {
        int e = b->block_net[i], u = other_block(b, e, v);
        all += b->net_cost[e];
        if (u >= 0)
            a->shared[u] += b->net_cost[e];
    }
    for (int i = b->block_first[v]; i < b->block_first[v + 1]; i++) {
        int u = other_block(b, b->block_net[i], v);
        if (u < 0)
            continue;
        if (all - a->shared[u] <= a->shared[u] && !a->frozen[u] && order_allows(a, v, u) && (taker < 0 || u < taker))
            taker = u;
    }
    for (int i = b->block_first[v]; i < b->block_first[v + 1]; i++) {
        int u = other_block(b, b->block_net[i], v);
        if (u >= 0)
            a->shared[u] = 0;
    }
    return taker;
}

static void neighbours_freeze(struct absorber *a, int v)
{
    const struct weir_blocks *b = a->blocks;
    a->frozen[v] = 1;
    for (int i = b->block_first[v]; i < b->block_first[v + 1]; i++)
        for (int p = b->net_first[b->block_net[i]]; p < b->net_first[b->block_net[i] + 1]; p++)
            a->frozen[b->net_block[p]] = 1;
    if (!a->contiguous)
        return;
    for (int i = b->pred_first[v]; i < b->pred_first[v + 1]; i++)
        a->frozen[b->pred[i]] = 1;
    for (int i = b->succ_first[v]; i < b->succ_first[v + 1]; i++)
        a->frozen[b->succ[i]] = 1;
}

int weir_blocks_absorb(const struct weir_blocks *blocks, const struct weir_blocks_purpose *purpose, int *group_out)
{
    struct absorber a = {
        blocks, purpose->contiguous, purpose->cpus, (double)blocks->total_memory <= purpose->memory, NULL, NULL};
    int *into = NULL, n = -1;
    if (weir_alloc((size_t)blocks->n, sizeof *a.shared, &a.shared) || weir_alloc((size_t)blocks->n, 1, &a.frozen) ||
        weir_alloc((size_t)blocks->n, sizeof *into, &into))
        goto release;
    for (int v = 0; v < blocks->n; v++)
        into[v] = v;
    for (int v = 0; v < blocks->n; v++) {
        int u = !a.frozen[v] && weightless(&a, v) ? taker_find(&a, v) : -1;
        if (u < 0)
            continue;
        into[v] = u;
        neighbours_freeze(&a, v);
        neighbours_freeze(&a, u);
    }
    n = 0;
    for (int v = 0; v < blocks->n; v++) /* a taker is frozen before it could be taken itself */
        group_out[v] = -1;
    for (int v = 0; v < blocks->n; v++) {
        int root = into[v];
        if (group_out[root] < 0)
            group_out[root] = n++;
        group_out[v] = group_out[root];
    }
release:
    weir_free(into);
    weir_free(a.frozen);
    weir_free(a.shared);
    return n;
}
