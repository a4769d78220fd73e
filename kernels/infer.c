#include "kernels/infer.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const dtype_names[] = {"f32", "f64", "i32", "u8", "bf16"};

const char *weir_shape_str(const struct weir_shape *shape, char text[WEIR_SHAPE_TEXT])
{
    int used = snprintf(text, WEIR_SHAPE_TEXT, "(");
    for (int i = 0; i < shape->n_dims; i++)
        used += snprintf(text + used, (size_t)(WEIR_SHAPE_TEXT - used), "%s%" PRId64, i ? ", " : "", shape->dims[i]);
    snprintf(text + used, (size_t)(WEIR_SHAPE_TEXT - used), ") %s", dtype_names[shape->dtype]);
    return text;
}

weir_status weir_infer_count(const struct weir_op_shapes *shapes, const char *row, int n)
{
    if (shapes->n_inputs == n)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %d inputs, it takes %d", row, shapes->n_inputs, n);
}

weir_status weir_infer_input(const struct weir_op_shapes *shapes, const char *row, int index, int min_dims,
                             enum weir_dtype dtype)
{
    char text[WEIR_SHAPE_TEXT];
    const struct weir_shape *shape = &shapes->inputs[index];
    dtype = dtype == WEIR_DTYPE_F32 ? shapes->storage : dtype;
    bool fine = shape->n_dims >= min_dims && shape->n_dims <= WEIR_MAX_DIMS && shape->dtype == dtype;
    for (int i = 0; fine && i < shape->n_dims; i++)
        fine = shape->dims[i] >= 1;
    if (fine)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "input %d of '%s' is %s, it should be %s with at least %d dimensions, none empty",
                     index, row, weir_shape_str(shape, text), dtype_names[dtype], min_dims);
}

weir_status weir_infer_attr(const struct weir_op_shapes *shapes, const char *row)
{
    if (shapes->attr)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no attributes: a row that asks it needs its attr_bytes", row);
}

weir_status weir_infer_dropout(double p, const char *row, double elements_per_sample)
{
    if (!(p >= 0 && p < 1))
        return WEIR_FAIL(WEIR_ERR_INVALID, "dropout of '%s' is %g, it should be at least 0 and less than 1", row, p);
    if (p > 0 && elements_per_sample > 0x1p34)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %.0f elements per sample, dropout can name at most 2^34: use "
                         "shorter sequences or dropout 0", row, elements_per_sample);
    return WEIR_OK;
}

weir_status weir_infer_elementwise(struct weir_op_shapes *shapes, const char *row, double flops_per_element)
{
    weir_status status = weir_infer_count(shapes, row, 1);
    if (!status)
        status = weir_infer_input(shapes, row, 0, 1, WEIR_DTYPE_F32);
    if (status)
        return status;
    shapes->output = shapes->inputs[0];
    shapes->n_params = 0;
    shapes->saved_bytes = 0;
    double n = (double)weir_shape_elements(&shapes->output);
    shapes->flops[WEIR_FORWARD] = n * flops_per_element;
    shapes->flops[WEIR_BACKWARD_INPUT] = n * (flops_per_element + 2);
    shapes->flops[WEIR_BACKWARD_WEIGHT] = 0;
    weir_infer_bytes(shapes);
    return WEIR_OK;
}

void weir_infer_bytes(struct weir_op_shapes *shapes)
{
    double inputs = 0, params = 0, gradients = 0, output = 0;
    for (int i = 0; i < weir_infer_n_outputs(shapes); i++)
        output += (double)weir_shape_bytes(&shapes->outputs[i]);
    for (int i = 0; i < shapes->n_inputs; i++)
        inputs += (double)weir_shape_bytes(&shapes->inputs[i]);
    for (int i = 0; i < shapes->n_params; i++) {
        params += (double)weir_shape_bytes(&shapes->params[i]);
        gradients += (double)weir_shape_elements(&shapes->params[i]) * sizeof(float);
    }
    double saved = (double)shapes->saved_bytes;
    shapes->bytes[WEIR_FORWARD] = inputs + params + output + saved;
    shapes->bytes[WEIR_BACKWARD_INPUT] = output + params + saved + 2 * inputs;
    shapes->bytes[WEIR_BACKWARD_WEIGHT] = shapes->n_params ? output + saved + inputs + gradients : 0;
}
