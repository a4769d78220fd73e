/* Vector kernels on the CPU, in tasks of a block of WEIR_NORM_BLOCK elements: blocks do not depend on the number of threads. */
#include "kernels/vector.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/storage.h"

/* One call; every task gets its block of the pointers that the kernel has. */
struct job {
    int64_t n;
    float *x; /* param, or the sum */
    const float *grad; /* or what is read in its place */
    float *m, *v;
    double *sums;
    void *narrow; /* bf16 */
    const struct weir_update *update;
    float grad_scale, rate, weight_decay;
    int n_terms;
    const float *const *terms;
};

/* `stream`: the rank's kernel context, or NULL for the caller alone. */
static void blocks_run(const struct job *job, weir_loop_fn fn, void *stream)
{
    static const struct weir_kernel_context alone = {.n_threads = 1};
    weir_parallel(stream ? stream : &alone, weir_task_count(job->n, WEIR_NORM_BLOCK), fn, job);
}

WEIR_KERNEL static void adamw(const struct weir_update *restrict a, float grad_scale, float rate, float weight_decay, int64_t n,
                              float *param, const float *grad, float *m, float *v)
{
    const struct weir_update c = *a;
    float decay = rate * weight_decay;
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * grad_scale;
        float m1 = c.beta1 * m[i] + (1.0f - c.beta1) * g;
        float v1 = c.beta2 * v[i] + (1.0f - c.beta2) * g * g;
        m[i] = m1;
        v[i] = v1;
        float step = (m1 / c.correction1) / (sqrtf(v1 / c.correction2) + c.eps);
        param[i] = param[i] - decay * param[i] - rate * step;
    }
}

static void adamw_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *j = argument;
    int64_t at = task * WEIR_NORM_BLOCK;
    adamw(j->update, j->grad_scale, j->rate, j->weight_decay, weir_task_size(j->n, WEIR_NORM_BLOCK, task), j->x + at, j->grad + at,
          j->m + at, j->v + at);
}

static weir_status adamw_run(const struct weir_update *update, const struct weir_update_gate *gate, struct weir_update_scale scale,
                             int64_t n, float *param, const float *grad, float *m, float *v, void *stream)
{
    const struct job job = {.n = n, .x = param, .grad = grad, .m = m, .v = v, .update = update, .grad_scale = gate->grad_scale,
                            .rate = update->learning_rate * scale.learning_rate,
                            .weight_decay = update->weight_decay * scale.weight_decay};
    if (gate->apply)
        blocks_run(&job, adamw_task, stream);
    return WEIR_OK;
}

WEIR_KERNEL static void sgd(float learning_rate, float weight_decay, float grad_scale, int64_t n, float *param,
                            const float *grad)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        param[i] = param[i] - learning_rate * (grad[i] * grad_scale + weight_decay * param[i]);
}

static void sgd_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *j = argument;
    int64_t at = task * WEIR_NORM_BLOCK;
    sgd(j->rate, j->weight_decay, j->grad_scale, weir_task_size(j->n, WEIR_NORM_BLOCK, task), j->x + at, j->grad + at);
}

static weir_status sgd_run(const struct weir_update *update, const struct weir_update_gate *gate, struct weir_update_scale scale,
                           int64_t n, float *param, const float *grad, void *stream)
{
    const struct job job = {.n = n, .x = param, .grad = grad, .grad_scale = gate->grad_scale,
                            .rate = update->learning_rate * scale.learning_rate,
                            .weight_decay = update->weight_decay * scale.weight_decay};
    if (gate->apply)
        blocks_run(&job, sgd_task, stream);
    return WEIR_OK;
}

WEIR_KERNEL static void add(int64_t n, float *sum, const float *term)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        sum[i] += term[i];
}

static void add_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *j = argument;
    int64_t at = task * WEIR_NORM_BLOCK;
    add(weir_task_size(j->n, WEIR_NORM_BLOCK, task), j->x + at, j->grad + at);
}

static weir_status add_run(int64_t n, float *sum, const float *term, void *stream)
{
    const struct job job = {.n = n, .x = sum, .grad = term};
    blocks_run(&job, add_task, stream);
    return WEIR_OK;
}

/* A tile stays in the nearest cache while the terms pass over it; `sum` may be a term, so the tile is a copy. */
WEIR_KERNEL static void reduce(int64_t first, int64_t n, float *sum, int n_terms, const float *const *terms)
{
    enum { TILE = 2048 };
    float tile[TILE];
    for (int64_t at = first; at < first + n; at += TILE) {
        int64_t size = first + n - at < TILE ? first + n - at : TILE;
        memcpy(tile, terms[0] + at, (size_t)size * sizeof *tile);
        for (int t = 1; t < n_terms; t++) {
            const float *term = terms[t] + at;
            WEIR_LOOP
            for (int64_t i = 0; i < size; i++)
                tile[i] += term[i];
        }
        memcpy(sum + at, tile, (size_t)size * sizeof *tile);
    }
}

static void reduce_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *j = argument;
    reduce(task * WEIR_NORM_BLOCK, weir_task_size(j->n, WEIR_NORM_BLOCK, task), j->x, j->n_terms, j->terms);
}

static weir_status reduce_run(int64_t n, float *sum, int n_terms, const float *const *terms, void *stream)
{
    const struct job job = {.n = n, .x = sum, .n_terms = n_terms, .terms = terms};
    blocks_run(&job, reduce_task, stream);
    return WEIR_OK;
}

/* Four accumulators of 8 doubles; the rest of the last 32 elements is added one by one at the end. */
WEIR_KERNEL static double square_sum(int64_t n, const float *x)
{
    weir_d8 sum[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 4; j++) {
            weir_f8 part;
            memcpy(&part, x + i + 8 * j, sizeof part);
            weir_d8 v = __builtin_convertvector(part, weir_d8);
            sum[j] += v * v;
        }
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    double total = ((sum[0][0] + sum[0][1]) + (sum[0][2] + sum[0][3])) +
                   ((sum[0][4] + sum[0][5]) + (sum[0][6] + sum[0][7]));
    for (; i < n; i++)
        total += (double)x[i] * (double)x[i];
    return total;
}

static void square_sums_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *j = argument;
    j->sums[task] = square_sum(weir_task_size(j->n, WEIR_NORM_BLOCK, task), j->grad + task * WEIR_NORM_BLOCK);
}

static weir_status square_sums_run(int64_t n, const float *x, double *sums, void *stream)
{
    const struct job job = {.n = n, .grad = x, .sums = sums};
    blocks_run(&job, square_sums_task, stream);
    return WEIR_OK;
}

static double sum_of(int64_t n, const double *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static weir_status gate_run(int64_t n_sums, const double *sums, int64_t n_losses, const double *losses, double n_targets,
                            double clip, struct weir_update_gate *gate_out, void *stream)
{
    (void)stream;
    double norm = sqrt(sum_of(n_sums, sums)), loss = sum_of(n_losses, losses) / n_targets;
    double scale = clip > 0 ? clip / (norm + 1e-6) : 1;
    *gate_out = (struct weir_update_gate){
        .grad_norm = norm,
        .loss = loss,
        .grad_scale = (float)(scale < 1 ? scale : 1),
        .apply = isfinite(norm) && isfinite(loss),
    };
    return WEIR_OK;
}

static void to_bf16_task(const void *argument, int64_t task, int thread)
{
    (void)thread;
    const struct job *j = argument;
    int64_t at = task * WEIR_NORM_BLOCK;
    weir_round(weir_task_size(j->n, WEIR_NORM_BLOCK, task), j->grad + at, weir_element_out(true, j->narrow, at));
}

static weir_status to_bf16_run(int64_t n, const float *from, void *to, void *stream)
{
    const struct job job = {.n = n, .grad = from, .narrow = to};
    blocks_run(&job, to_bf16_task, stream);
    return WEIR_OK;
}

const struct weir_vector_kernels weir_vector_cpu = {
    .add = add_run,
    .reduce = reduce_run,
    .square_sums = square_sums_run,
    .gate = gate_run,
    .adamw = adamw_run,
    .sgd = sgd_run,
    .to_bf16 = to_bf16_run,
};
