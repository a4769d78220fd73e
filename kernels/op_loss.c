/* cross_entropy and mse.  No attributes.
 *
 *     cross_entropy   sum over rows of log(sum of e^logit) - logit[target];  gradient (softmax - onehot) * loss_scale
 *     mse             sum over rows of the mean of (prediction - target)^2;  gradient 2/V (prediction - target) * loss_scale
 *
 * The gradient is written by forward, chunk by chunk, over the logits themselves when d_inputs[0] is inputs[0]. */
#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status loss_infer(struct weir_op_shapes *shapes, const char *row, enum weir_dtype target_dtype,
                              const struct weir_shape *target, double flops_per_element)
{
    char text[2][WEIR_SHAPE_TEXT];
    weir_status status = weir_infer_input(shapes, row, 1, 1, target_dtype);
    if (status)
        return status;
    if (!weir_shapes_equal(target, &shapes->inputs[1]))
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 1 of '%s' is %s, it should be %s", row,
                         weir_shape_str(&shapes->inputs[1], text[0]), weir_shape_str(target, text[1]));
    shapes->output = (struct weir_shape){1, {1}, WEIR_DTYPE_F64};
    shapes->n_params = 0;
    shapes->saved_bytes = 0;
    shapes->flops[WEIR_FORWARD] = flops_per_element * (double)weir_shape_elements(&shapes->inputs[0]);
    shapes->flops[WEIR_BACKWARD_INPUT] = shapes->flops[WEIR_BACKWARD_WEIGHT] = 0;
    weir_infer_bytes(shapes);
    shapes->bytes[WEIR_FORWARD] += (double)weir_shape_bytes(&shapes->inputs[0]); /* the gradient */
    shapes->bytes[WEIR_BACKWARD_INPUT] = 0;
    return WEIR_OK;
}

static weir_status cross_entropy_infer(struct weir_op_shapes *shapes)
{
    weir_status status = weir_infer_count(shapes, "cross_entropy", 2);
    if (!status)
        status = weir_infer_input(shapes, "cross_entropy", 0, 2, WEIR_DTYPE_F32);
    if (status)
        return status;
    struct weir_shape target = shapes->inputs[0];
    target.n_dims--;
    target.dtype = WEIR_DTYPE_I32;
    return loss_infer(shapes, "cross_entropy", WEIR_DTYPE_I32, &target, 45);
}

static weir_status mse_infer(struct weir_op_shapes *shapes)
{
    weir_status status = weir_infer_count(shapes, "mse", 2);
    if (!status)
        status = weir_infer_input(shapes, "mse", 0, 1, WEIR_DTYPE_F32);
    if (status)
        return status;
    return loss_infer(shapes, "mse", WEIR_DTYPE_F32, &shapes->inputs[0], 4);
}

const struct weir_op weir_op_cross_entropy = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "cross_entropy",
    .summary = "softmax cross-entropy, fused with its gradient",
    .flags = WEIR_OP_LOSS | WEIR_OP_SLICES,
    .infer = cross_entropy_infer,
};

const struct weir_op weir_op_mse = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "mse",
    .summary = "mean squared error over the last dimension, summed over rows",
    .flags = WEIR_OP_LOSS,
    .infer = mse_infer,
};
