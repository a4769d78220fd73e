/* layer_norm and rms_norm.  One code for both: rms_norm has mean 0 and no bias.
 *
 *     xhat = (x - mean) * r,   y = xhat * gain + bias,   g = dy * gain
 *     layer_norm   dx = r (g - mean(g) - xhat mean(g xhat))
 *     rms_norm     dx = r (g           - xhat mean(g xhat))
 *     dgain = sum over rows of dy xhat,   dbias = sum over rows of dy
 *
 * saved: layer_norm (rows, 2) mean and r; rms_norm (rows) r.
 * scratch, for bf16: gain and bias (columns) as floats, and per thread x, dy and the result of a row. */
#include <math.h>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/storage.h"

enum { ROWS_PER_TASK = 16, ROOMS = 3 };

struct job {
    const struct weir_op_call *call;
    bool centred; /* layer_norm */
    bool bf16;
    int64_t rows, columns;
    const float *gain, *bias;
    const void *x, *dy, *addend;
    void *out;
    float *saved;
};

/* Row `room` of a thread's scratch; gain and bias come before them.  Nothing of it is touched with f32. */
static float *room_of(const struct job *job, int thread, int room)
{
    return job->bf16 ? (float *)job->call->scratch + (2 + ROOMS * thread + room) * job->columns : NULL;
}

size_t weir_cpu_norm_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    size_t columns = (size_t)shapes->inputs[0].dims[shapes->inputs[0].n_dims - 1];
    bool wanted = shapes->storage == WEIR_DTYPE_BF16 && pass != WEIR_BACKWARD_WEIGHT;
    return wanted ? (2 + ROOMS * (size_t)n_threads) * columns * sizeof(float) : 0;
}

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
    const struct job *job = argument;
    const struct weir_norm_attr *attr = job->call->attr;
    float *room = room_of(job, thread, 2);
    int64_t n = job->columns, end = task * ROWS_PER_TASK + weir_task_size(job->rows, ROWS_PER_TASK, task);
    for (int64_t row = task * ROWS_PER_TASK; row < end; row++) {
        float none, *s = job->saved + row * (job->centred ? 2 : 1), *y = weir_floats_out(job->bf16, job->out, row * n, room);
        row_forward(n, weir_floats(job->bf16, job->x, row * n, n, room_of(job, thread, 0)), job->gain, job->bias,
                    (float)attr->eps, job->centred, job->centred ? s : &none, job->centred ? s + 1 : s, y);
        weir_floats_end(job->bf16, job->out, row * n, n, y);
    }
}

static void backward_task(const void *argument, int64_t task, int thread)
{
    const struct job *job = argument;
    float *room = room_of(job, thread, 2);
    int64_t n = job->columns, end = task * ROWS_PER_TASK + weir_task_size(job->rows, ROWS_PER_TASK, task);
    for (int64_t row = task * ROWS_PER_TASK; row < end; row++) {
        const float *s = job->saved + row * (job->centred ? 2 : 1);
        const float *x = weir_floats(job->bf16, job->x, row * n, n, room_of(job, thread, 0));
        const float *dy = weir_floats(job->bf16, job->dy, row * n, n, room_of(job, thread, 1));
        float *dx = weir_floats_out(job->bf16, job->out, row * n, room);
        row_backward(n, x, dy, job->gain, job->centred ? s[0] : 0.0f, job->centred ? s[1] : s[0], job->centred,
                     weir_floats(job->bf16, job->addend, row * n, n, room), dx);
        weir_floats_end(job->bf16, job->out, row * n, n, dx);
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
    float room[2][WEIR_COLUMN_BLOCK];
    const float *s = job->saved + row * (job->centred ? 2 : 1);
    int64_t at = row * job->columns + column;
    gain_row(n, weir_floats(job->bf16, job->x, at, n, room[0]), weir_floats(job->bf16, job->dy, at, n, room[1]),
             job->centred ? s[0] : 0.0f, job->centred ? s[1] : s[0], sums);
}

static void bias_add(const void *argument, int64_t row, int64_t column, int64_t n, float *sums)
{
    const struct job *job = argument;
    float room[WEIR_COLUMN_BLOCK];
    weir_columns_add(n, weir_floats(job->bf16, job->dy, row * job->columns + column, n, room), sums);
}

static struct job job_make(const struct weir_op_call *call, bool centred)
{
    int64_t columns = call->inputs[0].shape[call->inputs[0].n_dims - 1];
    return (struct job){.call = call, .centred = centred, .bf16 = weir_tensor_bf16(&call->inputs[0]),
                        .rows = weir_tensor_elements(&call->inputs[0]) / columns, .columns = columns,
                        .x = call->inputs[0].data, .dy = call->d_output.data, .addend = call->addends[0],
                        .saved = call->saved};
}

static void params_read(struct job *job)
{
    const struct weir_op_call *call = job->call;
    float *room = job->bf16 ? call->scratch : NULL;
    job->gain = weir_floats(job->bf16, call->params[0].data, 0, job->columns, room);
    if (call->n_params > 1)
        job->bias = weir_floats(job->bf16, call->params[1].data, 0, job->columns, job->bf16 ? room + job->columns : NULL);
}

static weir_status norm_forward(const struct weir_op_call *call, bool centred)
{
    struct job job = job_make(call, centred);
    job.out = call->output.data;
    params_read(&job);
    weir_parallel(call->context, weir_task_count(job.rows, ROWS_PER_TASK), forward_task, &job);
    return WEIR_OK;
}

static weir_status norm_backward_input(const struct weir_op_call *call, bool centred)
{
    struct job job = job_make(call, centred);
    job.out = call->d_inputs[0].data;
    params_read(&job);
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
