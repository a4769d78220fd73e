/* attention on CUDA: qkv (B, T, 3C), three parts of one tensor.  scratch of backward_input: one float per saved number. */
#include "kernels/cuda/cuda_call.h"

/* Queries, keys and values of a packed tensor of one type, as pointers to its parts. */
struct parts {
    char *q, *k, *v;
};

static struct weir_cuda_attention sizes_of(const struct weir_op_call *call)
{
    const int64_t *dims = call->inputs[0].shape;
    int64_t positions = dims[1], row = dims[2], width = row / 3, heads = call->attr->n_heads;
    struct weir_cuda_attention a = {.samples = dims[0], .positions = positions, .heads = heads, .kv_heads = heads,
                                    .width = width / heads, .dropout = weir_cuda_dropout_of(call)};
    a.q_sample = a.k_sample = a.v_sample = positions * row;
    a.q_row = a.k_row = a.v_row = row;
    a.y_sample = positions * width;
    a.y_row = width;
    return a;
}

static struct parts parts_of(const struct weir_tensor *like, const void *data)
{
    size_t width = (size_t)(like->shape[2] / 3) * like->bits / 8;
    char *q = (char *)(uintptr_t)data;
    struct parts parts = {q, q ? q + width : NULL, q ? q + 2 * width : NULL};
    return parts;
}

size_t weir_cuda_attention_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)n_threads;
    return pass == WEIR_BACKWARD_INPUT ? shapes->saved_bytes : 0;
}

weir_status weir_cuda_attention_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    const struct weir_cuda_attention a = sizes_of(call);
    struct parts in = parts_of(x, x->data);
    return weir_launch_attention(weir_cuda_type(x), &a, in.q, in.k, in.v, call->output.data, (float *)call->saved,
                                 stream);
}

weir_status weir_cuda_attention_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    const struct weir_cuda_attention a = sizes_of(call);
    enum weir_dtype type = weir_cuda_type(x);
    struct parts in = parts_of(x, x->data), add = parts_of(x, call->addends[0]), d = parts_of(x, call->d_inputs[0].data);
    const void *dy = call->d_output.data;
    const float *lse = (const float *)call->saved;
    float *dots = (float *)call->scratch;
    weir_status status = weir_launch_attention_d_q(type, &a, in.q, in.k, in.v, dy, lse, add.q, d.q, dots, stream);
    if (status)
        return status;
    return weir_launch_attention_d_kv(type, &a, in.q, in.k, in.v, dy, lse, dots, add.k, add.v, d.k, d.v, stream);
}
