/* Contraction of blocks by groups: sums of times and memory, pins carried over, nets by block_nets.c.  The forward
 * order is left out: unordered search, which alone contracts, has none. */
#include "partitioner/blocks/block_contract.h"

#include <string.h>

#include "partitioner/blocks/block_nets.h"

static int64_t time_add(int64_t a, int64_t b)
{
    return a >= WEIR_NEVER || b >= WEIR_NEVER ? WEIR_NEVER : a + b;
}

weir_status weir_blocks_contract(const struct weir_blocks *blocks, const int *group, int n_groups,
                                 struct weir_arena *arena, struct weir_blocks *out)
{
    struct weir_blocks small = {.n = n_groups,
                                .tick = blocks->tick,
                                .total_time = blocks->total_time,
                                .total_memory = blocks->total_memory,
                                .unsupported = blocks->unsupported};
    size_t n = (size_t)n_groups;
    weir_status status = weir_arena_alloc(arena, n, sizeof(int64_t), &small.time);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int64_t), &small.cpu);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int64_t), &small.memory);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int), &small.pin);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)blocks->n, sizeof(int), &small.of_node);
    if (status)
        return status;
    for (int g = 0; g < n_groups; g++)
        small.pin[g] = -1;
    for (int b = 0; b < blocks->n; b++) {
        int g = small.of_node[b] = group[b];
        small.time[g] = time_add(small.time[g], blocks->time[b]);
        small.cpu[g] = time_add(small.cpu[g], blocks->cpu[b]);
        small.memory[g] += blocks->memory[b];
        if (blocks->pin[b] >= 0)
            small.pin[g] = blocks->pin[b];
    }
    status = weir_block_nets_contract(blocks, group, arena, &small);
    if (!status)
        *out = small;
    return status;
}
