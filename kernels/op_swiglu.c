/* swiglu: gate, up ─▶ silu(gate) up, element-wise (Shazeer, "GLU variants improve transformer", 2020). */
#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status infer(struct weir_op_shapes *shapes)
{
    char a[WEIR_SHAPE_TEXT], b[WEIR_SHAPE_TEXT];
    weir_status status = weir_infer_count(shapes, "swiglu", 2);
    for (int i = 0; i < 2 && !status; i++)
        status = weir_infer_input(shapes, "swiglu", i, 1, WEIR_DTYPE_F32);
    if (status)
        return status;
    if (!weir_shapes_equal(&shapes->inputs[0], &shapes->inputs[1]))
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 1 of 'swiglu' is %s, it should be %s",
                         weir_shape_str(&shapes->inputs[1], a), weir_shape_str(&shapes->inputs[0], b));
    shapes->output = shapes->inputs[0];
    shapes->n_params = 0;
    shapes->saved_bytes = 0;
    double n = (double)weir_shape_elements(&shapes->output);
    shapes->flops[WEIR_FORWARD] = n * 21;
    shapes->flops[WEIR_BACKWARD_INPUT] = n * 46;
    shapes->flops[WEIR_BACKWARD_WEIGHT] = 0;
    weir_infer_bytes(shapes);
    return WEIR_OK;
}

const struct weir_op weir_op_swiglu = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "swiglu",
    .summary = "a gate's SiLU times the other input",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_INPUT_1,
    .infer = infer,
};
