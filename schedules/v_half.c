/* v-half: two chunks per rank in a V, placed so that activations live shortly; half the memory of 1F1B for a larger bubble than zbv's.
 *
 * Source: Qi et al., "Pipeline parallelism with controllable memory", arXiv 2405.15362 (V-Half), offsets as in the authors'
 * zero-bubble repository (zbv_greedy).
 *
@@
 *
 * The building block is laid out in v_block.h.  Constraints: -v 2; any m. */
#include "schedules/kinds.h"
#include "schedules/v_block.h"

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

const struct weir_schedule_kind weir_kind_v_half = {
    .name = "v-half",
    .summary = "two chunks in a V with short-lived activations: about half the memory of 1f1b",
    .n_chunks = 2,
    .splits_backward = true,
    .build = build,
};
