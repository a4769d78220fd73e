/* cross_entropy and mse: loss of every row in double, added in ascending row order; the gradient goes where the logits
 * may still be.  scratch: one double per row; for bf16 two rows of floats per thread as well.
 *
 * cross_entropy of a row walks it twice: segment by segment, each with its own maximum m, e^(x - m) and their sum; then all
 * is scaled (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).  Without a gradient the same sums
 * are made and nothing is written, so the loss has the same bits. */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vmath.h"

enum { CHUNK = 256, SEGMENTS = 64, LINE_FLOATS = 16, ROWS_PER_TASK = 8 };

struct job {
    bool bf16;
    int64_t rows, columns;
    const void *x, *target;
    void *d; /* NULL: no gradient */
    double scale;
    double *losses; /* [rows] */
    float *room;    /* bf16: [n_threads][2][columns] */
};

/* Row r of x as floats, and where its gradient goes: NULL, the tensor's row, or with bf16 over the floats of x. */
static const float *row_open(const struct job *job, int64_t r, float *room, float **d_out)
{
    int64_t n = job->columns;
    *d_out = job->d ? weir_floats_out(job->bf16, job->d, r * n, room) : NULL;
    return weir_floats(job->bf16, job->x, r * n, n, room);
}

static void row_end(const struct job *job, int64_t r, const float *d)
{
    if (d)
        weir_floats_end(job->bf16, job->d, r * job->columns, job->columns, d);
}

static float *room_of(const struct job *job, int thread, int room)
{
    return job->bf16 ? job->room + (2 * thread + room) * job->columns : NULL;
}

/* Sum of n <= CHUNK numbers: GROUPS vectors of sums, each of few terms, then in double. */
WEIR_INLINE double chunk_sum(int64_t n, const float *e)
{
    enum { GROUPS = 4, STEP = GROUPS * WEIR_LANES };
    weir_f8 sums[GROUPS] = {{0}};
    weir_d8 all = {0};
    int64_t i = 0;
    double rest = 0;
    for (; i + STEP <= n; i += STEP)
        for (int g = 0; g < GROUPS; g++)
            sums[g] += *(const weir_f8_memory *)(e + i + g * WEIR_LANES);
    for (int g = 0; g < GROUPS; g++)
        all += __builtin_convertvector(sums[g], weir_d8);
    for (; i < n; i++)
        rest += (double)e[i];
    return ((all[0] + all[1]) + (all[2] + all[3])) + ((all[4] + all[5]) + (all[6] + all[7])) + rest;
}

/* The cache fetches n floats from x on: its own way of reading ahead ends with a page. */
WEIR_INLINE void fetch(int64_t n, const float *x)
{
    for (int64_t i = 0; i < n; i += LINE_FLOATS)
        __builtin_prefetch(x + i);
}

/* Sum of e^(x - shift) over a segment; the terms themselves go to d unless it is NULL.  What comes `ahead` is fetched. */
WEIR_INLINE double exp_sum(int64_t n, const float *x, float shift, float *d, int64_t ahead)
{
    float room[CHUNK];
    double sum = 0;
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t width = n - i < CHUNK ? n - i : CHUNK;
        float *e = d ? d + i : room;
        fetch(width, x + i + ahead);
        WEIR_LOOP
        for (int64_t j = 0; j < width; j++)
            e[j] = weir_exp_falling(x[i + j] - shift);
        sum += chunk_sum(width, e);
    }
    return sum;
}

/* Rows are walked in segments that stay in the first cache: a row of 50,257 logits does not.  At most SEGMENTS of a row. */
static int64_t segment_of(int64_t n)
{
    return weir_task_count(n, SEGMENTS * CHUNK) * CHUNK;
}

/* The sum of e^(x - most) over a row, and `most`.  With d: d = e^(x - most of its segment), and what each segment is
 * multiplied with to make it e^(x - most) / sum. */
WEIR_INLINE double row_sum(int64_t n, const float *x, float *d, float *most_out, double factors[SEGMENTS])
{
    int64_t length = segment_of(n), n_segments = weir_task_count(n, length);
    float mosts[SEGMENTS] = {0}, most;
    double sums[SEGMENTS], total = 0;
    for (int64_t s = 0; s < n_segments; s++) {
        int64_t at = s * length, width = weir_task_size(n, length, s);
        mosts[s] = weir_row_max(width, x + at);
        mosts[s] = mosts[s] < -FLT_MAX ? -FLT_MAX : mosts[s]; /* all of it -infinity: terms of 0, not of NaN */
        sums[s] = exp_sum(width, x + at, mosts[s], d ? d + at : NULL, length);
    }
    most = weir_row_max(n_segments, mosts);
    for (int64_t s = 0; s < n_segments; s++) {
        factors[s] = exp((double)mosts[s] - (double)most);
        total += sums[s] * factors[s];
    }
    *most_out = most;
    return total;
}

/* The loss of a row, and scale * (softmax - onehot) in d. */
WEIR_KERNEL static double entropy_row(int64_t n, const float *x, int64_t target, float scale, float *d)
{
    double factors[SEGMENTS];
    float most, wanted = x[target];
    double total = row_sum(n, x, d, &most, factors);
    int64_t length = segment_of(n);
    for (int64_t at = 0; d && at < n; at += length) {
        int64_t end = at + length < n ? at + length : n;
        float factor = (float)((double)scale / total * factors[at / length]);
        WEIR_LOOP
        for (int64_t i = at; i < end; i++)
            d[i] *= factor;
    }
    if (d)
        d[target] -= scale;
    return log(total) + (double)most - (double)wanted;
}

static void entropy_task(const void *argument, int64_t task, int thread)
{
    const struct job *job = argument;
    const int32_t *targets = job->target;
    int64_t n = job->columns, end = task * ROWS_PER_TASK + weir_task_size(job->rows, ROWS_PER_TASK, task);
    for (int64_t r = task * ROWS_PER_TASK; r < end; r++) {
        float *d;
        const float *x = row_open(job, r, room_of(job, thread, 0), &d);
        job->losses[r] = entropy_row(n, x, targets[r], (float)job->scale, d);
        row_end(job, r, d);
    }
}

/* Sum of squares of p - t over a row, and the gradient. */
WEIR_KERNEL static double square_row(int64_t n, const float *p, const float *t, float scale, float *d)
{
    weir_d8 sum = {0};
    double total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        weir_f8 a, b;
        memcpy(&a, p + i, sizeof a);
        memcpy(&b, t + i, sizeof b);
        weir_d8 v = __builtin_convertvector(a, weir_d8) - __builtin_convertvector(b, weir_d8);
        sum += v * v;
    }
    for (int j = 0; j < 8; j++)
        total += sum[j];
    for (; i < n; i++)
        total += ((double)p[i] - (double)t[i]) * ((double)p[i] - (double)t[i]);
    if (d) {
        WEIR_LOOP
        for (i = 0; i < n; i++)
            d[i] = (p[i] - t[i]) * scale;
    }
    return total / (double)n;
}

static void square_task(const void *argument, int64_t task, int thread)
{
    const struct job *job = argument;
    int64_t n = job->columns, end = task * ROWS_PER_TASK + weir_task_size(job->rows, ROWS_PER_TASK, task);
    float scale = (float)(2.0 * job->scale / (double)n);
    for (int64_t r = task * ROWS_PER_TASK; r < end; r++) {
        float *d;
        const float *x = row_open(job, r, room_of(job, thread, 0), &d);
        job->losses[r] = square_row(n, x, weir_floats(job->bf16, job->target, r * n, n, room_of(job, thread, 1)), scale, d);
        row_end(job, r, d);
    }
}

size_t weir_cpu_loss_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    const struct weir_shape *x = &shapes->inputs[0];
    int64_t columns = x->dims[x->n_dims - 1], rows = weir_shape_elements(x) / columns;
    size_t room = shapes->storage == WEIR_DTYPE_BF16 ? 2 * (size_t)n_threads * (size_t)columns * sizeof(float) : 0;
    return pass == WEIR_FORWARD ? (size_t)rows * sizeof(double) + room : 0;
}

static weir_status loss_run(const struct weir_op_call *call, weir_loop_fn fn)
{
    const struct weir_tensor *x = &call->inputs[0];
    int64_t columns = x->shape[x->n_dims - 1], rows = weir_tensor_elements(x) / columns;
    double *losses = call->scratch;
    const struct job job = {weir_tensor_bf16(x), rows, columns, x->data, call->inputs[1].data, call->d_inputs[0].data,
                            call->loss_scale, losses, (float *)(losses + rows)};
    weir_parallel(call->context, weir_task_count(job.rows, ROWS_PER_TASK), fn, &job);
    double loss = 0;
    for (int64_t r = 0; r < job.rows; r++)
        loss += job.losses[r];
    *(double *)call->output.data = loss;
    return WEIR_OK;
}

weir_status weir_cpu_cross_entropy_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    const int32_t *targets = call->inputs[1].data;
    int64_t vocabulary = call->inputs[0].shape[call->inputs[0].n_dims - 1];
    int64_t rows = weir_tensor_elements(&call->inputs[1]);
    for (int64_t r = 0; r < rows; r++)
        if (targets[r] < 0 || targets[r] >= vocabulary)
            return WEIR_FAIL(WEIR_ERR_INVALID, "target %" PRId32 " of row %" PRId64 " is outside the vocabulary of %"
                             PRId64, targets[r], r, vocabulary);
    return loss_run(call, entropy_task);
}

weir_status weir_cpu_mse_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return loss_run(call, square_task);
}
