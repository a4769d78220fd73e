/* inference: forwards only.
 *
 *     2 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 F1 f0 f1 F2 F3 f2 f3 .
 *       r1  .  F0 F1 f0 f1 F2 F3 f2 f3
 *
 * Stage c·p+r is chunk c of rank r; groups of p micro-batches go through the chunks in turn, so that no rank waits once
 * the pipeline is full.   Constraints: none.   Bubble: (p-1)F/v.   Peak in flight: 1, an activation is dropped at the
 * end of its forward. */
#include "schedules/kinds/interleave.h"
#include "schedules/kinds/kinds.h"

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_interleave table = {params->n_ranks, params->n_chunks, params->n_microbatches,
                                    weir_int_min(params->n_ranks, params->n_microbatches)};
    size_t all = (size_t)table.m * (size_t)table.v;
    struct weir_builder builder;
    weir_status status = weir_builder_open(&builder, params, table.p * table.v, 1, all, arena);
    if (status)
        return status;
    for (int r = 0; r < table.p; r++)
        for (size_t i = 0; i < all; i++) {
            struct weir_interleave_op f = weir_interleave_at(&table, r, i, false);
            weir_builder_add(&builder, r, WEIR_F, f.stage, f.mb);
        }
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)params, (void)rank;
    return 1;
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m % p ? -1 : m * params->n_chunks + p - 1;
}

const struct weir_schedule_kind weir_kind_inference = {
    .name = "inference",
    .summary = "forwards only",
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
