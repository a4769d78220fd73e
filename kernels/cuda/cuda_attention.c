/* attention on CUDA: q, k and v in three tensors, or side by side in one (B, T, (H + 2K) d).  scratch of backward_input:
 * one float per saved number. */
#include "kernels/cuda/cuda_call.h"

/* Queries, keys and values, or their gradients or addends. */
struct parts {
    char *q, *k, *v;
};

static struct weir_cuda_attention sizes_of(const struct weir_op_call *call)
{
    const struct weir_attention_attr *attr = (const struct weir_attention_attr *)call->attr;
    const int64_t *dims = call->inputs[0].shape;
    bool packed = call->n_inputs == 1;
    int64_t positions = dims[1], heads = attr->n_heads, kv_heads = attr->kv_heads ? attr->kv_heads : heads;
    int64_t width = dims[2] / (packed ? heads + 2 * kv_heads : heads);
    struct weir_cuda_attention a = {.samples = dims[0], .positions = positions, .heads = heads, .kv_heads = kv_heads,
                                    .width = width, .dropout = weir_cuda_dropout_of(call, attr->dropout)};
    a.q_row = dims[2];
    a.k_row = a.v_row = packed ? dims[2] : kv_heads * width;
    a.y_row = heads * width;
    a.q_sample = positions * a.q_row;
    a.k_sample = a.v_sample = positions * a.k_row;
    a.y_sample = positions * a.y_row;
    return a;
}

/* The parts of one packed tensor at q, or three pointers as they are. */
static struct parts parts_of(const struct weir_op_call *call, const struct weir_cuda_attention *a, const void *q,
                             const void *k, const void *v)
{
    struct parts parts = {(char *)(uintptr_t)q, (char *)(uintptr_t)k, (char *)(uintptr_t)v};
    size_t head_bytes = (size_t)a->width * call->inputs[0].bits / 8;
    if (call->n_inputs == 1 && q) {
        parts.k = parts.q + (size_t)a->heads * head_bytes;
        parts.v = parts.k + (size_t)a->kv_heads * head_bytes;
    }
    return parts;
}

weir_status weir_cuda_attention_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    const struct weir_cuda_attention a = sizes_of(call);
    struct parts in = parts_of(call, &a, x->data, x[1].data, x[2].data);
    return weir_launch_attention(weir_cuda_type(x), &a, in.q, in.k, in.v, call->output.data, (float *)call->saved,
                                 stream);
}

weir_status weir_cuda_attention_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = &call->inputs[0];
    const struct weir_cuda_attention a = sizes_of(call);
    enum weir_dtype type = weir_cuda_type(x);
    struct parts in = parts_of(call, &a, x->data, x[1].data, x[2].data);
    struct parts add = parts_of(call, &a, call->addends[0], call->addends[1], call->addends[2]);
    struct parts d = parts_of(call, &a, call->d_inputs[0].data, call->d_inputs[1].data, call->d_inputs[2].data);
    const void *dy = call->d_output.data;
    const float *lse = (const float *)call->saved;
    float *dots = (float *)call->scratch;
    weir_status status = weir_launch_attention_d_q(type, &a, in.q, in.k, in.v, dy, lse, add.q, d.q, dots, stream);
    if (status || (!d.k && !d.v))
        return status;
    return weir_launch_attention_d_kv(type, &a, in.q, in.k, in.v, dy, lse, dots, add.k, add.v, d.k, d.v, stream);
}
