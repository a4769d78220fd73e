/* attention_cached: attention of rows at the end of a sequence over all of it.  Forward only.
 *
 *     qkv (1, T, (heads + 2 kv_heads) d), or q (1, T, heads d), k and v (1, T, kv_heads d) ─▶ (1, T, heads d)
 *
 * n_positions is the length of the longest sequence.  The call's rows stand at positions
 * p .. p+T-1 of the sequence; their keys and values are put into its cache, then row t attends to positions 0 .. p+t:
 * head h to the keys of head h / (heads / kv_heads) (Ainslie et al., "GQA", 2023).  Rows that stand past the end of the
 * sequence come out as zeros.
 *
 * Cache, of the inputs' type: keys (kv_heads, n_positions, d), then values of the same shape. */
#include <inttypes.h>

#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status heads_check(const struct weir_attention_cached_attr *attr, int64_t kv_heads)
{
    if (attr->n_heads < 1 || attr->n_positions < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'attention_cached' has %" PRId64 " heads and a cache of %" PRId64
                         " positions, it should have at least 1 of each", attr->n_heads, attr->n_positions);
    if (kv_heads < 1 || attr->n_heads % kv_heads)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'attention_cached' has %" PRId64 " heads and %" PRId64
                         " of keys and values, which must divide them", attr->n_heads, kv_heads);
    return WEIR_OK;
}

static weir_status input_check(const struct weir_op_shapes *shapes, int input, int64_t width)
{
    char text[WEIR_SHAPE_TEXT];
    const struct weir_shape *shape = &shapes->inputs[input];
    weir_status status = weir_infer_input(shapes, "attention_cached", input, 3, WEIR_DTYPE_F32);
    if (!status && (shape->n_dims != 3 || shape->dims[0] != 1 || shape->dims[1] != shapes->inputs[0].dims[1] ||
                    shape->dims[2] != width))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "input %d of 'attention_cached' is %s, it should be (1, %" PRId64 ", %" PRId64
                           ")", input, weir_shape_str(shape, text), shapes->inputs[0].dims[1], width);
    return status;
}

static weir_status infer(struct weir_op_shapes *shapes)
{
    const struct weir_attention_cached_attr *attr = shapes->attr;
    bool packed = shapes->n_inputs == 1;
    weir_status status = weir_infer_attr(shapes, "attention_cached");
    if (status)
        return status;
    int64_t heads = attr->n_heads, kv_heads = attr->kv_heads ? attr->kv_heads : heads;
    status = packed ? WEIR_OK : weir_infer_count(shapes, "attention_cached", 3);
    if (!status)
        status = heads_check(attr, kv_heads);
    if (!status)
        status = weir_infer_input(shapes, "attention_cached", 0, 3, WEIR_DTYPE_F32);
    if (status)
        return status;
    int64_t parts = packed ? heads + 2 * kv_heads : heads, d = weir_shape_last(&shapes->inputs[0]) / parts;
    status = input_check(shapes, 0, (d ? d : 1) * parts);
    for (int i = 1; i < shapes->n_inputs && !status; i++)
        status = input_check(shapes, i, d * kv_heads);
    if (status)
        return status;
    shapes->output = shapes->inputs[0];
    shapes->output.dims[2] = heads * d;
    const struct weir_shape cache = {4, {2, kv_heads, attr->n_positions, d}, shapes->inputs[0].dtype};
    shapes->cache_bytes = weir_shape_bytes(&cache);
    shapes->cache_positions = attr->n_positions;
    double pairs = (double)shapes->output.dims[1] * (double)attr->n_positions;
    shapes->flops[WEIR_FORWARD] = pairs * (4.0 * (double)(heads * d) + 20.0 * (double)heads);
    weir_infer_bytes(shapes);
    return WEIR_OK;
}

const struct weir_op weir_op_attention_cached = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "attention_cached",
    .summary = "causal attention over the keys and values of a sequence so far",
    .infer = infer,
    .attr_bytes = sizeof(struct weir_attention_cached_attr),
};
