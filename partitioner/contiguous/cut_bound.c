/* Tests of limits for the bound of partitioner/contiguous/cut_bound.h: bisection between the known bound and `high`,
 * each test up to k - 1 minimum cuts.
 *
 * Network of one cut: source = blocks that must be in the first f parts, sink = blocks that must not, the others are
 * nodes.  An infinite arc from a block to each predecessor makes the source side closed; a net is two nodes with its
 * cost between them (Lawler, "Cutsets and partitions of hypergraphs", Networks 3, 1973).
 *
 * Invariant: limits times devices fit 63 bits (`high` is cut to that), so the sums of a test are exact. */
#include "partitioner/contiguous/cut_bound.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/contiguous/max_flow.h"
#include "partitioner/contiguous/order_make.h"

enum { MOST_BLOCKS = 4000, MOST_DEVICES = 64, TESTS = 7 };

enum side { UNDECIDED, INSIDE, OUTSIDE };

struct cutter {
    const struct weir_split_problem *problem;
    int64_t *before, *behind; /* [blocks] time of the ancestors or descendants, the block included */
    unsigned char *side;      /* [cuts][blocks] */
    int *crossings;           /* [nets] cuts that the net may cross */
    int *node;                /* [blocks] of the network */
};

/* Times of everything reachable through `other`, visiting blocks in `order` (or against it). */
static weir_status reach_times(const struct weir_blocks *b, const int *first, const int *other, const int *order,
                               bool forth, int64_t *time_out)
{
    size_t words = ((size_t)b->n + 63) / 64;
    uint64_t *bits;
    weir_status status = weir_alloc((size_t)b->n * words, sizeof *bits, &bits);
    if (status)
        return status;
    for (int i = 0; i < b->n; i++) {
        int v = order[forth ? i : b->n - 1 - i];
        uint64_t *mine = bits + (size_t)v * words;
        mine[v / 64] |= UINT64_C(1) << (v % 64);
        for (int k = first[v]; k < first[v + 1]; k++)
            for (size_t w = 0; w < words; w++)
                mine[w] |= bits[(size_t)other[k] * words + w];
        for (int u = 0; u < b->n; u++)
            if (mine[u / 64] >> (u % 64) & 1)
                time_out[v] += b->time[u];
    }
    weir_free(bits);
    return WEIR_OK;
}

/* What must be inside or outside of the first f parts when no load is above `limit`. */
static void sides_find(struct cutter *c, int f, int64_t limit)
{
    const struct weir_blocks *b = c->problem->blocks;
    int k = c->problem->devices;
    unsigned char *side = c->side + (size_t)f * (size_t)b->n;
    for (int v = 0; v < b->n; v++) {
        if (c->behind[v] > (k - f) * limit) /* more than the last k - f parts can hold */
            side[v] = INSIDE;
        else if (c->before[v] > f * limit) /* more than the first f parts can hold */
            side[v] = OUTSIDE;
        else
            side[v] = UNDECIDED;
    }
}

static bool may_cross(const struct cutter *c, int f, int e)
{
    const struct weir_blocks *b = c->problem->blocks;
    const unsigned char *side = c->side + (size_t)f * (size_t)b->n;
    int count[3] = {0};
    for (int i = b->net_first[e]; i < b->net_first[e + 1]; i++)
        count[side[b->net_block[i]]]++;
    int size = b->net_first[e + 1] - b->net_first[e];
    return count[INSIDE] < size && count[OUTSIDE] < size;
}

/* A net is two nodes with its cost between them: a block inside drags the first along, the second drags its blocks. */
static weir_status net_add(const struct cutter *c, int e, int first_node, struct weir_max_flow *flow)
{
    const struct weir_blocks *b = c->problem->blocks;
    weir_status status = weir_max_flow_add(flow, first_node, first_node + 1, b->net_cost[e] / c->crossings[e], 0);
    for (int i = b->net_first[e]; !status && i < b->net_first[e + 1]; i++) {
        status = weir_max_flow_add(flow, c->node[b->net_block[i]], first_node, WEIR_NEVER, 0);
        if (!status)
            status = weir_max_flow_add(flow, first_node + 1, c->node[b->net_block[i]], WEIR_NEVER, 0);
    }
    return status;
}

/* The minimum cut for the first f parts. */
static weir_status cut_find(struct cutter *c, int f, int64_t *cut_out)
{
    const struct weir_blocks *b = c->problem->blocks;
    const unsigned char *side = c->side + (size_t)f * (size_t)b->n;
    struct weir_max_flow flow = {0};
    int n = 2, inside = 0, outside = 0;
    for (int v = 0; v < b->n; v++) {
        c->node[v] = side[v] == INSIDE ? 0 : side[v] == OUTSIDE ? 1 : n++;
        inside += side[v] == INSIDE;
        outside += side[v] == OUTSIDE;
    }
    *cut_out = 0;
    if (!inside || !outside)
        return WEIR_OK;
    weir_status status = weir_max_flow_init(n + 2 * b->n_nets, &flow);
    for (int e = 0; !status && e < b->n_nets; e++)
        if (may_cross(c, f, e))
            status = net_add(c, e, n + 2 * e, &flow);
    for (int v = 0; !status && v < b->n; v++)
        for (int i = b->pred_first[v]; !status && i < b->pred_first[v + 1]; i++)
            if (c->node[v] != c->node[b->pred[i]])
                status = weir_max_flow_add(&flow, c->node[v], c->node[b->pred[i]], WEIR_NEVER, 0);
    if (!status)
        *cut_out = weir_max_flow_solve(&flow, 0, 1);
    weir_max_flow_release(&flow);
    return status;
}

/* Can no plan keep all loads at `limit` or below? */
static weir_status limit_refuted(struct cutter *c, int64_t limit, bool *refuted_out)
{
    const struct weir_blocks *b = c->problem->blocks;
    int k = c->problem->devices;
    memset(c->crossings, 0, sizeof *c->crossings * (size_t)b->n_nets);
    for (int f = 1; f < k; f++) {
        sides_find(c, f, limit);
        for (int e = 0; e < b->n_nets; e++)
            c->crossings[e] += may_cross(c, f, e);
    }
    int64_t cuts = 0;
    for (int f = 1; f < k && b->total_time + 2 * cuts <= k * limit; f++) {
        int64_t cut;
        weir_status status = cut_find(c, f, &cut);
        if (status)
            return status;
        cuts += cut;
    }
    *refuted_out = b->total_time + 2 * cuts > k * limit;
    return WEIR_OK;
}

static weir_status cutter_init(struct cutter *c)
{
    const struct weir_blocks *b = c->problem->blocks;
    size_t n = (size_t)b->n;
    int *order = NULL;
    weir_status status = weir_alloc(n, sizeof *c->before, &c->before);
    if (!status)
        status = weir_alloc(n, sizeof *c->behind, &c->behind);
    if (!status)
        status = weir_alloc(n * (size_t)c->problem->devices, 1, &c->side);
    if (!status)
        status = weir_alloc((size_t)b->n_nets, sizeof *c->crossings, &c->crossings);
    if (!status)
        status = weir_alloc(n, sizeof *c->node, &c->node);
    if (!status)
        status = weir_alloc(n, sizeof *order, &order);
    if (!status)
        status = weir_order_make(b, NULL, WEIR_ORDER_BREADTH, 0, order);
    if (!status)
        status = reach_times(b, b->pred_first, b->pred, order, true, c->before);
    if (!status)
        status = reach_times(b, b->succ_first, b->succ, order, false, c->behind);
    weir_free(order);
    return status;
}

weir_status weir_cut_bound_raise(const struct weir_split_problem *problem, int64_t high, int64_t *bound)
{
    struct cutter c = {.problem = problem};
    if (problem->cpus || problem->blocks->unsupported || problem->blocks->n > MOST_BLOCKS ||
        problem->devices > MOST_DEVICES || problem->devices < 2)
        return WEIR_OK;
    weir_status status = cutter_init(&c);
    int64_t low = *bound, most = INT64_MAX / problem->devices;
    high = high < most ? high : most;
    for (int test = 0; !status && test < TESTS && low < high; test++) {
        int64_t limit = low + (high - low) / 2;
        bool refuted = false;
        if (problem->deadline_ns && weir_clock_ns() > problem->deadline_ns)
            break;
        status = limit_refuted(&c, limit, &refuted);
        if (!status && refuted)
            low = limit + 1;
        else
            high = limit;
    }
    if (!status)
        *bound = low;
    weir_free(c.before);
    weir_free(c.behind);
    weir_free(c.side);
    weir_free(c.crossings);
    weir_free(c.node);
    return status;
}
