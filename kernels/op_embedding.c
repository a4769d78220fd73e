/* embedding: tokens i32 (B, T) ─▶ (B, T, C) = wte[token] + wpe[position]. */
#include <inttypes.h>

#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status attr_check(const struct weir_op_shapes *shapes)
{
    const struct weir_embedding_attr *attr = shapes->attr;
    weir_status status = weir_infer_attr(shapes, "embedding");
    if (!status)
        status = weir_infer_count(shapes, "embedding", 1);
    if (!status)
        status = weir_infer_input(shapes, "embedding", 0, 2, WEIR_DTYPE_I32);
    if (status)
        return status;
    char text[WEIR_SHAPE_TEXT];
    if (shapes->inputs[0].n_dims != 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'embedding' is %s, it should be (samples, positions) i32",
                         weir_shape_str(&shapes->inputs[0], text));
    if (attr->vocabulary < 1 || attr->out_features < 1 || attr->n_positions < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'embedding' has %" PRId64 " tokens of width %" PRId64 " and %" PRId64
                         " positions, it should have at least 1, 1 and 0", attr->vocabulary, attr->out_features,
                         attr->n_positions);
    if (attr->n_positions && shapes->inputs[0].dims[1] > attr->n_positions - shapes->first_position)
        return WEIR_FAIL(WEIR_ERR_INVALID, "input 0 of 'embedding' has %" PRId64 " positions, the table has %" PRId64
                         ": use a shorter " WEIR_OPTION("seq_len"), shapes->first_position + shapes->inputs[0].dims[1],
                         attr->n_positions);
    return WEIR_OK;
}

static weir_status infer(struct weir_op_shapes *shapes)
{
    weir_status status = attr_check(shapes);
    if (status)
        return status;
    const struct weir_embedding_attr *attr = shapes->attr;
    const struct weir_shape *tokens = &shapes->inputs[0];
    shapes->output = (struct weir_shape){3, {tokens->dims[0], tokens->dims[1], attr->out_features}, shapes->storage};
    shapes->n_params = attr->n_positions ? 2 : 1;
    shapes->params[0] = (struct weir_shape){2, {attr->vocabulary, attr->out_features}, shapes->storage};
    shapes->params[1] = (struct weir_shape){2, {attr->n_positions, attr->out_features}, shapes->storage};
    shapes->saved_bytes = 0;
    double n = (double)weir_shape_elements(&shapes->output), output = (double)weir_shape_bytes(&shapes->output);
    double tables = (double)shapes->n_params;
    shapes->flops[WEIR_FORWARD] = n * (tables - 1);
    shapes->flops[WEIR_BACKWARD_INPUT] = 0;
    shapes->flops[WEIR_BACKWARD_WEIGHT] = n * tables;
    shapes->bytes[WEIR_FORWARD] = output * (1 + tables); /* only the rows that are looked up */
    shapes->bytes[WEIR_BACKWARD_INPUT] = 0;
    shapes->bytes[WEIR_BACKWARD_WEIGHT] = output + n * sizeof(float) * 2 * tables;
    return WEIR_OK;
}

const struct weir_op weir_op_embedding = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "embedding",
    .summary = "token and position vectors",
    .flags = WEIR_OP_SLICES,
    .weight_needs = WEIR_NEEDS_INPUT_0,
    .infer = infer,
    .attr_bytes = sizeof(struct weir_embedding_attr),
};
