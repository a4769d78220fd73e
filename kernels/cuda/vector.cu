/* The vector kernels of vector.h on CUDA.  kernels/cpu has the same formulas. */
#include "kernels/cuda/cuda_launch.cuh"

__global__ static void add_kernel(int64_t n, float *sum, const float *term)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        sum[i] += term[i];
}

extern "C" weir_status weir_launch_vector_add(int64_t n, float *sum, const float *term, void *stream)
{
    return WEIR_LAUNCH(add_kernel, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, sum, term);
}

/* The terms of a reduction, by value: the launch takes them along. */
struct reduce_terms {
    const float *at[WEIR_REDUCE_TERMS];
};

/* `sum` may be one of the terms: an element is read by the thread that writes it. */
__global__ static void reduce_kernel(int64_t n, float *sum, int n_terms, reduce_terms terms)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        float total = terms.at[0][i];
        for (int t = 1; t < n_terms; t++)
            total += terms.at[t][i];
        sum[i] = total;
    }
}

extern "C" weir_status weir_launch_vector_reduce(int64_t n, float *sum, int n_terms, const float *const *terms,
                                                 void *stream)
{
    reduce_terms copy = {};
    for (int t = 0; t < n_terms; t++)
        copy.at[t] = terms[t];
    return WEIR_LAUNCH(reduce_kernel, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, sum, n_terms, copy);
}

/* A block per WEIR_NORM_BLOCK elements: a thread adds every 256th, then the tree of weir_block_sum. */
__global__ static void square_sums_kernel(int64_t n, const float *x, double *sums)
{
    for (int64_t block = blockIdx.x; block * WEIR_NORM_BLOCK < n; block += gridDim.x) {
        int64_t first = block * WEIR_NORM_BLOCK, end = first + WEIR_NORM_BLOCK < n ? first + WEIR_NORM_BLOCK : n;
        double sum = 0;
        for (int64_t i = first + threadIdx.x; i < end; i += WEIR_THREADS)
            sum += (double)x[i] * (double)x[i];
        sum = weir_block_sum(sum);
        if (threadIdx.x == 0)
            sums[block] = sum;
    }
}

extern "C" weir_status weir_launch_square_sums(int64_t n, const float *x, double *sums, void *stream)
{
    return WEIR_LAUNCH(square_sums_kernel, weir_blocks(n, WEIR_NORM_BLOCK), WEIR_THREADS, stream, n, x, sums);
}

/* Numbers added in ascending order by one thread; the others fetch them, 256 at a time.  The result is in thread 0. */
__device__ static inline double ordered_sum(int64_t n, const double *x)
{
    WEIR_SHARED(double, part, WEIR_THREADS);
    double sum = 0;
    for (int64_t i0 = 0; i0 < n; i0 += WEIR_THREADS) {
        __syncthreads(); /* the part before has been added */
        if (i0 + threadIdx.x < n)
            part[threadIdx.x] = x[i0 + threadIdx.x];
        __syncthreads();
        for (int64_t i = i0; threadIdx.x == 0 && i < n && i < i0 + WEIR_THREADS; i++)
            sum += part[i - i0];
    }
    __syncthreads();
    return sum;
}

__global__ static void gate_kernel(int64_t n_sums, const double *sums, int64_t n_losses, const double *losses,
                                   double n_targets, double clip, weir_update_gate *gate)
{
    double norm = sqrt(ordered_sum(n_sums, sums)), loss = ordered_sum(n_losses, losses) / n_targets;
    double scale = clip > 0 ? clip / (norm + 1e-6) : 1;
    if (threadIdx.x != 0)
        return;
    gate->grad_norm = norm;
    gate->loss = loss;
    gate->grad_scale = (float)(scale < 1 ? scale : 1);
    gate->apply = isfinite(norm) && isfinite(loss);
}

extern "C" weir_status weir_launch_gate(int64_t n_sums, const double *sums, int64_t n_losses, const double *losses,
                                        double n_targets, double clip, struct weir_update_gate *gate, void *stream)
{
    return WEIR_LAUNCH(gate_kernel, 1, WEIR_THREADS, stream, n_sums, sums, n_losses, losses, n_targets, clip, gate);
}

__global__ static void adamw_kernel(const weir_update *update, const weir_update_gate *gate, float of_rate, float of_decay,
                                    int64_t n, float *param, const float *grad, float *m, float *v)
{
    if (!gate->apply)
        return;
    const weir_update c = *update;
    float scale = gate->grad_scale, rate = c.learning_rate * of_rate, shrink = rate * (c.weight_decay * of_decay);
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        float g = grad[i] * scale;
        float m1 = c.beta1 * m[i] + (1.0f - c.beta1) * g;
        float v1 = c.beta2 * v[i] + (1.0f - c.beta2) * g * g;
        m[i] = m1;
        v[i] = v1;
        float step = (m1 / c.correction1) / (sqrtf(v1 / c.correction2) + c.eps);
        param[i] = param[i] - shrink * param[i] - rate * step;
    }
}

extern "C" weir_status weir_launch_adamw(const struct weir_update *update, const struct weir_update_gate *gate,
                                         struct weir_update_scale scale, int64_t n, float *param, const float *grad, float *m,
                                         float *v, void *stream)
{
    return WEIR_LAUNCH(adamw_kernel, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, update, gate, scale.learning_rate,
                       scale.weight_decay, n, param, grad, m, v);
}

__global__ static void sgd_kernel(const weir_update *update, const weir_update_gate *gate, float of_rate, float of_decay,
                                  int64_t n, float *param, const float *grad)
{
    if (!gate->apply)
        return;
    float rate = update->learning_rate * of_rate, weight_decay = update->weight_decay * of_decay, scale = gate->grad_scale;
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        param[i] = param[i] - rate * (grad[i] * scale + weight_decay * param[i]);
}

extern "C" weir_status weir_launch_sgd(const struct weir_update *update, const struct weir_update_gate *gate,
                                       struct weir_update_scale scale, int64_t n, float *param, const float *grad, void *stream)
{
    return WEIR_LAUNCH(sgd_kernel, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, update, gate, scale.learning_rate,
                       scale.weight_decay, n, param, grad);
}

__global__ static void to_bf16_kernel(int64_t n, const float *from, weir_bf16 *to)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        weir_put(to, i, from[i]);
}

extern "C" weir_status weir_launch_to_bf16(int64_t n, const float *from, void *to, void *stream)
{
    return WEIR_LAUNCH(to_bf16_kernel, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, from, (weir_bf16 *)to);
}
