/* layer_norm and rms_norm.  One code for both: rms_norm has mean 0 and no bias.
 *
 *     xhat = (x - mean) * r,   y = xhat * gain + bias,   g = dy * gain
 *     layer_norm   dx = r (g - mean(g) - xhat mean(g xhat))
 *     rms_norm     dx = r (g           - xhat mean(g xhat))
 *     dgain = sum over rows of dy xhat,   dbias = sum over rows of dy
 *
 * saved: layer_norm (rows, 2) mean and r; rms_norm (rows) r. */
#include <math.h>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum { ROWS_PER_TASK = 16 };

struct job {
    const struct weir_op_call *call;
    bool centred; /* layer_norm */
    int64_t rows, columns;
    const float *x, *dy, *gain, *bias, *addend;
    float *out, *saved;
};

/* Mean of x. */
WEIR_INLINE float row_mean(int64_t n, const float *x)
{
    weir_f8 sum[2] = {{0}, {0}}, v;
    int64_t i = 0;
    for (; i + 2 * WEIR_LANES <= n; i += 2 * WEIR_LANES) {
        sum[0] += *(const weir_f8_memory *)(x + i);
        sum[1] += *(const weir_f8_memory *)(x + i + WEIR_LANES);
    }
    for (; i < n; i += WEIR_LANES) {
        weir_load(&v, x + i, n - i);
        sum[0] += v;
    }
    sum[0] += sum[1];
    return weir_lanes_sum(&sum[0]) / (float)n;
}

/* Mean of (x - mean)^2. */
WEIR_INLINE float row_variance(int64_t n, const float *x, float mean)
{
    weir_f8 sum[2] = {{0}, {0}};
    int64_t i = 0;
    for (; i + 2 * WEIR_LANES <= n; i += 2 * WEIR_LANES) {
        weir_f8 v = *(const weir_f8_memory *)(x + i) - mean;
        weir_f8 w = *(const weir_f8_memory *)(x + i + WEIR_LANES) - mean;
        sum[0] += v * v;
        sum[1] += w * w;
    }
    sum[0] += sum[1];
    float total = weir_lanes_sum(&sum[0]);
    for (; i < n; i++)
        total += (x[i] - mean) * (x[i] - mean);
    return total / (float)n;
}

WEIR_KERNEL static void row_forward(int64_t n, const float *x, const float *gain, const float *bias, float eps,
                                    bool centred, float *mean_out, float *r_out, float *y)
{
    float mean = centred ? row_mean(n, x) : 0.0f;
    float r = 1.0f / sqrtf(row_variance(n, x, mean) + eps);
    *mean_out = mean;
    *r_out = r;
    if (bias) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * r * gain[i] + bias[i];
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * r * gain[i];
    }
}

WEIR_KERNEL static void row_backward(int64_t n, const float *x, const float *dy, const float *gain, float mean, float r,
                                     bool centred, const float *addend, float *dx)
{
    weir_f8 sums = {0}, products = {0}, v, d, w;
    int64_t whole = n / WEIR_LANES * WEIR_LANES;
    for (int64_t i = 0; i < whole; i += WEIR_LANES) {
        weir_f8 g = *(const weir_f8_memory *)(dy + i) * *(const weir_f8_memory *)(gain + i);
        sums += g;
        products += g * ((*(const weir_f8_memory *)(x + i) - mean) * r);
    }
    if (whole < n) {
        weir_load(&v, x + whole, n - whole);
        weir_load(&d, dy + whole, n - whole);
        weir_load(&w, gain + whole, n - whole);
        sums += d * w;
        products += d * w * ((v - mean) * r);
    }
    float a = centred ? weir_lanes_sum(&sums) / (float)n : 0.0f, b = weir_lanes_sum(&products) / (float)n;
    if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            dx[i] = addend[i] + r * (dy[i] * gain[i] - a - (x[i] - mean) * r * b);
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            dx[i] = r * (dy[i] * gain[i] - a - (x[i] - mean) * r * b);
    }
}

static void forward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *job = argument;
    int64_t n = job->columns, end = task * ROWS_PER_TASK + weir_task_size(job->rows, ROWS_PER_TASK, task);
    for (int64_t row = task * ROWS_PER_TASK; row < end; row++) {
        float none, *s = job->saved + row * (job->centred ? 2 : 1);
        row_forward(n, job->x + row * n, job->gain, job->bias, (float)job->call->attr->eps, job->centred,
                    job->centred ? s : &none, job->centred ? s + 1 : s, job->out + row * n);
    }
}

static void backward_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *job = argument;
    int64_t n = job->columns, end = task * ROWS_PER_TASK + weir_task_size(job->rows, ROWS_PER_TASK, task);
    for (int64_t row = task * ROWS_PER_TASK; row < end; row++) {
        const float *s = job->saved + row * (job->centred ? 2 : 1);
        row_backward(n, job->x + row * n, job->dy + row * n, job->gain, job->centred ? s[0] : 0.0f,
                     job->centred ? s[1] : s[0], job->centred, job->addend ? job->addend + row * n : NULL,
                     job->out + row * n);
    }
}

WEIR_KERNEL static void gain_row(int64_t n, const float *x, const float *dy, float mean, float r, float *sums)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        sums[i] += dy[i] * ((x[i] - mean) * r);
}

static void gain_add(const void *argument, int64_t row, int64_t column, int64_t n, float *sums)
{
    const struct job *job = argument;
    const float *s = job->saved + row * (job->centred ? 2 : 1);
    int64_t at = row * job->columns + column;
    gain_row(n, job->x + at, job->dy + at, job->centred ? s[0] : 0.0f, job->centred ? s[1] : s[0], sums);
}

static void bias_add(const void *argument, int64_t row, int64_t column, int64_t n, float *sums)
{
    const struct job *job = argument;
    weir_columns_add(n, job->dy + row * job->columns + column, sums);
}

static struct job job_make(const struct weir_op_call *call, bool centred)
{
    int64_t columns = call->inputs[0].shape[call->inputs[0].n_dims - 1];
    return (struct job){.call = call, .centred = centred, .rows = weir_tensor_elements(&call->inputs[0]) / columns,
                        .columns = columns, .x = call->inputs[0].data, .dy = call->d_output.data,
                        .gain = call->params[0].data, .bias = call->n_params > 1 ? call->params[1].data : NULL,
                        .addend = call->addends[0], .saved = call->saved};
}

static weir_status norm_forward(const struct weir_op_call *call, bool centred)
{
    struct job job = job_make(call, centred);
    job.out = call->output.data;
    weir_parallel(call->context, weir_task_count(job.rows, ROWS_PER_TASK), forward_task, &job);
    return WEIR_OK;
}

static weir_status norm_backward_input(const struct weir_op_call *call, bool centred)
{
    struct job job = job_make(call, centred);
    job.out = call->d_inputs[0].data;
    weir_parallel(call->context, weir_task_count(job.rows, ROWS_PER_TASK), backward_task, &job);
    return WEIR_OK;
}

static weir_status norm_backward_weight(const struct weir_op_call *call, bool centred)
{
    struct job job = job_make(call, centred);
    weir_column_sums(call->context, job.rows, job.columns, gain_add, &job, call->accumulate, call->d_params[0].data);
    if (call->n_params > 1)
        weir_column_sums(call->context, job.rows, job.columns, bias_add, &job, call->accumulate,
                         call->d_params[1].data);
    return WEIR_OK;
}

weir_status weir_cpu_layer_norm_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return norm_forward(call, true);
}

weir_status weir_cpu_layer_norm_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return norm_backward_input(call, true);
}

weir_status weir_cpu_layer_norm_backward_weight(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return norm_backward_weight(call, true);
}

weir_status weir_cpu_rms_norm_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return norm_forward(call, false);
}

weir_status weir_cpu_rms_norm_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return norm_backward_input(call, false);
}

weir_status weir_cpu_rms_norm_backward_weight(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return norm_backward_weight(call, false);
}
