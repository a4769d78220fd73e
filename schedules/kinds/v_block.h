/* Schedules in a V that repeat one building block: two chunks per rank, every micro-batch six cells after the one
 * before.
 *
 * A block says in which cell each rank runs F0, F1, I1 and I0 of micro-batch 0 (chunk 0 goes down the ranks, chunk 1
 * comes back up); the four cells of a rank differ modulo 6, so that micro-batches never collide.  The two cells left
 * over in every six are for the weight gradients.  F and I keep the order of the drawing; everything closes up in a
 * run of equal ticks, where a rank that must wait does a W, and one that holds as much as the drawing does a W before
 * its next F. */
#ifndef WEIR_SCHEDULES_KINDS_V_BLOCK_H
#define WEIR_SCHEDULES_KINDS_V_BLOCK_H

#include "schedules/kinds/builder.h"

enum weir_v_cell { WEIR_V_F0, WEIR_V_F1, WEIR_V_I1, WEIR_V_I0, WEIR_V_CELLS };

/* The cells of micro-batch 0 on `rank`. */
typedef void (*weir_v_block_fn)(int n_ranks, int rank, int cells_out[WEIR_V_CELLS]);

weir_status weir_v_block_build(const struct weir_schedule_params *params, weir_v_block_fn block,
                               struct weir_arena *arena, struct weir_schedule *out);

#endif
