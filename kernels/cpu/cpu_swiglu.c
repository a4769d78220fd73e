/* swiglu: y = silu(g) u,  dg = addend + silu'(g) u dy,  du = addend + silu(g) dy. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vmath.h"

WEIR_KERNEL static void product(int64_t n, const float *gate, const float *up, float *y)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = gate[i] * weir_sigmoid(gate[i]) * up[i];
}

WEIR_INLINE float gate_slope(float g)
{
    float s = weir_sigmoid(g);
    return s + g * s * (1.0f - s);
}

WEIR_KERNEL static void gate_gradient(int64_t n, const float *gate, const float *up, const float *dy, const float *addend,
                                      float *d)
{
    if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            d[i] = addend[i] + gate_slope(gate[i]) * up[i] * dy[i];
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            d[i] = gate_slope(gate[i]) * up[i] * dy[i];
    }
}

WEIR_KERNEL static void up_gradient(int64_t n, const float *gate, const float *dy, const float *addend, float *d)
{
    if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            d[i] = addend[i] + gate[i] * weir_sigmoid(gate[i]) * dy[i];
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            d[i] = gate[i] * weir_sigmoid(gate[i]) * dy[i];
    }
}

static const float *floats_at(const void *data, int64_t at)
{
    return data ? (const float *)data + at : NULL;
}

static void forward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct weir_op_call *call = argument;
    int64_t at = task * WEIR_TASK_ELEMENTS;
    int64_t n = weir_task_size(weir_tensor_elements(&call->output), WEIR_TASK_ELEMENTS, task);
    product(n, floats_at(call->inputs[0].data, at), floats_at(call->inputs[1].data, at), (float *)call->output.data + at);
}

static void backward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct weir_op_call *call = argument;
    int64_t at = task * WEIR_TASK_ELEMENTS;
    int64_t n = weir_task_size(weir_tensor_elements(&call->d_output), WEIR_TASK_ELEMENTS, task);
    const float *gate = floats_at(call->inputs[0].data, at), *up = floats_at(call->inputs[1].data, at);
    const float *dy = floats_at(call->d_output.data, at);
    if (call->d_inputs[0].data)
        gate_gradient(n, gate, up, dy, floats_at(call->addends[0], at), (float *)call->d_inputs[0].data + at);
    if (call->d_inputs[1].data)
        up_gradient(n, gate, dy, floats_at(call->addends[1], at), (float *)call->d_inputs[1].data + at);
}

weir_status weir_cpu_swiglu_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    int64_t n = weir_tensor_elements(&call->output);
    weir_parallel(call->context, weir_task_count(n, WEIR_TASK_ELEMENTS), forward_task, call);
    return WEIR_OK;
}

weir_status weir_cpu_swiglu_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    int64_t n = weir_tensor_elements(&call->d_output);
    weir_parallel(call->context, weir_task_count(n, WEIR_TASK_ELEMENTS), backward_task, call);
    return WEIR_OK;
}
