/* Attention, backward: probabilities are made again from the saved log sums, tile by tile, in two kernels that share no sum,
 * so that none needs atomics.  f: dropout factors.
 *
 *     p = e^(s - lse),  dp = f (dy v),  dot = sum over keys of p dp,  ds = p (dp - dot)
 *     d_q   a block per 64 queries, over keys twice: for the dots, then d_q = sum of ds k / sqrt(width)
 *     d_kv  a block per 32 keys, over queries and the query heads of a key head in ascending order:
 *           d_v = sum of p f dy,  d_k = sum of ds q / sqrt(width) */
#include "kernels/cuda/attention_tile.cuh"

/* The inputs of both kernels. */
template <typename T> struct backward_inputs {
    const T *q, *k, *v, *dy;
    const float *lse;
};

/* p, f p and dp of a tile; zero where a query does not see a key. */
struct tile_probabilities {
    float p[4][2], dropped[4][2], dp[4][2];
};

template <typename T, typename Rows, typename Keys>
__device__ static inline tile_probabilities probabilities(const weir_cuda_attention &a, const backward_inputs<T> &in,
                                                          int64_t sample, int64_t head, int64_t kv_head, int64_t row0,
                                                          int64_t key0, Rows &rows, Keys &keys)
{
    tile_probabilities t;
    float scale = 1.0f / sqrtf((float)a.width);
    bool drop = weir_dropout_on(a.dropout);
    tile_dots(rows, keys, q_of(a, in.q, sample, head), row0, k_of(a, in.k, sample, kv_head), key0, a.positions, a.width,
              t.p);
    tile_dots(rows, keys, y_of(a, in.dy, sample, head), row0, v_of(a, in.v, sample, kv_head), key0, a.positions, a.width,
              t.dp);
    for (int i = 0; i < 4; i++) {
        int64_t row = row0 + thread_row() + i;
        float lse = row < a.positions ? in.lse[(sample * a.heads + head) * a.positions + row] : 0.0f;
        for (int j = 0; j < 2; j++) {
            int64_t key = key0 + thread_key() + 16 * j;
            bool seen = sees(a, row, key);
            float factor = drop && seen ? factor_of(a, sample, head, row, key) : 1.0f;
            t.p[i][j] = seen ? expf(t.p[i][j] * scale - lse) : 0.0f;
            t.dropped[i][j] = t.p[i][j] * factor;
            t.dp[i][j] *= factor;
        }
    }
    return t;
}

template <typename Scores> __device__ static inline void scores_put(Scores &scores, const float s[4][2])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++)
            scores[(thread_row() + i) * SCORE_PITCH + thread_key() + 16 * j] = s[i][j];
}

/* ds from the dots of the thread's rows. */
__device__ static inline void score_gradients(const tile_probabilities &t, const float dots[4], float ds[4][2])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++)
            ds[i][j] = t.p[i][j] * (t.dp[i][j] - dots[i]);
}

/* to[column] = addend + scale * sums for the columns of a thread in one vector; sums[part] belongs to this vector. */
template <typename T, int PARTS, typename Sums>
__device__ static inline void vector_store(const weir_cuda_attention &a, T *to, const T *addend, float scale,
                                           int64_t first_column, const Sums &sums, int x)
{
#pragma unroll
    for (int part = 0; part < PARTS; part++)
        for (int j = 0; j < 4; j++) {
            int64_t column = first_column + part * PART + thread_key() + 16 * j;
            if (column < a.width)
                weir_put(to, column, weir_addend(addend, column) + scale * sums[part][x][j]);
        }
}

template <typename T, int PARTS>
__global__ static void d_q_kernel(weir_cuda_attention a, backward_inputs<T> in, const T *addend, T *d_q, float *dots_out)
{
    WEIR_SHARED(float, rows, ROWS_FLOATS);
    WEIR_SHARED(float, keys, KEYS_FLOATS);
    WEIR_SHARED(float, scores, SCORES_FLOATS);
    int64_t tiles = (a.positions + TILE_ROWS - 1) / TILE_ROWS, first_column = (int64_t)blockIdx.y * PARTS * PART;
    for (int64_t i = blockIdx.x; i < tiles * a.heads * a.samples; i += gridDim.x) {
        attention_task task = task_of(a, a.heads, tiles, true, i);
        int64_t row0 = task.tile * TILE_ROWS, end = smaller(row0 + TILE_ROWS, a.positions);
        vectors<T> from_k = k_of(a, in.k, task.sample, task.kv_head);
        float sums[PARTS][4][4] = {}, dots[4] = {0, 0, 0, 0};
        for (int64_t key0 = 0; key0 < end; key0 += TILE_KEYS) {
            tile_probabilities t = probabilities(a, in, task.sample, task.head, task.kv_head, row0, key0, rows, keys);
            for (int x = 0; x < 4; x++)
                dots[x] += t.p[x][0] * t.dp[x][0] + t.p[x][1] * t.dp[x][1];
        }
        for (int x = 0; x < 4; x++)
            dots[x] = row_sum(dots[x]);
        for (int64_t key0 = 0; d_q && key0 < end; key0 += TILE_KEYS) {
            tile_probabilities t = probabilities(a, in, task.sample, task.head, task.kv_head, row0, key0, rows, keys);
            float ds[4][2];
            score_gradients(t, dots, ds);
            scores_put(scores, ds);
#pragma unroll
            for (int part = 0; part < PARTS; part++) {
                __syncthreads(); /* scores are written, keys have been read */
                tile_load(keys, TILE_KEYS, from_k, key0, a.positions, first_column + part * PART, a.width);
                __syncthreads();
                tile_add_keys(scores, keys, (int)smaller(end - key0, TILE_KEYS), sums[part]);
            }
        }
#pragma unroll
        for (int x = 0; x < 4; x++) {
            int64_t row = row0 + thread_row() + x;
            if (row >= a.positions)
                continue;
            int64_t at = task.sample * a.q_sample + row * a.q_row + task.head * a.width;
            if (d_q)
                vector_store<T, PARTS>(a, d_q + at, addend ? addend + at : addend, 1.0f / sqrtf((float)a.width),
                                          first_column, sums, x);
            if (thread_key() == 0 && blockIdx.y == 0)
                dots_out[(task.sample * a.heads + task.head) * a.positions + row] = dots[x];
        }
    }
}

/* Where gradients of keys and values go. */
template <typename T> struct kv_outputs {
    const T *add_k, *add_v;
    T *d_k, *d_v;
};

/* One tile of queries for one tile of keys. */
template <typename T, int PARTS, typename Rows, typename Scores>
__device__ static inline void kv_add(const weir_cuda_attention &a, const backward_inputs<T> &in, int64_t sample,
                                     int64_t head, int64_t row0, int64_t first_column, Rows &rows, Scores &scores,
                                     Scores &gradients, float k_sums[PARTS][2][4], float v_sums[PARTS][2][4])
{
    int n = (int)smaller(a.positions - row0, TILE_ROWS);
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
        int64_t column = first_column + part * PART;
        __syncthreads(); /* scores are written, rows have been read */
        tile_load(rows, TILE_ROWS, y_of(a, in.dy, sample, head), row0, a.positions, column, a.width);
        __syncthreads();
        tile_add_rows(scores, rows, n, v_sums[part]);
        __syncthreads();
        tile_load(rows, TILE_ROWS, q_of(a, in.q, sample, head), row0, a.positions, column, a.width);
        __syncthreads();
        tile_add_rows(gradients, rows, n, k_sums[part]);
    }
}

template <typename T, int PARTS>
__global__ static void d_kv_kernel(weir_cuda_attention a, backward_inputs<T> in, const float *dots, kv_outputs<T> out)
{
    WEIR_SHARED(float, rows, ROWS_FLOATS);
    WEIR_SHARED(float, keys, KEYS_FLOATS);
    WEIR_SHARED(float, scores, SCORES_FLOATS);
    WEIR_SHARED(float, gradients, SCORES_FLOATS);
    int64_t tiles = (a.positions + TILE_KEYS - 1) / TILE_KEYS, first_column = (int64_t)blockIdx.y * PARTS * PART;
    int64_t group = a.heads / a.kv_heads;
    for (int64_t i = blockIdx.x; i < tiles * a.kv_heads * a.samples; i += gridDim.x) {
        attention_task task = task_of(a, a.kv_heads, tiles, false, i);
        int64_t kv_head = task.head, key0 = task.tile * TILE_KEYS;
        float k_sums[PARTS][2][4] = {}, v_sums[PARTS][2][4] = {};
        for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++)
            for (int64_t row0 = key0 / TILE_ROWS * TILE_ROWS; row0 < a.positions; row0 += TILE_ROWS) {
                tile_probabilities t = probabilities(a, in, task.sample, head, kv_head, row0, key0, rows, keys);
                float ds[4][2], own[4];
                for (int x = 0; x < 4; x++) {
                    int64_t row = row0 + thread_row() + x;
                    own[x] = row < a.positions ? dots[(task.sample * a.heads + head) * a.positions + row] : 0.0f;
                }
                score_gradients(t, own, ds);
                scores_put(scores, t.dropped);
                scores_put(gradients, ds);
                kv_add<T, PARTS>(a, in, task.sample, head, row0, first_column, rows, scores, gradients, k_sums, v_sums);
            }
#pragma unroll
        for (int x = 0; x < 2; x++) {
            int64_t key = key0 + (int)threadIdx.x / 16 * 2 + x;
            if (key >= a.positions)
                continue;
            int64_t at_k = task.sample * a.k_sample + key * a.k_row + kv_head * a.width;
            int64_t at_v = task.sample * a.v_sample + key * a.v_row + kv_head * a.width;
            if (out.d_k)
                vector_store<T, PARTS>(a, out.d_k + at_k, out.add_k ? out.add_k + at_k : out.add_k,
                                       1.0f / sqrtf((float)a.width), first_column, k_sums, x);
            if (out.d_v)
                vector_store<T, PARTS>(a, out.d_v + at_v, out.add_v ? out.add_v + at_v : out.add_v, 1.0f, first_column,
                                       v_sums, x);
        }
    }
}

template <typename T>
static weir_status d_q_launch(const weir_cuda_attention *a, const backward_inputs<T> &in, const void *addend, void *d_q,
                              float *dots, void *stream)
{
    int parts = a->width <= PART ? 1 : 2;
    return weir_launch("attention_d_q", parts == 1 ? d_q_kernel<T, 1> : d_q_kernel<T, 2>,
                       attention_grid(a, a->heads, tiles_of(a->positions, TILE_ROWS), parts), WEIR_THREADS, stream, *a,
                       in, (const T *)addend, (T *)d_q, dots);
}

template <typename T>
static weir_status d_kv_launch(const weir_cuda_attention *a, const backward_inputs<T> &in, const float *dots,
                               const kv_outputs<T> &out, void *stream)
{
    int parts = a->width <= PART ? 1 : 2;
    return weir_launch("attention_d_kv", parts == 1 ? d_kv_kernel<T, 1> : d_kv_kernel<T, 2>,
                       attention_grid(a, a->kv_heads, tiles_of(a->positions, TILE_KEYS), parts), WEIR_THREADS, stream,
                       *a, in, dots, out);
}

template <typename T>
static backward_inputs<T> inputs_of(const void *q, const void *k, const void *v, const void *dy, const float *lse)
{
    return backward_inputs<T>{(const T *)q, (const T *)k, (const T *)v, (const T *)dy, lse};
}

extern "C" weir_status weir_launch_attention_d_q(enum weir_dtype type, const struct weir_cuda_attention *a,
                                                 const void *q, const void *k, const void *v, const void *dy,
                                                 const float *lse, const void *add_q, void *d_q, float *dots,
                                                 void *stream)
{
    return type == WEIR_DTYPE_BF16
               ? d_q_launch(a, inputs_of<weir_bf16>(q, k, v, dy, lse), add_q, d_q, dots, stream)
               : d_q_launch(a, inputs_of<float>(q, k, v, dy, lse), add_q, d_q, dots, stream);
}

extern "C" weir_status weir_launch_attention_d_kv(enum weir_dtype type, const struct weir_cuda_attention *a,
                                                  const void *q, const void *k, const void *v, const void *dy,
                                                  const float *lse, const float *dots, const void *add_k,
                                                  const void *add_v, void *d_k, void *d_v, void *stream)
{
    if (type == WEIR_DTYPE_BF16)
        return d_kv_launch(a, inputs_of<weir_bf16>(q, k, v, dy, lse), dots,
                           kv_outputs<weir_bf16>{(const weir_bf16 *)add_k, (const weir_bf16 *)add_v, (weir_bf16 *)d_k,
                                                 (weir_bf16 *)d_v},
                           stream);
    return d_kv_launch(a, inputs_of<float>(q, k, v, dy, lse), dots,
                       kv_outputs<float>{(const float *)add_k, (const float *)add_v, (float *)d_k, (float *)d_v}, stream);
}
