#include "partitioner/contiguous/order_search.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/free/free_search.h"

enum { ANNEAL_EVERY = 16, ANNEAL_MOVES = 1000 };

static const double hots[4] = {0.02, 0.1, 0.5, 0.005};

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
            status = weir_ordered_anneal(problem, bound, ANNEAL_MOVES * (int64_t)blocks->n,
                                         hots[round / ANNEAL_EVERY % 4], draw, split);
    }
    weir_free(order);
    return status;
}
