/* Check: the lists one by one (scan), the order on every edge, and a run without costs that must reach its end. */
#include "schedules/builder.h"
#include "schedules/flow.h"

static weir_status report_build(const struct weir_scan *scan, struct weir_arena *arena,
                                struct weir_schedule_report *report_out)
{
    const struct weir_schedule *s = scan->schedule;
    int *ranks, *stages;
    weir_status status = weir_arena_alloc(arena, (size_t)s->n_ranks, sizeof *ranks, &ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s->n_stages, sizeof *stages, &stages);
    if (status)
        return status;
    for (int r = 0; r < s->n_ranks; r++)
        ranks[r] = scan->rank_peak[r];
    for (int u = 0; u < s->n_stages * s->n_copies; u++)
        stages[u / s->n_copies] = weir_max(stages[u / s->n_copies], scan->units[u].peak);
    *report_out = (struct weir_schedule_report){.wgrad_ascending = scan->wgrad_ascending,
                                                .trainable = scan->trainable,
                                                .peak_in_flight_rank = ranks,
                                                .peak_in_flight_stage = stages};
    return WEIR_OK;
}

static weir_status run(const struct weir_scan *scan, struct weir_arena *work)
{
    struct weir_edges edges;
    struct weir_flow flow;
    weir_status status = weir_edges_build(scan, work, &edges);
    if (!status && scan->schedule->has_comms)
        status = weir_edges_match(scan, &edges, work);
    if (!status)
        status = weir_flow_open(&flow, scan, &edges, work);
    return status ? status : weir_flow_run_edge(&flow);
}

weir_status weir_schedule_check(const struct weir_schedule *schedule, enum weir_channels channels,
                                struct weir_arena *arena, struct weir_schedule_report *report_out)
{
    struct weir_arena work = {0};
    struct weir_scan scan;
    weir_status status = WEIR_OK;
    if (channels != WEIR_CHANNELS_EDGE)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "only the edge channel model is known");
    if (!status)
        status = weir_scan(schedule, NULL, &work, &scan);
    if (!status)
        status = run(&scan, &work);
    if (!status)
        status = report_build(&scan, arena, report_out);
    weir_arena_release(&work);
    return status;
}
