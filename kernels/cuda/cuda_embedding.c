/* embedding on CUDA. */
#include "kernels/cuda/cuda_call.h"

static struct weir_cuda_embedding sizes_of(const struct weir_tensor *tokens, const struct weir_tensor *wte,
                                           const struct weir_tensor *wpe)
{
    struct weir_cuda_embedding e = {tokens->shape[0], tokens->shape[1], wte->shape[0], wpe ? wpe->shape[0] : 0,
                                    wte->shape[1]};
    return e;
}

weir_status weir_cuda_embedding_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *wpe = call->n_params > 1 ? &call->params[1] : NULL;
    const struct weir_cuda_embedding e = sizes_of(&call->inputs[0], &call->params[0], wpe);
    weir_status status = weir_cuda_no_sequence(call);
    if (status)
        return status;
    return weir_launch_embedding(weir_cuda_type(&call->output), &e, (const int32_t *)call->inputs[0].data,
                                 call->params[0].data, wpe ? wpe->data : NULL, call->output.data, stream);
}

weir_status weir_cuda_embedding_backward_weight(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *d_wpe = call->n_params > 1 ? &call->d_params[1] : NULL;
    const struct weir_cuda_embedding e = sizes_of(&call->inputs[0], &call->d_params[0], d_wpe);
    return weir_launch_embedding_weights(weir_cuda_type(&call->d_output), &e, (const int32_t *)call->inputs[0].data,
                                         call->d_output.data, call->accumulate, (float *)call->d_params[0].data,
                                         d_wpe ? (float *)d_wpe->data : NULL, stream);
}
