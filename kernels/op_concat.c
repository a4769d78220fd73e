/* concat and split: along the last dimension, which is not the sample, by copying.  The parts of split are its attributes.
 *
 *     concat   a (.., A), b (.., B), .. ─▶ (.., A + B + ..);   d_a, d_b, .. are the columns of d_output
 *     split    (.., A + B + ..) ─▶ a (.., A), b (.., B), ..;   d_input has d_a, d_b, .. side by side */
#include <inttypes.h>

#include "kernels/infer.h"
#include "kernels/op_rows.h"

static void costs_set(struct weir_op_shapes *shapes)
{
    shapes->n_params = 0;
    shapes->saved_bytes = 0;
    for (int pass = 0; pass < WEIR_PASSES; pass++)
        shapes->flops[pass] = 0;
    weir_infer_bytes(shapes);
    shapes->bytes[WEIR_BACKWARD_INPUT] = shapes->bytes[WEIR_FORWARD];
}

/* All dimensions but the last. */
static bool rows_equal(const struct weir_shape *a, const struct weir_shape *b)
{
    struct weir_shape narrow = *b;
    narrow.dims[narrow.n_dims - 1] = weir_shape_last(a);
    return weir_shapes_equal(a, &narrow);
}

static weir_status concat_infer(struct weir_op_shapes *shapes)
{
    char text[2][WEIR_SHAPE_TEXT];
    if (shapes->n_inputs < 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'concat' has %d inputs, it takes 2 to %d", shapes->n_inputs, WEIR_OP_INPUTS);
    int64_t width = 0;
    for (int i = 0; i < shapes->n_inputs; i++) {
        weir_status status = weir_infer_input(shapes, "concat", i, 2, WEIR_DTYPE_F32);
        if (status)
            return status;
        if (!rows_equal(&shapes->inputs[0], &shapes->inputs[i]))
            return WEIR_FAIL(WEIR_ERR_INVALID, "input %d of 'concat' is %s, all but its last dimension should be as in input 0, %s", i,
                             weir_shape_str(&shapes->inputs[i], text[0]), weir_shape_str(&shapes->inputs[0], text[1]));
        if (__builtin_add_overflow(width, weir_shape_last(&shapes->inputs[i]), &width))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'concat' has more than 2^63 - 1 columns");
    }
    shapes->output = shapes->inputs[0];
    shapes->output.dims[shapes->output.n_dims - 1] = width;
    costs_set(shapes);
    return WEIR_OK;
}

static weir_status split_infer(struct weir_op_shapes *shapes)
{
    char text[WEIR_SHAPE_TEXT];
    const struct weir_split_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, "split");
    if (!status)
        status = weir_infer_count(shapes, "split", 1);
    if (!status)
        status = weir_infer_input(shapes, "split", 0, 2, WEIR_DTYPE_F32);
    if (status)
        return status;
    const int64_t *parts = attr->parts;
    int64_t left = weir_shape_last(&shapes->inputs[0]);
    int n = 0;
    for (; n < WEIR_OP_OUTPUTS && parts[n]; left -= parts[n++]) {
        if (parts[n] < 0 || parts[n] > left)
            return WEIR_FAIL(WEIR_ERR_INVALID, "part %d of 'split' is %" PRId64 " wide, of input 0, %s, %" PRId64 " are left", n, parts[n],
                             weir_shape_str(&shapes->inputs[0], text), left);
        shapes->outputs[n] = shapes->inputs[0];
        shapes->outputs[n].dims[shapes->outputs[n].n_dims - 1] = parts[n];
    }
    if (n < 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'split' has %d parts, it makes 2 to %d: give their sizes in the last dimension", n,
                         WEIR_OP_OUTPUTS);
    if (left)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the %d parts of 'split' leave %" PRId64 " of the last dimension of input 0, %s, over", n, left,
                         weir_shape_str(&shapes->inputs[0], text));
    shapes->n_outputs = n;
    costs_set(shapes);
    return WEIR_OK;
}

const struct weir_op weir_op_concat = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "concat",
    .summary = "the inputs side by side in the last dimension",
    .flags = WEIR_OP_SLICES,
    .infer = concat_infer,
};

const struct weir_op weir_op_split = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "split",
    .summary = "parts of the last dimension as outputs",
    .flags = WEIR_OP_SLICES,
    .infer = split_infer,
    .attr_bytes = sizeof(struct weir_split_attr),
};
