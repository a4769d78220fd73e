/* What the optimizer keeps for each parameter, by name, whichever replicas hold it.
 *
 * AdamW has two arrays beside every parameter, its moments: 0 the decayed mean of the gradients, 1 that of their squares.  A piece
 * (program.h) has its part of both, one after the other.  With ZeRO-1 one replica has a piece's, else all have the same. */
#ifndef WEIR_ENGINE_RUN_OPTIMIZER_STATE_H
#define WEIR_ENGINE_RUN_OPTIMIZER_STATE_H

#include "engine/run/runner.h"

/* Arrays beside every parameter: 2 for AdamW, 0 for SGD. */
int weir_runner_n_moments(const struct weir_runner *runner);

/* The rank has the moments of the piece. */
bool weir_rank_keeps(const struct weir_rank *rank, const struct weir_piece *piece);

/* Where moment `moment` of the piece begins in OPTIMIZER. */
size_t weir_moment_offset(const struct weir_piece *piece, int moment);

/* `n` float32 elements, all of the parameter.  Reading is collective, and all processes get the values; writing checks its
 * arguments everywhere and writes what this process holds.  WEIR_ERR_INVALID: no such parameter or moment, or another number of
 * elements. */
weir_status weir_runner_moment_read(struct weir_runner *runner, int moment, const char *name, float *values_out, size_t n);
weir_status weir_runner_moment_write(struct weir_runner *runner, int moment, const char *name, const float *values, size_t n);

#endif
