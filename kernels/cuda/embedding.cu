/* embedding: y = wte[token] + wpe[position].
 *
 * Gradient of wte, in a fixed order and without atomics: the block of the first row that has a token owns that token's
 * vector.  It goes through the rows after it in ascending order, 256 tokens at a time, and adds those that have the same
 * token; blocks of rows whose token came before have nothing to do.  All else of the table is cleared, or left alone.
 * Gradient of wpe: a thread per element adds the samples in ascending order. */
#include "kernels/cuda/cuda_launch.cuh"

template <typename T>
__global__ static void embedding_kernel(weir_cuda_embedding e, const int32_t *tokens, const T *wte, const T *wpe, T *y)
{
    int64_t n = e.samples * e.positions * e.width;
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        int64_t row = i / e.width, column = i % e.width, position = row % e.positions, token = tokens[row];
        if (position >= e.n_rows) {
            weir_put(y, i, 0.0f);
            continue;
        }
        if (token < 0 || token >= e.vocabulary) {
            weir_put(y, i, NAN);
            continue;
        }
        float value = weir_get(wte, token * e.width + column);
        weir_put(y, i, wpe ? value + weir_get(wpe, (e.first + position) * e.width + column) : value);
    }
}

__global__ static void clear_kernel(int64_t n, float *x)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        x[i] = 0.0f;
}

/* Whether one of the rows before `row` has its token; the same in all threads. */
__device__ static inline bool token_came_before(const int32_t *tokens, int64_t row)
{
    bool found = false;
    for (int64_t r = threadIdx.x; r < row && !found; r += WEIR_THREADS)
        found = tokens[r] == tokens[row];
    return __syncthreads_or(found);
}

/* d_wte[token] += rows of this token from first on; a thread adds its columns. */
template <typename T>
__device__ static inline void owner_add(const weir_cuda_embedding &e, const int32_t *tokens, int64_t first, const T *dy,
                                        float *to)
{
    WEIR_SHARED(uint32_t, matches, WEIR_THREADS / WEIR_WARP);
    int64_t rows = e.samples * e.positions;
    for (int64_t r0 = first; r0 < rows; r0 += WEIR_THREADS) {
        int64_t r = r0 + threadIdx.x;
        uint32_t bits = __ballot_sync(0xffffffffu, r < rows && tokens[r] == tokens[first]);
        __syncthreads(); /* the matches of the rows before have been added */
        if (threadIdx.x % WEIR_WARP == 0)
            matches[threadIdx.x / WEIR_WARP] = bits;
        __syncthreads();
        for (int w = 0; w < WEIR_THREADS / WEIR_WARP; w++)
            for (uint32_t left = matches[w]; left; left &= left - 1) {
                const T *from = dy + (r0 + w * WEIR_WARP + __ffs((int)left) - 1) * e.width;
                for (int64_t c = threadIdx.x; c < e.width; c += WEIR_THREADS)
                    to[c] += weir_get(from, c);
            }
    }
}

template <typename T>
__global__ static void wte_kernel(weir_cuda_embedding e, const int32_t *tokens, const T *dy, float *d_wte)
{
    for (int64_t row = blockIdx.x; row < e.samples * e.positions; row += gridDim.x) {
        int64_t token = tokens[row];
        if (token < 0 || token >= e.vocabulary || token_came_before(tokens, row))
            continue; /* the whole block takes this way */
        owner_add(e, tokens, row, dy, d_wte + token * e.width);
    }
}

template <typename T>
__global__ static void wpe_kernel(weir_cuda_embedding e, const T *dy, bool accumulate, float *d_wpe)
{
    int64_t n = e.n_positions * e.width, used = e.positions * e.width;
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        float sum = accumulate ? d_wpe[i] : 0.0f;
        for (int64_t sample = 0; sample < e.samples && i < used; sample++)
            sum += weir_get(dy, sample * used + i);
        d_wpe[i] = sum;
    }
}

template <typename T>
static weir_status embedding_launch(const weir_cuda_embedding *e, const int32_t *tokens, const void *wte,
                                    const void *wpe, void *y, void *stream)
{
    return WEIR_LAUNCH(embedding_kernel<T>, weir_blocks(e->samples * e->positions * e->width, WEIR_THREADS),
                       WEIR_THREADS, stream, *e, tokens, (const T *)wte, (const T *)wpe, (T *)y);
}

template <typename T>
static weir_status weights_launch(const weir_cuda_embedding *e, const int32_t *tokens, const void *dy, bool accumulate,
                                  float *d_wte, float *d_wpe, void *stream)
{
    int64_t rows = e->samples * e->positions, elements = e->vocabulary * e->width;
    weir_status status = WEIR_OK;
    if (!accumulate)
        status = WEIR_LAUNCH(clear_kernel, weir_blocks(elements, WEIR_THREADS), WEIR_THREADS, stream, elements, d_wte);
    if (!status)
        status = WEIR_LAUNCH(wte_kernel<T>, weir_blocks(rows, 1), WEIR_THREADS, stream, *e, tokens, (const T *)dy, d_wte);
    if (status || !d_wpe)
        return status;
    return WEIR_LAUNCH(wpe_kernel<T>, weir_blocks(e->n_positions * e->width, WEIR_THREADS), WEIR_THREADS, stream, *e,
                       (const T *)dy, accumulate, d_wpe);
}

extern "C" weir_status weir_launch_embedding(enum weir_dtype type, const struct weir_cuda_embedding *sizes,
                                             const int32_t *tokens, const void *wte, const void *wpe, void *y,
                                             void *stream)
{
    return type == WEIR_DTYPE_BF16 ? embedding_launch<weir_bf16>(sizes, tokens, wte, wpe, y, stream)
                                   : embedding_launch<float>(sizes, tokens, wte, wpe, y, stream);
}

extern "C" weir_status weir_launch_embedding_weights(enum weir_dtype type, const struct weir_cuda_embedding *sizes,
                                                     const int32_t *tokens, const void *dy, bool accumulate,
                                                     float *d_wte, float *d_wpe, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? weights_launch<weir_bf16>(sizes, tokens, dy, accumulate, d_wte, d_wpe, stream)
                                   : weights_launch<float>(sizes, tokens, dy, accumulate, d_wte, d_wpe, stream);
}
