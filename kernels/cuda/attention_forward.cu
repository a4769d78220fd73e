/* Attention, forward: scores tile by tile with a running maximum and sum per row (Milakov, Gimelshein, "Online normalizer
 * calculation for softmax", 2018; Dao et al., "FlashAttention", 2022), so that no row of scores is ever whole.
 *
 *     for tiles of keys   s = q k / sqrt(width),  m' = max(m, s),  o = o e^(m - m') + e^(s - m') v,  l alike
 *     y = o / l,  lse = m + log l */
#include "kernels/cuda/attention_tile.cuh"

/* What a thread keeps of its four rows. */
struct running {
    float most[4], sum[4];
};

/* From dot products to e^(s - max) times dropout, written to the tile of scores.  shrink[i]: what the sums so far are
 * multiplied by. */
template <typename Scores>
__device__ static inline void softmax_step(const weir_cuda_attention &a, const attention_task &task, int64_t row0,
                                           int64_t key0, float scale, bool drop, float s[4][2], running &r,
                                           Scores &scores, float shrink[4])
{
    for (int i = 0; i < 4; i++) {
        int64_t row = row0 + thread_row() + i;
        for (int j = 0; j < 2; j++)
            s[i][j] = sees(a, row, key0 + thread_key() + 16 * j) ? s[i][j] * scale : -INFINITY;
        /* rows past the end see nothing: their maximum stays finite so that no NaN arises */
        float most = fmaxf(r.most[i], row_max(fmaxf(s[i][0], s[i][1])));
        float base = row < a.positions ? most : 0.0f, e[2] = {expf(s[i][0] - base), expf(s[i][1] - base)};
        shrink[i] = expf(r.most[i] - base);
        r.sum[i] = r.sum[i] * shrink[i] + row_sum(e[0] + e[1]);
        r.most[i] = most;
        for (int j = 0; j < 2; j++) {
            int64_t key = key0 + thread_key() + 16 * j;
            if (drop && sees(a, row, key))
                e[j] *= factor_of(a, task.sample, task.head, row, key);
            scores[(thread_row() + i) * SCORE_PITCH + thread_key() + 16 * j] = e[j];
        }
    }
}

template <typename T, int PARTS>
__global__ static void attention_kernel(weir_cuda_attention a, const T *q, const T *k, const T *v, T *y, float *lse)
{
    WEIR_SHARED(float, rows, ROWS_FLOATS);
    WEIR_SHARED(float, keys, KEYS_FLOATS);
    WEIR_SHARED(float, scores, SCORES_FLOATS);
    int64_t tiles = (a.positions + TILE_ROWS - 1) / TILE_ROWS, first_column = (int64_t)blockIdx.y * PARTS * PART;
    float scale = 1.0f / sqrtf((float)a.width);
    bool drop = weir_dropout_on(a.dropout);
    for (int64_t i = blockIdx.x; i < tiles * a.heads * a.samples; i += gridDim.x) {
        attention_task task = task_of(a, a.heads, tiles, true, i);
        int64_t row0 = task.tile * TILE_ROWS, end = smaller(row0 + TILE_ROWS, a.positions);
        vectors<T> from_v = v_of(a, v, task.sample, task.kv_head);
        float sums[PARTS][4][4] = {};
        running r = {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, {0, 0, 0, 0}};
        for (int64_t key0 = 0; key0 < end; key0 += TILE_KEYS) {
            float s[4][2], shrink[4];
            tile_dots(rows, keys, q_of(a, q, task.sample, task.head), row0, k_of(a, k, task.sample, task.kv_head), key0,
                      a.positions, a.width, s);
            softmax_step(a, task, row0, key0, scale, drop, s, r, scores, shrink);
#pragma unroll
            for (int part = 0; part < PARTS; part++) {
                int64_t column = first_column + part * PART;
                __syncthreads(); /* scores are written, keys have been read */
                tile_load(keys, TILE_KEYS, from_v, key0, a.positions, column, a.width);
                __syncthreads();
                for (int x = 0; x < 16; x++)
                    sums[part][x / 4][x % 4] *= shrink[x / 4];
                tile_add_keys(scores, keys, (int)smaller(end - key0, TILE_KEYS), sums[part]);
            }
        }
#pragma unroll
        for (int x = 0; x < 4; x++) {
            int64_t row = row0 + thread_row() + x;
            if (row >= a.positions)
                continue;
            T *to = y + task.sample * a.y_sample + row * a.y_row + task.head * a.width;
            for (int part = 0; part < PARTS; part++)
                for (int j = 0; j < 4; j++) {
                    int64_t column = first_column + part * PART + thread_key() + 16 * j;
                    if (column < a.width)
                        weir_put(to, column, sums[part][x][j] / r.sum[x]);
                }
            if (thread_key() == 0 && blockIdx.y == 0)
                lse[(task.sample * a.heads + task.head) * a.positions + row] = r.most[x] + logf(r.sum[x]);
        }
    }
}

template <typename T, int PARTS>
static weir_status launch(const weir_cuda_attention *a, const void *q, const void *k, const void *v, void *y, float *lse,
                          void *stream)
{
    return weir_launch("attention_kernel", attention_kernel<T, PARTS>,
                       attention_grid(a, a->heads, tiles_of(a->positions, TILE_ROWS), PARTS), WEIR_THREADS, stream, *a,
                       (const T *)q, (const T *)k, (const T *)v, (T *)y, lse);
}

template <typename T>
static weir_status launch_wide(const weir_cuda_attention *a, const void *q, const void *k, const void *v, void *y,
                               float *lse, void *stream)
{
    return a->width <= PART ? launch<T, 1>(a, q, k, v, y, lse, stream) : launch<T, 2>(a, q, k, v, y, lse, stream);
}

extern "C" weir_status weir_launch_attention(enum weir_dtype type, const struct weir_cuda_attention *a, const void *q,
                                             const void *k, const void *v, void *y, float *lse, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? launch_wide<weir_bf16>(a, q, k, v, y, lse, stream)
                                   : launch_wide<float>(a, q, k, v, y, lse, stream);
}
