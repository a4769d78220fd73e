/* gelu_tanh, gelu_erf, relu, silu: y = f(x) and dx = addend + f'(x) dy.
 *
 * gelu_tanh needs no tanh: (1 + tanh u) / 2 is the logistic function of 2u. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vmath.h"

typedef float (*scalar_fn)(float x);
typedef void (*forward_fn)(int64_t n, const float *x, float *y);
typedef void (*backward_fn)(int64_t n, const float *x, const float *dy, const float *addend, float *dx);

/* f and g are constants at every use, so they are inlined into the loops. */
WEIR_INLINE void map(int64_t n, const float *x, float *y, scalar_fn f)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        y[i] = f(x[i]);
}

WEIR_INLINE void chain(int64_t n, const float *x, const float *dy, const float *addend, float *dx, scalar_fn g)
{
    if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            dx[i] = addend[i] + g(x[i]) * dy[i];
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            dx[i] = g(x[i]) * dy[i];
    }
}

#define GELU_SCALE 1.59576912160573071f /* 2 sqrt(2 / pi) */

WEIR_INLINE float gelu_tanh(float x)
{
    return x * weir_sigmoid(GELU_SCALE * (x + 0.044715f * x * x * x));
}

WEIR_INLINE float gelu_tanh_slope(float x)
{
    float s = weir_sigmoid(GELU_SCALE * (x + 0.044715f * x * x * x));
    return s + x * s * (1.0f - s) * (GELU_SCALE * (1.0f + 3 * 0.044715f * x * x));
}

WEIR_INLINE float gelu_erf(float x)
{
    float density;
    return x * weir_normal_cdf(x, &density);
}

WEIR_INLINE float gelu_erf_slope(float x)
{
    float density, cdf = weir_normal_cdf(x, &density);
    return cdf + x * density;
}

WEIR_INLINE float relu(float x)
{
    return x <= 0.0f ? 0.0f : x; /* NaN stays */
}

WEIR_INLINE float relu_slope(float y)
{
    return y > 0.0f ? 1.0f : y; /* 0, or NaN */
}

WEIR_INLINE float silu(float x)
{
    return x * weir_sigmoid(x);
}

WEIR_INLINE float silu_slope(float x)
{
    float s = weir_sigmoid(x);
    return s + x * s * (1.0f - s);
}

WEIR_KERNEL static void gelu_tanh_map(int64_t n, const float *x, float *y)
{
    map(n, x, y, gelu_tanh);
}

WEIR_KERNEL static void gelu_tanh_chain(int64_t n, const float *x, const float *dy, const float *addend, float *dx)
{
    chain(n, x, dy, addend, dx, gelu_tanh_slope);
}

WEIR_KERNEL static void gelu_erf_map(int64_t n, const float *x, float *y)
{
    map(n, x, y, gelu_erf);
}

WEIR_KERNEL static void gelu_erf_chain(int64_t n, const float *x, const float *dy, const float *addend, float *dx)
{
    chain(n, x, dy, addend, dx, gelu_erf_slope);
}

WEIR_KERNEL static void relu_map(int64_t n, const float *x, float *y)
{
    map(n, x, y, relu);
}

WEIR_KERNEL static void relu_chain(int64_t n, const float *x, const float *dy, const float *addend, float *dx)
{
    chain(n, x, dy, addend, dx, relu_slope);
}

WEIR_KERNEL static void silu_map(int64_t n, const float *x, float *y)
{
    map(n, x, y, silu);
}

WEIR_KERNEL static void silu_chain(int64_t n, const float *x, const float *dy, const float *addend, float *dx)
{
    chain(n, x, dy, addend, dx, silu_slope);
}

struct job {
    forward_fn forward;
    backward_fn backward;
    bool bf16;
    int64_t n;
    const void *x, *dy, *addend;
    void *out;
};

static void task_run(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *job = argument;
    float room[4][WEIR_ROOM];
    int64_t first = task * WEIR_TASK_ELEMENTS, end = first + weir_task_size(job->n, WEIR_TASK_ELEMENTS, task);
    for (int64_t n, at = first; at < end; at += n) {
        n = weir_part(job->bf16, end - at);
        const float *x = weir_floats(job->bf16, job->x, at, n, room[0]);
        float *out = weir_floats_out(job->bf16, job->out, at, room[3]);
        if (job->forward)
            job->forward(n, x, out);
        else
            job->backward(n, x, weir_floats(job->bf16, job->dy, at, n, room[1]),
                          weir_floats(job->bf16, job->addend, at, n, room[2]), out);
        weir_floats_end(job->bf16, job->out, at, n, out);
    }
}

static weir_status forward_run(const struct weir_op_call *call, forward_fn fn)
{
    const struct job job = {.forward = fn, .bf16 = weir_tensor_bf16(&call->output), .n = weir_tensor_elements(&call->output),
                            .x = call->inputs[0].data, .out = call->output.data};
    weir_parallel(call->context, weir_task_count(job.n, WEIR_TASK_ELEMENTS), task_run, &job);
    return WEIR_OK;
}

static weir_status backward_run(const struct weir_op_call *call, const void *x, backward_fn fn)
{
    const struct job job = {.backward = fn, .bf16 = weir_tensor_bf16(&call->d_output),
                            .n = weir_tensor_elements(&call->d_output), .x = x, .dy = call->d_output.data,
                            .addend = call->addends[0], .out = call->d_inputs[0].data};
    weir_parallel(call->context, weir_task_count(job.n, WEIR_TASK_ELEMENTS), task_run, &job);
    return WEIR_OK;
}

weir_status weir_cpu_gelu_tanh_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return forward_run(call, gelu_tanh_map);
}

weir_status weir_cpu_gelu_tanh_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return backward_run(call, call->inputs[0].data, gelu_tanh_chain);
}

weir_status weir_cpu_gelu_erf_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return forward_run(call, gelu_erf_map);
}

weir_status weir_cpu_gelu_erf_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return backward_run(call, call->inputs[0].data, gelu_erf_chain);
}

weir_status weir_cpu_relu_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return forward_run(call, relu_map);
}

weir_status weir_cpu_relu_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return backward_run(call, call->output.data, relu_chain);
}

weir_status weir_cpu_silu_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return forward_run(call, silu_map);
}

weir_status weir_cpu_silu_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return backward_run(call, call->inputs[0].data, silu_chain);
}
