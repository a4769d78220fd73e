/* Attention over one span of a cache: what a block computes for QUERIES queries that share a head of keys (attention_cached.cu
 * has the rest).
 *
 * Warp w takes keys 4w .. 4w+3 of every 32; a lane has every 32nd element of query, key and sum, PARTS of them.  A running
 * maximum and sum per warp (attention_forward.cu has the formulas), then the warps' in ascending order. */
#ifndef WEIR_KERNELS_CUDA_ATTENTION_SPAN_CUH
#define WEIR_KERNELS_CUDA_ATTENTION_SPAN_CUH

#include "kernels/cuda/cuda_launch.cuh"

enum { WARPS = WEIR_THREADS / WEIR_WARP, KEYS = 4 /* of a warp at a time */ };

/* What spans leaves and join reads, of query `row * heads + head` and span s at query * spans + s. */
struct partials {
    int64_t spans, span; /* in use, and the keys of one */
    float *most, *total; /* the largest score, the sum of e^(score - most) */
    float *sums;         /* (.., width): the sum of e^(score - most) times value */
};

/* The queries of a block: `QUERIES` neighbours of the n queries of a head of keys, row by row.  Those past the last are
 * copies of it, computed and not stored. */
struct query_tile {
    int64_t kv_head, first, n, group;
};

__device__ static inline int64_t query_of(const query_tile &tile, int x)
{
    return tile.first + x < tile.n ? tile.first + x : tile.n - 1;
}

__device__ static inline int64_t row_of(const query_tile &tile, int x)
{
    return query_of(tile, x) / tile.group;
}

__device__ static inline int64_t head_of(const query_tile &tile, int x)
{
    return tile.kv_head * tile.group + query_of(tile, x) % tile.group;
}

/* Scores of no key so far: e^(x - base) must not be e^(-inf + inf). */
__device__ static inline float base_of(float most)
{
    return most == -INFINITY ? 0.0f : most;
}

/* What a lane keeps of the queries of its block: elements lane, lane + 32 .. of each. */
template <int QUERIES, int PARTS> struct running {
    float most[QUERIES], total[QUERIES], sums[QUERIES][PARTS];
    int seen[QUERIES]; /* keys of the span that the query sees; may be negative */
};

template <typename T, int QUERIES, int PARTS>
__device__ static inline void queries_load(const weir_cuda_cached_attention &a, const query_tile &tile, const T *q,
                                           int64_t column, float to[QUERIES][PARTS])
{
#pragma unroll
    for (int x = 0; x < QUERIES; x++)
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            int64_t c = column + part * WEIR_WARP + threadIdx.x % WEIR_WARP;
            to[x][part] = c < a.width ? weir_get(q, row_of(tile, x) * a.q_row + head_of(tile, x) * a.width + c) : 0.0f;
        }
}

/* s[i][x] += the lane's part of query x · key i, over PARTS * 32 columns.  Of KEYS keys, n are there. */
template <typename T, int QUERIES, int PARTS>
__device__ static inline void dots_add(int64_t width, const T *keys, int n, int64_t column, const float q[QUERIES][PARTS],
                                       float s[KEYS][QUERIES])
{
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
        int64_t c = column + part * WEIR_WARP + threadIdx.x % WEIR_WARP;
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            float key = c < width && i < n ? weir_get(keys, i * width + c) : 0.0f;
#pragma unroll
            for (int x = 0; x < QUERIES; x++)
                s[i][x] += q[x][part] * key;
        }
    }
}

/* From the lanes' parts to e^(score - most) in all lanes; key0: the first key's place in the span. */
template <int QUERIES, int PARTS>
__device__ static inline void softmax_step(int key0, float scale, float s[KEYS][QUERIES], running<QUERIES, PARTS> &r)
{
#pragma unroll
    for (int x = 0; x < QUERIES; x++) {
        float most = r.most[x], sum = 0.0f;
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            float score = weir_warp_sum(s[i][x]) * scale;
            s[i][x] = key0 + i < r.seen[x] ? score : -INFINITY;
            most = fmaxf(most, s[i][x]);
        }
        float base = base_of(most), shrink = expf(r.most[x] - base);
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            s[i][x] = expf(s[i][x] - base);
            sum += s[i][x];
        }
        r.most[x] = most;
        r.total[x] = r.total[x] * shrink + sum;
#pragma unroll
        for (int part = 0; part < PARTS; part++)
            r.sums[x][part] *= shrink;
    }
}

template <typename T, int QUERIES, int PARTS>
__device__ static inline void values_add(int64_t width, const T *values, int n, int64_t column,
                                         const float weights[KEYS][QUERIES], running<QUERIES, PARTS> &r)
{
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
        int64_t c = column + part * WEIR_WARP + threadIdx.x % WEIR_WARP;
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            float value = c < width && i < n ? weir_get(values, i * width + c) : 0.0f;
#pragma unroll
            for (int x = 0; x < QUERIES; x++)
                r.sums[x][part] += weights[i][x] * value;
        }
    }
}

/* The warp's keys of a span of n.  A head wider than PARTS * 32 gets its scores from all its columns, and sums of those from
 * `column` on. */
template <typename T, int QUERIES, int PARTS>
__device__ static inline void span_add(const weir_cuda_cached_attention &a, const query_tile &tile, const T *q,
                                       const T *keys, const T *values, int n, int64_t column, running<QUERIES, PARTS> &r)
{
    const int wide = PARTS * WEIR_WARP;
    float scale = 1.0f / sqrtf((float)a.width), part_of_q[QUERIES][PARTS];
    queries_load<T, QUERIES, PARTS>(a, tile, q, 0, part_of_q);
    for (int key0 = (int)threadIdx.x / WEIR_WARP * KEYS; key0 < n; key0 += WARPS * KEYS) {
        float s[KEYS][QUERIES] = {};
        for (int64_t c = 0; c < a.width; c += wide) {
            if (a.width > wide)
                queries_load<T, QUERIES, PARTS>(a, tile, q, c, part_of_q);
            dots_add<T, QUERIES, PARTS>(a.width, keys + key0 * a.width, n - key0, c, part_of_q, s);
        }
        softmax_step<QUERIES, PARTS>(key0, scale, s, r);
        values_add<T, QUERIES, PARTS>(a.width, values + key0 * a.width, n - key0, column, s, r);
    }
}

/* The warps' parts become the block's: a thread per query and column adds them in ascending order. */
template <int QUERIES, int PARTS>
__device__ static inline void warps_join(const weir_cuda_cached_attention &a, const query_tile &tile, int64_t span,
                                         int64_t column, const running<QUERIES, PARTS> &r, const partials &out)
{
    enum { COLUMNS = PARTS * WEIR_WARP };
    WEIR_SHARED(float, sums, WARPS * QUERIES * COLUMNS);
    WEIR_SHARED(float, mosts, WARPS * QUERIES);
    WEIR_SHARED(float, totals, WARPS * QUERIES);
    int warp = (int)threadIdx.x / WEIR_WARP, lane = (int)threadIdx.x % WEIR_WARP;
    __syncthreads(); /* those of the task before have been read */
#pragma unroll
    for (int x = 0; x < QUERIES; x++) {
#pragma unroll
        for (int part = 0; part < PARTS; part++)
            sums[(warp * QUERIES + x) * COLUMNS + part * WEIR_WARP + lane] = r.sums[x][part];
        if (lane == 0) {
            mosts[warp * QUERIES + x] = r.most[x];
            totals[warp * QUERIES + x] = r.total[x];
        }
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < QUERIES * COLUMNS; i += WEIR_THREADS) {
        int x = i / COLUMNS, c = i % COLUMNS;
        int64_t at = (row_of(tile, x) * a.heads + head_of(tile, x)) * out.spans + span;
        float most = -INFINITY, total = 0.0f, sum = 0.0f;
        for (int w = 0; w < WARPS; w++)
            most = fmaxf(most, mosts[w * QUERIES + x]);
        for (int w = 0; w < WARPS; w++) {
            float factor = expf(mosts[w * QUERIES + x] - base_of(most));
            total += factor * totals[w * QUERIES + x];
            sum += factor * sums[(w * QUERIES + x) * COLUMNS + c];
        }
        if (tile.first + x >= tile.n)
            continue;
        if (column + c < a.width)
            out.sums[at * a.width + column + c] = sum;
        if (column + c == 0) {
            out.most[at] = most;
            out.total[at] = total;
        }
    }
}

#endif
