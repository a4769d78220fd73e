/* The minimum cuts of partitioner/contiguous/part_bound.h, for the MOST_TRIED blocks whose load alone is largest,
 * since a block can show no more than that. */
#include "partitioner/contiguous/part_bound.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/contiguous/max_flow.h"

enum { MOST_TRIED = 8 };

enum { SINK = 0 }; /* block v is node v + 1, net e the pair of nodes behind all blocks */

static weir_status net_add(const struct weir_blocks *b, int e, struct weir_max_flow *flow)
{
    int touched = 1 + b->n + 2 * e;
    weir_status status = weir_max_flow_add(flow, touched, touched + 1, b->net_cost[e], 0);
    for (int i = b->net_first[e]; !status && i < b->net_first[e + 1]; i++) {
        status = weir_max_flow_add(flow, 1 + b->net_block[i], touched, WEIR_NEVER, 0);
        if (!status)
            status = weir_max_flow_add(flow, touched + 1, 1 + b->net_block[i], WEIR_NEVER, 0);
    }
    return status;
}

/* The smallest load of a part that holds `block`. */
static weir_status cheapest_part(const struct weir_blocks *b, int block, int64_t *load_out)
{
    struct weir_max_flow flow = {0};
    weir_status status = weir_max_flow_init(1 + b->n + 2 * b->n_nets, &flow);
    for (int v = 0; !status && v < b->n; v++)
        if (v != block)
            status = weir_max_flow_add(&flow, 1 + v, SINK, b->time[v], 0);
    for (int e = 0; !status && e < b->n_nets; e++)
        status = net_add(b, e, &flow);
    if (!status)
        *load_out = b->time[block] + weir_max_flow_solve(&flow, 1 + block, SINK);
    weir_max_flow_release(&flow);
    return status;
}

/* The load of the block as a part of its own: what it can show is at most this. */
static int64_t alone(const struct weir_blocks *b, const int64_t *net_sum, int v)
{
    return b->time[v] + net_sum[v];
}

weir_status weir_part_bound_raise(const struct weir_split_problem *problem, int64_t *bound)
{
    const struct weir_blocks *b = problem->blocks;
    if (problem->cpus || b->unsupported)
        return WEIR_OK;
    int64_t *net_sum;
    weir_status status = weir_alloc((size_t)b->n, sizeof *net_sum, &net_sum);
    if (status)
        return status;
    for (int e = 0; e < b->n_nets; e++)
        for (int i = b->net_first[e]; i < b->net_first[e + 1]; i++)
            net_sum[b->net_block[i]] += b->net_cost[e];
    for (int tried = 0; tried < MOST_TRIED && !status; tried++) {
        int most = 0;
        for (int v = 1; v < b->n; v++)
            if (alone(b, net_sum, v) > alone(b, net_sum, most))
                most = v;
        if (alone(b, net_sum, most) <= *bound || (problem->deadline_ns && weir_clock_ns() > problem->deadline_ns))
            break;
        int64_t load;
        status = cheapest_part(b, most, &load);
        if (!status && load > *bound)
            *bound = load;
        net_sum[most] = -b->time[most]; /* tried */
    }
    weir_free(net_sum);
    return status;
}
