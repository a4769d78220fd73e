/* linear: (.., I) ─▶ (.., O).  O is out_features. */
#include <inttypes.h>

#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status infer(struct weir_op_shapes *shapes)
{
    const struct weir_linear_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, "linear");
    if (!status)
        status = weir_infer_count(shapes, "linear", 1);
    if (!status)
        status = weir_infer_input(shapes, "linear", 0, 1, WEIR_DTYPE_F32);
    if (status)
        return status;
    if (attr->out_features < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'linear' has %" PRId64 " output features, it should have at least 1",
                         attr->out_features);
    int64_t in = weir_shape_last(&shapes->inputs[0]), out = attr->out_features;
    shapes->output = shapes->inputs[0];
    shapes->output.dims[shapes->output.n_dims - 1] = out;
    shapes->n_params = attr->bias ? 2 : 1;
    shapes->params[0] = (struct weir_shape){2, {attr->in_out ? in : out, attr->in_out ? out : in}, shapes->storage};
    shapes->params[1] = (struct weir_shape){1, {out}, shapes->storage};
    shapes->saved_bytes = 0;
    double rows = (double)weir_shape_elements(&shapes->inputs[0]) / (double)in;
    double product = 2.0 * rows * (double)in * (double)out, bias = attr->bias ? rows * (double)out : 0;
    shapes->flops[WEIR_FORWARD] = product + bias;
    shapes->flops[WEIR_BACKWARD_INPUT] = product;
    shapes->flops[WEIR_BACKWARD_WEIGHT] = product + bias;
    weir_infer_bytes(shapes);
    shapes->bytes[WEIR_BACKWARD_INPUT] -= (double)weir_shape_bytes(&shapes->inputs[0]); /* does not read its input */
    return WEIR_OK;
}

const struct weir_op weir_op_linear = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "linear",
    .summary = "x W^T + bias over the last dimension",
    .flags = WEIR_OP_SLICES,
    .weight_needs = WEIR_NEEDS_INPUT_0,
    .infer = infer,
    .attr_bytes = sizeof(struct weir_linear_attr),
};
