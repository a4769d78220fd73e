/* Rounds of re-ordering (partitioner/contiguous/order_search.h).  The first rounds take the plain rules, the others
 * re-order inside the parts of the best plan; every ANNEAL_EVERY rounds a walk moves blocks between neighbouring
 * parts, which orders alone do not reach.
 *
 * Invariant: the value of *split never rises.  An equal plan replaces it: the next order then starts from other parts.
 */
#include "partitioner/contiguous/order_search.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/blocks/anneal.h"
#include "partitioner/contiguous/order_make.h"
#include "partitioner/contiguous/order_split.h"

enum {
    ANNEAL_EVERY = 16,   /* orders tried per walk */
    ANNEAL_MOVES = 1000, /* per block */
};

/* First heats in turn, where 1 is the energy of a busiest part: a plan of the dynamic program is good, so most walks
 * only disturb its borders; one in four shakes it.  A walk ends at a thousandth of its first heat. */
static const double hots[4] = {0.02, 0.1, 0.5, 0.005}, cooling = 1e-3;

static bool expired(const struct weir_split_problem *problem)
{
    return problem->deadline_ns && weir_clock_ns() > problem->deadline_ns;
}

/* A first plan along `order`: limits close to the bound are cheap to try, so they come first. */
static weir_status first_split(const struct weir_split_problem *problem, const int *order, int64_t bound,
                               struct weir_split_table *table, struct weir_split *split)
{
    double slack = 0.02;
    for (;;) {
        double limit = ((double)bound + 1) * (1 + slack) + 1;
        bool last = slack > 100 || limit >= (double)WEIR_NEVER;
        weir_status status = weir_order_split(problem, order, last ? WEIR_NEVER : (int64_t)limit, table, split);
        if (status || split->value < WEIR_NEVER || last || expired(problem))
            return status;
        slack *= 3;
    }
}

/* Blocks move between neighbouring parts without passing a predecessor or a successor. */
static weir_status split_anneal(const struct weir_split_problem *problem, int64_t bound, double hot, uint64_t seed,
                                struct weir_split *split)
{
    struct weir_dice dice = {.key = seed};
    struct weir_anneal walk = {.problem = problem,
                               .ordered = true,
                               .scale = split->value,
                               .moves = ANNEAL_MOVES * (int64_t)problem->blocks->n,
                               .hot = hot,
                               .cold = hot * cooling,
                               .bound = bound};
    weir_status status = weir_anneal(&walk, split->part, &dice, split->part, &split->value);
    if (!status) {
        split->n_parts = problem->devices;
        memset(split->on_cpu, 0, (size_t)problem->blocks->n + 1);
    }
    return status;
}

weir_status weir_order_search(const struct weir_split_problem *problem, int64_t bound, int rounds, uint64_t seed,
                              struct weir_split_table *table, struct weir_split *split)
{
    const struct weir_blocks *blocks = problem->blocks;
    int *order = NULL;
    weir_status status = weir_alloc((size_t)blocks->n, sizeof *order, &order);
    for (int rule = 0; !status && rule < WEIR_ORDER_RANDOM && split->value > bound && !expired(problem); rule++) {
        status = weir_order_make(blocks, NULL, (enum weir_order_rule)rule, seed, order);
        if (status)
            break;
        if (split->value >= WEIR_NEVER)
            status = first_split(problem, order, bound, table, split);
        else
            status = weir_order_split(problem, order, split->value, table, split);
    }
    for (int round = 0; !status && round < rounds && split->value > bound && !expired(problem); round++) {
        uint64_t draw = seed * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)round;
        bool empty = split->value >= WEIR_NEVER;
        status = weir_order_make(blocks, empty ? NULL : split->part, WEIR_ORDER_RULES, draw, order);
        if (!status) /* an equal plan is taken too: it has other parts to re-order */
            status = weir_order_split(problem, order, empty ? WEIR_NEVER : split->value + 1, table, split);
        if (!status && round % ANNEAL_EVERY == ANNEAL_EVERY - 1 && split->value < WEIR_NEVER && !problem->cpus)
            status = split_anneal(problem, bound, hots[round / ANNEAL_EVERY % 4], draw, split);
    }
    weir_free(order);
    return status;
}
