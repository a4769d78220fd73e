/* attention: qkv (B, T, 3C) ─▶ (B, T, C), causal, heads side by side in C.  Reads attr.n_heads and dropout.
 *
 *     s = q k^T / sqrt(C / heads),  p = softmax of s over the columns up to the row's own,  y = dropout(p) v
 *
 * Saved: log of the sum of e^s per row, (B, heads, T).  Probabilities are computed again in the backward (Dao et al.,
 * "FlashAttention", 2022).  Element (head * T + row) * T + column of the sample names a probability's random number. */
#include <inttypes.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cuda/cuda_rows.h"
#include "kernels/infer.h"

static weir_status shape_check(const struct weir_op_shapes *shapes)
{
    char text[WEIR_SHAPE_TEXT];
    const struct weir_shape *qkv = &shapes->inputs[0];
    int64_t heads = shapes->attr->n_heads;
    weir_status status = weir_infer_count(shapes, "attention", 1);
    if (!status)
        status = weir_infer_input(shapes, "attention", 0, 3, WEIR_DTYPE_F32);
    if (status)
        return status;
    if (heads < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'attention' has %" PRId64 " heads, it should have at least 1", heads);
    if (qkv->n_dims != 3 || qkv->dims[2] % (3 * heads) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'attention' is %s, it should be (samples, positions, 3 * width) "
                         "with a width that %" PRId64 " heads divide", weir_shape_str(qkv, text), heads);
    return WEIR_OK;
}

static weir_status infer(struct weir_op_shapes *shapes)
{
    weir_status status = shape_check(shapes);
    if (status)
        return status;
    int64_t samples = shapes->inputs[0].dims[0], positions = shapes->inputs[0].dims[1];
    int64_t width = shapes->inputs[0].dims[2] / 3, heads = shapes->attr->n_heads;
    status = weir_infer_dropout(shapes, "attention", (double)heads * (double)positions * (double)positions);
    if (status)
        return status;
    shapes->output = shapes->inputs[0];
    shapes->output.dims[2] = width;
    shapes->n_params = 0;
    shapes->saved_bytes = (size_t)(samples * heads * positions) * sizeof(float);
    double pairs = (double)samples * (double)positions * (double)(positions + 1) / 2;
    shapes->flops[WEIR_FORWARD] = pairs * (4.0 * (double)width + 20.0 * (double)heads);
    shapes->flops[WEIR_BACKWARD_INPUT] = pairs * (10.0 * (double)width + 25.0 * (double)heads);
    shapes->flops[WEIR_BACKWARD_WEIGHT] = 0;
    weir_infer_bytes(shapes);
    return WEIR_OK;
}

const struct weir_op weir_op_attention = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "attention",
    .summary = "causal multi-head attention, scores in blocks of rows",
    .input_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_SAVED,
    .infer = infer,
    .cpu = {weir_cpu_attention_forward, weir_cpu_attention_backward_input, NULL, weir_cpu_attention_scratch, NULL},
    .cuda = WEIR_CUDA_ROW(weir_cuda_attention_forward, weir_cuda_attention_backward_input, NULL,
                          weir_cuda_attention_scratch, NULL),
};
