/* A rig for one operation: its shapes, filled buffers, a bound call, and the same call for the reference.
 *
 * Values are drawn from the counter-based generator by tensor and element, so a rig of the same case is the same rig.
 * Buffers are 64-byte aligned, moved by `shift` blocks of 64 bytes, and have guard words on both sides that
 * op_rig_close checks.  op_rig_run hands a pass only what its row declares: everything else, shape included, is zero, and scratch holds
 * NaN, so a kernel that leans on either is found out. */
#ifndef WEIR_OP_RIG_H
#define WEIR_OP_RIG_H

#include "include/weir/op.h"
#include "tests/support/reference_ops.h"

/* The attributes of any built-in row. */
union op_attr {
    int none;
    struct weir_embedding_attr embedding;
    struct weir_norm_attr norm;
    struct weir_linear_attr linear;
    struct weir_rope_attr rope;
    struct weir_attention_attr attention;
    struct weir_attention_cached_attr cached;
    struct weir_dropout_attr dropout;
    struct weir_split_attr split;
};

struct op_case {
    const char *sentence; /* what is special about it */
    const struct weir_op *op;
    union op_attr attr;
    int n_inputs;
    struct weir_shape inputs[WEIR_OP_INPUTS];
};

enum { OP_RIG_BLOCKS = 64 };

struct op_rig {
    const struct op_case *c;
    struct weir_op_shapes shapes, gradient_shapes;
    struct weir_op_call full;  /* every tensor bound */
    struct weir_kernel_context *context;
    struct weir_step_values step;
    int64_t dims[8][WEIR_MAX_DIMS];
    void *scratch_base;
    size_t scratch_bytes;
    int shift;
    void *blocks[OP_RIG_BLOCKS];
    size_t block_bytes[OP_RIG_BLOCKS];
    int n_blocks;
};

/* What a node of the case has: NULL where the row takes no attributes. */
static inline const void *op_case_attr(const struct op_case *c)
{
    return c->op->attr_bytes ? &c->attr : NULL;
}

/* Infers, allocates and fills.  Different `salt`: different values. */
void op_rig_open(struct op_rig *rig, const struct op_case *c, int n_threads, uint64_t salt, int shift);
void op_rig_close(struct op_rig *rig);

/* Run one pass with what it may see.  `addend` (for input 0) and `accumulate` as in op.h. */
weir_status op_rig_run(struct op_rig *rig, enum weir_pass pass, const void *addend, bool accumulate);

/* `full` without the tensors that the pass did not ask for. */
struct weir_op_call op_rig_needed(const struct weir_op_call *full, enum weir_pass pass, bool accumulate);
/* The same with an addend per input. */
weir_status op_rig_run_adding(struct op_rig *rig, enum weir_pass pass, const void *const *addends, bool accumulate);

/* A block of the rig with room for `bytes`, zeroed. */
void *op_rig_block(struct op_rig *rig, size_t bytes);

/* d/dx of sum(d_outputs * reference outputs) by central differences, x = input or parameter `index`. */
void op_rig_differences(const struct op_rig *rig, bool of_param, int index, double *gradient_out);

/* The reference's output i. */
void op_rig_reference(const struct op_rig *rig, int i, double *output_out);

#endif
