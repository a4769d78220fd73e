/* gpipe: all forwards, then all backwards.
 *
 * Source: Huang et al., "GPipe", arXiv 1811.06965, section 2.3.  The paper (and torchgpipe) run the backwards in
 * reverse micro-batch order, as automatic differentiation unrolls them; here they run in ascending order, like
 * PyTorch's ScheduleGPipe, so that weight gradients accumulate in the order of every other schedule.
 *
 *     3 ranks, 4 micro-batches
 *       r0  F0 F1 F2 F3 .  .  .  .  .  .  B0 B0 B1 B1 B2 B2 B3 B3
 *       r1  .  F0 F1 F2 F3 .  .  .  B0 B0 B1 B1 B2 B2 B3 B3 .  .
 *       r2  .  .  F0 F1 F2 F3 B0 B0 B1 B1 B2 B2 B3 B3 .  .  .  .
 *
 * Constraints: one chunk per rank; any m.   Bubble: (p-1)(F+B) of (m+p-1)(F+B).   Peak in flight: m. */
#include "schedules/kinds/builder.h"
#include "schedules/kinds/kinds.h"

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    struct weir_builder builder;
    weir_status status = weir_builder_open(&builder, params, p, 1, 2 * (size_t)m, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++) {
        for (int k = 0; k < m; k++)
            weir_builder_add(&builder, r, WEIR_F, r, k);
        for (int k = 0; k < m; k++)
            weir_builder_add(&builder, r, WEIR_B, r, k);
    }
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)rank;
    return params->n_microbatches;
}

static double makespan(const struct weir_schedule_params *params)
{
    return 3.0 * (params->n_microbatches + params->n_ranks - 1);
}

const struct weir_schedule_kind weir_kind_gpipe = {
    .name = "gpipe",
    .summary = "all forwards, then all backwards; holds every micro-batch",
    .n_chunks = 1,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
