/* Bindings: the kernel calls of a rank with their addresses, found once, when a run opens.
 *
 * A call of a list is run for every micro-batch.  Its shapes, attributes and the addresses that stay are in one struct
 * weir_op_call, which all micro-batches share; the addresses that move are a row of pointers for each:
 *
 *     call                 op  attr  inputs[0]  params[0] ..  output  scratch
 *     parts                          │ 1st                    │ 2nd moving part
 *     addresses of mb 0              a0                       b0
 *     addresses of mb 1              a1                       b1
 *
 * Running one for a micro-batch puts its row into the call.  So a call belongs to one thread at a time: the one that runs, or
 * enqueues, its rank's instructions. */
#ifndef WEIR_ENGINE_RUN_BINDINGS_H
#define WEIR_ENGINE_RUN_BINDINGS_H

#include "engine/program/addresses.h"
#include "engine/run/runner.h"

/* Those of all calls of a rank that lives here, stage by stage and list by list, in a block of weir_bindings_bytes().  After its
 * blocks, and those of the ranks that it writes to, are there. */
weir_status weir_bindings_make(struct weir_run *run, struct weir_rank *rank, struct weir_arena *arena);

/* [n_slices][n_calls]: those of a list of a stage of the rank; the first one of an action. */
struct weir_binding *weir_bindings_of(const struct weir_run *run, const struct weir_rank *rank, int stage, enum weir_list list);
struct weir_binding *weir_bindings_first(const struct weir_run *run, const struct weir_rank *rank, const struct weir_instr *instr);

/* The call with the addresses of a micro-batch. */
const struct weir_op_call *weir_binding_turn(struct weir_binding *binding, const struct weir_run *run, const struct weir_rank *rank,
                                             int stage, int mb, enum weir_pass pass);

#endif
