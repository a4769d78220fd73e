/* add and dropout on CUDA. */
#include "kernels/cuda/cuda_call.h"

weir_status weir_cuda_add_forward(const struct weir_op_call *call, void *stream)
{
    return weir_launch_sum(weir_cuda_type(&call->output), weir_tensor_elements(&call->output), call->inputs[0].data,
                           call->inputs[1].data, call->n_inputs > 2 ? call->inputs[2].data : NULL, call->output.data,
                           stream);
}

static weir_status run(const struct weir_op_call *call, const struct weir_tensor *x, const void *addend, void *y,
                       void *stream)
{
    const struct weir_dropout_attr *attr = (const struct weir_dropout_attr *)call->attr;
    const struct weir_cuda_dropout dropout = weir_cuda_dropout_of(call, attr->dropout);
    int64_t samples = x->shape[0];
    return weir_launch_dropout(weir_cuda_type(x), &dropout, samples, weir_tensor_elements(x) / samples, x->data, addend,
                               y, stream);
}

weir_status weir_cuda_dropout_forward(const struct weir_op_call *call, void *stream)
{
    return run(call, &call->inputs[0], NULL, call->output.data, stream);
}

weir_status weir_cuda_dropout_backward_input(const struct weir_op_call *call, void *stream)
{
    return run(call, &call->d_output, call->addends[0], call->d_inputs[0].data, stream);
}
