/* A placement that can be changed block by block: loads of all parts, kept up to date by counting blocks per net and
 * part.
 *
 * A move changes the loads of two parts only.  Leaving part p: a net that p held whole begins to cost p, one of which
 * the block was the last stops.  Entering q: the reverse. */
#ifndef WEIR_PARTITIONER_BLOCKS_PART_LOADS_H
#define WEIR_PARTITIONER_BLOCKS_PART_LOADS_H

#include "partitioner/blocks/split.h"

struct weir_part_loads {
    const struct weir_blocks *blocks;
    int devices, n_parts;   /* parts 0..devices-1 are accelerators, the others CPUs */
    int64_t cap;            /* memory of an accelerator */
    int *part;              /* [blocks] */
    int *count;             /* [nets][parts] */
    int64_t *load, *memory; /* [parts] */
};

weir_status weir_part_loads_init(const struct weir_split_problem *problem, struct weir_part_loads *state_out);
void weir_part_loads_release(struct weir_part_loads *state);

/* Take over a placement and recount everything. */
void weir_part_loads_set(struct weir_part_loads *state, const int *part);

/* The largest load; WEIR_NEVER when memory or support is violated. */
int64_t weir_part_loads_value(const struct weir_part_loads *state);

/* May the block go to the part at all (support, pins, memory)? */
static inline bool weir_part_loads_allows(const struct weir_part_loads *s, int block, int to)
{
    const struct weir_blocks *b = s->blocks;
    if (to >= s->devices)
        return b->cpu[block] < WEIR_NEVER && b->pin[block] < 0;
    return b->time[block] < WEIR_NEVER && (b->pin[block] < 0 || b->pin[block] == to) &&
           s->memory[to] + b->memory[block] <= s->cap;
}

/* What a move would add to the loads of the part that is left and of the one that is entered. */
static inline void weir_part_loads_change(const struct weir_part_loads *s, int block, int to, int64_t *from_out,
                                          int64_t *to_out)
{
    const struct weir_blocks *b = s->blocks;
    int from = s->part[block];
    int64_t leave = 0, enter = 0;
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++) {
        int e = b->block_net[i], size = b->net_first[e + 1] - b->net_first[e];
        const int *count = s->count + (size_t)e * (size_t)s->n_parts;
        int64_t cost = b->net_cost[e];
        if (count[from] == size)
            leave += cost;
        else if (count[from] == 1)
            leave -= cost;
        if (count[to] == 0)
            enter += cost;
        else if (count[to] + 1 == size)
            enter -= cost;
    }
    *from_out = from < s->devices ? leave - b->time[block] : -b->cpu[block];
    *to_out = to < s->devices ? enter + b->time[block] : b->cpu[block];
}

/* Do the move whose changes are known. */
static inline void weir_part_loads_move(struct weir_part_loads *s, int block, int to, int64_t from_change,
                                        int64_t to_change)
{
    const struct weir_blocks *b = s->blocks;
    int from = s->part[block];
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++) {
        int *count = s->count + (size_t)b->block_net[i] * (size_t)s->n_parts;
        count[from]--;
        count[to]++;
    }
    s->load[from] += from_change;
    s->load[to] += to_change;
    s->memory[from] -= b->memory[block];
    s->memory[to] += b->memory[block];
    s->part[block] = to;
}

#endif
