/* How many slots a stage has for what comes from neighbours on other ranks.
 *
 * The list alone says how many it needs to come to its end, but with as few a rank may stand still with its result in its hands.  So the
 * lists run once as if F, I and W took the same time on all stages, with one more slot wherever one would be awaited: the most that
 * are taken at one time.  A result has its slot from the end of the action that makes it to the end of the one that reads
 * it last; at the same moment one is taken before another is given back, so that nobody waits in a circle for others who do both.
 *
 *     bfs, 2 ranks, 4 micro-batches       r0  ...  2B0 2B1 2B2 2B3 0B0 ...
 *                                         r1  ...  3B1 3B2 3B3 1B0 1B1 ...
 *     gradients of stage 1 in slots                   1   2   3   4            1B0 gives one back as 2B3 takes the fourth
 *
 * Never fewer than the scan gives (scan.h); where no rank comes near to waiting with these nothing needs to be counted, whatever
 * the times are. */
#include "base/arena.h"
#include "schedules/check/flow.h"

weir_status weir_unit_times(int n_stages, struct weir_arena *arena, const double **type_out)
{
    static const double unit[] = {[WEIR_F] = 1, [WEIR_I] = 1, [WEIR_W] = 1, [WEIR_B] = 2};
    double *type;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, 4 * sizeof *type, &type);
    for (int i = 0; i < 4 * n_stages && !status; i++)
        type[i] = unit[i % 4];
    if (!status)
        *type_out = type;
    return status;
}

/* ---- counting ------------------------------------------------------------------------------------------------------ */

static weir_status count_once(struct weir_scan *scan, const struct weir_schedule_edges *edges, struct weir_arena *work)
{
    struct weir_flow flow;
    weir_status status = weir_flow_open(&flow, WEIR_CHANNELS_EDGE, scan, edges, true, work);
    if (!status)
        status = weir_unit_times(scan->schedule->n_stages, work, &flow.costs.type);
    if (!status)
        status = weir_flow_run(&flow);
    for (int u = 0; u < scan->schedule->n_stages * scan->schedule->n_copies && !status; u++)
        for (int d = 0; d < 2; d++)
            scan->units[u].slots[d] = flow.units[u].slots[d];
    return status;
}

weir_status weir_slots_count(struct weir_scan *scan, const struct weir_schedule_edges *edges)
{
    struct weir_arena work = {0};
    weir_status status = count_once(scan, edges, &work);
    while (status == WEIR_ERR_INVALID && weir_scan_longs_double(scan))
        status = count_once(scan, edges, &work);
    weir_arena_release(&work);
    return status;
}

/* ---- running with them ------------------------------------------------------------------------------------------------ */

weir_status weir_flow_try(struct weir_flow *flow, struct weir_scan *scan, weir_status (*attempt)(void *context), void *context)
{
    flow->tight = false;
    weir_status status = attempt(context);
    if (flow->tight && (!status || status == WEIR_ERR_INVALID)) {
        status = weir_slots_count(scan, flow->edges);
        if (!status)
            status = attempt(context);
    }
    while (status == WEIR_ERR_INVALID && weir_scan_longs_double(scan))
        status = attempt(context);
    return status;
}

weir_status weir_flow_check(struct weir_scan *scan, enum weir_channels model, struct weir_arena *work)
{
    struct weir_schedule_edges edges;
    struct weir_flow flow;
    weir_status status = weir_schedule_edges_build(scan, work, &edges);
    if (!status && scan->schedule->has_comms)
        status = weir_schedule_edges_match(scan, &edges, work);
    if (status || model == WEIR_CHANNELS_EDGE)
        return status ? status : weir_slots_count(scan, &edges);
    status = weir_flow_open(&flow, model, scan, &edges, false, work);
    return status ? status : weir_flow_run(&flow);
}
