/* linear on CUDA: y (M, O) = x (M, I) · W^T + bias.  kernels/cpu/cpu_linear.c has the three products.
 *
 * The bias is added in the product's epilogue, an addend by beta = 1.  scratch of backward_weight: the partial column sums
 * of the bias's gradient. */
#include "kernels/cuda/cuda_call.h"
#include "kernels/cuda/cuda_context.h"

/* The product of one call.  Sizes come from the weight (or its gradient) and the tensor that every pass has. */
static struct weir_cuda_product product_of(const struct weir_op_call *call, enum weir_pass pass)
{
    const struct weir_tensor *w = pass == WEIR_BACKWARD_WEIGHT ? &call->d_params[0] : &call->params[0];
    const struct weir_tensor *y = pass == WEIR_FORWARD ? &call->output : &call->d_output;
    const struct weir_linear_attr *attr = (const struct weir_linear_attr *)call->attr;
    bool in_out = attr->in_out;
    int64_t in = w->shape[in_out ? 0 : 1], out = w->shape[in_out ? 1 : 0], m = weir_tensor_elements(y) / out;
    struct weir_cuda_product p = {.m = m, .n = out, .k = in, .transpose_b = !in_out, .bias = call->n_params > 1};
    if (pass == WEIR_BACKWARD_INPUT)
        p = (struct weir_cuda_product){.m = m, .n = in, .k = out, .transpose_b = in_out, .add = call->addends[0] != NULL};
    if (pass == WEIR_BACKWARD_WEIGHT)
        p = (struct weir_cuda_product){.m = in_out ? in : out, .n = in_out ? out : in, .k = m, .transpose_a = true,
                                       .add = call->accumulate};
    p.type = weir_cuda_type(y);
    p.result_type = pass == WEIR_BACKWARD_WEIGHT ? WEIR_DTYPE_F32 : p.type;
    return p;
}

weir_status weir_cuda_linear_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_product p = product_of(call, WEIR_FORWARD);
    const struct weir_cuda_operands operands = {.a = call->inputs[0].data, .b = call->params[0].data,
                                                .bias = p.bias ? call->params[1].data : NULL, .c = call->output.data};
    return weir_cuda_matmul_run(weir_cuda_context_of(call)->matmul, &p, &operands, stream);
}

weir_status weir_cuda_linear_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_product p = product_of(call, WEIR_BACKWARD_INPUT);
    const struct weir_cuda_operands operands = {.a = call->d_output.data, .b = call->params[0].data,
                                                .addend = call->addends[0], .c = call->d_inputs[0].data};
    return weir_cuda_matmul_run(weir_cuda_context_of(call)->matmul, &p, &operands, stream);
}

weir_status weir_cuda_linear_backward_weight(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_product p = product_of(call, WEIR_BACKWARD_WEIGHT);
    const void *x = call->inputs[0].data, *dy = call->d_output.data;
    const struct weir_linear_attr *attr = (const struct weir_linear_attr *)call->attr;
    bool in_out = attr->in_out;
    weir_status status = WEIR_OK;
    if (call->n_params > 1)
        status = weir_launch_column_sums(p.type, p.k, call->d_params[1].shape[0], dy, call->accumulate,
                                         (float *)call->d_params[1].data, (float *)call->scratch, stream);
    if (status)
        return status;
    const struct weir_cuda_operands operands = {.a = in_out ? x : dy, .b = in_out ? dy : x,
                                                .addend = call->d_params[0].data, .c = call->d_params[0].data};
    return weir_cuda_matmul_run(weir_cuda_context_of(call)->matmul, &p, &operands, stream);
}
