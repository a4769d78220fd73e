/* What cuda brings for the built-in rows, and how a call of them is made ready. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_rows.h"

static weir_status row_prepare(const struct weir_op_call *call, enum weir_pass pass);

/* forward, backward_input, backward_weight, scratch_bytes, prepare */
static const struct weir_kernel_row rows[] = {
    {"embedding", {weir_cuda_embedding_forward, NULL, weir_cuda_embedding_backward_weight, NULL, row_prepare}},
    {"layer_norm", {weir_cuda_layer_norm_forward, weir_cuda_layer_norm_backward_input,
     weir_cuda_layer_norm_backward_weight, weir_cuda_norm_scratch, row_prepare}},
    {"rms_norm", {weir_cuda_rms_norm_forward, weir_cuda_rms_norm_backward_input, weir_cuda_rms_norm_backward_weight,
     weir_cuda_norm_scratch, row_prepare}},
    {"linear", {weir_cuda_linear_forward, weir_cuda_linear_backward_input, weir_cuda_linear_backward_weight,
     weir_cuda_linear_scratch, row_prepare}},
    {"gelu_tanh", {weir_cuda_gelu_tanh_forward, weir_cuda_gelu_tanh_backward_input, NULL, NULL, row_prepare}},
    {"gelu_erf", {weir_cuda_gelu_erf_forward, weir_cuda_gelu_erf_backward_input, NULL, NULL, row_prepare}},
    {"relu", {weir_cuda_relu_forward, weir_cuda_relu_backward_input, NULL, NULL, row_prepare}},
    {"silu", {weir_cuda_silu_forward, weir_cuda_silu_backward_input, NULL, NULL, row_prepare}},
    {"swiglu", {weir_cuda_swiglu_forward, weir_cuda_swiglu_backward_input, NULL, NULL, row_prepare}},
    {"rope", {weir_cuda_rope_forward, weir_cuda_rope_backward_input, NULL, weir_cuda_rope_scratch, row_prepare}},
    {"attention", {weir_cuda_attention_forward, weir_cuda_attention_backward_input, NULL, weir_cuda_attention_scratch,
     row_prepare}},
    {"add", {weir_cuda_add_forward, NULL, NULL, NULL, row_prepare}},
    {"concat", {weir_cuda_concat_forward, weir_cuda_concat_backward_input, NULL, NULL, row_prepare}},
    {"split", {weir_cuda_split_forward, weir_cuda_split_backward_input, NULL, NULL, row_prepare}},
    {"dropout", {weir_cuda_dropout_forward, weir_cuda_dropout_backward_input, NULL, NULL, row_prepare}},
    {"cross_entropy", {weir_cuda_cross_entropy_forward, NULL, NULL, weir_cuda_loss_scratch, row_prepare}},
    {"mse", {weir_cuda_mse_forward, NULL, NULL, weir_cuda_loss_scratch, row_prepare}},
    {"attention_cached", {weir_cuda_attention_cached_forward, NULL, NULL, weir_cuda_attention_cached_scratch,
     row_prepare}},
    {"last_row", {weir_cuda_last_row_forward, NULL, NULL, NULL, row_prepare}},
    {NULL, {NULL, NULL, NULL, NULL, NULL}},
};

static const struct weir_kernel_table table = {"cuda", rows};

weir_status weir_cuda_kernels(const struct weir_op *op, const struct weir_op_shapes *shapes,
                              const struct weir_op_kernels **kernels_out)
{
    weir_status status = weir_kernel_table_find(&table, op, &op->cuda, kernels_out);
    return status || *kernels_out == &op->cuda ? status : weir_cuda_slices_refuse(op, shapes);
}

static weir_status row_prepare(const struct weir_op_call *call, enum weir_pass pass)
{
    const struct weir_op_kernels *row;
    weir_status status = weir_cuda_kernels(call->op, NULL, &row);
    if (status)
        return status;
    const weir_kernel_fn passes[WEIR_PASSES] = {row->forward, row->backward_input, row->backward_weight};
    return weir_cuda_load_once(call, pass, passes[pass]);
}
