/* gelu_tanh, gelu_erf, relu, silu: element-wise, no attributes.
 *
 *     gelu_erf    x Phi(x)                                                     Hendrycks, Gimpel, 2016
 *     gelu_tanh   x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))                the same paper's approximation
 *     silu        x / (1 + e^-x)                                               Elfwing, Uchibe, Doya, 2017 */
#include "kernels/infer.h"
#include "kernels/op_rows.h"

static weir_status gelu_tanh_infer(struct weir_op_shapes *shapes)
{
    return weir_infer_elementwise(shapes, "gelu_tanh", 25);
}

static weir_status gelu_erf_infer(struct weir_op_shapes *shapes)
{
    return weir_infer_elementwise(shapes, "gelu_erf", 40);
}

static weir_status relu_infer(struct weir_op_shapes *shapes)
{
    return weir_infer_elementwise(shapes, "relu", 1);
}

static weir_status silu_infer(struct weir_op_shapes *shapes)
{
    return weir_infer_elementwise(shapes, "silu", 20);
}

const struct weir_op weir_op_gelu_tanh = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "gelu_tanh",
    .summary = "GELU in its tanh approximation",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0,
    .infer = gelu_tanh_infer,
};

const struct weir_op weir_op_gelu_erf = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "gelu_erf",
    .summary = "GELU, x times the normal distribution function",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0,
    .infer = gelu_erf_infer,
};

const struct weir_op weir_op_relu = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "relu",
    .summary = "max(x, 0)",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_OUTPUT,
    .infer = relu_infer,
};

const struct weir_op weir_op_silu = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "silu",
    .summary = "x times the logistic function of x",
    .flags = WEIR_OP_SLICES,
    .input_needs = WEIR_NEEDS_INPUT_0,
    .infer = silu_infer,
};
