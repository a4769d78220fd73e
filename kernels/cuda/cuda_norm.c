/* layer_norm and rms_norm on CUDA. */
#include "kernels/cuda/cuda_call.h"

static weir_status forward(const struct weir_op_call *call, bool centred, void *stream)
{
    const struct weir_norm_attr *attr = (const struct weir_norm_attr *)call->attr;
    const struct weir_tensor *x = &call->inputs[0];
    return weir_launch_norm(weir_cuda_type(x), centred, weir_cuda_rows(x), weir_cuda_columns(x), (float)attr->eps,
                            x->data, call->params[0].data, call->n_params > 1 ? call->params[1].data : NULL,
                            call->output.data, (float *)call->saved, stream);
}

static weir_status backward_input(const struct weir_op_call *call, bool centred, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    return weir_launch_norm_slope(weir_cuda_type(x), centred, weir_cuda_rows(x), weir_cuda_columns(x), x->data,
                                  call->d_output.data, call->params[0].data, call->addends[0],
                                  (const float *)call->saved, call->d_inputs[0].data, stream);
}

static weir_status backward_weight(const struct weir_op_call *call, bool centred, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    return weir_launch_norm_weights(weir_cuda_type(x), centred, weir_cuda_rows(x), weir_cuda_columns(x), x->data,
                                    call->d_output.data, (const float *)call->saved, call->accumulate,
                                    (float *)call->d_params[0].data,
                                    call->n_params > 1 ? (float *)call->d_params[1].data : NULL, (float *)call->scratch,
                                    stream);
}

weir_status weir_cuda_layer_norm_forward(const struct weir_op_call *call, void *stream)
{
    return forward(call, true, stream);
}

weir_status weir_cuda_layer_norm_backward_input(const struct weir_op_call *call, void *stream)
{
    return backward_input(call, true, stream);
}

weir_status weir_cuda_layer_norm_backward_weight(const struct weir_op_call *call, void *stream)
{
    return backward_weight(call, true, stream);
}

weir_status weir_cuda_rms_norm_forward(const struct weir_op_call *call, void *stream)
{
    return forward(call, false, stream);
}

weir_status weir_cuda_rms_norm_backward_input(const struct weir_op_call *call, void *stream)
{
    return backward_input(call, false, stream);
}

weir_status weir_cuda_rms_norm_backward_weight(const struct weir_op_call *call, void *stream)
{
    return backward_weight(call, false, stream);
}
