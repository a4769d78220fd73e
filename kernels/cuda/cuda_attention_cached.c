/* attention_cached on CUDA: q, k and v in three tensors, or side by side in one. */
#include <inttypes.h>

#include "kernels/cuda/cuda_call.h"

static struct weir_cuda_cached_attention sizes_of(const struct weir_op_call *call)
{
    const struct weir_attention_cached_attr *attr = (const struct weir_attention_cached_attr *)call->attr;
    int64_t heads = attr->n_heads, kv_heads = attr->kv_heads ? attr->kv_heads : heads;
    int64_t width = call->output.shape[2] / heads, q_row = call->inputs[0].shape[2];
    int64_t k_row = call->n_inputs == 1 ? q_row : kv_heads * width;
    struct weir_cuda_cached_attention a = {.rows = call->output.shape[1], .n_rows = call->sequence->n_rows,
                                           .position = call->sequence->position, .heads = heads, .kv_heads = kv_heads,
                                           .width = width, .capacity = attr->n_positions, .q_row = q_row,
                                           .k_row = k_row, .v_row = k_row};
    return a;
}

/* The position is host memory: what has been enqueued keeps the one that it was enqueued with, also in a recording. */
weir_status weir_cuda_attention_cached_forward(const struct weir_op_call *call, void *stream)
{
    if (!call->sequence || !call->cache)
        return WEIR_FAIL(WEIR_ERR_INVALID, "attention_cached runs in a generator only: it needs a sequence and its cache");
    const struct weir_cuda_cached_attention a = sizes_of(call);
    if (a.position < 0 || a.n_rows > a.rows || a.position + a.n_rows > a.capacity)
        return WEIR_FAIL(WEIR_ERR_INVALID, "positions %" PRId64 " to %" PRId64 " do not fit a cache of %" PRId64,
                         a.position, a.position + a.n_rows - 1, a.capacity);
    const char *q = (const char *)call->inputs[0].data, *k = (const char *)call->inputs[1].data;
    const char *v = (const char *)call->inputs[2].data;
    size_t head_bytes = (size_t)a.width * call->inputs[0].bits / 8;
    if (call->n_inputs == 1) {
        k = q + (size_t)a.heads * head_bytes;
        v = k + (size_t)a.kv_heads * head_bytes;
    }
    return weir_launch_attention_cached(weir_cuda_type(&call->inputs[0]), &a, q, k, v, call->cache, call->output.data,
                                        (float *)call->scratch, stream);
}
