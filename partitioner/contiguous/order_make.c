/* Kahn's algorithm (1962) with a rule for which of the ready blocks comes next.  With a split the ready blocks of the
 * earliest part come first, so the order keeps the parts as intervals. */
#include "partitioner/contiguous/order_make.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

struct maker {
    const struct weir_blocks *blocks;
    const int *part;
    uint64_t seed;
    int *waits; /* predecessors not yet placed */
    int *ready; /* blocks that can be placed, in the order in which they were freed */
    int n_ready;
    int *net_count; /* blocks of each net that are placed */
    int *freed;     /* when the block was freed */
};

/* The drawn rule of a part; the deterministic ones are as likely as chance. */
static enum weir_order_rule rule_of_part(const struct maker *m, int part, enum weir_order_rule rule)
{
    if (rule != WEIR_ORDER_RULES)
        return rule;
    struct weir_rng_block word = weir_rng_philox(m->seed, (uint32_t)part, 1, 0, 0);
    return (enum weir_order_rule)(word.v[0] % WEIR_ORDER_RULES);
}

static int64_t boundary_change(const struct maker *m, int block)
{
    const struct weir_blocks *b = m->blocks;
    int64_t change = 0;
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++) {
        int e = b->block_net[i], count = m->net_count[e];
        if (count == 0)
            change += b->net_cost[e];
        if (count + 1 == b->net_first[e + 1] - b->net_first[e])
            change -= b->net_cost[e];
    }
    return change;
}

static int64_t score(const struct maker *m, int block, enum weir_order_rule rule)
{
    switch (rule) {
    case WEIR_ORDER_DEPTH:
        return -m->freed[block];
    case WEIR_ORDER_BREADTH:
        return m->freed[block];
    case WEIR_ORDER_CUT:
        return boundary_change(m, block);
    default:
        return weir_rng_philox(m->seed, (uint32_t)block, 2, 0, 0).v[0];
    }
}

static int ready_choose(const struct maker *m, enum weir_order_rule rule)
{
    int best = 0;
    int64_t best_score = 0;
    for (int i = 0; i < m->n_ready; i++) {
        int block = m->ready[i], part = m->part ? m->part[block] : 0, best_part = m->part ? m->part[m->ready[best]] : 0;
        if (i && part > best_part)
            continue;
        int64_t s = score(m, block, rule_of_part(m, part, rule));
        if (!i || part < best_part || s < best_score ||
            (s == best_score && m->freed[block] > m->freed[m->ready[best]])) {
            best = i;
            best_score = s;
        }
    }
    return best;
}

static void block_place(struct maker *m, int block, int position)
{
    const struct weir_blocks *b = m->blocks;
    for (int i = b->block_first[block]; i < b->block_first[block + 1]; i++)
        m->net_count[b->block_net[i]]++;
    for (int s = b->succ_first[block]; s < b->succ_first[block + 1]; s++)
        if (--m->waits[b->succ[s]] == 0) {
            m->freed[b->succ[s]] = position + 1;
            m->ready[m->n_ready++] = b->succ[s];
        }
}

weir_status weir_order_make(const struct weir_blocks *blocks, const int *part, enum weir_order_rule rule, uint64_t seed,
                            int *order_out)
{
    size_t n = (size_t)blocks->n;
    int *scratch;
    weir_status status = weir_alloc(3 * n + (size_t)blocks->n_nets, sizeof *scratch, &scratch);
    if (status)
        return status;
    struct maker m = {.blocks = blocks, .part = part, .seed = seed, .waits = scratch, .ready = scratch + n};
    m.freed = scratch + 2 * n, m.net_count = scratch + 3 * n;
    for (int b = 0; b < blocks->n; b++) {
        m.waits[b] = blocks->pred_first[b + 1] - blocks->pred_first[b];
        if (!m.waits[b])
            m.ready[m.n_ready++] = b;
    }
    for (int position = 0; position < blocks->n; position++) {
        int i = ready_choose(&m, rule), block = m.ready[i];
        m.ready[i] = m.ready[--m.n_ready];
        order_out[position] = block;
        block_place(&m, block, position);
    }
    weir_free(scratch);
    return WEIR_OK;
}
