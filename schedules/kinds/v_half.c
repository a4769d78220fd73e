/* v-half: two chunks per rank in a V, placed so that activations live shortly.
 *
 * Half the memory of 1f1b and half its bubble.
 *
 * Source: Qi et al., "Pipeline parallelism with controllable memory", arXiv 2405.15362 (V-Half), offsets as in the
 * authors' zero-bubble repository (zbv_greedy).
 *
 *     3 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 F1 .  .  .  f0 i0 F2 w0 f1 i1 w1 I0 F3 W0 f2 i2 w2 I1 W1 .  f3 i3 I2 w3 W2 .  I3 W3
 *       r1  .  F0 .  .  f0 F1 .  i0 f1 w0 F2 I0 i1 W0 f2 w1 F3 I1 i2 W1 f3 w2 I2 i3 W2 w3 I3 W3 .
 *       r2  .  .  F0 f0 .  .  F1 f1 i0 I0 w0 F2 W0 f2 i1 I1 w1 F3 W1 f3 i2 I2 w2 W2 i3 I3 w3 W3 .
 *
 * The building block is laid out in v_block.h.  Constraints: -v 2; any m.
 * Bubble: half of 1f1b's for even p and m >= 2p.   Peak in flight: p + 2 chunks, p + 1 for odd p: half of 1f1b's. */
#include "schedules/kinds/kinds.h"
#include "schedules/kinds/v_block.h"

static void block(int p, int rank, int cells_out[WEIR_V_CELLS])
{
    int k = p % 2 ? 0 : 3; /* keeps the cells of a rank apart modulo 6 */
    cells_out[WEIR_V_F0] = 2 * rank;
    cells_out[WEIR_V_F1] = 3 * p - rank - 2;
    cells_out[WEIR_V_I1] = 3 * p + k + 2 * rank - 1;
    cells_out[WEIR_V_I0] = 6 * p + k - rank - 2;
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    return weir_v_block_build(params, block, arena, out);
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    int p = params->n_ranks;
    (void)rank;
    return p < 2 || params->n_microbatches < 2 * p ? -1 : p + 2 - p % 2;
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return p % 2 || m < 2 * p ? -1 : 6.0 * m + 3.0 * (p - 1);
}

const struct weir_schedule_kind weir_kind_v_half = {
    .name = "v-half",
    .summary = "two chunks in a V with short-lived activations: about half of 1f1b's in flight",
    .n_chunks = 2,
    .splits_backward = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
