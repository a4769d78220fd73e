/* What the cpu brings for the built-in rows. */
#include "kernels/cpu/cpu.h"
#include "kernels/op_rows.h"

/* forward, backward_input, backward_weight, scratch_bytes, prepare */
static const struct weir_kernel_row rows[] = {
    {"embedding", {weir_cpu_embedding_forward, NULL, weir_cpu_embedding_backward_weight, NULL, NULL}},
    {"layer_norm", {weir_cpu_layer_norm_forward, weir_cpu_layer_norm_backward_input,
     weir_cpu_layer_norm_backward_weight, weir_cpu_norm_scratch, NULL}},
    {"rms_norm", {weir_cpu_rms_norm_forward, weir_cpu_rms_norm_backward_input, weir_cpu_rms_norm_backward_weight,
     weir_cpu_norm_scratch, NULL}},
    {"linear", {weir_cpu_linear_forward, weir_cpu_linear_backward_input, weir_cpu_linear_backward_weight,
     weir_cpu_linear_scratch, weir_cpu_linear_prepare}},
    {"gelu_tanh", {weir_cpu_gelu_tanh_forward, weir_cpu_gelu_tanh_backward_input, NULL, NULL, NULL}},
    {"gelu_erf", {weir_cpu_gelu_erf_forward, weir_cpu_gelu_erf_backward_input, NULL, NULL, NULL}},
    {"relu", {weir_cpu_relu_forward, weir_cpu_relu_backward_input, NULL, NULL, NULL}},
    {"silu", {weir_cpu_silu_forward, weir_cpu_silu_backward_input, NULL, NULL, NULL}},
    {"swiglu", {weir_cpu_swiglu_forward, weir_cpu_swiglu_backward_input, NULL, NULL, NULL}},
    {"rope", {weir_cpu_rope_forward, weir_cpu_rope_backward_input, NULL, weir_cpu_rope_scratch, NULL}},
    {"attention", {weir_cpu_attention_forward, weir_cpu_attention_backward_input, NULL, weir_cpu_attention_scratch,
     NULL}},
    {"add", {weir_cpu_add_forward, NULL, NULL, NULL, NULL}},
    {"concat", {weir_cpu_concat_forward, weir_cpu_concat_backward_input, NULL, NULL, NULL}},
    {"split", {weir_cpu_split_forward, weir_cpu_split_backward_input, NULL, NULL, NULL}},
    {"dropout", {weir_cpu_dropout_forward, weir_cpu_dropout_backward_input, NULL, NULL, NULL}},
    {"cross_entropy", {weir_cpu_cross_entropy_forward, NULL, NULL, weir_cpu_loss_scratch, NULL}},
    {"mse", {weir_cpu_mse_forward, NULL, NULL, weir_cpu_loss_scratch, NULL}},
    {"attention_cached", {weir_cpu_attention_cached_forward, NULL, NULL, weir_cpu_attention_cached_scratch, NULL}},
    {"last_row", {weir_cpu_last_row_forward, NULL, NULL, NULL, NULL}},
    {NULL, {NULL, NULL, NULL, NULL, NULL}},
};

size_t weir_cpu_packed_bytes(const struct weir_op *op, const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    return op == &weir_op_linear ? weir_cpu_linear_packed(shapes, pass, n_threads) : 0;
}

weir_status weir_cpu_kernels(const struct weir_op *op, const struct weir_op_shapes *shapes,
                             const struct weir_op_kernels **kernels_out)
{
    static const struct weir_kernel_table table = {"cpu", rows};
    (void)shapes; /* whatever infer lets through */
    return weir_kernel_table_find(&table, op, &op->cpu, kernels_out);
}
