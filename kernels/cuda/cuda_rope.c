/* rope on CUDA. */
#include "kernels/cuda/cuda_call.h"

static weir_status turn(const struct weir_op_call *call, bool back, const struct weir_tensor *x, const void *addend,
                        void *y, void *stream)
{
    const struct weir_rope_attr *attr = (const struct weir_rope_attr *)call->attr;
    int64_t heads = attr->n_heads;
    const struct weir_cuda_rope rope = {.samples = x->shape[0], .positions = x->shape[1], .heads = heads,
                                        .width = x->shape[2] / heads,
                                        .first = weir_cuda_sequence_of(call, x->shape[1]).position, .back = back,
                                        .rope = attr->rope};
    return weir_launch_rope(weir_cuda_type(x), &rope, x->data, addend, y, (float *)call->scratch, stream);
}

weir_status weir_cuda_rope_forward(const struct weir_op_call *call, void *stream)
{
    return turn(call, false, &call->inputs[0], NULL, call->output.data, stream);
}

weir_status weir_cuda_rope_backward_input(const struct weir_op_call *call, void *stream)
{
    return turn(call, true, &call->d_output, call->addends[0], call->d_inputs[0].data, stream);
}
