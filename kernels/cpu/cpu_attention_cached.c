/* attention_cached: one head per task, one row of scores at a time, so that a row's result depends on its position and the
 * cache alone, not on how many rows came with it.
 *
 *     scratch of a thread: scores (n_positions), output (d)
 */
#include <inttypes.h>
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vmath.h"

struct rows {
    const float *data;
    int64_t stride; /* floats from one row to the next */
};

struct job {
    const struct weir_op_call *call;
    int64_t heads, kv_heads, d, capacity, position, n_rows;
    struct rows q, k, v;
    float *keys, *values; /* (kv_heads, capacity, d) */
    int64_t thread_floats;
};

static int64_t scores_room(int64_t capacity)
{
    return (capacity + 15) / 16 * 16;
}

size_t weir_cpu_attention_cached_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)pass;
    const struct weir_attention_cached_attr *attr = shapes->attr;
    int64_t d = shapes->output.dims[2] / attr->n_heads;
    return (size_t)n_threads * (size_t)(scores_room(attr->n_positions) + scores_room(d)) * sizeof(float);
}

static struct job job_of(const struct weir_op_call *call)
{
    const struct weir_attention_cached_attr *attr = call->attr;
    struct job job = {.call = call, .heads = attr->n_heads, .capacity = attr->n_positions};
    bool packed = call->n_inputs == 1;
    job.kv_heads = attr->kv_heads ? attr->kv_heads : job.heads;
    job.d = call->output.shape[2] / job.heads;
    int64_t width = job.heads * job.d, kv_width = job.kv_heads * job.d;
    const float *first = call->inputs[0].data;
    if (packed) {
        job.q = (struct rows){first, width + 2 * kv_width};
        job.k = (struct rows){first + width, width + 2 * kv_width};
        job.v = (struct rows){first + width + kv_width, width + 2 * kv_width};
    } else {
        job.q = (struct rows){first, width};
        job.k = (struct rows){call->inputs[1].data, kv_width};
        job.v = (struct rows){call->inputs[2].data, kv_width};
    }
    job.position = call->sequence->position;
    job.n_rows = call->sequence->n_rows;
    job.keys = call->cache;
    job.values = job.keys + job.kv_heads * job.capacity * job.d;
    job.thread_floats = scores_room(job.capacity) + scores_room(job.d);
    return job;
}

/* The rows' keys or values go to their positions. */
static void rows_keep(const struct job *job, const struct rows *from, float *cache)
{
    for (int64_t g = 0; g < job->kv_heads; g++)
        for (int64_t t = 0; t < job->n_rows; t++)
            memcpy(cache + (g * job->capacity + job->position + t) * job->d, from->data + t * from->stride + g * job->d,
                   (size_t)job->d * sizeof(float));
}

/* scores[j] = scale * q · key j; returns the largest. */
WEIR_KERNEL static float row_scores(int64_t n, int64_t d, const float *q, const float *keys, float scale, float *scores)
{
    float most = 0;
    for (int64_t j = 0; j < n; j++, keys += d) {
        weir_f8 sum = {0}, a, b;
        for (int64_t i = 0; i < d; i += WEIR_LANES) {
            weir_load(&a, q + i, d - i);
            weir_load(&b, keys + i, d - i);
            sum += a * b;
        }
        scores[j] = scale * weir_lanes_sum(&sum);
        most = j == 0 || scores[j] > most ? scores[j] : most;
    }
    return most;
}

/* scores = e^(scores - most); returns their sum. */
WEIR_KERNEL static float row_weights(int64_t n, float most, float *scores)
{
    weir_f8 sum = {0}, part;
    WEIR_LOOP
    for (int64_t j = 0; j < n; j++)
        scores[j] = weir_exp_falling(scores[j] - most);
    for (int64_t j = 0; j < n; j += WEIR_LANES) {
        weir_load(&part, scores + j, n - j);
        sum += part;
    }
    return weir_lanes_sum(&sum);
}

/* y = the sum of weight j times value j, over `total`; summed in `sum` (d). */
WEIR_KERNEL static void row_output(int64_t n, int64_t d, const float *weights, const float *values, float total, float *sum,
                                   float *y)
{
    memset(sum, 0, (size_t)d * sizeof *sum);
    for (int64_t j = 0; j < n; j++, values += d) {
        float weight = weights[j];
        WEIR_LOOP
        for (int64_t i = 0; i < d; i++)
            sum[i] += weight * values[i];
    }
    WEIR_LOOP
    for (int64_t i = 0; i < d; i++)
        y[i] = sum[i] / total;
}

static void head_task(const void *argument, int64_t head, int thread)
{
    const struct job *job = argument;
    int64_t g = head / (job->heads / job->kv_heads), d = job->d, width = job->heads * d;
    const float *keys = job->keys + g * job->capacity * d, *values = job->values + g * job->capacity * d;
    float *scores = (float *)job->call->scratch + (int64_t)thread * job->thread_floats;
    float scale = 1.0f / sqrtf((float)d);
    for (int64_t t = 0; t < job->call->output.shape[1]; t++) {
        float *y = (float *)job->call->output.data + t * width + head * d;
        int64_t n = job->position + t + 1;
        if (t >= job->n_rows) {
            memset(y, 0, (size_t)d * sizeof *y);
            continue;
        }
        float most = row_scores(n, d, job->q.data + t * job->q.stride + head * d, keys, scale, scores);
        float total = row_weights(n, most, scores);
        row_output(n, d, scores, values, total, scores + scores_room(job->capacity), y);
    }
}

weir_status weir_cpu_attention_cached_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    if (!call->sequence || !call->cache)
        return WEIR_FAIL(WEIR_ERR_INVALID, "attention_cached runs in a generator only: it needs a sequence and its cache");
    struct job job = job_of(call);
    if (job.position < 0 || job.position + job.n_rows > job.capacity)
        return WEIR_FAIL(WEIR_ERR_INVALID, "positions %" PRId64 " to %" PRId64 " do not fit a cache of %" PRId64,
                         job.position, job.position + job.n_rows - 1, job.capacity);
    rows_keep(&job, &job.k, job.keys);
    rows_keep(&job, &job.v, job.values);
    weir_parallel(call->context, job.heads, head_task, &job);
    return WEIR_OK;
}
