/* swiglu: y = silu(g) u,  dg = addend + silu'(g) u dy,  du = addend + silu(g) dy. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
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

static void forward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct weir_op_call *call = argument;
    float room[3][WEIR_ROOM];
    bool bf16 = weir_tensor_bf16(&call->output);
    int64_t first = task * WEIR_TASK_ELEMENTS;
    int64_t end = first + weir_task_size(weir_tensor_elements(&call->output), WEIR_TASK_ELEMENTS, task);
    for (int64_t n, at = first; at < end; at += n) {
        n = weir_part(bf16, end - at);
        float *y = weir_floats_out(bf16, call->output.data, at, room[2]);
        product(n, weir_floats(bf16, call->inputs[0].data, at, n, room[0]),
                weir_floats(bf16, call->inputs[1].data, at, n, room[1]), y);
        weir_floats_end(bf16, call->output.data, at, n, y);
    }
}

/* Elements at..at+n-1 of both gradients. */
static void backward_part(const struct weir_op_call *call, bool bf16, int64_t at, int64_t n)
{
    float room[4][WEIR_ROOM];
    const float *gate = weir_floats(bf16, call->inputs[0].data, at, n, room[0]);
    const float *up = weir_floats(bf16, call->inputs[1].data, at, n, room[1]);
    const float *dy = weir_floats(bf16, call->d_output.data, at, n, room[2]);
    for (int i = 0; i < 2; i++) {
        void *d = call->d_inputs[i].data;
        if (!d)
            continue;
        const float *addend = weir_floats(bf16, call->addends[i], at, n, room[3]);
        float *out = weir_floats_out(bf16, d, at, room[3]);
        if (i == 0)
            gate_gradient(n, gate, up, dy, addend, out);
        else
            up_gradient(n, gate, dy, addend, out);
        weir_floats_end(bf16, d, at, n, out);
    }
}

static void backward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct weir_op_call *call = argument;
    bool bf16 = weir_tensor_bf16(&call->d_output);
    int64_t first = task * WEIR_TASK_ELEMENTS;
    int64_t end = first + weir_task_size(weir_tensor_elements(&call->d_output), WEIR_TASK_ELEMENTS, task);
    for (int64_t n, at = first; at < end; at += n) {
        n = weir_part(bf16, end - at);
        backward_part(call, bf16, at, n);
    }
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
