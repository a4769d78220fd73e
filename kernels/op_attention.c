/* attention: q, k, v ─▶ y (B, T, H d), causal, heads side by side.  H is n_heads, K kv_heads.
 *
 *     s = q k^T / sqrt(d),  p = softmax of s over the columns up to the row's own,  y = dropout(p) v
 *
 * One input (B, T, (H + 2K) d) has q, k and v side by side; three inputs have q (B, T, H d), k and v (B, T, K d).  Head h
 * reads head h / (H / K) of k and v.
 * The rows may be a slice of sequences of n_positions, from first_position on: then keys and values of all slices so far
 * are in the cache, (2, B, n_positions, K d) of the inputs' type, and their gradients in cache_gradient, the same in f32.
 * Forwards run in ascending, backwards in descending order of the slices.
 * Saved: log of the sum of e^s per row, (B, H, T).  Probabilities are computed again in the backward (Dao et al.,
 * "FlashAttention", 2022).  Element (head * T + row) * T + column of the sample names a probability's random number. */
#include <inttypes.h>

#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status heads_check(int64_t heads, int64_t kv_heads)
{
    if (heads < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'attention' has %" PRId64 " heads, it should have at least 1", heads);
    if (kv_heads < 1 || heads % kv_heads != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'attention' has %" PRId64 " heads on %" PRId64 " of keys, which should divide "
                         "them", heads, kv_heads);
    return WEIR_OK;
}

static weir_status packed_check(const struct weir_op_shapes *shapes, int64_t heads, int64_t kv_heads)
{
    char text[WEIR_SHAPE_TEXT];
    const struct weir_shape *qkv = &shapes->inputs[0];
    if (qkv->n_dims == 3 && qkv->dims[2] % (heads + 2 * kv_heads) == 0)
        return WEIR_OK;
    if (kv_heads == heads)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'attention' is %s, it should be (samples, positions, 3 * width) "
                         "with a width that %" PRId64 " heads divide", weir_shape_str(qkv, text), heads);
    return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'attention' is %s, it should be (samples, positions, (%" PRId64
                     " + 2 * %" PRId64 ") * width of a head)", weir_shape_str(qkv, text), heads, kv_heads);
}

static weir_status apart_check(const struct weir_op_shapes *shapes, int64_t heads, int64_t kv_heads)
{
    char a[WEIR_SHAPE_TEXT], b[WEIR_SHAPE_TEXT];
    struct weir_shape wanted = shapes->inputs[0];
    if (wanted.n_dims != 3 || wanted.dims[2] % heads != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'attention' is %s, it should be (samples, positions, width) with a "
                         "width that %" PRId64 " heads divide", weir_shape_str(&wanted, a), heads);
    wanted.dims[2] = wanted.dims[2] / heads * kv_heads;
    for (int i = 1; i < 3; i++)
        if (!weir_shapes_equal(&shapes->inputs[i], &wanted))
            return WEIR_FAIL(WEIR_ERR_INVALID, "input %d of 'attention' is %s, it should be %s", i,
                             weir_shape_str(&shapes->inputs[i], a), weir_shape_str(&wanted, b));
    return WEIR_OK;
}

static weir_status shape_check(const struct weir_op_shapes *shapes, int64_t heads, int64_t kv_heads)
{
    weir_status status = weir_infer_count(shapes, "attention", shapes->n_inputs == 3 ? 3 : 1);
    for (int i = 0; i < shapes->n_inputs && !status; i++)
        status = weir_infer_input(shapes, "attention", i, 3, WEIR_DTYPE_F32);
    if (!status)
        status = heads_check(heads, kv_heads);
    if (status)
        return status;
    return shapes->n_inputs == 1 ? packed_check(shapes, heads, kv_heads) : apart_check(shapes, heads, kv_heads);
}

static weir_status slice_check(const struct weir_op_shapes *shapes)
{
    int64_t first = shapes->first_position, whole = shapes->n_positions, rows = shapes->inputs[0].dims[1];
    if (whole ? first >= 0 && first <= whole - rows : !first)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "%" PRId64 " rows of 'attention' from position %" PRId64 " on do not fit sequences of %"
                     PRId64, rows, first, whole);
}

/* What the slices of a sequence hand on to each other. */
static void cache_infer(struct weir_op_shapes *shapes, int64_t kv_width)
{
    struct weir_shape both = {4, {2, shapes->inputs[0].dims[0], shapes->n_positions, kv_width}, shapes->inputs[0].dtype};
    shapes->cache_bytes = weir_shape_bytes(&both);
    both.dtype = WEIR_DTYPE_F32;
    shapes->cache_gradient_bytes = weir_shape_bytes(&both);
}

static weir_status infer(struct weir_op_shapes *shapes)
{
    const struct weir_attention_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, "attention");
    if (status)
        return status;
    int64_t heads = attr->n_heads, kv_heads = attr->kv_heads ? attr->kv_heads : heads;
    status = shape_check(shapes, heads, kv_heads);
    if (!status)
        status = slice_check(shapes);
    if (status)
        return status;
    int64_t samples = shapes->inputs[0].dims[0], positions = shapes->inputs[0].dims[1];
    int64_t parts = shapes->n_inputs == 1 ? heads + 2 * kv_heads : heads;
    int64_t width = shapes->inputs[0].dims[2] / parts * heads;
    double whole = (double)(shapes->n_positions ? shapes->n_positions : positions);
    status = weir_infer_dropout(attr->dropout, "attention", (double)heads * whole * whole);
    if (status)
        return status;
    shapes->output = shapes->inputs[0];
    shapes->output.dims[2] = width;
    shapes->n_params = 0;
    shapes->saved_bytes = (size_t)(samples * heads * positions) * sizeof(float);
    cache_infer(shapes, width / heads * kv_heads);
    double columns = (double)shapes->first_position + (double)(positions + 1) / 2;
    double pairs = (double)samples * (double)positions * columns;
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
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_INPUT_1 | WEIR_NEEDS_INPUT_2 | WEIR_NEEDS_SAVED,
    .infer = infer,
    .attr_bytes = sizeof(struct weir_attention_attr),
};
