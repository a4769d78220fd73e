/* last_row: (1, T, C) ─▶ (1, 1, C), the last row that is part of the sequence: only it decides the next token.  Forward
 * only. */
#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status infer(struct weir_op_shapes *shapes)
{
    char text[WEIR_SHAPE_TEXT];
    weir_status status = weir_infer_count(shapes, "last_row", 1);
    if (!status)
        status = weir_infer_input(shapes, "last_row", 0, 3, WEIR_DTYPE_F32);
    if (status)
        return status;
    if (shapes->inputs[0].n_dims != 3 || shapes->inputs[0].dims[0] != 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'last_row' is %s, it should be (1, positions, width)",
                         weir_shape_str(&shapes->inputs[0], text));
    shapes->output = shapes->inputs[0];
    shapes->output.dims[1] = 1;
    weir_infer_bytes(shapes);
    return WEIR_OK;
}

const struct weir_op weir_op_last_row = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "last_row",
    .summary = "the last row of a sequence",
    .infer = infer,
};
