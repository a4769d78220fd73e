/* v-min: two chunks per rank in a V, placed so that activations live shortly; a third of the memory of 1F1B for a still larger bubble.
 *
 * Source: Qi et al., "Pipeline parallelism with controllable memory", arXiv 2405.15362 (V-Min), offsets as in the authors'
 * zero-bubble repository (zbv_greedy).
 *
@@
 *
 * The building block is laid out in v_block.h.  Constraints: -v 2; any m. */
#include "schedules/kinds.h"
#include "schedules/v_block.h"

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

const struct weir_schedule_kind weir_kind_v_min = {
    .name = "v-min",
    .summary = "two chunks in a V with the shortest-lived activations: about a third of the memory of 1f1b",
    .n_chunks = 2,
    .splits_backward = true,
    .build = build,
};
