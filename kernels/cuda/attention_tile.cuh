/* Tiles of attention: 64 queries x 32 keys at a time, by 16 x 16 threads.
 *
 *     thread (ty, tx)     scores of rows ty * 4 + 0..3 and keys tx, tx + 16
 *     rows, keys          64 and 32 vectors in shared memory, 64 of their elements at a time (any width works)
 *
 * A row of scores belongs to 16 neighbouring lanes, so its maximum and its sums need no shared memory.  Elements of shared
 * rows are 65 apart, and 33 in tiles of scores, which keeps lanes out of each other's banks. */
#ifndef WEIR_KERNELS_CUDA_ATTENTION_TILE_CUH
#define WEIR_KERNELS_CUDA_ATTENTION_TILE_CUH

#include "kernels/cuda/philox.cuh"

enum { TILE_ROWS = 64, TILE_KEYS = 32, PART = 64, ROW_PITCH = PART + 1, SCORE_PITCH = TILE_KEYS + 1 };
enum { ROWS_FLOATS = TILE_ROWS * ROW_PITCH, KEYS_FLOATS = TILE_KEYS * ROW_PITCH, SCORES_FLOATS = TILE_ROWS * SCORE_PITCH };

__device__ static inline int thread_row()
{
    return (int)threadIdx.x / 16 * 4;
}

__device__ static inline int thread_key()
{
    return (int)threadIdx.x % 16;
}

/* Vectors of one head: vector t starts at base + t * stride. */
template <typename T> struct vectors {
    const T *base;
    int64_t stride;
};

__device__ static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* tile[r][c] = element column + c of vector first + r, for n vectors; 0 past the last vector or element. */
template <typename T, typename Tile>
__device__ static inline void tile_load(Tile &tile, int n, vectors<T> from, int64_t first, int64_t positions,
                                        int64_t column, int64_t width)
{
    for (int i = (int)threadIdx.x; i < n * PART; i += WEIR_THREADS) {
        int r = i / PART, c = i % PART;
        bool there = first + r < positions && column + c < width;
        tile[r * ROW_PITCH + c] = there ? weir_get(from.base, (first + r) * from.stride + column + c) : 0.0f;
    }
}

/* s[i][j] = dot product of vector row0 + thread_row() + i of a and vector key0 + thread_key() + 16 j of b. */
template <typename T, typename Rows, typename Keys>
__device__ static inline void tile_dots(Rows &rows, Keys &keys, vectors<T> a, int64_t row0, vectors<T> b, int64_t key0,
                                        int64_t positions, int64_t width, float s[4][2])
{
    for (int i = 0; i < 4; i++)
        s[i][0] = s[i][1] = 0.0f;
    for (int64_t column = 0; column < width; column += PART) {
        int n = (int)smaller(width - column, PART);
        __syncthreads(); /* the tiles have been read */
        tile_load(rows, TILE_ROWS, a, row0, positions, column, width);
        tile_load(keys, TILE_KEYS, b, key0, positions, column, width);
        __syncthreads();
        for (int c = 0; c < n; c++) {
            float k0 = keys[thread_key() * ROW_PITCH + c], k1 = keys[(thread_key() + 16) * ROW_PITCH + c];
            for (int i = 0; i < 4; i++) {
                float x = rows[(thread_row() + i) * ROW_PITCH + c];
                s[i][0] += x * k0;
                s[i][1] += x * k1;
            }
        }
    }
}

/* sums[i][j] += scores[row i][key] * tile[key][column j] over n keys: rows of the thread, columns tx + 16 j. */
template <typename Scores, typename Tile>
__device__ static inline void tile_add_keys(Scores &scores, Tile &tile, int n, float sums[4][4])
{
    for (int key = 0; key < n; key++) {
        float x[4];
        for (int j = 0; j < 4; j++)
            x[j] = tile[key * ROW_PITCH + thread_key() + 16 * j];
        for (int i = 0; i < 4; i++) {
            float s = scores[(thread_row() + i) * SCORE_PITCH + key];
            for (int j = 0; j < 4; j++)
                sums[i][j] += s * x[j];
        }
    }
}

/* sums[i][j] += scores[row][key i] * tile[row][column j] over n rows: keys ty * 2 + i, columns tx + 16 j. */
template <typename Scores, typename Tile>
__device__ static inline void tile_add_rows(Scores &scores, Tile &tile, int n, float sums[2][4])
{
    int key = (int)threadIdx.x / 16 * 2;
    for (int row = 0; row < n; row++) {
        float s0 = scores[row * SCORE_PITCH + key], s1 = scores[row * SCORE_PITCH + key + 1];
        for (int j = 0; j < 4; j++) {
            float x = tile[row * ROW_PITCH + thread_key() + 16 * j];
            sums[0][j] += s0 * x;
            sums[1][j] += s1 * x;
        }
    }
}

/* Over the 16 lanes of a row; all lanes of the warp take part. */
__device__ static inline float row_sum(float x)
{
    for (int distance = 8; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}

__device__ static inline float row_max(float x)
{
    for (int distance = 8; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
    return x;
}

/* Which sample and heads a block works on, and which columns of the head: group blockIdx.y of PARTS * 64. */
struct attention_task {
    int64_t sample, head, kv_head, tile;
};

/* Task i of tiles x heads x samples.  `last_first`: high tiles first, where those are the long ones. */
__device__ static inline attention_task task_of(const weir_cuda_attention &a, int64_t heads, int64_t tiles,
                                                bool last_first, int64_t i)
{
    attention_task task;
    int64_t tile = i / (heads * a.samples), rest = i % (heads * a.samples);
    task.tile = last_first ? tiles - 1 - tile : tile;
    task.sample = rest / heads;
    task.head = task.kv_head = rest % heads;
    if (heads == a.heads)
        task.kv_head = task.head / (a.heads / a.kv_heads);
    return task;
}

template <typename T>
__device__ static inline vectors<T> q_of(const weir_cuda_attention &a, const T *q, int64_t sample, int64_t head)
{
    return vectors<T>{q + sample * a.q_sample + head * a.width, a.q_row};
}

template <typename T>
__device__ static inline vectors<T> k_of(const weir_cuda_attention &a, const T *k, int64_t sample, int64_t kv_head)
{
    return vectors<T>{k + sample * a.k_sample + kv_head * a.width, a.k_row};
}

template <typename T>
__device__ static inline vectors<T> v_of(const weir_cuda_attention &a, const T *v, int64_t sample, int64_t kv_head)
{
    return vectors<T>{v + sample * a.v_sample + kv_head * a.width, a.v_row};
}

template <typename T>
__device__ static inline vectors<T> y_of(const weir_cuda_attention &a, const T *y, int64_t sample, int64_t head)
{
    return vectors<T>{y + sample * a.y_sample + head * a.width, a.y_row};
}

/* A query sees the keys up to its own position. */
__device__ static inline bool sees(const weir_cuda_attention &a, int64_t row, int64_t key)
{
    return key <= row && row < a.positions;
}

/* Dropout factor of a probability. */
__device__ static inline float factor_of(const weir_cuda_attention &a, int64_t sample, int64_t head, int64_t row,
                                         int64_t key)
{
    return weir_dropout_element(a.dropout, sample, (head * a.positions + row) * a.positions + key);
}

static inline int64_t tiles_of(int64_t positions, int64_t per_tile)
{
    return (positions + per_tile - 1) / per_tile;
}

/* Blocks of one pass: tasks along x, groups of `parts` * 64 columns along y. */
static inline dim3 attention_grid(const weir_cuda_attention *a, int64_t heads, int64_t tiles, int parts)
{
    return dim3(weir_blocks(tiles * heads * a->samples, 1), (unsigned)tiles_of(a->width, parts * PART));
}

#endif
