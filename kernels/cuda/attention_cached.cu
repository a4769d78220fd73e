/* Attention of rows at the end of a sequence over a cache: for one row, whose keys are much and whose work is little, and for
 * chunks of a prompt.
 *
 *     keep      the rows' keys and values go to their places in the cache
 *     spans     a block per span of keys, head of keys and 4 queries that share it (or 1): so one row of a few heads keeps
 *               a GPU busy too; attention_span.cuh
 *     join      a thread per element of the output: the spans of its query in ascending order
 *
 * The length of a span depends on the number of rows of the call alone, and is the same up to WEIR_SPAN_ROWS; the place of a key
 * in its span decides the warp.  So a row's sums have the same order however many rows come with it, up to that number. */
#include "kernels/cuda/attention_span.cuh"

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
