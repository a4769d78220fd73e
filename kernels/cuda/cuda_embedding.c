/* embedding on CUDA. */
#include <inttypes.h>

#include "kernels/cuda/cuda_call.h"

static struct weir_cuda_embedding sizes_of(const struct weir_tensor *tokens, const struct weir_tensor *wte,
                                           const struct weir_tensor *wpe)
{
    struct weir_cuda_embedding e = {.samples = tokens->shape[0], .positions = tokens->shape[1],
                                    .vocabulary = wte->shape[0], .n_positions = wpe ? wpe->shape[0] : 0,
                                    .width = wte->shape[1], .n_rows = tokens->shape[1]};
    return e;
}

weir_status weir_cuda_embedding_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *wpe = call->n_params > 1 ? &call->params[1] : NULL;
    struct weir_cuda_embedding e = sizes_of(&call->inputs[0], &call->params[0], wpe);
    const struct weir_sequence at = weir_cuda_sequence_of(call, e.positions);
    e.first = at.position;
    e.n_rows = at.n_rows;
    if (wpe && call->sequence && at.position + at.n_rows > e.n_positions)
        return WEIR_FAIL(WEIR_ERR_INVALID, "position %" PRId64 " is past the table's %" PRId64, at.position + at.n_rows - 1,
                         e.n_positions);
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
