/* last_row on CUDA. */
#include "kernels/cuda/cuda_call.h"

weir_status weir_cuda_last_row_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    int64_t last = weir_cuda_sequence_of(call, x->shape[1]).n_rows - 1;
    return weir_launch_row(weir_cuda_type(x), x->shape[2], last, x->data, call->output.data, stream);
}
