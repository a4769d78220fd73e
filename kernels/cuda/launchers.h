/* Launchers: what C calls to enqueue a kernel.  Raw device pointers and sizes, no tensors.
 *
 * Every launcher enqueues on `stream` (a cudaStream_t) and returns; a size of zero is a no-op.  `type` is the storage type
 * of the `const void *` and `void *` arrays, WEIR_DTYPE_F32 or WEIR_DTYPE_BF16; arithmetic is f32 either way.  Optional
 * pointers (`addend`, `bias`) are NULL when absent; an addend may be the array that is written.
 *
 * The grids follow from the sizes alone, and so do the orders of all sums. */
#ifndef WEIR_KERNELS_CUDA_LAUNCHERS_H
#define WEIR_KERNELS_CUDA_LAUNCHERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/cuda/cuda_matmul.h"
#include "include/weir/op.h"
#include "kernels/vector.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- element-wise: activation.cu, rope.cu, dropout.cu, concat.cu -------------------------------------------------------------- */

enum weir_activation { WEIR_GELU_TANH, WEIR_GELU_ERF, WEIR_RELU, WEIR_SILU };

/* y = f(x);  dx = addend + f'(x) dy, where relu takes its output for x. */
weir_status weir_launch_activation(enum weir_activation f, enum weir_dtype type, int64_t n, const void *x, void *y,
                                   void *stream);
weir_status weir_launch_activation_slope(enum weir_activation f, enum weir_dtype type, int64_t n, const void *x,
                                         const void *dy, const void *addend, void *dx, void *stream);

/* y = silu(gate) up;  d_gate = addend + silu'(gate) up dy, d_up = addend + silu(gate) dy, each optional.  The addend of
 * d_up may be d_gate. */
weir_status weir_launch_swiglu(enum weir_dtype type, int64_t n, const void *gate, const void *up, void *y, void *stream);
weir_status weir_launch_swiglu_slope(enum weir_dtype type, int64_t n, const void *gate, const void *up, const void *dy,
                                     const void *add_gate, const void *add_up, void *d_gate, void *d_up, void *stream);

/* y = addend + x turned by position, over (samples, positions, heads, width); `back`: the other way.  Row t of a sample
 * stands at position first + t.  table: scratch of (positions, width) floats, for sines and cosines. */
struct weir_cuda_rope {
    int64_t samples, positions, heads, width, first;
    bool back;
    struct weir_rope rope;
};
weir_status weir_launch_rope(enum weir_dtype type, const struct weir_cuda_rope *rope, const void *x, const void *addend,
                             void *y, float *table, void *stream);

/* y = a + b (+ c) */
weir_status weir_launch_sum(enum weir_dtype type, int64_t n, const void *a, const void *b, const void *c, void *y,
                            void *stream);

/* Parts (rows, widths[i]) of a whole (rows, width): data[i] and its addend are columns from widths[0] + .. + widths[i - 1] on.
 * gather: whole = addend + the parts, of which NULL is zeros; scatter: part i = addends[i] + its columns, NULL is left out. */
struct weir_cuda_parts {
    int64_t rows, width;
    int64_t widths[WEIR_OP_OUTPUTS];
    void *data[WEIR_OP_OUTPUTS];
    const void *addends[WEIR_OP_OUTPUTS];
};
weir_status weir_launch_gather(enum weir_dtype type, const struct weir_cuda_parts *parts, const void *addend, void *whole,
                               void *stream);
weir_status weir_launch_scatter(enum weir_dtype type, const struct weir_cuda_parts *parts, const void *whole, void *stream);

/* The random numbers of a dropout: element e of sample s takes word e % 4 of the Philox block (e / 4, node,
 * first_sample + s, step->step) under the key step->seed.  step NULL, or not training: nothing is dropped. */
struct weir_cuda_dropout {
    const struct weir_step_values *step;
    uint32_t node, first_sample;
    float p, keep; /* probability of a zero, 1 / (1 - p) */
};

/* y = addend + factor * x over (samples, per_sample) */
weir_status weir_launch_dropout(enum weir_dtype type, const struct weir_cuda_dropout *dropout, int64_t samples,
                                int64_t per_sample, const void *x, const void *addend, void *y, void *stream);

/* ---- rows: norm.cu, loss.cu, embedding.cu -------------------------------------------------------------------------- */

/* saved: (rows, 2) mean and 1/deviation when centred (layer_norm), else (rows) 1/deviation (rms_norm) */
weir_status weir_launch_norm(enum weir_dtype type, bool centred, int64_t rows, int64_t columns, float eps, const void *x,
                             const void *gain, const void *bias, void *y, float *saved, void *stream);
weir_status weir_launch_norm_slope(enum weir_dtype type, bool centred, int64_t rows, int64_t columns, const void *x,
                                   const void *dy, const void *gain, const void *addend, const float *saved, void *dx,
                                   void *stream);

/* d_gain = (accumulate: +=) sum over rows of dy xhat, d_bias (optional) = sum over rows of dy.  scratch: room for
 * weir_column_partials(rows) * columns floats, which the two sums use one after the other. */
weir_status weir_launch_norm_weights(enum weir_dtype type, bool centred, int64_t rows, int64_t columns, const void *x,
                                     const void *dy, const float *saved, bool accumulate, float *d_gain, float *d_bias,
                                     float *scratch, void *stream);

/* sums[c] = (accumulate: +=) sum over rows of x[r][c].  scratch as above. */
weir_status weir_launch_column_sums(enum weir_dtype type, int64_t rows, int64_t columns, const void *x, bool accumulate,
                                    float *sums, float *scratch, void *stream);

enum { WEIR_COLUMN_ROWS = 256 }; /* rows of one partial sum */

static inline int64_t weir_column_partials(int64_t rows)
{
    return (rows + WEIR_COLUMN_ROWS - 1) / WEIR_COLUMN_ROWS;
}

/* loss = sum over rows; d (optional, may be x) = gradient * scale.  losses: scratch of one double per row. */
weir_status weir_launch_cross_entropy(enum weir_dtype type, int64_t rows, int64_t columns, const void *x,
                                      const int32_t *targets, float scale, void *d, double *losses, double *loss,
                                      void *stream);
weir_status weir_launch_mse(enum weir_dtype type, int64_t rows, int64_t columns, const void *x, const void *target,
                            float scale, void *d, double *losses, double *loss, void *stream);

/* Sizes of an embedding: tokens (samples, positions) into tables (vocabulary, width) and (n_positions, width).  Forward: row
 * t of a sample stands at position first + t; rows from n_rows on become zeros. */
struct weir_cuda_embedding {
    int64_t samples, positions, vocabulary, n_positions, width;
    int64_t first, n_rows;
};

weir_status weir_launch_embedding(enum weir_dtype type, const struct weir_cuda_embedding *sizes, const int32_t *tokens,
                                  const void *wte, const void *wpe, void *y, void *stream);
weir_status weir_launch_embedding_weights(enum weir_dtype type, const struct weir_cuda_embedding *sizes,
                                          const int32_t *tokens, const void *dy, bool accumulate, float *d_wte,
                                          float *d_wpe, void *stream);

/* ---- products: product.cu ------------------------------------------------------------------------------------------ */

/* A product as cuda_matmul.h describes it, without a library. */
weir_status weir_launch_product(const struct weir_cuda_product *product, const struct weir_cuda_operands *operands,
                                void *stream);

/* y (rows, columns) += bias (columns) */
weir_status weir_launch_row_bias(enum weir_dtype type, int64_t rows, int64_t columns, const void *bias, void *y,
                                 void *stream);

/* ---- attention: attention_forward.cu, attention_backward.cu -------------------------------------------------------- */

/* Head h of sample s at position t lies at q + s * q_sample + t * q_row + h * width, likewise k and v, where head h uses
 * k and v of h / (heads / kv_heads).  All distances are in elements. */
struct weir_cuda_attention {
    int64_t samples, positions, heads, kv_heads, width;
    int64_t q_sample, q_row, k_sample, k_row, v_sample, v_row;
    int64_t y_sample, y_row;
    struct weir_cuda_dropout dropout;
};

/* y = causal attention; lse (samples, heads, positions) = log of the sum of e^score. */
weir_status weir_launch_attention(enum weir_dtype type, const struct weir_cuda_attention *a, const void *q,
                                  const void *k, const void *v, void *y, float *lse, void *stream);

/* dots (samples, heads, positions): scratch of d_q and d_kv, filled by d_q.  Gradients and addends lie as q, k and v do;
 * each output is optional.  An addend may be a gradient that comes before it in the order q, k, v. */
weir_status weir_launch_attention_d_q(enum weir_dtype type, const struct weir_cuda_attention *a, const void *q,
                                      const void *k, const void *v, const void *dy, const float *lse, const void *add_q,
                                      void *d_q, float *dots, void *stream);
weir_status weir_launch_attention_d_kv(enum weir_dtype type, const struct weir_cuda_attention *a, const void *q,
                                       const void *k, const void *v, const void *dy, const float *lse,
                                       const float *dots, const void *add_k, const void *add_v, void *d_k, void *d_v,
                                       void *stream);

/* ---- generation: attention_cached.cu, last_row.cu ------------------------------------------------------------------ */

/* Rows at the end of a sequence: `rows` of the call, of which n_rows are there; row t stands at position + t.  Head h of row t
 * lies at q + t * q_row + h * width, likewise k and v.  All distances are in elements. */
struct weir_cuda_cached_attention {
    int64_t rows, n_rows, position;
    int64_t heads, kv_heads, width, capacity;
    int64_t q_row, k_row, v_row;
};

/* Keys of one partial sum of a call of so many rows; floats of scratch. */
enum { WEIR_SPAN = 128, WEIR_SPAN_ROWS = 32 };

static inline int64_t weir_cached_span(int64_t rows)
{
    return WEIR_SPAN * ((rows + WEIR_SPAN_ROWS - 1) / WEIR_SPAN_ROWS);
}

static inline int64_t weir_cached_floats(int64_t rows, int64_t heads, int64_t width, int64_t capacity)
{
    int64_t span = weir_cached_span(rows);
    return rows * heads * ((capacity + span - 1) / span) * (width + 2);
}

/* Keys and values go to the cache (op_attention_cached.c has its layout, whose type is `type`), then y (rows, heads, width) =
 * attention over positions 0 .. position + t; zeros from row n_rows on. */
weir_status weir_launch_attention_cached(enum weir_dtype type, const struct weir_cuda_cached_attention *a, const void *q,
                                         const void *k, const void *v, void *cache, void *y, float *scratch,
                                         void *stream);

/* y = row `row` of x. */
weir_status weir_launch_row(enum weir_dtype type, int64_t columns, int64_t row, const void *x, void *y, void *stream);

/* ---- vectors: vector.cu (vector.h has the contracts) --------------------------------------------------------------- */

weir_status weir_launch_vector_add(int64_t n, float *sum, const float *term, void *stream);
weir_status weir_launch_vector_reduce(int64_t n, float *sum, int n_terms, const float *const *terms, void *stream);
weir_status weir_launch_square_sums(int64_t n, const float *x, double *sums, void *stream);
weir_status weir_launch_gate(int64_t n_sums, const double *sums, int64_t n_losses, const double *losses,
                             double n_targets, double clip, struct weir_update_gate *gate, void *stream);
weir_status weir_launch_adamw(const struct weir_update *update, const struct weir_update_gate *gate,
                              struct weir_update_scale scale, int64_t n, float *param, const float *grad, float *m, float *v,
                              void *stream);
weir_status weir_launch_sgd(const struct weir_update *update, const struct weir_update_gate *gate, struct weir_update_scale scale,
                            int64_t n, float *param, const float *grad, void *stream);
weir_status weir_launch_to_bf16(int64_t n, const float *from, void *to, void *stream);

#ifdef __cplusplus
}
#endif

#endif
