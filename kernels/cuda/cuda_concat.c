/* concat and split on CUDA: a backward of one is the forward of the other, with addends. */
#include "kernels/cuda/cuda_call.h"

/* Parts of `whole`; addends: NULL, or one for each. */
static struct weir_cuda_parts parts_of(const struct weir_tensor *whole, int n, const struct weir_tensor *tensors,
                                       const void *const *addends)
{
    struct weir_cuda_parts parts = {.rows = weir_cuda_rows(whole), .width = weir_cuda_columns(whole)};
    for (int i = 0; i < n; i++) {
        parts.widths[i] = weir_cuda_columns(&tensors[i]);
        parts.data[i] = tensors[i].data;
        parts.addends[i] = addends ? addends[i] : NULL;
    }
    return parts;
}

weir_status weir_cuda_concat_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_parts parts = parts_of(&call->output, call->n_inputs, call->inputs, NULL);
    return weir_launch_gather(weir_cuda_type(&call->output), &parts, NULL, call->output.data, stream);
}

weir_status weir_cuda_concat_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_parts parts = parts_of(&call->d_output, call->n_inputs, call->d_inputs, call->addends);
    return weir_launch_scatter(weir_cuda_type(&call->d_output), &parts, call->d_output.data, stream);
}

weir_status weir_cuda_split_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_parts parts = parts_of(&call->inputs[0], call->n_outputs, call->outputs, NULL);
    return weir_launch_scatter(weir_cuda_type(&call->inputs[0]), &parts, call->inputs[0].data, stream);
}

weir_status weir_cuda_split_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_cuda_parts parts = parts_of(&call->d_inputs[0], call->n_outputs, call->d_outputs, NULL);
    return weir_launch_gather(weir_cuda_type(&call->d_inputs[0]), &parts, call->addends[0], call->d_inputs[0].data, stream);
}
