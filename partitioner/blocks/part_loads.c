/* Loads from scratch (set) and their largest (value); the steps that keep them up to date are inline in
 * partitioner/blocks/part_loads.h, because a walk does little else.
 *
 * Invariant: count[net][part] says how many members of the net the part has, and load[part] = Σ times + Σ cost of the
 * nets with 0 < count < size.  A part that holds what it cannot run has load WEIR_NEVER or more. */
#include "partitioner/blocks/part_loads.h"

#include <string.h>

#include "base/alloc.h"

weir_status weir_part_loads_init(const struct weir_split_problem *problem, struct weir_part_loads *state_out)
{
    struct weir_part_loads s = {.blocks = problem->blocks, .devices = problem->devices, .cap = problem->memory};
    s.n_parts = problem->devices + problem->cpus;
    size_t parts = (size_t)s.n_parts;
    weir_status status = weir_alloc((size_t)s.blocks->n, sizeof *s.part, &s.part);
    if (!status)
        status = weir_alloc((size_t)s.blocks->n_nets * parts, sizeof *s.count, &s.count);
    if (!status)
        status = weir_alloc(parts, sizeof *s.load, &s.load);
    if (!status)
        status = weir_alloc(parts, sizeof *s.memory, &s.memory);
    if (status)
        weir_part_loads_release(&s);
    else
        *state_out = s;
    return status;
}

void weir_part_loads_release(struct weir_part_loads *state)
{
    weir_free(state->part);
    weir_free(state->count);
    weir_free(state->load);
    weir_free(state->memory);
    *state = (struct weir_part_loads){0};
}

void weir_part_loads_set(struct weir_part_loads *s, const int *part)
{
    const struct weir_blocks *b = s->blocks;
    size_t parts = (size_t)s->n_parts;
    memset(s->count, 0, (size_t)b->n_nets * parts * sizeof *s->count);
    memset(s->load, 0, parts * sizeof *s->load);
    memset(s->memory, 0, parts * sizeof *s->memory);
    for (int v = 0; v < b->n; v++) {
        int p = s->part[v] = part[v];
        s->load[p] += p < s->devices ? b->time[v] : b->cpu[v];
        if (s->load[p] > WEIR_NEVER)
            s->load[p] = WEIR_NEVER;
        s->memory[p] += b->memory[v];
    }
    for (int e = 0; e < b->n_nets; e++) {
        int *count = s->count + (size_t)e * parts, size = b->net_first[e + 1] - b->net_first[e];
        for (int i = b->net_first[e]; i < b->net_first[e + 1]; i++)
            count[part[b->net_block[i]]]++;
        for (int p = 0; p < s->devices; p++)
            if (count[p] > 0 && count[p] < size)
                s->load[p] += b->net_cost[e];
    }
}

int64_t weir_part_loads_value(const struct weir_part_loads *s)
{
    int64_t value = 0;
    for (int p = 0; p < s->n_parts; p++) {
        if (p < s->devices && s->memory[p] > s->cap)
            return WEIR_NEVER;
        value = s->load[p] > value ? s->load[p] : value;
    }
    return value < WEIR_NEVER ? value : WEIR_NEVER;
}
