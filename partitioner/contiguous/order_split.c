/* Dynamic programming along one order: the prefixes of the order are the only downsets, so a part is an interval and
 * its load is kept up to date block by block (part_sum.h).  An interval grows until its settled load reaches the
 * limit, which bounds the work by the lengths of parts that can be in a plan below it. */
#include "partitioner/contiguous/order_split.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/blocks/part_sum.h"

struct order_walk {
    const struct weir_split_problem *problem;
    const int *order;
    struct weir_split_table *table;
    struct weir_part_sum sum;
    struct weir_split_state *states;
};

/* What is left behind every prefix of the order. */
static void windows_fill(struct order_walk *w)
{
    const struct weir_blocks *blocks = w->problem->blocks;
    int64_t time = blocks->total_time, memory = blocks->total_memory, boundary = 0;
    for (int i = 0; i <= blocks->n; i++) {
        w->table->most[i] = weir_split_table_most(w->table, time, boundary, memory);
        if (i == blocks->n)
            break;
        int block = w->order[i];
        time -= blocks->time[block] >= WEIR_NEVER ? 0 : blocks->time[block];
        memory -= blocks->memory[block];
        for (int k = blocks->block_first[block]; k < blocks->block_first[block + 1]; k++) {
            struct weir_part_net *net = &w->sum.nets[blocks->block_net[k]];
            if (net->prefix++ == 0)
                boundary += net->cost;
            if (net->prefix == net->size)
                boundary -= net->cost;
        }
    }
    for (int e = 0; e < blocks->n_nets; e++)
        w->sum.nets[e].prefix = 0;
}

static void parts_grow(struct order_walk *w, int start, int n_states)
{
    const struct weir_split_problem *p = w->problem;
    struct weir_part_sum *sum = &w->sum;
    int end = start;
    while (end < p->blocks->n) {
        weir_part_sum_push(sum, w->order[end++]);
        bool device =
            sum->settled < w->table->limit && sum->memory <= p->memory && !sum->unsupported && sum->pinned <= 1;
        bool cpu = p->cpus && sum->cpu < w->table->limit && !sum->cpu_unsupported && !sum->pinned;
        if (!device && !cpu)
            break;
        weir_split_table_enter(w->table, w->states, n_states, start, end,
                               device ? sum->settled + sum->open : WEIR_NEVER, cpu ? sum->cpu : WEIR_NEVER);
    }
    while (end > start)
        weir_part_sum_pop(sum, w->order[--end]);
}

static void split_read(const struct order_walk *w, int cell, int64_t value, struct weir_split *split)
{
    const struct weir_split_table *table = w->table;
    int stride = table->devices + 1, parts = cell / stride + cell % stride;
    split->value = value;
    split->n_parts = parts;
    for (int end = table->n - 1; end > 0;) {
        int origin = table->from[(size_t)end * (size_t)table->width + (size_t)cell];
        parts--;
        split->on_cpu[parts] = (unsigned char)(origin & 1);
        for (int i = origin / 2; i < end; i++)
            split->part[w->order[i]] = parts;
        cell -= origin & 1 ? stride : 1;
        end = origin / 2;
    }
}

weir_status weir_order_split(const struct weir_split_problem *problem, const int *order, int64_t limit,
                             struct weir_split_table *table, struct weir_split *split)
{
    struct order_walk w = {.problem = problem, .order = order, .table = table};
    int n = problem->blocks->n, cell;
    weir_status status = weir_split_table_reset(problem, n + 1, limit, table);
    if (status)
        return status;
    status = weir_part_sum_init(problem->blocks, &w.sum);
    if (status)
        return status;
    status = weir_alloc((size_t)table->width, sizeof *w.states, &w.states);
    if (!status)
        windows_fill(&w);
    for (int start = 0; !status && start < n; start++) {
        int n_states = weir_split_table_states(table, start, w.states);
        if (n_states)
            parts_grow(&w, start, n_states);
        weir_part_sum_prefix_add(&w.sum, order[start]);
        if (problem->deadline_ns && (start & 255) == 0 && weir_clock_ns() > problem->deadline_ns)
            break;
    }
    if (!status) {
        int64_t best = weir_split_table_best(table, &cell);
        if (best < limit)
            split_read(&w, cell, best, split);
    }
    weir_free(w.states);
    weir_part_sum_release(&w.sum);
    return status;
}
