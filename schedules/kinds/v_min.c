/* v-min: two chunks per rank in a V, placed so that activations live as shortly as possible.
 *
 * A third of the memory of 1f1b and two thirds of its bubble.
 *
 * Source: Qi et al., "Pipeline parallelism with controllable memory", arXiv 2405.15362 (V-Min), offsets as in the
 * authors' zero-bubble repository (zbv_greedy).
 *
 *     3 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 .  .  .  .  f0 F1 i0 w0 .  .  f1 F2 I0 i1 W0 w1 f2 F3 I1 i2 W1 w2 f3 .  I2 i3 W2 w3 .  .  I3 W3
 *       r1  .  F0 .  .  f0 .  .  F1 i0 w0 f1 .  I0 F2 W0 i1 f2 w1 I1 F3 W1 i2 f3 w2 I2 W2 .  i3 w3 .  I3 W3 .
 *       r2  .  .  F0 f0 .  .  .  .  F1 f1 i0 I0 w0 W0 F2 f2 i1 I1 w1 W1 F3 f3 i2 I2 w2 W2 .  .  i3 I3 w3 W3 .
 *
 * The building block is laid out in v_block.h.  Constraints: -v 2; any m.
 * Bubble: 4p - 3 chunk actions when 3 divides p, else 4p - 5, for m >= 2p.
 * Peak in flight: at most 2 round(p/3) + 2 chunks: a third of 1f1b's for large p. */
#include "schedules/kinds/kinds.h"
#include "schedules/kinds/v_block.h"

static void block(int p, int rank, int cells_out[WEIR_V_CELLS])
{
    int k = p % 3 ? 0 : 2; /* keeps the cells of a rank apart modulo 6 */
    cells_out[WEIR_V_F0] = rank;
    cells_out[WEIR_V_F1] = 2 * p - rank - 1;
    cells_out[WEIR_V_I1] = 2 * p + k + rank;
    cells_out[WEIR_V_I0] = 4 * p + k - rank - 1;
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    return weir_v_block_build(params, block, arena, out);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return p < 2 || m < 2 * p ? -1 : 6.0 * m + 4.0 * p - (p % 3 ? 5 : 3);
}

const struct weir_schedule_kind weir_kind_v_min = {
    .name = "v-min",
    .summary = "two chunks in a V with the shortest-lived activations: about a third of 1f1b's in flight",
    .n_chunks = 2,
    .splits_backward = true,
    .build = build,
    .makespan = makespan,
};
