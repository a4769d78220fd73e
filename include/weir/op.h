/* Operations: one row per operation, with its backward in two parts.
 *
 * A node of the layer graph is one operation.  Its row says what shapes, parameters, saved tensors and work it has, and
 * has per device three kernels that never share work, because a pipeline schedule may run them far apart:
 *
 *     forward           inputs, params                       ─▶ outputs, saved
 *     backward_input    d_outputs, params, what it needs     ─▶ d_inputs   (+ addend)
 *     backward_weight   d_outputs, what it needs             ─▶ d_params   (= on the first micro-batch, += after it)
 *
 * "What it needs" is declared: input_needs and weight_needs tell the compiler which tensors to keep until I and until W.
 * A tensor that no row declares is gone when the kernel runs.
 *
 * Gradients of a tensor with several consumers: the compiler runs the consumers' backward_input in descending node order
 * and hands each the sum so far as `addend`: d_input = addend + own gradient.  `addend` may be the same memory as
 * d_input, and may not (residual connections hand their gradient on without a copy).  Of a value that is several inputs of
 * one node the first one's gradient has an addend; the others' memory is their own, and they are added afterwards, in the order of
 * the inputs.  So a kernel may write its gradients in any order.
 *
 * Several outputs.  Most rows have one, `output` and `d_output`, which are outputs[0] and d_outputs[0].  A row with more says
 * so in infer; forward writes them all.  A gradient d_outputs[i] whose data is NULL is zero: nobody reads that output.  At
 * least one of them is read.
 *
 * Storage.  Values between nodes are f32 or bf16, all of a graph alike.  With bf16 the inputs (numbers of a vocabulary
 * aside), outputs, parameters, d_outputs, d_inputs and addends are bf16; d_params, saved, scratch and all arithmetic stay
 * f32, losses f64.  A tensor has its storage type whether or not a partition cuts there.
 *
 * Exactness.  A kernel's result depends on values and shapes, on the number of threads and on the instruction set, on
 * nothing else: not on alignment, addresses, stage or time.  Random numbers are those of Philox4x32-10 with the key step->seed and the
 * counter (element / 4 within the sample, node, first_sample + sample, step->step): weir_call_random (call.h).
 *
 * NaN.  Whatever depends on an element that is NaN becomes NaN, forward and backward: comparisons are written so that it
 * passes (tests/support/nan_flow.h).
 *
 * A program that embeds Weir makes rows of its own and gives them to weir_graph_node(); they are called exactly as the
 * built-in ones, on the rank's compute thread (examples/embed.c). */
#ifndef WEIR_OP_H
#define WEIR_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

/* Tensors as kernels see them: a view of memory with a shape.
 *
 * The layout of struct weir_tensor is that of DLPack's DLTensor (ABI of versions 0.6 to 1.x), so that a pointer to one
 * can be handed to any DLPack consumer and back.  Weir's own tensors are compact and row-major: strides is NULL and
 * byte_offset 0.  Shapes are written with the slowest dimension first, e.g. (B, T, C). */

enum weir_dtype { WEIR_DTYPE_F32, WEIR_DTYPE_F64, WEIR_DTYPE_I32, WEIR_DTYPE_U8, WEIR_DTYPE_BF16 };

enum { WEIR_DEVICE_TYPE_CPU = 1, WEIR_DEVICE_TYPE_CUDA = 2 }; /* DLPack's kDLCPU, kDLCUDA */

enum { WEIR_MAX_DIMS = 8 };

struct weir_shape {
    int n_dims; /* 0..WEIR_MAX_DIMS */
    int64_t dims[WEIR_MAX_DIMS];
    enum weir_dtype dtype;
};

struct weir_tensor {
    void *data;
    int32_t device_type; /* WEIR_DEVICE_TYPE_CPU ... */
    int32_t device_id;
    int32_t n_dims;
    uint8_t code; /* DLPack: 0 int, 1 unsigned int, 2 float, 4 bfloat */
    uint8_t bits;
    uint16_t lanes; /* 1 */
    int64_t *shape; /* [n_dims] */
    int64_t *strides; /* NULL: compact, row-major */
    uint64_t byte_offset;
};

/* INT64_MAX when the product does not fit: the graph builder refuses such shapes. */
static inline int64_t weir_shape_elements(const struct weir_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->n_dims; i++)
        if (__builtin_mul_overflow(n, shape->dims[i], &n))
            return INT64_MAX;
    return n;
}

/* Bytes of one element. */
static inline size_t weir_dtype_bytes(enum weir_dtype dtype)
{
    return dtype == WEIR_DTYPE_F64 ? 8 : dtype == WEIR_DTYPE_U8 ? 1 : dtype == WEIR_DTYPE_BF16 ? 2 : 4;
}

/* SIZE_MAX when they do not fit. */
static inline size_t weir_shape_bytes(const struct weir_shape *shape)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow((size_t)weir_shape_elements(shape), weir_dtype_bytes(shape->dtype), &bytes);
    return fits ? bytes : SIZE_MAX;
}

/* A view of `data` with the shape of `shape`, whose dims the view points to: `shape` must outlive it. */
static inline struct weir_tensor weir_tensor_view(void *data, struct weir_shape *shape)
{
    static const uint8_t codes[] = {2, 2, 0, 1, 4};
    struct weir_tensor t = {data, WEIR_DEVICE_TYPE_CPU, 0, shape->n_dims, codes[shape->dtype],
                            (uint8_t)(8 * weir_dtype_bytes(shape->dtype)), 1, shape->dims, NULL, 0};
    return t;
}

/* Of all dimensions together. */
static inline int64_t weir_tensor_elements(const struct weir_tensor *tensor)
{
    int64_t n = 1;
    for (int i = 0; i < tensor->n_dims; i++)
        n *= tensor->shape[i];
    return n;
}

enum { WEIR_OP_INPUTS = 8, WEIR_OP_OUTPUTS = 8, WEIR_OP_PARAMS = 8 }; /* most of one node */

/* Tensors that a backward needs (bits of input_needs and weight_needs).  d_outputs are always there. */
enum weir_op_needs {
    WEIR_NEEDS_INPUT_0 = 1 << 0,
    WEIR_NEEDS_INPUT_1 = 1 << 1,
    WEIR_NEEDS_INPUT_2 = 1 << 2,
    WEIR_NEEDS_OUTPUT = 1 << 3, /* all outputs */
    WEIR_NEEDS_SAVED = 1 << 4,
    WEIR_NEEDS_INPUT_3 = 1 << 5,
    WEIR_NEEDS_INPUT_4 = 1 << 6,
    WEIR_NEEDS_INPUT_5 = 1 << 7,
    WEIR_NEEDS_INPUT_6 = 1 << 8,
    WEIR_NEEDS_INPUT_7 = 1 << 9,
};

/* The bit of input i. */
static inline unsigned weir_needs_input(int i)
{
    return 1u << (i < 3 ? i : i + 2);
}

enum weir_op_flags {
    WEIR_OP_LOSS = 1 << 0,     /* output is one float64; forward also writes d_inputs[0], which may be inputs[0] itself,
                                  or whose data is NULL where only the loss is wanted; no backward_input */
    WEIR_OP_SUM = 1 << 1,      /* output = sum of the inputs: d_output is handed to every input, no backward at all */
    WEIR_OP_NO_SPLIT = 1 << 2, /* backward_input does the whole backward, d_params included; no backward_weight.  Its
                                  gradients are added in the order of I and B, not of W */
    WEIR_OP_SLICES = 1 << 3,   /* the second dimension may be a part of the positions: each row of it stands for itself, or
                                  the row reads first_position */
};

enum weir_pass { WEIR_FORWARD, WEIR_BACKWARD_INPUT, WEIR_BACKWARD_WEIGHT, WEIR_PASSES };

/* Rotary positions: the pair i < d / 2 of a head of width d is turned by t * f_i at position t, f_i = theta^(-2i / d) (Su et
 * al., "RoFormer", 2021), changed for longer texts by the scaling. */
enum weir_rope_scaling {
    WEIR_ROPE_PLAIN,
    WEIR_ROPE_LINEAR, /* f / factor (Chen et al., "Extending context window ... via positional interpolation", 2023) */
    WEIR_ROPE_LLAMA3, /* f / factor for wavelengths above original / low, f below original / high, between them a mixture
                         (Grattafiori et al., "The Llama 3 herd of models", 2024, and its published code) */
};

struct weir_rope {
    double theta; /* 10000 */
    enum weir_rope_scaling scaling;
    double factor;              /* linear, llama3 */
    double low, high, original; /* llama3: low_freq_factor, high_freq_factor, original_max_position_embeddings */
};

/* Attributes: what a node has beside its inputs and parameters.  Each row that has any has a struct of its own, and says in
 * attr_bytes how large that is; a row of a program does the same with a struct of the program's.
 *
 *     weir_graph_node(&b, "fc1", linear, &(struct weir_linear_attr){.out_features = 64}, sizeof(struct weir_linear_attr), ..)
 *
 * A node has a copy.  Zero is the default of every field: a node that is given none has all zero bits. */
struct weir_embedding_attr {
    int64_t out_features;
    int64_t vocabulary;
    int64_t n_positions; /* rows of the position table; 0: there is none */
};

/* layer_norm, rms_norm */
struct weir_norm_attr {
    double eps;
    bool bias; /* layer_norm */
};

struct weir_linear_attr {
    int64_t out_features;
    bool bias;
    bool in_out; /* the weight is stored (in, out) as GPT-2's files have it, else (out, in) */
};

struct weir_rope_attr {
    int64_t n_heads;
    struct weir_rope rope;
};

struct weir_attention_attr {
    int64_t n_heads;
    int64_t kv_heads; /* heads of k and v, which groups of heads share; 0: n_heads */
    double dropout;   /* probability that an element is zeroed, 0 <= p < 1 */
};

/* The attention of graphs that generate. */
struct weir_attention_cached_attr {
    int64_t n_heads;
    int64_t kv_heads;    /* 0: n_heads */
    int64_t n_positions; /* of the cache */
};

struct weir_dropout_attr {
    double dropout; /* probability that an element is zeroed, 0 <= p < 1 */
};

struct weir_split_attr {
    int64_t parts[WEIR_OP_OUTPUTS]; /* sizes of the outputs in the last dimension; behind the last one 0 */
};

/* Shapes of a node for one micro-batch, and what it costs.  infer() reads `attr`, `storage`, the positions and `inputs`, writes
 * the rest. */
struct weir_op_shapes {
    const void *attr; /* attr_bytes of the row, aligned for any type; NULL: it takes none */
    enum weir_dtype storage; /* F32 or BF16: of floating-point inputs, and to be that of output and params */
    int64_t first_position;  /* slices: where the rows stand in their sequences (weir_graph_slice) .. */
    int64_t n_positions;     /* .. which have so many; 0: the rows are whole sequences */
    int n_inputs;
    struct weir_shape inputs[WEIR_OP_INPUTS];
    int n_outputs; /* 0 stands for 1 */
    union {
        struct weir_shape output, outputs[WEIR_OP_OUTPUTS];
    };
    int n_params;
    struct weir_shape params[WEIR_OP_PARAMS];
    size_t saved_bytes;             /* beyond inputs and outputs */
    size_t cache_bytes;             /* kept from call to call: of one sequence in generation, of the samples in slices */
    size_t cache_gradient_bytes;    /* the same from backward to backward */
    int64_t cache_positions;        /* generation: positions of a sequence that the cache has room for */
    double flops[WEIR_PASSES];      /* multiplications and additions of one call */
    double bytes[WEIR_PASSES];      /* memory traffic of one call, each tensor counted once */
};

/* What changes from step to step; one per rank, at a fixed address, so that a recorded step stays valid. */
struct weir_step_values {
    uint64_t seed;
    uint32_t step;      /* number of the step, from 0 */
    uint32_t training;  /* 0: dropout passes its input on */
    uint32_t run;       /* number of the run, from 1: parameters stay as they are within one; 0 in a generator */
};

/* Generation: where the rows of a call stand in their sequence.  Row t stands at position + t; rows from n_rows >= 1 on are
 * padding, whose values do not matter and stay finite.  Host memory on every device, read while the row enqueues. */
struct weir_sequence {
    int64_t position, n_rows;
};

/* One call, bound to memory.  Constant between compilation and the end of the program.  Tensors that this call does not
 * need have data == NULL. */
struct weir_op_call {
    const struct weir_op *op;
    const void *attr;                             /* as in the shapes */
    int64_t first_position, n_positions;          /* the same */
    int n_inputs, n_outputs, n_params;
    struct weir_tensor inputs[WEIR_OP_INPUTS];
    union {
        struct weir_tensor output, outputs[WEIR_OP_OUTPUTS];
    };
    struct weir_tensor params[WEIR_OP_PARAMS];
    union {
        struct weir_tensor d_output, d_outputs[WEIR_OP_OUTPUTS]; /* data == NULL: zero */
    };
    struct weir_tensor d_inputs[WEIR_OP_INPUTS];  /* data == NULL: nobody wants this gradient */
    const void *addends[WEIR_OP_INPUTS];          /* NULL: nothing to add; else as large as d_inputs[i] */
    struct weir_tensor d_params[WEIR_OP_PARAMS];
    bool accumulate;                              /* d_params: += instead of = */
    void *saved;                                  /* saved_bytes, 64-byte aligned */
    void *scratch;                                /* scratch_bytes(), 64-byte aligned, undefined on entry and exit */
    double loss_scale;                            /* loss rows: factor of the gradient, 1 / (targets of the step) */
    uint32_t node;                                /* index of the node in its graph: names its random numbers */
    uint32_t first_sample;                        /* index in the step of sample 0 of this micro-batch */
    const struct weir_step_values *step;
    const struct weir_sequence *sequence;         /* NULL: not a generator, rows stand at 0, 1, 2 .. */
    void *cache;                                  /* cache_bytes, 64-byte aligned */
    void *cache_gradient;                         /* cache_gradient_bytes, 64-byte aligned */
    struct weir_kernel_context *context;          /* the rank's kernel state (threads, matrix product primitives) */
    void *packed;                                 /* built-in rows on cpu: memory of this node and pass that outlives calls; NULL: none */
};

/* Runs one pass of one call.  On cpu it computes; on cuda it enqueues on `stream` and returns.  It leaves by returning: no exception
 * and no longjmp.  Rows that call.h serves read no field of the call. */
typedef weir_status (*weir_kernel_fn)(const struct weir_op_call *call, void *stream);

struct weir_op_kernels {
    weir_kernel_fn forward;
    weir_kernel_fn backward_input;  /* NULL: the row has no gradient for its inputs */
    weir_kernel_fn backward_weight; /* NULL: the row has no parameters */
    /* (optional) scratch of one call in bytes; NULL: none */
    size_t (*scratch_bytes)(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);
    /* (optional) make what the pass will need (primitives, code on a device), on the compute thread, before the first step.
     * It may run the pass: what that writes is undefined afterwards */
    weir_status (*prepare)(const struct weir_op_call *call, enum weir_pass pass);
};

struct weir_op {
    size_t struct_bytes; /* sizeof(struct weir_op) of the program that made the row */
    const char *name;    /* "layer_norm" */
    const char *summary; /* one line */
    unsigned flags;        /* enum weir_op_flags */
    unsigned input_needs;  /* enum weir_op_needs, for backward_input */
    unsigned weight_needs; /* enum weir_op_needs, for backward_weight */
    /* Shapes and costs.  WEIR_ERR_INVALID names the input and what it should be. */
    weir_status (*infer)(struct weir_op_shapes *shapes);
    struct weir_op_kernels cpu, cuda; /* of rows of programs; forward == NULL: what the device brings (weir_op_kernels_find) */
    size_t attr_bytes; /* sizeof of the struct of its attributes; 0: it takes none */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The built-in rows by number, from 0 on in no order that stays; NULL beyond the last one.
 *
 *     embedding        tokens i32 (B, T) ─▶ (B, T, C); params wte (V, C), wpe (P, C)
 *     layer_norm       (.., C) ─▶ (.., C); params gain (C), bias (C)
 *     rms_norm         (.., C) ─▶ (.., C); params gain (C)
 *     linear           (.., I) ─▶ (.., O); params weight, bias (O)
 *     gelu_tanh        element-wise
 *     gelu_erf         element-wise
 *     relu             element-wise
 *     silu             element-wise
 *     swiglu           gate, up ─▶ silu(gate) up, element-wise
 *     rope             (B, T, heads d) ─▶ the same, heads turned by position
 *     attention        qkv (B, T, (H + 2K) d), or q (B, T, H d), k and v (B, T, K d) ─▶ (B, T, H d), causal; H heads, K
 *                      of keys
 *     add              a, b ─▶ a + b, or a, b, c ─▶ a + b + c (WEIR_OP_SUM)
 *     concat           a (.., A), b (.., B), .. ─▶ (.., A + B + ..); two inputs or more
 *     split            (.., A + B + ..) ─▶ (.., A), (.., B), ..; sizes: weir_split_attr
 *     dropout          element-wise; the sample is the first dimension
 *     cross_entropy    logits (.., V), targets i32 (..) ─▶ sum of losses, f64 (1)
 *     mse              prediction, target (same shape) ─▶ sum over rows of the mean over the last dimension of squared
 *                      differences, f64 (1) */
const struct weir_op *weir_op_at(int index);

/* The built-in row called `name`.  WEIR_ERR_USAGE with a suggestion. */
weir_status weir_op_find(const char *name, const struct weir_op **op_out);

/* The kernels with which devices of the kind `device` ("cpu", "cuda") compute the row: its own where it has any, else what the
 * kind brings for it.  A row that changes one kernel of a built-in one begins with these.  They live as long as the row.
 * WEIR_ERR_USAGE: no such device in this build; WEIR_ERR_UNSUPPORTED: the device has no kernels for the row. */
weir_status weir_op_kernels_find(const struct weir_op *op, const char *device, const struct weir_op_kernels **kernels_out);

/* Does this processor have instructions for products of bf16 numbers that are faster than those for f32, and this build a
 * library that uses them?  Without them bf16 saves memory, and no time. */
bool weir_cpu_multiplies_bf16(void);

/* Kernel state of one rank.  Open, use and close on the same thread: primitives belong to it.  cpu: `n_threads` for
 * matrix products and loops, at least 1. */
weir_status weir_kernel_context_open(int n_threads, struct weir_kernel_context **context_out);
void weir_kernel_context_close(struct weir_kernel_context *context);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
