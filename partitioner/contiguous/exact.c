/* The search of partitioner/contiguous/exact.h.
 *
 * levels_walk goes through the numbers of parts used so far; for each downset with a state worth extending, parts_grow
 * walks depth first over the downsets behind it and enters every part that ends there into the table.  What keeps this
 * small, each exact: the settled load turns a branch back at the limit; `most` of the table leaves no rest that cannot
 * fit; a state that a larger downset dominates is not extended (docs/planning.md has the proof); the limit falls to the
 * best value found.
 *
 * Invariants: on return from parts_grow the sum is empty again; a downset is met once per start (`seen`), because the
 * load of a part does not depend on the order in which it grew. */
#include "partitioner/contiguous/exact.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/blocks/part_sum.h"

struct frame {
    int downset, block; /* the block whose addition led here */
    size_t step;        /* next step to try */
};

struct search {
    const struct weir_split_problem *problem;
    const struct weir_downsets *downsets;
    struct weir_split_table *table;
    struct weir_part_sum sum;
    struct weir_split_state *states;
    int n_states;
    struct frame *stack;
    unsigned *seen; /* by downset: number of the last start that met it */
    unsigned round;
    int64_t bound; /* no plan is below: smaller values are as good as this */
};

static weir_status search_init(struct search *s)
{
    size_t depth = (size_t)s->problem->blocks->n + 1;
    weir_status status = weir_part_sum_init(s->problem->blocks, &s->sum);
    if (!status)
        status = weir_alloc((size_t)s->table->width, sizeof *s->states, &s->states);
    if (!status)
        status = weir_alloc(depth, sizeof *s->stack, &s->stack);
    if (!status)
        status = weir_alloc((size_t)s->downsets->n, sizeof *s->seen, &s->seen);
    return status;
}

static void search_release(struct search *s)
{
    weir_part_sum_release(&s->sum);
    weir_free(s->states);
    weir_free(s->stack);
    weir_free(s->seen);
}

static void windows_fill(struct search *s)
{
    const struct weir_downsets *d = s->downsets;
    int last = d->n - 1;
    for (int i = 0; i < d->n; i++)
        s->table->most[i] =
            weir_split_table_most(s->table, d->time[last] - d->time[i], d->boundary[i], d->memory[last] - d->memory[i]);
}

static void prefix_set(struct search *s, int start)
{
    const struct weir_blocks *blocks = s->problem->blocks;
    for (int e = 0; e < blocks->n_nets; e++) {
        int count = 0;
        for (int p = blocks->net_first[e]; p < blocks->net_first[e + 1]; p++)
            count += weir_downset_has(s->downsets, start, blocks->net_block[p]);
        s->sum.nets[e].prefix = count;
    }
}

/* Enter the part that has just grown to `downset`; false when nothing larger can be below the limit. */
static inline bool part_enter(struct search *s, int start, int downset)
{
    const struct weir_part_sum *sum = &s->sum;
    bool device =
        sum->settled < s->table->limit && sum->memory <= s->problem->memory && !sum->unsupported && sum->pinned <= 1;
    bool cpu = s->problem->cpus && sum->cpu < s->table->limit && !sum->cpu_unsupported && !sum->pinned;
    if (!device && !cpu)
        return false;
    int64_t load = device ? sum->settled + sum->open : WEIR_NEVER;
    int64_t cpu_load = cpu ? sum->cpu : WEIR_NEVER;
    if (load < s->table->limit || cpu_load < s->table->limit)
        weir_split_table_enter(s->table, s->states, s->n_states, start, downset, load, cpu_load);
    return true;
}

static void parts_grow(struct search *s, int start)
{
    const struct weir_downsets *d = s->downsets;
    int depth = 0;
    s->round++;
    s->stack[0] = (struct frame){start, -1, d->first[start]};
    while (depth >= 0) {
        struct frame *frame = &s->stack[depth];
        if (frame->step == d->first[frame->downset + 1]) {
            if (depth)
                weir_part_sum_pop(&s->sum, frame->block);
            depth--;
            continue;
        }
        struct weir_downset_step step = d->step[frame->step++];
        if (s->seen[step.next] == s->round)
            continue;
        s->seen[step.next] = s->round;
        weir_part_sum_push(&s->sum, step.block);
        if (part_enter(s, start, step.next))
            s->stack[++depth] = (struct frame){step.next, step.block, d->first[step.next]};
        else
            weir_part_sum_pop(&s->sum, step.block);
    }
}

/* A last part that must reach the end needs no search: its load is known.  Pins and CPUs are left to the search. */
static bool last_part_enter(struct search *s, int start)
{
    const struct weir_downsets *d = s->downsets;
    const struct weir_blocks *blocks = s->problem->blocks;
    int last = d->n - 1;
    if (s->problem->cpus || blocks->unsupported || s->states[0].devices + 1 < s->problem->devices)
        return false;
    for (int b = 0, pins = 0; b < blocks->n; b++)
        if (blocks->pin[b] >= 0 && !weir_downset_has(d, start, b) && ++pins > 1)
            return true; /* two pins in what must be one part */
    if (d->memory[last] - d->memory[start] <= s->problem->memory)
        weir_split_table_enter(s->table, s->states, s->n_states, start, last,
                               d->time[last] - d->time[start] + d->boundary[start], WEIR_NEVER);
    return true;
}

static void split_read(const struct search *s, int cell, int64_t value, struct weir_split *split)
{
    const struct weir_split_table *table = s->table;
    const struct weir_blocks *blocks = s->problem->blocks;
    int stride = table->devices + 1, parts = cell / stride + cell % stride;
    split->value = value;
    split->n_parts = parts;
    for (int prefix = table->n - 1; prefix > 0;) {
        int origin = table->from[(size_t)prefix * (size_t)table->width + (size_t)cell];
        parts--;
        split->on_cpu[parts] = (unsigned char)(origin & 1);
        for (int b = 0; b < blocks->n; b++)
            if (weir_downset_has(s->downsets, prefix, b) && !weir_downset_has(s->downsets, origin / 2, b))
                split->part[b] = parts;
        cell -= origin & 1 ? stride : 1;
        prefix = origin / 2;
    }
}

/* Is there a state of `downset` with no more devices and CPUs than `state` and no larger value?  For the downset of the
 * state itself (`strict`) it must be another one. */
static bool state_beaten(const struct search *s, int downset, const struct weir_split_state *state, bool strict)
{
    const struct weir_split_table *table = s->table;
    const int64_t *value = table->value + (size_t)downset * (size_t)table->width;
    int64_t limit = state->value > s->bound ? state->value : s->bound;
    for (int c = state->cpus; c >= 0; c--)
        for (int f = state->devices; f >= 0; f--)
            if (value[c * (table->devices + 1) + f] <= limit && (!strict || c + f < state->cpus + state->devices))
                return true;
    return false;
}

/* A state need not be extended when a larger downset, one settled block ahead, is reached as well: whatever follows
 * from here follows from there with smaller parts.  docs/planning.md has the proof. */
static bool state_dominated(const struct search *s, int downset, const struct weir_split_state *state)
{
    const struct weir_downsets *d = s->downsets;
    if (state_beaten(s, downset, state, true))
        return true;
    for (size_t i = d->first[downset]; i < d->first[downset + 1]; i++)
        if (d->step[i].settled && state_beaten(s, d->step[i].next, state, false))
            return true;
    return false;
}

/* The states of a downset that use `parts` parts and are worth extending. */
static void states_collect(struct search *s, int downset, int parts)
{
    const struct weir_split_table *table = s->table;
    const int64_t *value = table->value + (size_t)downset * (size_t)table->width;
    s->n_states = 0;
    for (int c = 0; c <= table->cpus && c <= parts; c++) {
        int f = parts - c;
        if (f > table->devices)
            continue;
        struct weir_split_state state = {value[c * (table->devices + 1) + f], c, f};
        if (state.value < table->limit && !state_dominated(s, downset, &state))
            s->states[s->n_states++] = state;
    }
}

/* All plans with one part, then with two, and so on.  False when the deadline passed. */
static bool levels_walk(struct search *s)
{
    int last = s->downsets->n - 1, cell;
    for (int parts = 0; parts < s->problem->devices + s->problem->cpus; parts++)
        for (int start = 0; start < last; start++) {
            states_collect(s, start, parts);
            if (!s->n_states)
                continue;
            if (s->problem->deadline_ns && (s->round & 15) == 0 && weir_clock_ns() > s->problem->deadline_ns)
                return false;
            if (!last_part_enter(s, start)) {
                prefix_set(s, start);
                parts_grow(s, start);
            }
            int64_t best = weir_split_table_best(s->table, &cell);
            if (best < s->table->limit)
                s->table->limit = best;
            if (best <= s->bound)
                return true;
        }
    return true;
}

weir_status weir_exact_search(const struct weir_split_problem *problem, const struct weir_downsets *downsets,
                              int64_t bound, int64_t limit, struct weir_split_table *table, struct weir_split *split,
                              bool *complete_out)
{
    struct search s = {.problem = problem, .downsets = downsets, .table = table, .bound = bound};
    weir_status status = weir_split_table_reset(problem, downsets->n, limit, table);
    if (!status)
        status = search_init(&s);
    if (!status) {
        windows_fill(&s);
        *complete_out = levels_walk(&s);
        int cell;
        int64_t best = weir_split_table_best(table, &cell);
        if (best < limit)
            split_read(&s, cell, best, split);
    }
    search_release(&s);
    return status;
}
