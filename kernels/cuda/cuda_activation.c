/* gelu_tanh, gelu_erf, relu, silu and swiglu on CUDA. */
#include "kernels/cuda/cuda_call.h"

static weir_status forward(const struct weir_op_call *call, enum weir_activation f, void *stream)
{
    return weir_launch_activation(f, weir_cuda_type(&call->output), weir_tensor_elements(&call->output),
                                  call->inputs[0].data, call->output.data, stream);
}

static weir_status backward(const struct weir_op_call *call, enum weir_activation f, const void *x, void *stream)
{
    return weir_launch_activation_slope(f, weir_cuda_type(&call->d_output), weir_tensor_elements(&call->d_output), x,
                                        call->d_output.data, call->addends[0], call->d_inputs[0].data, stream);
}

weir_status weir_cuda_gelu_tanh_forward(const struct weir_op_call *call, void *stream)
{
    return forward(call, WEIR_GELU_TANH, stream);
}

weir_status weir_cuda_gelu_tanh_backward_input(const struct weir_op_call *call, void *stream)
{
    return backward(call, WEIR_GELU_TANH, call->inputs[0].data, stream);
}

weir_status weir_cuda_gelu_erf_forward(const struct weir_op_call *call, void *stream)
{
    return forward(call, WEIR_GELU_ERF, stream);
}

weir_status weir_cuda_gelu_erf_backward_input(const struct weir_op_call *call, void *stream)
{
    return backward(call, WEIR_GELU_ERF, call->inputs[0].data, stream);
}

weir_status weir_cuda_relu_forward(const struct weir_op_call *call, void *stream)
{
    return forward(call, WEIR_RELU, stream);
}

weir_status weir_cuda_relu_backward_input(const struct weir_op_call *call, void *stream)
{
    return backward(call, WEIR_RELU, call->output.data, stream);
}

weir_status weir_cuda_silu_forward(const struct weir_op_call *call, void *stream)
{
    return forward(call, WEIR_SILU, stream);
}

weir_status weir_cuda_silu_backward_input(const struct weir_op_call *call, void *stream)
{
    return backward(call, WEIR_SILU, call->inputs[0].data, stream);
}

weir_status weir_cuda_swiglu_forward(const struct weir_op_call *call, void *stream)
{
    return weir_launch_swiglu(weir_cuda_type(&call->output), weir_tensor_elements(&call->output), call->inputs[0].data,
                              call->inputs[1].data, call->output.data, stream);
}

weir_status weir_cuda_swiglu_backward_input(const struct weir_op_call *call, void *stream)
{
    return weir_launch_swiglu_slope(weir_cuda_type(&call->d_output), weir_tensor_elements(&call->d_output),
                                    call->inputs[0].data, call->inputs[1].data, call->d_output.data, call->addends[0],
                                    call->addends[1], call->d_inputs[0].data, call->d_inputs[1].data, stream);
}
