/* Causal attention, head by head of k and v with the heads of q that read it, scores for blocks of 32 rows only.  A task is
 * one such head of a sample, or all heads of a small sample.
 *
 * The operands of a head are copied to scratch first: padded to whole tiles, K and V also transposed in strips of 32
 * positions, so that every product below is a loop over weir_tile without tails and independent of alignment.
 *
 *     forward, rows i..i+31, columns 0..i+31      backward
 *       S = (q / sqrt(d)) K^T                       P = e^(S - log sum), from S as in forward
 *       P = e^(S - max), sums                       dP = dO V^T
 *       O = (P * dropout) V / sum                   dV += (P * dropout)^T dO
 *       log sum ─▶ saved                            dS = P (dP * dropout - row sum of P dP * dropout)
 *                                                   dQ = dS K / sqrt(d),  dK += dS^T (q / sqrt(d))
 *
 * scratch of a thread (floats), T and d padded to 32, sizes for T = 1024, d = 64: forward 0.7 MiB, backward 1.6 MiB; 8 KiB
 * more for bf16, whose blocks are widened on the way.
 *
 * Rows of a slice stand at first_position.. of their sequence: "columns" above are then those of all slices up to this one.
 * Their K and V lie in the cache, into which forward puts the slice's own.  The backward of a later slice runs before:
 *
 *     slice                0        1        2                  dK, dV of its own rows, from the slices behind it
 *     columns of slice 1   ├────────┼────────┤                  start from the sums in cache_gradient; what it finds for
 *                          sums ◀── dK, dV ──┘ ◀── sums         earlier rows goes there */
#include <math.h>
#include <string.h>

#include "kernels/cpu/attention_rows.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dropout_mask.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/tile.h"

enum { BLOCK = WEIR_TILE_COLUMNS }; /* rows of scores, and positions of a strip */
enum { SKEW = 16 };                 /* keeps the rows of a block out of one cache set */
enum { SMALL_SAMPLE = 512 << 10, LINE = 64 }; /* bytes: half of the second cache of today's cores; of a line of it */

struct sizes {
    int64_t positions, heads, kv_heads, group, d; /* group: heads that share one of k and v */
    int64_t first, keys, whole;                   /* rows stand at first .. keys - 1 of a sequence of `whole` */
    int64_t padded_keys, padded_d, row;           /* row: floats from one row of scores to the next */
};

/* One of q, k, v, or its gradient: row t of a head is at data + t * stride. */
struct operand {
    int64_t rows;           /* of a sample */
    int64_t stride, offset; /* offset: of head 0 within a row */
    const void *data, *addend;
    void *gradient; /* NULL: nobody wants it */
};

/* Blocks of scratch; those that a pass does not use are NULL. */
struct buffers {
    float *q, *o, *scores, *factors;         /* (BLOCK, pd) (BLOCK, pd) (BLOCK, row) (pT) */
    float *k_strips, *v_strips;              /* (pT / 32, d, 32) */
    float *k, *v;                            /* (pT, pd) */
    float *d_q, *d_scores, *d_k, *d_v;       /* (BLOCK, pd) (BLOCK, row) (pT, pd) (pT, pd) */
    float *room;                             /* (BLOCK, d), of bf16 numbers as floats */
};

struct job {
    const struct weir_op_call *call;
    bool bf16, sliced;
    double dropout;
    struct sizes s;
    struct operand q, k, v;
    struct operand all_k, all_v; /* of all rows up to `keys` */
    struct operand sum_k, sum_v; /* backward of slices: gradients so far, f32 */
    bool backward;
    bool whole_samples; /* a task is all heads of a sample, and not one of them */
    size_t thread_floats;
};

/* Of sequences of `whole` positions, 0: the rows are all, those from `first` on. */
static struct sizes sizes_of(const struct weir_attention_attr *attr, int64_t first, int64_t whole, int n_inputs, const int64_t *dims)
{
    struct sizes s = {.positions = dims[1], .heads = attr->n_heads, .first = first};
    s.keys = s.first + s.positions;
    s.whole = whole ? whole : s.positions;
    s.kv_heads = attr->kv_heads ? attr->kv_heads : attr->n_heads;
    s.group = s.heads / s.kv_heads;
    s.d = dims[2] / (n_inputs == 1 ? s.heads + 2 * s.kv_heads : s.heads);
    s.padded_keys = weir_round_up(s.keys, BLOCK);
    s.padded_d = weir_round_up(s.d, BLOCK);
    s.row = s.padded_keys + SKEW;
    return s;
}

static struct operand operand_of(const struct weir_op_call *call, const struct sizes *s, int which)
{
    bool packed = call->n_inputs == 1;
    int input = packed ? 0 : which;
    int64_t heads = which ? s->kv_heads : s->heads, before = which ? s->heads + (which - 1) * s->kv_heads : 0;
    return (struct operand){s->positions, (packed ? s->heads + 2 * s->kv_heads : heads) * s->d,
                            packed ? before * s->d : 0,
                            call->inputs[input].data,
                            call->addends[input],
                            call->d_inputs[input].data};
}

/* Half 0 or 1 of a cache (2, samples, whole, kv_heads d). */
static struct operand cache_half(const struct sizes *s, int64_t samples, char *cache, int half, size_t element_bytes)
{
    struct operand o = {.rows = s->whole, .stride = s->kv_heads * s->d};
    o.data = o.gradient = cache + (size_t)half * (size_t)(samples * o.rows * o.stride) * element_bytes;
    return o;
}

/* Floats from the operand's start to a row of a head. */
static int64_t operand_at(const struct job *job, const struct operand *o, int64_t sample, int64_t head, int64_t t)
{
    return (sample * o->rows + t) * o->stride + o->offset + head * job->s.d;
}

/* Floats from the output's start to a row of a head. */
static int64_t output_at(const struct job *job, int64_t sample, int64_t head, int64_t t)
{
    return ((sample * job->s.positions + t) * job->s.heads + head) * job->s.d;
}

/* Carve the buffers of one pass from `base` (NULL: only count).  Returns the floats used. */
static size_t buffers_carve(const struct sizes *s, bool backward, bool bf16, float *base, struct buffers *b)
{
    int64_t pt = s->padded_keys, pd = s->padded_d;
    const struct {
        float **to;
        int64_t floats;
    } parts[] = {
        {&b->q, BLOCK * pd},
        {&b->o, BLOCK * pd},
        {&b->scores, BLOCK * s->row},
        {&b->factors, pt},
        {&b->k_strips, s->d * pt},
        {backward ? &b->v_strips : &b->v, backward ? s->d * pt : pt * pd},
        {&b->k, backward ? pt * pd : 0},
        {&b->d_q, backward ? BLOCK * pd : 0},
        {&b->d_scores, backward ? BLOCK * s->row : 0},
        {&b->d_k, backward ? pt * pd : 0},
        {&b->d_v, backward ? pt * pd : 0},
        {&b->room, bf16 ? BLOCK * s->d : 0},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].to = base && parts[i].floats ? base + used : NULL;
        used += (size_t)weir_round_up(parts[i].floats, 16);
    }
    return used;
}

size_t weir_cpu_attention_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    struct buffers none = {0};
    struct sizes s = sizes_of(shapes->attr, shapes->first_position, shapes->n_positions, shapes->n_inputs, shapes->inputs[0].dims);
    if (pass == WEIR_BACKWARD_WEIGHT)
        return 0;
    bool bf16 = shapes->storage == WEIR_DTYPE_BF16;
    return (size_t)n_threads * sizeof(float) * buffers_carve(&s, pass == WEIR_BACKWARD_INPUT, bf16, NULL, &none);
}

/* At most BLOCK rows of a head, `*stride` apart from each other: where they are, or as floats in `room`. */
static const float *rows_floats(const struct job *job, const void *data, int64_t at, int64_t rows, float *room, int64_t *stride)
{
    if (!job->bf16)
        return (const float *)data + at;
    for (int64_t t = 0; t < rows; t++, at += *stride)
        weir_widen(job->s.d, weir_element(true, data, at), room + t * job->s.d);
    *stride = job->s.d;
    return room;
}

/* block_copy of any number of rows, BLOCK by BLOCK. */
static void rows_copy(const struct job *job, const void *data, int64_t at, int64_t stride, int64_t rows, float scale,
                      float *room, float *to)
{
    for (int64_t t = 0; t < rows; t += BLOCK) {
        int64_t n = rows - t < BLOCK ? rows - t : BLOCK, step = stride;
        const float *from = rows_floats(job, data, at + t * stride, n, room, &step);
        block_copy(job->s.d, from, step, n, BLOCK, scale, to + t * job->s.padded_d);
    }
}

static void rows_transpose(const struct job *job, const struct operand *o, int64_t at, float *room, float *to)
{
    for (int64_t t = 0; t < job->s.keys; t += BLOCK) {
        int64_t n = job->s.keys - t < BLOCK ? job->s.keys - t : BLOCK, step = o->stride;
        const float *from = rows_floats(job, o->data, at + t * o->stride, n, room, &step);
        strips_copy(job->s.d, from, step, n, to + t * job->s.d);
    }
}

/* A row of the output or of a gradient: scale * from, plus the addend; `at` counts elements in both tensors. */
static void row_put(const struct job *job, const float *from, float scale, const void *addend, int64_t at, float *room, void *to)
{
    int64_t d = job->s.d;
    float *out = weir_floats_out(job->bf16, to, at, room);
    row_store(d, from, scale, weir_floats(job->bf16, addend, at, d, room), out);
    weir_floats_end(job->bf16, to, at, d, out);
}

/* Dropout factors of the row at position t of a head, columns 0..t; the padding keeps any finite value. */
static void row_factors(const struct job *job, int64_t sample, int64_t head, int64_t t, float *factors)
{
    int64_t n = job->s.whole;
    weir_dropout_factors(job->call, job->dropout, sample, (head * n + t) * n, t + 1, factors);
}

/* Columns that rows i0.. look at, padded. */
static int64_t columns_of(const struct sizes *s, int64_t i0)
{
    int64_t columns = weir_round_up(s->first + i0 + BLOCK, BLOCK);
    return columns < s->padded_keys ? columns : s->padded_keys;
}

/* Rows i0.. of one head: scores, softmax, output. */
static void forward_block(const struct job *job, int64_t sample, int64_t head, int64_t i0, const struct buffers *b)
{
    const struct sizes *s = &job->s;
    const struct weir_op_call *call = job->call;
    int64_t rows = weir_task_size(s->positions, BLOCK, i0 / BLOCK), columns = columns_of(s, i0);
    int64_t y_at = output_at(job, sample, head, i0);
    float *lse = (float *)call->saved + (sample * s->heads + head) * s->positions + i0, sums[BLOCK];
    rows_copy(job, job->q.data, operand_at(job, &job->q, sample, head, i0), job->q.stride, rows, 1.0f / sqrtf((float)s->d),
              b->room, b->q);
    block_multiply(BLOCK, columns, s->d, b->q, s->padded_d, 1, b->k_strips, BLOCK, s->d * BLOCK, false, b->scores, s->row);
    for (int64_t r = 0; r < rows; r++) {
        int64_t n = s->first + i0 + r + 1;
        float *p = b->scores + r * s->row, most = row_largest(n, p);
        sums[r] = row_exp(n, columns, most, p);
        lse[r] = most + logf(sums[r]);
        if (weir_dropout_active(call, job->dropout)) {
            row_factors(job, sample, head, n - 1, b->factors);
            row_multiply(n, b->factors, p);
        }
    }
    block_multiply(BLOCK, s->padded_d, columns, b->scores, s->row, 1, b->v, s->padded_d, BLOCK, false, b->o, s->padded_d);
    for (int64_t r = 0; r < rows; r++)
        row_put(job, b->o + r * s->padded_d, 1.0f / sums[r], NULL, y_at + r * s->heads * s->d, b->room, call->output.data);
}

/* Slices: the rows of one head of k or v go to their positions. */
static void rows_keep(const struct job *job, const struct operand *from, const struct operand *to, int64_t sample, int64_t kv_head)
{
    size_t bytes = (size_t)job->s.d * (job->bf16 ? 2 : 4);
    for (int64_t t = 0; t < job->s.positions; t++)
        memcpy(weir_element_out(job->bf16, to->gradient, operand_at(job, to, sample, kv_head, job->s.first + t)),
               weir_element(job->bf16, from->data, operand_at(job, from, sample, kv_head, t)), bytes);
}

/* One head of k and v, and all heads of q that read it. */
static void forward_head(const struct job *job, int64_t sample, int64_t kv_head, const struct buffers *b)
{
    const struct sizes *s = &job->s;
    if (job->sliced) {
        rows_keep(job, &job->k, &job->all_k, sample, kv_head);
        rows_keep(job, &job->v, &job->all_v, sample, kv_head);
    }
    rows_transpose(job, &job->all_k, operand_at(job, &job->all_k, sample, kv_head, 0), b->room, b->k_strips);
    rows_copy(job, job->all_v.data, operand_at(job, &job->all_v, sample, kv_head, 0), job->all_v.stride, s->keys, 1.0f, b->room,
              b->v);
    for (int64_t head = kv_head * s->group; head < (kv_head + 1) * s->group; head++)
        for (int64_t i0 = 0; i0 < s->positions; i0 += BLOCK)
            forward_block(job, sample, head, i0, b);
}

/* Probabilities and their gradients of rows i0..; on return scores = dropped-out probabilities, d_scores = dS. */
static void block_softmax_backward(const struct job *job, int64_t sample, int64_t head, int64_t i0,
                                   const struct buffers *b)
{
    const struct sizes *s = &job->s;
    int64_t rows = weir_task_size(s->positions, BLOCK, i0 / BLOCK), columns = columns_of(s, i0);
    const float *lse = (const float *)job->call->saved + (sample * s->heads + head) * s->positions + i0;
    for (int64_t r = 0; r < rows; r++) {
        float *p = b->scores + r * s->row, *dp = b->d_scores + r * s->row;
        int64_t n = s->first + i0 + r + 1;
        row_exp(n, columns, lse[r], p);
        bool drop = weir_dropout_active(job->call, job->dropout);
        if (drop) {
            row_factors(job, sample, head, n - 1, b->factors);
            row_multiply(n, b->factors, dp);
        }
        row_softmax_backward(columns, p, row_dot(columns, p, dp), dp);
        if (drop)
            row_multiply(n, b->factors, p);
    }
    for (int64_t r = rows; r < BLOCK; r++) {
        memset(b->scores + r * s->row, 0, (size_t)columns * sizeof(float));
        memset(b->d_scores + r * s->row, 0, (size_t)columns * sizeof(float));
    }
}

/* Rows of a gradient: scale * from, plus the addend. */
static void gradient_store(const struct job *job, const struct operand *o, int64_t at, int64_t rows, const float *from,
                           float scale, float *room)
{
    for (int64_t r = 0; r < rows && o->gradient; r++, at += o->stride)
        row_put(job, from + r * job->s.padded_d, scale, o->addend, at, room, o->gradient);
}

static void backward_block(const struct job *job, int64_t sample, int64_t head, int64_t i0, const struct buffers *b)
{
    const struct sizes *s = &job->s;
    int64_t rows = weir_task_size(s->positions, BLOCK, i0 / BLOCK), columns = columns_of(s, i0), pd = s->padded_d;
    int64_t at = operand_at(job, &job->q, sample, head, i0);
    float scale = 1.0f / sqrtf((float)s->d);
    rows_copy(job, job->q.data, at, job->q.stride, rows, scale, b->room, b->q);
    rows_copy(job, job->call->d_output.data, output_at(job, sample, head, i0), s->heads * s->d, rows, 1.0f, b->room, b->o);
    block_multiply(BLOCK, columns, s->d, b->q, pd, 1, b->k_strips, BLOCK, s->d * BLOCK, false, b->scores, s->row);
    block_multiply(BLOCK, columns, s->d, b->o, pd, 1, b->v_strips, BLOCK, s->d * BLOCK, false, b->d_scores, s->row);
    block_softmax_backward(job, sample, head, i0, b);
    block_multiply(columns, pd, BLOCK, b->scores, 1, s->row, b->o, pd, BLOCK, true, b->d_v, pd);
    block_multiply(columns, pd, BLOCK, b->d_scores, 1, s->row, b->q, pd, BLOCK, true, b->d_k, pd);
    block_multiply(BLOCK, pd, columns, b->d_scores, s->row, 1, b->k, pd, BLOCK, false, b->d_q, pd);
    gradient_store(job, &job->q, at, rows, b->d_q, scale, b->room);
}

/* What the later slices have found for one head of k or v; the last one begins. */
static void sums_begin(const struct job *job, const struct operand *sum, int64_t sample, int64_t kv_head, float *to)
{
    const struct sizes *s = &job->s;
    if (job->sliced && s->keys < s->whole)
        block_copy(s->d, (const float *)sum->data + operand_at(job, sum, sample, kv_head, 0), sum->stride, s->keys, s->padded_keys,
                   1.0f, to);
    else
        memset(to, 0, (size_t)(s->padded_keys * s->padded_d) * sizeof *to);
}

/* The gradients of the slice's own rows are whole, those of earlier rows go on. */
static void sums_end(const struct job *job, const struct operand *o, const struct operand *sum, int64_t sample, int64_t kv_head,
                     const float *from, float *room)
{
    const struct sizes *s = &job->s;
    for (int64_t t = 0; t < s->first; t++)
        memcpy((float *)sum->gradient + operand_at(job, sum, sample, kv_head, t), from + t * s->padded_d,
               (size_t)s->d * sizeof *from);
    gradient_store(job, o, operand_at(job, o, sample, kv_head, 0), s->positions, from + s->first * s->padded_d, 1.0f, room);
}

/* The gradients of one head of k and v are sums over the heads of q that read it, in ascending order. */
static void backward_head(const struct job *job, int64_t sample, int64_t kv_head, const struct buffers *b)
{
    const struct sizes *s = &job->s;
    int64_t k_at = operand_at(job, &job->all_k, sample, kv_head, 0), v_at = operand_at(job, &job->all_v, sample, kv_head, 0);
    rows_transpose(job, &job->all_k, k_at, b->room, b->k_strips);
    rows_transpose(job, &job->all_v, v_at, b->room, b->v_strips);
    rows_copy(job, job->all_k.data, k_at, job->all_k.stride, s->keys, 1.0f, b->room, b->k);
    sums_begin(job, &job->sum_k, sample, kv_head, b->d_k);
    sums_begin(job, &job->sum_v, sample, kv_head, b->d_v);
    for (int64_t head = kv_head * s->group; head < (kv_head + 1) * s->group; head++)
        for (int64_t i0 = 0; i0 < s->positions; i0 += BLOCK)
            backward_block(job, sample, head, i0, b);
    sums_end(job, &job->k, &job->sum_k, sample, kv_head, b->d_k, b->room);
    sums_end(job, &job->v, &job->sum_v, sample, kv_head, b->d_v, b->room);
}

/* Bytes of a tensor that belong to one sample. */
static size_t sample_bytes(const struct job *job, const struct weir_tensor *x)
{
    return x->data ? (size_t)(weir_tensor_elements(x) / x->shape[0]) * (job->bf16 ? 2 : 4) : 0;
}

/* The tensors of a pass whose rows are taken head by head; those that nobody wants have no data. */
static int strided_tensors(const struct job *job, const struct weir_tensor *tensors[2 * WEIR_OP_INPUTS + 1])
{
    int n = 0;
    tensors[n++] = job->backward ? &job->call->d_output : &job->call->output;
    for (int i = 0; i < job->call->n_inputs; i++) {
        tensors[n++] = &job->call->inputs[i];
        if (job->backward)
            tensors[n++] = &job->call->d_inputs[i];
    }
    return n;
}

/* Samples that fit into a core's second cache are tasks, where every thread gets as many.  Results are the same either way. */
static bool takes_whole_samples(const struct job *job)
{
    const struct weir_tensor *tensors[2 * WEIR_OP_INPUTS + 1];
    size_t bytes = 0;
    for (int i = strided_tensors(job, tensors) - 1; i >= 0; i--)
        bytes += sample_bytes(job, tensors[i]);
    return bytes <= SMALL_SAMPLE && job->call->inputs[0].shape[0] % job->call->context->n_threads == 0;
}

/* Bring a sample into the cache in the order of its addresses.  Rows of a head are short and far apart: taken from memory one by
 * one they come at a quarter of the speed of a stream, and prefetches do not mend that (docs/performance-log.md).  What is
 * written is read as well, since a store fetches its line first. */
static void sample_fetch(const struct job *job, int64_t sample)
{
    const struct weir_tensor *tensors[2 * WEIR_OP_INPUTS + 1];
    for (int i = strided_tensors(job, tensors) - 1; i >= 0; i--) {
        size_t bytes = sample_bytes(job, tensors[i]);
        const volatile char *from = (const char *)tensors[i]->data + (size_t)sample * bytes;
        for (size_t at = 0; at < bytes; at += LINE)
            (void)from[at];
    }
}

static void task_run(const void *argument, int64_t task, int thread)
{
    const struct job *job = argument;
    int64_t n = job->whole_samples ? job->s.kv_heads : 1, first = task * n, sample = first / job->s.kv_heads;
    struct buffers b = {0};
    buffers_carve(&job->s, job->backward, job->bf16, (float *)job->call->scratch + (size_t)thread * job->thread_floats, &b);
    if (job->whole_samples)
        sample_fetch(job, sample);
    for (int64_t kv_head = first % job->s.kv_heads, i = 0; i < n; i++, kv_head++)
        (job->backward ? backward_head : forward_head)(job, sample, kv_head, &b);
}

static weir_status slices_open(struct job *job)
{
    const struct weir_op_call *call = job->call;
    int64_t samples = call->inputs[0].shape[0];
    if (!call->cache || (job->backward && !call->cache_gradient))
        return WEIR_FAIL(WEIR_ERR_INVALID, "attention over slices needs the keys and values of all of them: it has no cache");
    job->sliced = true;
    job->all_k = cache_half(&job->s, samples, call->cache, 0, job->bf16 ? 2 : 4);
    job->all_v = cache_half(&job->s, samples, call->cache, 1, job->bf16 ? 2 : 4);
    if (job->backward) {
        job->sum_k = cache_half(&job->s, samples, call->cache_gradient, 0, sizeof(float));
        job->sum_v = cache_half(&job->s, samples, call->cache_gradient, 1, sizeof(float));
    }
    return WEIR_OK;
}

static weir_status attention_run(const struct weir_op_call *call, bool backward)
{
    struct buffers none = {0};
    const struct weir_attention_attr *attr = call->attr;
    struct job job = {.call = call, .backward = backward, .bf16 = weir_tensor_bf16(&call->inputs[0]), .dropout = attr->dropout,
                      .s = sizes_of(attr, call->first_position, call->n_positions, call->n_inputs, call->inputs[0].shape)};
    job.q = operand_of(call, &job.s, 0);
    job.k = operand_of(call, &job.s, 1);
    job.v = operand_of(call, &job.s, 2);
    job.all_k = job.k;
    job.all_v = job.v;
    if (call->n_positions) {
        weir_status status = slices_open(&job);
        if (status)
            return status;
    }
    job.thread_floats = buffers_carve(&job.s, backward, job.bf16, NULL, &none);
    job.whole_samples = takes_whole_samples(&job);
    weir_parallel(call->context, call->inputs[0].shape[0] * (job.whole_samples ? 1 : job.s.kv_heads), task_run, &job);
    return WEIR_OK;
}

weir_status weir_cpu_attention_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return attention_run(call, false);
}

weir_status weir_cpu_attention_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return attention_run(call, true);
}
