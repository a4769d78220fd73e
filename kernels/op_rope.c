/* rope: (B, T, heads d) ─▶ the same.
 *
 *     y_i         = x_i cos(t f_i) - x_{i + d/2} sin(t f_i)          i < d / 2
 *     y_{i + d/2} = x_{i + d/2} cos(t f_i) + x_i sin(t f_i)
 *
 * The two halves of a head are paired, as transformers' Llama pairs them (the paper pairs neighbours). */
#include <inttypes.h>

#include "kernels/infer.h"
#include "kernels/op_rows.h"

static bool scaling_is_fine(const struct weir_rope *r)
{
    bool fine = r->theta > 0 && (r->scaling == WEIR_ROPE_PLAIN || r->factor > 0);
    return fine && (r->scaling != WEIR_ROPE_LLAMA3 || (r->low > 0 && r->high > r->low && r->original > 0));
}

static weir_status infer(struct weir_op_shapes *shapes)
{
    char text[WEIR_SHAPE_TEXT];
    const struct weir_rope_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, "rope");
    if (!status)
        status = weir_infer_elementwise(shapes, "rope", 6);
    if (status)
        return status;
    int64_t heads = attr->n_heads;
    if (heads < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'rope' has %" PRId64 " heads, it should have at least 1", heads);
    if (shapes->inputs[0].n_dims != 3 || shapes->inputs[0].dims[2] % (2 * heads) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'rope' is %s, it should be (samples, positions, heads * width) with "
                         "%" PRId64 " heads of an even width", weir_shape_str(&shapes->inputs[0], text), heads);
    if (!scaling_is_fine(&attr->rope))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'rope' has theta %g and factor %g: theta, factors and lengths should be above "
                         "0, and high above low", attr->rope.theta, attr->rope.factor);
    return WEIR_OK;
}

const struct weir_op weir_op_rope = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "rope",
    .summary = "rotary positions: pairs of a head turned by an angle that grows with the position",
    .flags = WEIR_OP_SLICES,
    .infer = infer,
    .attr_bytes = sizeof(struct weir_rope_attr),
};
