#include "tests/support/odd_rows.h"

#include "kernels/op_rows.h"

#include <math.h>
#include <string.h>

/* ---- rows ----------------------------------------------------------------------------------------------------------- */


static weir_status same_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    return WEIR_OK;
}

static weir_status params_infer(struct weir_op_shapes *shapes, int n)
{
    shapes->output = shapes->inputs[0];
    shapes->n_params = n;
    for (int i = 0; i < n; i++)
        shapes->params[i] = (struct weir_shape){1, {shapes->output.dims[shapes->output.n_dims - 1]}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static weir_status one_infer(struct weir_op_shapes *shapes)
{
    return params_infer(shapes, 1);
}

static weir_status two_infer(struct weir_op_shapes *shapes)
{
    return params_infer(shapes, 2);
}

static weir_status fork_infer(struct weir_op_shapes *shapes)
{
    shapes->outputs[1] = shapes->inputs[0];
    shapes->n_outputs = 2;
    return params_infer(shapes, 1);
}

static weir_status square_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->saved_bytes = weir_shape_bytes(&shapes->output);
    return WEIR_OK;
}

static int64_t width_of(const struct weir_op_call *call)
{
    return call->output.shape[call->output.n_dims - 1];
}

static float addend_at(const struct weir_op_call *call, int input, int64_t i)
{
    return call->addends[input] ? ((const float *)call->addends[input])[i] : 0;
}

/* y = x · gain + shift; without a second parameter the shift is 0 */
static weir_status affine_forward(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data, *gain = call->params[0].data;
    const float *shift = call->n_params > 1 ? call->params[1].data : NULL;
    float *y = call->output.data;
    (void)stream;
    for (int64_t i = 0, c = width_of(call); i < weir_tensor_elements(&call->output); i++)
        y[i] = x[i] * gain[i % c] + (shift ? shift[i % c] : 0);
    return WEIR_OK;
}

static weir_status affine_backward_weight(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data, *dy = call->d_output.data;
    (void)stream;
    for (int p = 0; p < call->n_params; p++) {
        float *d = call->d_params[p].data;
        int64_t c = width_of(call);
        if (!call->accumulate)
            memset(d, 0, sizeof *d * (size_t)c);
        for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
            d[i % c] += p ? dy[i] : dy[i] * x[i];
    }
    return WEIR_OK;
}

static weir_status affine_backward_input(const struct weir_op_call *call, void *stream)
{
    const float *gain = call->params[0].data, *dy = call->d_output.data;
    float *dx = call->d_inputs[0].data;
    (void)stream;
    for (int64_t i = 0, c = width_of(call); dx && i < weir_tensor_elements(&call->output); i++)
        dx[i] = addend_at(call, 0, i) + dy[i] * gain[i % c];
    return WEIR_OK;
}

static weir_status whole_backward(const struct weir_op_call *call, void *stream)
{
    weir_status status = affine_backward_weight(call, stream);
    return status ? status : affine_backward_input(call, stream);
}

/* y = tanh(x): its backward reads its output */
static weir_status tanh_forward(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data;
    float *y = call->output.data;
    (void)stream;
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        y[i] = tanhf(x[i]);
    return WEIR_OK;
}

static weir_status tanh_backward(const struct weir_op_call *call, void *stream)
{
    const float *y = call->output.data, *dy = call->d_output.data;
    float *dx = call->d_inputs[0].data;
    (void)stream;
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        dx[i] = addend_at(call, 0, i) + dy[i] * (1 - y[i] * y[i]);
    return WEIR_OK;
}

/* Two outputs, tanh(x) and x · gain: the backward reads the first, and either may have no gradient */
static weir_status fork_forward(const struct weir_op_call *call, void *stream)
{
    weir_status status = tanh_forward(call, stream);
    const float *x = call->inputs[0].data, *gain = call->params[0].data;
    float *y = call->outputs[1].data;
    for (int64_t i = 0, c = width_of(call); i < weir_tensor_elements(&call->output); i++)
        y[i] = x[i] * gain[i % c];
    return status;
}

static float gradient_at(const struct weir_op_call *call, int output, int64_t i)
{
    return call->d_outputs[output].data ? ((const float *)call->d_outputs[output].data)[i] : 0;
}

static weir_status fork_backward_input(const struct weir_op_call *call, void *stream)
{
    const float *y = call->output.data, *gain = call->params[0].data;
    float *dx = call->d_inputs[0].data;
    (void)stream;
    for (int64_t i = 0, c = width_of(call); dx && i < weir_tensor_elements(&call->output); i++)
        dx[i] = addend_at(call, 0, i) + gradient_at(call, 0, i) * (1 - y[i] * y[i]) + gradient_at(call, 1, i) * gain[i % c];
    return WEIR_OK;
}

/* The gradient of the gain, to be added to. */
static float *gain_gradient(const struct weir_op_call *call)
{
    float *d = call->d_params[0].data;
    if (!call->accumulate)
        memset(d, 0, sizeof *d * (size_t)width_of(call));
    return d;
}

static weir_status fork_backward_weight(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data;
    float *d = gain_gradient(call);
    (void)stream;
    for (int64_t i = 0, c = width_of(call); i < weir_tensor_elements(&call->output); i++)
        d[i % c] += gradient_at(call, 1, i) * x[i];
    return WEIR_OK;
}

/* y = tanh(x · gain): the gradient of the gain reads input and output */
static weir_status bend_forward(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data, *gain = call->params[0].data;
    float *y = call->output.data;
    (void)stream;
    for (int64_t i = 0, c = width_of(call); i < weir_tensor_elements(&call->output); i++)
        y[i] = tanhf(x[i] * gain[i % c]);
    return WEIR_OK;
}

static weir_status bend_backward_input(const struct weir_op_call *call, void *stream)
{
    const float *y = call->output.data, *gain = call->params[0].data, *dy = call->d_output.data;
    float *dx = call->d_inputs[0].data;
    (void)stream;
    for (int64_t i = 0, c = width_of(call); dx && i < weir_tensor_elements(&call->output); i++)
        dx[i] = addend_at(call, 0, i) + dy[i] * (1 - y[i] * y[i]) * gain[i % c];
    return WEIR_OK;
}

static weir_status bend_backward_weight(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data, *y = call->output.data, *dy = call->d_output.data;
    float *d = gain_gradient(call);
    (void)stream;
    for (int64_t i = 0, c = width_of(call); i < weir_tensor_elements(&call->output); i++)
        d[i % c] += dy[i] * (1 - y[i] * y[i]) * x[i];
    return WEIR_OK;
}

/* y = x² / 2: its backward reads what it saved */
static weir_status square_forward(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data;
    float *y = call->output.data;
    (void)stream;
    memcpy(call->saved, x, sizeof *x * (size_t)weir_tensor_elements(&call->output));
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        y[i] = 0.5f * x[i] * x[i];
    return WEIR_OK;
}

static weir_status square_backward(const struct weir_op_call *call, void *stream)
{
    const float *saved = call->saved, *dy = call->d_output.data;
    float *dx = call->d_inputs[0].data;
    (void)stream;
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        dx[i] = addend_at(call, 0, i) + dy[i] * saved[i];
    return WEIR_OK;
}

/* y = a · b: its backward reads both inputs and has two sums to add to */
static weir_status product_forward(const struct weir_op_call *call, void *stream)
{
    const float *a = call->inputs[0].data, *b = call->inputs[1].data;
    float *y = call->output.data;
    (void)stream;
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        y[i] = a[i] * b[i];
    return WEIR_OK;
}

static weir_status product_backward(const struct weir_op_call *call, void *stream)
{
    const float *dy = call->d_output.data;
    (void)stream;
    for (int k = 0; k < 2; k++) {
        const float *other = call->inputs[1 - k].data;
        float *dx = call->d_inputs[k].data;
        for (int64_t i = 0; dx && i < weir_tensor_elements(&call->output); i++)
            dx[i] = addend_at(call, k, i) + dy[i] * other[i];
    }
    return WEIR_OK;
}

const struct weir_op odd_op_whole = {
    .struct_bytes = sizeof(struct weir_op), .name = "whole_scale", .flags = WEIR_OP_NO_SPLIT,
    .weight_needs = WEIR_NEEDS_INPUT_0, .infer = one_infer,
    .cpu = {.forward = affine_forward, .backward_input = whole_backward}};

const struct weir_op odd_op_affine = {
    .struct_bytes = sizeof(struct weir_op), .name = "affine", .weight_needs = WEIR_NEEDS_INPUT_0, .infer = two_infer,
    .cpu = {.forward = affine_forward, .backward_input = affine_backward_input,
            .backward_weight = affine_backward_weight}};

const struct weir_op odd_op_tanh = {
    .struct_bytes = sizeof(struct weir_op), .name = "tanh", .input_needs = WEIR_NEEDS_OUTPUT, .infer = same_infer,
    .cpu = {.forward = tanh_forward, .backward_input = tanh_backward}};

const struct weir_op odd_op_fork = {
    .struct_bytes = sizeof(struct weir_op), .name = "fork", .input_needs = WEIR_NEEDS_OUTPUT, .weight_needs = WEIR_NEEDS_INPUT_0,
    .infer = fork_infer,
    .cpu = {.forward = fork_forward, .backward_input = fork_backward_input, .backward_weight = fork_backward_weight}};

const struct weir_op odd_op_bend = {
    .struct_bytes = sizeof(struct weir_op), .name = "bend", .input_needs = WEIR_NEEDS_OUTPUT,
    .weight_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_OUTPUT, .infer = one_infer,
    .cpu = {.forward = bend_forward, .backward_input = bend_backward_input, .backward_weight = bend_backward_weight}};

const struct weir_op odd_op_square = {
    .struct_bytes = sizeof(struct weir_op), .name = "half_square", .input_needs = WEIR_NEEDS_SAVED,
    .infer = square_infer, .cpu = {.forward = square_forward, .backward_input = square_backward}};

const struct weir_op odd_op_product = {
    .struct_bytes = sizeof(struct weir_op), .name = "product",
    .input_needs = WEIR_NEEDS_INPUT_0 | WEIR_NEEDS_INPUT_1, .infer = same_infer,
    .cpu = {.forward = product_forward, .backward_input = product_backward}};

/* ---- nodes ---------------------------------------------------------------------------------------------------------- */

int odd_one(struct weir_graph_builder *b, const struct weir_op *op, const char *name, int x)
{
    return weir_graph_node(b, name, op, NULL, 0, 1, &x, 0, NULL);
}

int odd_two(struct weir_graph_builder *b, const struct weir_op *op, const char *name, int x, int y)
{
    return weir_graph_node(b, name, op, NULL, 0, 2, (int[]){x, y}, 0, NULL);
}

int odd_drop(struct weir_graph_builder *b, const char *name, int x)
{
    struct weir_dropout_attr attr = {.dropout = 0.2};
    return weir_graph_node(b, name, &weir_op_dropout, &attr, sizeof attr, 1, &x, 0, NULL);
}

int odd_dense(struct weir_graph_builder *b, const char *weight, int x, int64_t out)
{
    struct weir_linear_attr attr = {.out_features = out};
    int param = weir_graph_param(b, weight, WEIR_INIT_NORMAL, 0.3, true);
    return weir_graph_node(b, weight, &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &param);
}

int odd_norm(struct weir_graph_builder *b, const char *gain, int x)
{
    struct weir_norm_attr attr = {.eps = 1e-5};
    int param = weir_graph_param(b, gain, WEIR_INIT_CONSTANT, 1, false);
    return weir_graph_node(b, gain, &weir_op_rms_norm, &attr, sizeof attr, 1, &x, 1, &param);
}

int odd_scale(struct weir_graph_builder *b, const char *name, int x)
{
    int param = weir_graph_param(b, name, WEIR_INIT_CONSTANT, 0.9, true);
    return weir_graph_node(b, name, &odd_op_whole, NULL, 0, 1, &x, 1, &param);
}

int odd_fork(struct weir_graph_builder *b, const char *name, int x)
{
    int param = weir_graph_param(b, name, WEIR_INIT_CONSTANT, 0.7, true);
    return weir_graph_node(b, name, &odd_op_fork, NULL, 0, 1, &x, 1, &param);
}

int odd_bend(struct weir_graph_builder *b, const char *name, int x)
{
    int param = weir_graph_param(b, name, WEIR_INIT_CONSTANT, 0.8, true);
    return weir_graph_node(b, name, &odd_op_bend, NULL, 0, 1, &x, 1, &param);
}
