/* Attention of rows at the end of a sequence over a cache: for one row, whose keys are much and whose work is little, and for
 * chunks of a prompt.
 *
 *     keep      the rows' keys and values go to their places in the cache
 *     spans     a block per span of keys, head of keys and QUERIES queries that share it: so one row of many heads keeps a
 *               GPU busy too.  Warp w takes keys 4w .. 4w+3 of every 32; a lane has every 32nd element of query, key and
 *               sum.  A running maximum and sum per warp (attention_forward.cu has the formulas), then the warps' in order
 *     join      a thread per element of the output: the spans of its query in ascending order
 *
 * The length of a span depends on the number of rows of the call alone, and is the same up to WEIR_SPAN_ROWS; the place of a key
 * in its span decides the warp.  So a row's sums have the same order however many rows come with it, up to that number. */
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

template <typename T, int QUERIES, int PARTS>
__global__ static void spans_kernel(weir_cuda_cached_attention a, const T *q, const T *cache, partials out)
{
    int64_t group = a.heads / a.kv_heads, queries = group * a.n_rows, tiles = (queries + QUERIES - 1) / QUERIES;
    int64_t column = (int64_t)blockIdx.y * PARTS * WEIR_WARP;
    const T *all_values = cache + a.kv_heads * a.capacity * a.width;
    for (int64_t i = blockIdx.x; i < out.spans * tiles * a.kv_heads; i += gridDim.x) {
        query_tile tile = {i % a.kv_heads, i / a.kv_heads % tiles * QUERIES, queries, group};
        int64_t span = i / a.kv_heads / tiles, first = span * out.span;
        int64_t n = a.position + row_of(tile, QUERIES - 1) + 1 - first; /* as many as the last query sees */
        if (n <= 0)
            continue; /* the whole block takes this way */
        running<QUERIES, PARTS> r;
#pragma unroll
        for (int x = 0; x < QUERIES; x++) {
            r.most[x] = -INFINITY;
            r.total[x] = 0.0f;
            r.seen[x] = (int)(a.position + row_of(tile, x) + 1 - first < out.span ? a.position + row_of(tile, x) + 1 - first
                                                                                  : out.span);
#pragma unroll
            for (int part = 0; part < PARTS; part++)
                r.sums[x][part] = 0.0f;
        }
        int64_t at = (tile.kv_head * a.capacity + first) * a.width;
        span_add<T, QUERIES, PARTS>(a, tile, q, cache + at, all_values + at, (int)(n < out.span ? n : out.span), column, r);
        warps_join<QUERIES, PARTS>(a, tile, span, column, r, out);
    }
}

/* Zeros for padding. */
template <typename T> __global__ static void join_kernel(weir_cuda_cached_attention a, partials in, T *y)
{
    for (int64_t i = weir_thread_first(); i < a.rows * a.heads * a.width; i += weir_thread_stride()) {
        int64_t query = i / a.width, row = query / a.heads, column = i % a.width;
        int64_t first = query * in.spans, end = row < a.n_rows ? first + (a.position + row) / in.span + 1 : first;
        float most = -INFINITY, total = 0.0f, sum = 0.0f;
        for (int64_t s = first; s < end; s++)
            most = fmaxf(most, in.most[s]);
        for (int64_t s = first; s < end; s++) {
            float factor = expf(in.most[s] - base_of(most));
            total += factor * in.total[s];
            sum += factor * in.sums[s * a.width + column];
        }
        weir_put(y, i, row < a.n_rows ? sum / total : 0.0f);
    }
}

template <typename T>
__global__ static void keep_kernel(weir_cuda_cached_attention a, const T *k, const T *v, T *cache)
{
    int64_t values = a.kv_heads * a.capacity * a.width, n = a.n_rows * a.kv_heads * a.width;
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        int64_t column = i % a.width, head = i / a.width % a.kv_heads, row = i / a.width / a.kv_heads;
        int64_t to = (head * a.capacity + a.position + row) * a.width + column;
        cache[to] = k[row * a.k_row + head * a.width + column];
        cache[values + to] = v[row * a.v_row + head * a.width + column];
    }
}

/* ---- launching ----------------------------------------------------------------------------------------------------- */

static inline int64_t parts_of(int64_t n, int64_t per)
{
    return (n + per - 1) / per;
}

static partials partials_of(const weir_cuda_cached_attention *a, float *scratch)
{
    int64_t span = weir_cached_span(a->rows);
    partials p = {parts_of(a->position + a->n_rows, span), span, scratch, NULL, NULL};
    p.total = p.most + a->rows * a->heads * p.spans;
    p.sums = p.total + a->rows * a->heads * p.spans;
    return p;
}

template <typename T, int QUERIES, int PARTS>
static weir_status spans_launch(const weir_cuda_cached_attention *a, const T *q, const T *cache, const partials &out,
                                void *stream)
{
    int64_t tiles = parts_of(a->heads / a->kv_heads * a->n_rows, QUERIES);
    dim3 grid(weir_blocks(out.spans * tiles * a->kv_heads, 1), (unsigned)parts_of(a->width, PARTS * WEIR_WARP));
    return weir_launch("attention_cached_spans", spans_kernel<T, QUERIES, PARTS>, grid, WEIR_THREADS, stream, *a, q, cache,
                       out);
}

template <typename T, int QUERIES>
static weir_status spans_by_width(const weir_cuda_cached_attention *a, const T *q, const T *cache, const partials &out,
                                  void *stream)
{
    if (a->width <= 2 * WEIR_WARP)
        return spans_launch<T, QUERIES, 2>(a, q, cache, out, stream);
    if (a->width <= 4 * WEIR_WARP)
        return spans_launch<T, QUERIES, 4>(a, q, cache, out, stream);
    return spans_launch<T, QUERIES, 8>(a, q, cache, out, stream);
}

template <typename T>
static weir_status attention_launch(const weir_cuda_cached_attention *a, const void *q, const void *k, const void *v,
                                    void *cache, void *y, float *scratch, void *stream)
{
    const partials p = partials_of(a, scratch);
    weir_status status =
        weir_launch("attention_cached_keep", keep_kernel<T>, weir_blocks(a->n_rows * a->kv_heads * a->width, WEIR_THREADS),
                    WEIR_THREADS, stream, *a, (const T *)k, (const T *)v, (T *)cache);
    if (!status && a->n_rows * (a->heads / a->kv_heads) == 1)
        status = spans_by_width<T, 1>(a, (const T *)q, (const T *)cache, p, stream);
    else if (!status)
        status = spans_by_width<T, 4>(a, (const T *)q, (const T *)cache, p, stream);
    if (status)
        return status;
    return weir_launch("attention_cached_join", join_kernel<T>, weir_blocks(a->rows * a->heads * a->width, WEIR_THREADS),
                       WEIR_THREADS, stream, *a, p, (T *)y);
}

extern "C" weir_status weir_launch_attention_cached(enum weir_dtype type, const struct weir_cuda_cached_attention *a,
                                                    const void *q, const void *k, const void *v, void *cache, void *y,
                                                    float *scratch, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? attention_launch<weir_bf16>(a, q, k, v, cache, y, scratch, stream)
                                   : attention_launch<float>(a, q, k, v, cache, y, scratch, stream);
}
