/* The load of one growing part, kept up to date as blocks come and go: O(nets of the block) per step.
 *
 * Parts grow forward from a prefix (the blocks of earlier parts).  A net with a block in the prefix is paid from the
 * moment the part touches it and can never be taken in whole: it counts as `settled`, as do times.  A net without is
 * `open` from the first touch until the part holds all of it.  So
 *
 *     load = settled + open,    and settled never falls while the part grows: once it reaches a limit, so has every
 * larger part, which is what lets the searches stop. */
#ifndef WEIR_PARTITIONER_BLOCKS_PART_SUM_H
#define WEIR_PARTITIONER_BLOCKS_PART_SUM_H

#include "partitioner/blocks/blocks.h"

struct weir_part_net {
    int64_t cost;
    int size, count; /* blocks of the net, and those in the part */
    int prefix;      /* blocks of the net in the prefix */
};

struct weir_part_sum {
    const struct weir_blocks *blocks;
    struct weir_part_net *nets; /* [n_nets] */
    int64_t settled, open, cpu, memory;
    int unsupported;     /* blocks that cannot run on an accelerator */
    int cpu_unsupported; /* blocks that cannot run on a CPU */
    int pinned;          /* pinned blocks */
};

weir_status weir_part_sum_init(const struct weir_blocks *blocks, struct weir_part_sum *sum_out);
void weir_part_sum_release(struct weir_part_sum *sum);

static inline void weir_part_sum_push(struct weir_part_sum *sum, int block)
{
    const struct weir_blocks *b = sum->blocks;
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++) {
        struct weir_part_net *net = &sum->nets[b->block_net[i]];
        if (net->count++ == 0) {
            if (net->prefix)
                sum->settled += net->cost;
            else
                sum->open += net->cost;
        }
        if (net->count == net->size)
            sum->open -= net->cost;
    }
    if (b->time[block] < WEIR_NEVER)
        sum->settled += b->time[block];
    else
        sum->unsupported++;
    if (b->cpu[block] < WEIR_NEVER)
        sum->cpu += b->cpu[block];
    else
        sum->cpu_unsupported++;
    sum->memory += b->memory[block];
    sum->pinned += b->pin[block] >= 0;
}

static inline void weir_part_sum_pop(struct weir_part_sum *sum, int block)
{
    const struct weir_blocks *b = sum->blocks;
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++) {
        struct weir_part_net *net = &sum->nets[b->block_net[i]];
        if (net->count == net->size)
            sum->open += net->cost;
        if (--net->count == 0) {
            if (net->prefix)
                sum->settled -= net->cost;
            else
                sum->open -= net->cost;
        }
    }
    if (b->time[block] < WEIR_NEVER)
        sum->settled -= b->time[block];
    else
        sum->unsupported--;
    if (b->cpu[block] < WEIR_NEVER)
        sum->cpu -= b->cpu[block];
    else
        sum->cpu_unsupported--;
    sum->memory -= b->memory[block];
    sum->pinned -= b->pin[block] >= 0;
}

/* The block joins the prefix; the part must be empty. */
static inline void weir_part_sum_prefix_add(struct weir_part_sum *sum, int block)
{
    const struct weir_blocks *b = sum->blocks;
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++)
        sum->nets[b->block_net[i]].prefix++;
}

#endif
