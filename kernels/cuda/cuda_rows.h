/* The kernels of the built-in rows on CUDA (op.h has the contract of each pass, cuda.h the rules), and the macro by which a
 * row names them: builds without CUDA have the sizes of their scratch alone (cuda_sizes.c).  The prepare of all of them is one. */
#ifndef WEIR_KERNELS_CUDA_CUDA_ROWS_H
#define WEIR_KERNELS_CUDA_CUDA_ROWS_H

#include "include/weir/op.h"
#include "weir_libraries.h"

/* WEIR_CUDA_EMULATED: the build of tests/stand_ins/cuda_on_cpu, which has the rows without having CUDA. */
#if WEIR_HAVE_CUDA || defined(WEIR_CUDA_EMULATED)
#define WEIR_CUDA_ROW(...) {__VA_ARGS__, weir_cuda_row_prepare}
#else
#define WEIR_CUDA_ROW(forward, input, weight, scratch) {NULL, NULL, NULL, scratch, NULL}
#endif

/* cuda_load.c: run the pass, so that what it launches is loaded. */
weir_status weir_cuda_row_prepare(const struct weir_op_call *call, enum weir_pass pass);

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
