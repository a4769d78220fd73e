/* The built-in rows of include/weir/op.h, for Weir's own files: programs that embed Weir find them by name, for a table grows. */
#ifndef WEIR_KERNELS_OP_ROWS_H
#define WEIR_KERNELS_OP_ROWS_H

#include "include/weir/op.h"

extern const struct weir_op *const weir_ops[]; /* ends with NULL */

extern const struct weir_op weir_op_embedding;
extern const struct weir_op weir_op_layer_norm;
extern const struct weir_op weir_op_rms_norm;
extern const struct weir_op weir_op_linear;
extern const struct weir_op weir_op_gelu_tanh;
extern const struct weir_op weir_op_gelu_erf;
extern const struct weir_op weir_op_relu;
extern const struct weir_op weir_op_silu;
extern const struct weir_op weir_op_swiglu;
extern const struct weir_op weir_op_rope;
extern const struct weir_op weir_op_attention;
extern const struct weir_op weir_op_add;
extern const struct weir_op weir_op_concat;
extern const struct weir_op weir_op_split;
extern const struct weir_op weir_op_dropout;
extern const struct weir_op weir_op_cross_entropy;
extern const struct weir_op weir_op_mse;

bool weir_op_is_built_in(const struct weir_op *op); /* one of these, not a copy */

/* forward only, so not among weir_ops */
extern const struct weir_op weir_op_attention_cached;
extern const struct weir_op weir_op_last_row;

/* Of the nodes that stand for outputs of others (include/weir/graph.h): it has no kernels, and nobody calls it. */
extern const struct weir_op weir_op_part;

#endif
