/* cross_entropy and mse on CUDA.  scratch: one double per row. */
#include "kernels/cuda/cuda_call.h"

weir_status weir_cuda_cross_entropy_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    return weir_launch_cross_entropy(weir_cuda_type(x), weir_cuda_rows(x), weir_cuda_columns(x), x->data,
                                     (const int32_t *)call->inputs[1].data, (float)call->loss_scale,
                                     call->d_inputs[0].data, (double *)call->scratch, (double *)call->output.data,
                                     stream);
}

weir_status weir_cuda_mse_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    float scale = (float)(2.0 * call->loss_scale / (double)weir_cuda_columns(x));
    return weir_launch_mse(weir_cuda_type(x), weir_cuda_rows(x), weir_cuda_columns(x), x->data, call->inputs[1].data,
                           scale, call->d_inputs[0].data, (double *)call->scratch, (double *)call->output.data, stream);
}
