/* add (residual connections) and dropout.  A sample is one index of the first dimension. */
#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status add_infer(struct weir_op_shapes *shapes)
{
    char text[2][WEIR_SHAPE_TEXT];
    if (shapes->n_inputs < 2 || shapes->n_inputs > 3)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'add' has %d inputs, it takes 2 or 3", shapes->n_inputs);
    for (int i = 0; i < shapes->n_inputs; i++) {
        weir_status status = weir_infer_input(shapes, "add", i, 1, WEIR_DTYPE_F32);
        if (status)
            return status;
        if (!weir_shapes_equal(&shapes->inputs[0], &shapes->inputs[i]))
            return WEIR_FAIL(WEIR_ERR_INVALID, "input %d of 'add' is %s, it should be %s as input 0 is", i,
                             weir_shape_str(&shapes->inputs[i], text[0]), weir_shape_str(&shapes->inputs[0], text[1]));
    }
    shapes->output = shapes->inputs[0];
    shapes->n_params = 0;
    shapes->saved_bytes = 0;
    shapes->flops[WEIR_FORWARD] = (double)weir_shape_elements(&shapes->output) * (shapes->n_inputs - 1);
    shapes->flops[WEIR_BACKWARD_INPUT] = shapes->flops[WEIR_BACKWARD_WEIGHT] = 0;
    weir_infer_bytes(shapes);
    shapes->bytes[WEIR_BACKWARD_INPUT] = 0;
    return WEIR_OK;
}

static weir_status dropout_infer(struct weir_op_shapes *shapes)
{
    const struct weir_dropout_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, "dropout");
    if (!status)
        status = weir_infer_elementwise(shapes, "dropout", 25);
    if (status)
        return status;
    return weir_infer_dropout(attr->dropout, "dropout",
                              (double)weir_shape_elements(&shapes->output) / (double)shapes->output.dims[0]);
}

const struct weir_op weir_op_add = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "add",
    .summary = "sum of the inputs",
    .flags = WEIR_OP_SUM | WEIR_OP_SLICES,
    .infer = add_infer,
};

const struct weir_op weir_op_dropout = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "dropout",
    .summary = "zeroes elements with a probability, scales the others",
    .flags = WEIR_OP_SLICES,
    .infer = dropout_infer,
    .attr_bytes = sizeof(struct weir_dropout_attr),
};
