/* layer_norm and rms_norm over the last dimension.
 *
 *     layer_norm   xhat = (x - mean) / sqrt(variance + eps),  y = xhat * gain + bias     saved: mean, 1/sqrt per row
 *     rms_norm     xhat = x / sqrt(mean of x^2 + eps),        y = xhat * gain            saved: 1/sqrt per row
 *
 * Ba, Kiros, Hinton, "Layer Normalization", 2016; Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019. */
#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status norm_infer(struct weir_op_shapes *shapes, const char *row, bool centred)
{
    const struct weir_norm_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, row);
    if (!status)
        status = weir_infer_elementwise(shapes, row, 8);
    if (status)
        return status;
    if (!(attr->eps > 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "eps of '%s' is %g, it should be positive", row, attr->eps);
    int64_t columns = weir_shape_last(&shapes->output), rows = weir_shape_elements(&shapes->output) / columns;
    shapes->n_params = centred && attr->bias ? 2 : 1;
    for (int i = 0; i < shapes->n_params; i++)
        shapes->params[i] = (struct weir_shape){1, {columns}, shapes->storage};
    shapes->saved_bytes = (size_t)(rows * (centred ? 2 : 1)) * sizeof(float);
    shapes->flops[WEIR_BACKWARD_WEIGHT] = 5.0 * (double)(rows * columns);
    weir_infer_bytes(shapes);
    return WEIR_OK;
}

static weir_status layer_norm_infer(struct weir_op_shapes *shapes)
{
    return norm_infer(shapes, "layer_norm", true);
}

static weir_status rms_norm_infer(struct weir_op_shapes *shapes)
{
    return norm_infer(shapes, "rms_norm", false);
}

const struct weir_op weir_op_layer_norm = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "layer_norm",
    .summary = "(x - mean) / deviation * gain + bias over the last dimension",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_SAVED,
    .weight_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_SAVED,
    .infer = layer_norm_infer,
    .attr_bytes = sizeof(struct weir_norm_attr),
};

const struct weir_op weir_op_rms_norm = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "rms_norm",
    .summary = "x / root mean square * gain over the last dimension",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_SAVED,
    .weight_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_SAVED,
    .infer = rms_norm_infer,
    .attr_bytes = sizeof(struct weir_norm_attr),
};
