/* Addresses in kernel calls: which of them there are, and which change from micro-batch to micro-batch.
 *
 * A call of a template (struct weir_step_call) has a place for everything that its kernel reads and writes; the kernel gets a
 * struct weir_op_call with a pointer in the same part.  Parameters, their gradients and scratch have one address for all
 * micro-batches.  The others *move*: activations, slots, data.  Both are known when a run opens (engine/run/bindings.h).
 *
 *     linear, backward      inputs[0]  moves: activation of the micro-batch
 *                           params[0]  stays
 *                           d_output   moves or, as scratch, stays
 *
 * A generator's cache moves too, but not by a table: which sequence a micro-batch is changes from run to run. */
#ifndef WEIR_ENGINE_PROGRAM_ADDRESSES_H
#define WEIR_ENGINE_PROGRAM_ADDRESSES_H

#include "engine/program/program.h"

/* A part of a call: where its place and where its pointer stand. */
struct weir_call_part {
    size_t where, pointer; /* offsets in struct weir_step_call, in struct weir_op_call */
};

enum { WEIR_CALL_PARTS = 3 * WEIR_OP_INPUTS + 2 * WEIR_OP_PARAMS + 6 };
extern const struct weir_call_part weir_call_parts[WEIR_CALL_PARTS];

static inline const struct weir_where *weir_call_where(const struct weir_step_call *call, int part)
{
    return (const struct weir_where *)(const void *)((const char *)call + weir_call_parts[part].where);
}

bool weir_where_moves(const struct weir_where *where);

/* Parts of the call that move. */
int weir_call_n_moving(const struct weir_step_call *call);

#endif
