/* The table of contiguous searches and the bounds that prune it (partitioner/blocks/split.h).
 *
 * A bound per problem: work shared by all devices, and the dearest block with what its nets cost at least.  CPUs enter
 * as the accelerator time that they can relieve: at a bottleneck of T a CPU takes over at most T times the best ratio
 * of a block's accelerator time to its CPU time. */
#include "partitioner/blocks/split.h"

#include <string.h>

#include "base/alloc.h"

weir_status weir_split_init(const struct weir_blocks *blocks, struct weir_arena *arena, struct weir_split *split_out)
{
    struct weir_split split = {.value = WEIR_NEVER};
    weir_status status = weir_arena_alloc(arena, (size_t)blocks->n, sizeof *split.part, &split.part);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)blocks->n + 1, 1, &split.on_cpu);
    if (!status)
        *split_out = split;
    return status;
}

void weir_split_copy(const struct weir_blocks *blocks, const struct weir_split *from, struct weir_split *to)
{
    to->value = from->value;
    to->n_parts = from->n_parts;
    memcpy(to->part, from->part, sizeof *to->part * (size_t)blocks->n);
    memcpy(to->on_cpu, from->on_cpu, (size_t)blocks->n + 1);
}

static int64_t ceil_divide(int64_t a, int64_t b)
{
    return a <= 0 ? 0 : (a - 1) / b + 1;
}

/* The largest accelerator time per CPU time of any block: a CPU with time T relieves at most that times T. */
static double relief_ratio(const struct weir_blocks *blocks)
{
    double ratio = 0;
    for (int b = 0; b < blocks->n; b++) {
        if (blocks->cpu[b] >= WEIR_NEVER || blocks->time[b] >= WEIR_NEVER || !blocks->time[b])
            continue;
        double r = blocks->cpu[b] ? (double)blocks->time[b] / (double)blocks->cpu[b] : 1e300;
        ratio = r > ratio ? r : ratio;
    }
    return ratio;
}

static int64_t relief(const struct weir_blocks *blocks, int cpus, int64_t limit)
{
    double most = cpus ? relief_ratio(blocks) * (double)cpus * (double)limit * (1 + 1e-12) + 1 : 0;
    return most < (double)blocks->total_time ? (int64_t)most : blocks->total_time;
}

int64_t weir_split_bound(const struct weir_split_problem *problem, int devices)
{
    const struct weir_blocks *blocks = problem->blocks;
    if (!problem->cpus && (double)blocks->total_memory > (double)problem->memory * devices)
        return WEIR_NEVER;
    int64_t bound = 0;
    double share = (double)devices + problem->cpus * (problem->cpus ? relief_ratio(blocks) : 0);
    if (share > 0 && share < 1e18)
        bound = problem->cpus ? (int64_t)((double)blocks->total_time / share * (1 - 1e-12))
                              : ceil_divide(blocks->total_time, devices);
    int *scratch;
    if (weir_alloc((size_t)blocks->n, sizeof *scratch, &scratch))
        return bound;
    for (int b = 0; b < blocks->n; b++) {
        int64_t alone = devices && blocks->time[b] < WEIR_NEVER && blocks->memory[b] <= problem->memory
                            ? weir_blocks_load_bound(blocks, b, scratch)
                            : WEIR_NEVER;
        if (devices == 1 && !problem->cpus && alone < WEIR_NEVER)
            alone = blocks->total_time;
        if (problem->cpus && blocks->cpu[b] < alone)
            alone = blocks->cpu[b];
        bound = alone > bound ? alone : bound;
    }
    weir_free(scratch);
    return bound;
}

weir_status weir_split_table_reset(const struct weir_split_problem *problem, int n_prefixes, int64_t limit,
                                   struct weir_split_table *table)
{
    table->devices = problem->devices;
    table->cpus = problem->cpus;
    table->memory = problem->memory;
    table->width = (problem->cpus + 1) * (problem->devices + 1);
    table->limit = limit;
    table->cpu_relief = relief(problem->blocks, problem->cpus, limit);
    table->n = n_prefixes;
    size_t cells = (size_t)n_prefixes * (size_t)table->width;
    weir_status status = weir_grow(&table->value, &table->value_capacity, cells, sizeof *table->value);
    if (!status)
        status = weir_grow(&table->from, &table->from_capacity, cells, sizeof *table->from);
    if (!status)
        status = weir_grow(&table->most, &table->most_capacity, (size_t)n_prefixes, sizeof *table->most);
    if (status)
        return status;
    for (size_t i = 0; i < cells; i++)
        table->value[i] = WEIR_NEVER;
    table->value[0] = 0;
    return WEIR_OK;
}

void weir_split_table_release(struct weir_split_table *table)
{
    weir_free(table->value);
    weir_free(table->from);
    weir_free(table->most);
    *table = (struct weir_split_table){0};
}

int weir_split_table_most(const struct weir_split_table *table, int64_t rest_time, int64_t boundary,
                          int64_t rest_memory)
{
    int64_t most_load = table->limit - 1, need = 0;
    if (table->cpus) {
        rest_time -= table->cpu_relief;
    } else {
        rest_time += boundary; /* every shared net is paid at least once on this side; CPU parts would not pay */
        need = table->memory > 0 ? ceil_divide(rest_memory, table->memory) : rest_memory > 0 ? table->devices + 1 : 0;
    }
    if (rest_time > 0 && most_load < 1)
        return -1;
    int64_t by_time = rest_time > 0 ? ceil_divide(rest_time, most_load) : 0;
    need = by_time > need ? by_time : need;
    return need > table->devices ? -1 : table->devices - (int)need;
}

int weir_split_table_states(const struct weir_split_table *table, int prefix, struct weir_split_state *states_out)
{
    const int64_t *value = table->value + (size_t)prefix * (size_t)table->width;
    int n = 0;
    for (int c = 0; c <= table->cpus; c++) {
        int64_t best = WEIR_NEVER;
        for (int f = 0; f <= table->devices; f++) {
            int64_t v = value[c * (table->devices + 1) + f];
            if (v >= best || v >= table->limit)
                continue;
            best = v;
            states_out[n++] = (struct weir_split_state){v, c, f};
        }
    }
    return n;
}

int64_t weir_split_table_best(const struct weir_split_table *table, int *cell_out)
{
    const int64_t *value = table->value + (size_t)(table->n - 1) * (size_t)table->width;
    int64_t best = WEIR_NEVER;
    *cell_out = 0;
    for (int cell = 0; cell < table->width; cell++)
        if (value[cell] < best) {
            best = value[cell];
            *cell_out = cell;
        }
    return best;
}
