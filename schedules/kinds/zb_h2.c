/* zb-h2: zb-h1 with twice the warm-up, so that no rank waits between its first and its last action.
 *
 * Source: Qi et al., "Zero bubble pipeline parallelism", arXiv 2401.10241, section 2.2.
 *
 *     3 ranks, 6 micro-batches
 *       r0  F0 F1 F2 F3 F4 I0 W0 F5 I1 W1 I2 W2 I3 W3 I4 W4 I5 W5 .  .
 *       r1  .  F0 F1 F2 I0 F3 I1 F4 I2 W0 F5 I3 W1 I4 W2 I5 W3 W4 W5 .
 *       r2  .  .  F0 I0 F1 I1 F2 I2 F3 I3 F4 I4 W0 F5 I5 W1 W2 W3 W4 W5
 *
 * Rank r warms up with 2(p-r)-1 forwards and keeps 2r weight gradients back.  The ranks start and end at different
 * times: with F = I = W the bubble is zero in the paper's measure (span), and that of zb-h1 with a synchronous
 * optimizer. Constraints: one chunk per rank; any m.   Bubble (span): (p-1)(F+I-2W). Peak in flight: min(2p-1, m) on
 * every rank, (2p-2r-1) M_B + 2r M_W. */
#include "schedules/kinds/builder.h"
#include "schedules/kinds/kinds.h"

static void rank_build(struct weir_builder *builder, int p, int m, int r)
{
    int forwards = weir_int_min(2 * (p - r) - 1, m), weights = 0;
    for (int k = 0; k < forwards; k++)
        weir_builder_add(builder, r, WEIR_F, r, k);
    for (int k = 0; k < m; k++) {
        weir_builder_add(builder, r, WEIR_I, r, k);
        if (forwards == m || k + 1 - weights > 2 * r)
            weir_builder_add(builder, r, WEIR_W, r, weights++);
        if (forwards < m)
            weir_builder_add(builder, r, WEIR_F, r, forwards++);
    }
    while (weights < m)
        weir_builder_add(builder, r, WEIR_W, r, weights++);
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    struct weir_builder builder;
    weir_status status = weir_builder_open(&builder, params, p, 1, 3 * (size_t)m, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++)
        rank_build(&builder, p, m, r);
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)rank;
    return weir_int_min(2 * params->n_ranks - 1, params->n_microbatches);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m < 2 * p - 1 ? -1 : 3.0 * m + p - 1;
}

const struct weir_schedule_kind weir_kind_zb_h2 = {
    .name = "zb-h2",
    .summary = "no waiting between first and last action, for 2p-1 micro-batches on each rank",
    .n_chunks = 1,
    .splits_backward = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
