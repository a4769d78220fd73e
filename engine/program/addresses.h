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
 * What a run has of that is one block per rank: of every call a struct weir_binding, then all addresses that move, then where they
 * go.  It is memory of the host, and a row of the memory table (extra_memory.h).
 *
 * A generator's cache moves too, but not by a table: which sequence a micro-batch is changes from run to run. */
#ifndef WEIR_ENGINE_PROGRAM_ADDRESSES_H
#define WEIR_ENGINE_PROGRAM_ADDRESSES_H

#include "engine/program/program.h"

/* A part of a call: where its place and where its pointer stand. */
struct weir_call_part {
    size_t where, pointer; /* offsets in struct weir_step_call, in struct weir_op_call */
};

enum { WEIR_CALL_PARTS = 3 * WEIR_OP_INPUTS + 2 * WEIR_OP_OUTPUTS + 2 * WEIR_OP_PARAMS + 5 };
extern const struct weir_call_part weir_call_parts[WEIR_CALL_PARTS];

static inline const struct weir_where *weir_call_where(const struct weir_step_call *call, int part)
{
    return (const struct weir_where *)(const void *)((const char *)call + weir_call_parts[part].where);
}

bool weir_where_moves(const struct weir_where *where);

/* Parts of the call that move. */
int weir_call_n_moving(const struct weir_step_call *call);

/* A call with its addresses; engine/run/bindings.h has what is done with it. */
struct weir_binding {
    struct weir_op_call call;
    int n_moving;
    const uint16_t *parts;  /* [n_moving]: offsets in `call` */
    void *const *addresses; /* [n_microbatches][n_moving] */
    size_t cache_offset;    /* generation: in the part of a sequence; SIZE_MAX: the call has no cache */
};

/* Calls of a rank's lists, slices apart, and the parts of all of them that move. */
struct weir_bindings_size {
    size_t n_calls, n_moving;
};

struct weir_bindings_size weir_bindings_count(const struct weir_program *program, int rank);

/* Bytes of the rank's block. */
size_t weir_bindings_bytes(const struct weir_program *program, int rank);

#endif
