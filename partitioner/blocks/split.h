/* A split: blocks on parts, and the table that contiguous searches fill.
 *
 * Contiguous plans are paths through prefixes (downsets, or positions of an order).  Both searches keep, for every
 * prefix and every number of accelerators f and CPUs c used so far, the smallest bottleneck and where it came from:
 *
 *     value[prefix][c][f] = min over shorter prefixes J of max(value[J][c][f - 1], load(prefix − J)), or a CPU part
 *
 * Only what can still become a plan below `limit` is entered: the rest after the prefix must fit on the parts that are
 * left, counting its time, the nets it shares with the prefix, and its memory. */
#ifndef WEIR_PARTITIONER_BLOCKS_SPLIT_H
#define WEIR_PARTITIONER_BLOCKS_SPLIT_H

#include "partitioner/blocks/blocks.h"

struct weir_split_problem {
    const struct weir_blocks *blocks;
    int devices, cpus;
    int64_t memory;      /* cap per accelerator in bytes */
    int64_t deadline_ns; /* of weir_clock_ns; 0: none */
};

struct weir_split {
    int64_t value;         /* bottleneck in ticks; WEIR_NEVER: nothing found */
    int n_parts;           /* used ones */
    int *part;             /* [blocks] 0..n_parts-1, ascending along the data flow when contiguous */
    unsigned char *on_cpu; /* [blocks + 1] by part */
};

/* No plan yet; lives in `arena`. */
weir_status weir_split_init(const struct weir_blocks *blocks, struct weir_arena *arena, struct weir_split *split_out);
void weir_split_copy(const struct weir_blocks *blocks, const struct weir_split *from, struct weir_split *to);

/* Lower bounds in ticks for the best bottleneck on `devices`, whatever the parts look like; WEIR_NEVER when the memory
 * alone does not fit. */
int64_t weir_split_bound(const struct weir_split_problem *problem, int devices);

struct weir_split_table {
    int devices, cpus, width; /* width = (cpus + 1) · (devices + 1) */
    int64_t limit;            /* exclusive */
    int64_t cpu_relief;       /* accelerator time that CPU parts below the limit can take over, all together */
    int64_t memory;
    int n;          /* prefixes */
    int64_t *value; /* [n][width] */
    int *from;      /* [n][width]: 2 · prefix + (1 when the part is on a CPU) */
    int *most;      /* [n]: accelerators that may be used up to this prefix */
    size_t value_capacity, from_capacity, most_capacity;
};

/* Make room and empty the table for a search below `limit`. */
weir_status weir_split_table_reset(const struct weir_split_problem *problem, int n_prefixes, int64_t limit,
                                   struct weir_split_table *table);
void weir_split_table_release(struct weir_split_table *table);

/* How many accelerators a prefix may use so that the rest (its time on accelerators, the cost of nets it shares with
 * the prefix, its memory) can fit on the others. */
int weir_split_table_most(const struct weir_split_table *table, int64_t rest_time, int64_t boundary,
                          int64_t rest_memory);

/* The states of `prefix` that a further part can start from. */
struct weir_split_state {
    int64_t value;
    int cpus, devices;
};

/* Collect them into states_out[width]; dominated ones are left out.  Returns their number. */
int weir_split_table_states(const struct weir_split_table *table, int prefix, struct weir_split_state *states_out);

/* Enter the part prefix − from with its loads (WEIR_NEVER: impossible) for all `states` of `from`. */
static inline void weir_split_table_enter(struct weir_split_table *table, const struct weir_split_state *states,
                                          int n_states, int from, int prefix, int64_t load, int64_t cpu_load)
{
    int64_t *value = table->value + (size_t)prefix * (size_t)table->width;
    int *origin = table->from + (size_t)prefix * (size_t)table->width;
    int stride = table->devices + 1, most = table->most[prefix];
    for (int i = 0; i < n_states; i++) {
        const struct weir_split_state *state = &states[i];
        int cell = state->cpus * stride + state->devices;
        int64_t result = state->value > load ? state->value : load;
        if (state->devices < most && result < table->limit && result < value[cell + 1]) {
            value[cell + 1] = result;
            origin[cell + 1] = 2 * from;
        }
        result = state->value > cpu_load ? state->value : cpu_load;
        if (state->cpus < table->cpus && state->devices <= most && result < table->limit &&
            result < value[cell + stride]) {
            value[cell + stride] = result;
            origin[cell + stride] = 2 * from + 1;
        }
    }
}

/* The best value of the last prefix, WEIR_NEVER when there is none, and the cell it stands in. */
int64_t weir_split_table_best(const struct weir_split_table *table, int *cell_out);

#endif
