/* The kernels of the built-in rows on CUDA (op.h has the contract of each pass, cuda.h the rules), of which cuda_table.c is
 * made. */
#ifndef WEIR_KERNELS_CUDA_CUDA_ROWS_H
#define WEIR_KERNELS_CUDA_CUDA_ROWS_H

#include "include/weir/op.h"

/* cuda_load.c: run the pass, so that what it launches is loaded; once for each description of a call. */
weir_status weir_cuda_load_once(const struct weir_op_call *call, enum weir_pass pass, weir_kernel_fn run);

/* Of the built-in rows CUDA computes those of whole sequences.  NULL: no call in particular. */
weir_status weir_cuda_slices_refuse(const struct weir_op *op, const struct weir_op_shapes *shapes);

weir_status weir_cuda_gelu_tanh_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_gelu_tanh_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_gelu_erf_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_gelu_erf_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_relu_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_relu_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_silu_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_silu_backward_input(const struct weir_op_call *call, void *stream);

weir_status weir_cuda_swiglu_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_swiglu_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_rope_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_rope_backward_input(const struct weir_op_call *call, void *stream);
size_t weir_cuda_rope_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cuda_add_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_concat_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_concat_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_split_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_split_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_dropout_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_dropout_backward_input(const struct weir_op_call *call, void *stream);

weir_status weir_cuda_layer_norm_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_layer_norm_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_layer_norm_backward_weight(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_rms_norm_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_rms_norm_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_rms_norm_backward_weight(const struct weir_op_call *call, void *stream);
size_t weir_cuda_norm_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cuda_linear_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_linear_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_linear_backward_weight(const struct weir_op_call *call, void *stream);
size_t weir_cuda_linear_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cuda_attention_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_attention_backward_input(const struct weir_op_call *call, void *stream);
size_t weir_cuda_attention_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cuda_embedding_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_embedding_backward_weight(const struct weir_op_call *call, void *stream);

weir_status weir_cuda_attention_cached_forward(const struct weir_op_call *call, void *stream);
size_t weir_cuda_attention_cached_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);
weir_status weir_cuda_last_row_forward(const struct weir_op_call *call, void *stream);

weir_status weir_cuda_cross_entropy_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cuda_mse_forward(const struct weir_op_call *call, void *stream);
size_t weir_cuda_loss_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

#endif
