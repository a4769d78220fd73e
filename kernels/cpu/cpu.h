/* The kernels of the built-in rows on the CPU (op.h has the contract of each pass).  Element types are checked by infer,
 * so kernels take them for granted. */
#ifndef WEIR_KERNELS_CPU_CPU_H
#define WEIR_KERNELS_CPU_CPU_H

#include "include/weir/op.h"
#include "kernels/kernel_table.h"

/* The kernels of a row on the CPU (cpu_table.c). */
weir_status weir_cpu_kernels(const struct weir_op *op, const struct weir_op_shapes *shapes,
                             const struct weir_op_kernels **kernels_out);

/* Bytes in which calls of the row keep the parameters in a form of their own (weir_op_call.packed), 64-byte aligned and zero at
 * first; 0: they read them as they are. */
size_t weir_cpu_packed_bytes(const struct weir_op *op, const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cpu_linear_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_linear_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_linear_backward_weight(const struct weir_op_call *call, void *stream);
size_t weir_cpu_linear_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);
size_t weir_cpu_linear_packed(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);
weir_status weir_cpu_linear_prepare(const struct weir_op_call *call, enum weir_pass pass);

weir_status weir_cpu_layer_norm_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_layer_norm_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_layer_norm_backward_weight(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_rms_norm_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_rms_norm_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_rms_norm_backward_weight(const struct weir_op_call *call, void *stream);
size_t weir_cpu_norm_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cpu_gelu_tanh_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_gelu_tanh_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_gelu_erf_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_gelu_erf_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_relu_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_relu_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_silu_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_silu_backward_input(const struct weir_op_call *call, void *stream);

weir_status weir_cpu_swiglu_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_swiglu_backward_input(const struct weir_op_call *call, void *stream);

weir_status weir_cpu_rope_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_rope_backward_input(const struct weir_op_call *call, void *stream);
size_t weir_cpu_rope_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cpu_attention_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_attention_backward_input(const struct weir_op_call *call, void *stream);
size_t weir_cpu_attention_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

weir_status weir_cpu_attention_cached_forward(const struct weir_op_call *call, void *stream);
size_t weir_cpu_attention_cached_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);
weir_status weir_cpu_last_row_forward(const struct weir_op_call *call, void *stream);

weir_status weir_cpu_embedding_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_embedding_backward_weight(const struct weir_op_call *call, void *stream);

weir_status weir_cpu_add_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_concat_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_concat_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_split_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_split_backward_input(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_dropout_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_dropout_backward_input(const struct weir_op_call *call, void *stream);

weir_status weir_cpu_cross_entropy_forward(const struct weir_op_call *call, void *stream);
weir_status weir_cpu_mse_forward(const struct weir_op_call *call, void *stream);
size_t weir_cpu_loss_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

#endif
