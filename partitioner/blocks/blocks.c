/* From a cost graph to blocks (partitioner/blocks/blocks.h), in three steps: which nodes share a block
 * (block_groups.c), what each block weighs and how blocks are joined by nets and by the order (here and block_nets.c),
 * and which blocks may join another for free (block_absorb.c), after which the second step is taken again.
 *
 * Invariants: everything that a solver ever adds up stays below 2^58 ticks, so WEIR_NEVER (2^61) is above any sum and
 * sums of two never overflow; blocks are numbered in the order of their smallest nodes, so that the result depends on
 * the graph alone. */
#include "partitioner/blocks/blocks.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/blocks/block_absorb.h"
#include "partitioner/blocks/block_groups.h"
#include "partitioner/blocks/block_nets.h"

/* Ticks such that everything a solver may ever add up stays below 2^58. */
static double tick_choose(const struct weir_cost_graph *graph)
{
    double sum = 0;
    for (int v = 0; v < graph->n_nodes; v++) {
        sum += weir_cost_node_time(&graph->nodes[v]);
        if (!isnan(graph->nodes[v].cpu))
            sum += graph->nodes[v].cpu;
    }
    for (int e = 0; e < graph->n_edges; e++)
        sum += 2 * graph->edges[e].cost;
    int exponent;
    frexp(sum, &exponent);
    return sum > 0 ? fmax(ldexp(1, exponent - 57), DBL_TRUE_MIN) : 1;
}

static weir_status arrays_allocate(struct weir_arena *arena, struct weir_blocks *blocks)
{
    size_t n = (size_t)blocks->n;
    weir_status status = weir_arena_alloc(arena, n, sizeof(int64_t), &blocks->time);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int64_t), &blocks->cpu);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int64_t), &blocks->memory);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int), &blocks->pin);
    for (int b = 0; !status && b < blocks->n; b++)
        blocks->pin[b] = -1;
    return status;
}

static weir_status node_add(const struct weir_cost_node *node, int b, struct weir_blocks *blocks)
{
    if (node->no_accelerator)
        blocks->time[b] = WEIR_NEVER;
    else if (blocks->time[b] < WEIR_NEVER)
        blocks->time[b] += llround(weir_cost_node_time(node) / blocks->tick);
    if (isnan(node->cpu))
        blocks->cpu[b] = WEIR_NEVER;
    else if (blocks->cpu[b] < WEIR_NEVER)
        blocks->cpu[b] += llround(node->cpu / blocks->tick);
    blocks->memory[b] += llround(node->parameter_bytes + node->activation_bytes);
    if (node->device >= 0 && blocks->pin[b] >= 0 && blocks->pin[b] != node->device)
        return WEIR_FAIL(WEIR_ERR_NOFIT,
                         "node '%s' is pinned to device %d, but must share a part with a node on device %d", node->id,
                         node->device, blocks->pin[b]);
    if (node->device >= 0)
        blocks->pin[b] = node->device;
    return WEIR_OK;
}

static weir_status nodes_add(const struct weir_cost_graph *graph, struct weir_blocks *blocks)
{
    for (int v = 0; v < graph->n_nodes; v++) {
        weir_status status = node_add(&graph->nodes[v], blocks->of_node[v], blocks);
        if (status)
            return status;
    }
    for (int b = 0; b < blocks->n; b++) {
        blocks->unsupported = blocks->unsupported || blocks->time[b] >= WEIR_NEVER;
        blocks->total_time += blocks->time[b] >= WEIR_NEVER ? 0 : blocks->time[b];
        blocks->total_memory += blocks->memory[b];
    }
    return WEIR_OK;
}

static int pair_compare(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : (x[1] > y[1]) - (x[1] < y[1]);
}

static int pairs_unique(int (*pairs)[2], int n)
{
    qsort(pairs, (size_t)n, sizeof *pairs, pair_compare);
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!kept || pair_compare(pairs[i], pairs[kept - 1])) {
            pairs[kept][0] = pairs[i][0];
            pairs[kept++][1] = pairs[i][1];
        }
    return kept;
}

/* Compressed lists: from `side` of each pair to the other. */
static weir_status lists_build(int (*pairs)[2], int n_pairs, int side, int n, struct weir_arena *arena, int **first_out,
                               int **other_out)
{
    int *first, *other;
    weir_status status = weir_arena_alloc(arena, (size_t)n + 2, sizeof *first, &first);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_pairs, sizeof *other, &other);
    if (status)
        return status;
    for (int i = 0; i < n_pairs; i++)
        first[pairs[i][side] + 2]++;
    for (int v = 0; v <= n; v++)
        first[v + 1] += first[v];
    for (int i = 0; i < n_pairs; i++)
        other[first[pairs[i][side] + 1]++] = pairs[i][1 - side];
    *first_out = first;
    *other_out = other;
    return WEIR_OK;
}

static weir_status order_build(const struct weir_cost_graph *graph, struct weir_arena *arena,
                               struct weir_blocks *blocks)
{
    int(*pairs)[2];
    unsigned char *forward = NULL;
    weir_status status = weir_alloc((size_t)graph->n_edges, sizeof *pairs, &pairs);
    if (status)
        return status;
    status = weir_alloc((size_t)blocks->n, 1, &forward);
    if (status)
        goto release;
    for (int v = 0; v < graph->n_nodes; v++)
        if (!graph->nodes[v].backward)
            forward[blocks->of_node[v]] = 1;
    int n = pairs_unique(pairs, weir_block_order_pairs(graph, blocks->of_node, forward, pairs));
    status = lists_build(pairs, n, 0, blocks->n, arena, &blocks->succ_first, &blocks->succ);
    if (!status)
        status = lists_build(pairs, n, 1, blocks->n, arena, &blocks->pred_first, &blocks->pred);
release:
    weir_free(forward);
    weir_free(pairs);
    return status;
}

/* Everything that follows from of_node and n. */
static weir_status blocks_fill(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                               struct weir_arena *arena, struct weir_blocks *blocks)
{
    weir_status status = arrays_allocate(arena, blocks);
    if (!status)
        status = nodes_add(graph, blocks);
    if (!status)
        status = weir_block_nets_build(graph, arena, blocks);
    if (!status && purpose->contiguous)
        status = order_build(graph, arena, blocks);
    return status;
}

/* Join what can be joined for free until nothing is left, or a dozen times. */
static weir_status blocks_absorb(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                                 struct weir_arena *arena, struct weir_blocks *blocks)
{
    enum { MOST_ROUNDS = 12 };
    int *group;
    weir_status status = weir_alloc((size_t)blocks->n, sizeof *group, &group);
    if (status)
        return status;
    for (int round = 0; !status && round < MOST_ROUNDS; round++) {
        int n = weir_blocks_absorb(blocks, purpose, group);
        if (n < 0)
            status = WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: %d blocks", blocks->n);
        if (n < 0 || n == blocks->n)
            break;
        struct weir_blocks joined = {.n = n, .of_node = blocks->of_node, .tick = blocks->tick};
        for (int v = 0; v < graph->n_nodes; v++)
            joined.of_node[v] = group[joined.of_node[v]];
        status = blocks_fill(graph, purpose, arena, &joined);
        *blocks = joined;
    }
    weir_free(group);
    return status;
}

weir_status weir_blocks_build(const struct weir_cost_graph *graph, const struct weir_blocks_purpose *purpose,
                              struct weir_arena *arena, struct weir_blocks *blocks_out)
{
    struct weir_blocks blocks = {.tick = tick_choose(graph)};
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_nodes, sizeof(int), &blocks.of_node);
    if (!status)
        status = weir_block_groups(graph, purpose, blocks.of_node, &blocks.n);
    if (!status)
        status = blocks_fill(graph, purpose, arena, &blocks);
    if (!status)
        status = blocks_absorb(graph, purpose, arena, &blocks);
    if (!status)
        *blocks_out = blocks;
    return status;
}

int64_t weir_blocks_load(const struct weir_blocks *blocks, const unsigned char *inside)
{
    int64_t load = 0;
    for (int b = 0; b < blocks->n; b++)
        if (inside[b]) {
            if (blocks->time[b] >= WEIR_NEVER)
                return WEIR_NEVER;
            load += blocks->time[b];
        }
    for (int e = 0; e < blocks->n_nets; e++) {
        int size = blocks->net_first[e + 1] - blocks->net_first[e], count = 0;
        for (int i = blocks->net_first[e]; i < blocks->net_first[e + 1]; i++)
            count += inside[blocks->net_block[i]] != 0;
        if (count > 0 && count < size)
            load += blocks->net_cost[e];
    }
    return load;
}

/* `scratch` has one zero per block on entry and on return. */
int64_t weir_blocks_load_bound(const struct weir_blocks *blocks, int block, int *scratch)
{
    int first = blocks->block_first[block], end = blocks->block_first[block + 1];
    int64_t bound = blocks->time[block];
    for (int i = first; i < end; i++) {
        int e = blocks->block_net[i];
        for (int p = blocks->net_first[e]; p < blocks->net_first[e + 1]; p++)
            scratch[blocks->net_block[p]]++;
    }
    for (int i = first; i < end; i++) {
        int e = blocks->block_net[i];
        int64_t absorbed = 0;
        for (int p = blocks->net_first[e]; p < blocks->net_first[e + 1]; p++) {
            int b = blocks->net_block[p];
            if (b != block)
                absorbed += blocks->time[b] / scratch[b];
        }
        bound += absorbed < blocks->net_cost[e] ? absorbed : blocks->net_cost[e];
    }
    for (int i = first; i < end; i++) {
        int e = blocks->block_net[i];
        for (int p = blocks->net_first[e]; p < blocks->net_first[e + 1]; p++)
            scratch[blocks->net_block[p]] = 0;
    }
    return bound;
}
