/* 1f1b: after a short warm-up every rank alternates one forward and one backward.
 *
 * Source: Narayanan et al., "PipeDream-Flush" in arXiv 2006.09503, section 3.2, and arXiv 2104.04473, section 2.2.1;
 * also known as DAPPLE.  PyTorch asks for m >= p; here any m works.
 *
 *     3 ranks, 4 micro-batches
 *       r0  F0 F1 F2 .  .  .  .  B0 B0 F3 B1 B1 .  B2 B2 .  B3 B3
 *       r1  .  F0 F1 .  .  B0 B0 F2 B1 B1 F3 B2 B2 .  B3 B3 .  .
 *       r2  .  .  F0 B0 B0 F1 B1 B1 F2 B2 B2 F3 B3 B3 .  .  .  .
 *
 * Rank r warms up with w = min(p-1-r, m) forwards, runs m - w pairs F B, and ends with w backwards.
 * Constraints: one chunk per rank; any m.   Bubble: (p-1)(F+B), as gpipe.   Peak in flight: min(p-r, m). */
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
        int warm_up = weir_int_min(p - 1 - r, m);
        for (int k = 0; k < warm_up; k++)
            weir_builder_add(&builder, r, WEIR_F, r, k);
        for (int k = 0; k < m; k++) {
            if (warm_up + k < m)
                weir_builder_add(&builder, r, WEIR_F, r, warm_up + k);
            weir_builder_add(&builder, r, WEIR_B, r, k);
        }
    }
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    return weir_int_min(params->n_ranks - rank, params->n_microbatches);
}

static double makespan(const struct weir_schedule_params *params)
{
    return 3.0 * (params->n_microbatches + params->n_ranks - 1);
}

const struct weir_schedule_kind weir_kind_1f1b = {
    .name = "1f1b",
    .summary = "one forward, one backward in turn; holds at most p micro-batches",
    .n_chunks = 1,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
