/* bfs: looped breadth first; every chunk runs all micro-batches before the next chunk starts.
 *
 * Source: Lamy-Poirier, "Breadth-first pipeline parallelism", arXiv 2211.05953; PyTorch's ScheduleLoopedBFS.  PyTorch
 * runs the backwards of a chunk in reverse micro-batch order; here they run in ascending order, so that weight
 * gradients accumulate in the order of every other schedule.
 *
 *     2 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 F1 F2 F3 f0 f1 f2 f3 .  .  .  b0 b0 b1 b1 b2 b2 b3 b3 B0 B0 B1 B1 B2 B2 B3 B3
 *       r1  .  F0 F1 F2 F3 f0 f1 f2 f3 b0 b0 b1 b1 b2 b2 b3 b3 B0 B0 B1 B1 B2 B2 B3 B3 .  .
 *
 * Meant for sharded parameters: a chunk's weights are gathered once and its gradients reduced once per pass.
 * Constraints: none.   Bubble: (p-1)(F+B)/v for m >= p.   Peak in flight: m·v chunks. */
#include "schedules/kinds/builder.h"
#include "schedules/kinds/kinds.h"

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, v = params->n_chunks, m = params->n_microbatches;
    struct weir_builder builder;
    weir_status status = weir_builder_open(&builder, params, p * v, 1, 2 * (size_t)m * (size_t)v, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++) {
        for (int c = 0; c < v; c++)
            for (int k = 0; k < m; k++)
                weir_builder_add(&builder, r, WEIR_F, c * p + r, k);
        for (int c = v - 1; c >= 0; c--)
            for (int k = 0; k < m; k++)
                weir_builder_add(&builder, r, WEIR_B, c * p + r, k);
    }
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)rank;
    return params->n_microbatches * params->n_chunks;
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m < p ? -1 : 3.0 * (m * params->n_chunks + p - 1);
}

const struct weir_schedule_kind weir_kind_bfs = {
    .name = "bfs",
    .summary = "looped breadth first: each chunk runs all micro-batches; for sharded parameters",
    .default_chunks = 2,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
