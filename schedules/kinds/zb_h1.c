/* zb-h1: 1F1B with the backward split; weight gradients are held back until they fill the gaps.
 *
 * Source: Qi et al., "Zero bubble pipeline parallelism", arXiv 2401.10241, section 2.1.
 *
 *     3 ranks, 5 micro-batches
 *       r0  F0 F1 F2 .  .  I0 W0 F3 I1 W1 F4 I2 W2 I3 W3 I4 W4
 *       r1  .  F0 F1 .  I0 F2 I1 W0 F3 I2 W1 F4 I3 W2 I4 W3 W4
 *       r2  .  .  F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 F4 I4 W2 W3 W4
 *
 * Rank r warms up with p-1-r forwards and always keeps r weight gradients back while there are forwards.
 * Constraints: one chunk per rank; any m.   Bubble: (p-1)(F+I-W).
 * Peak in flight: min(p, m) on every rank, of which rank r holds r as what W needs: (p-r) M_B + r M_W. */
#include "schedules/kinds/builder.h"
#include "schedules/kinds/kinds.h"

static void rank_build(struct weir_builder *builder, int p, int m, int r)
{
    int forwards = weir_int_min(p - 1 - r, m), weights = 0;
    for (int k = 0; k < forwards; k++)
        weir_builder_add(builder, r, WEIR_F, r, k);
    for (int k = 0; k < m; k++) {
        bool steady = forwards < m;
        if (steady)
            weir_builder_add(builder, r, WEIR_F, r, forwards++);
        weir_builder_add(builder, r, WEIR_I, r, k);
        if (!steady || k + 1 - weights > r)
            weir_builder_add(builder, r, WEIR_W, r, weights++);
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
    return weir_int_min(params->n_ranks, params->n_microbatches);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m < p ? -1 : 3.0 * m + p - 1;
}

const struct weir_schedule_kind weir_kind_zb_h1 = {
    .name = "zb-h1",
    .summary = "1F1B with weight gradients held back; a third of its bubble, p micro-batches on each rank",
    .n_chunks = 1,
    .splits_backward = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
