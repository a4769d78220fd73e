/* Rates of the CPU operation rows beside two ceilings of the same run: memcpy and the raw matrix product.
 *
 *     bench_ops [threads] [milliseconds per measurement] [part of "row shape"]
 *
 * Every pass is warmed up, then run until the time is over; the median is printed, with the fastest and slowest run.
 *   GFLOP/s   flops of infer() / median
 *   GB/s      bytes of infer() / median: each tensor counted once, so that caches can carry it past memcpy
 *   of peak   the larger of GFLOP/s over the best matrix product seen and GB/s over memcpy of the same bytes */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/matmul.h"
#include "include/weir/op.h"
#include "kernels/op_rows.h"
#include "kernels/vector.h"
#include "weir_libraries.h"

enum { MOST_RUNS = 2000 };

struct bench {
    const char *shape;
    const struct weir_op *op;
    union {
        int none;
        struct weir_embedding_attr embedding;
        struct weir_norm_attr norm;
        struct weir_linear_attr linear;
        struct weir_rope_attr rope;
        struct weir_attention_attr attention;
        struct weir_dropout_attr dropout;
        struct weir_split_attr split;
    } attr;
    int n_inputs;
    struct weir_shape inputs[WEIR_OP_INPUTS];
};

struct settings {
    int n_threads;
    int64_t budget_ns;
    const char *filter;
};

struct timing {
    double median, min, max; /* ns */
};

typedef weir_status (*run_fn)(void *argument);

static void stop(const char *what)
{
    fprintf(stderr, "bench_ops: %s: %s\n", what, weir_last_error());
    exit(1);
}

static const struct weir_op_kernels *cpu_kernels(const struct weir_op *op)
{
    const struct weir_op_kernels *kernels;
    if (weir_cpu_kernels(op, NULL, &kernels))
        stop("kernels");
    return kernels;
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static struct timing measure(const struct settings *s, run_fn fn, void *argument)
{
    static double runs[MOST_RUNS];
    int n = 0;
    int64_t start = weir_clock_ns();
    for (int i = 0; i < 2; i++)
        if (fn(argument))
            stop("warm-up");
    start = weir_clock_ns();
    while (n < MOST_RUNS && (n < 3 || weir_clock_ns() - start < s->budget_ns)) {
        int64_t before = weir_clock_ns();
        if (fn(argument))
            stop("run");
        runs[n++] = (double)(weir_clock_ns() - before);
    }
    qsort(runs, (size_t)n, sizeof *runs, by_size);
    return (struct timing){runs[n / 2], runs[0], runs[n - 1]};
}

static void *block(size_t bytes)
{
    void *data = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!data) {
        fprintf(stderr, "bench_ops: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    memset(data, 0, bytes);
    return data;
}

static void fill(struct weir_shape *shape, int64_t below, void *data)
{
    int64_t n = weir_shape_elements(shape);
    for (int64_t i = 0; i < n; i++)
        if (shape->dtype == WEIR_DTYPE_I32)
            ((int32_t *)data)[i] = (int32_t)(weir_rng_philox(1, (uint32_t)i, 0, 0, 0).v[0] % (uint64_t)below);
        else
            ((float *)data)[i] = weir_rng_unit(weir_rng_philox(2, (uint32_t)i, 0, 0, 0).v[0]) - 0.5f;
}

struct bound {
    struct weir_op_call call;
    weir_kernel_fn fn;
    struct weir_op_shapes shapes;
    struct weir_step_values step;
    void *blocks[2 * (WEIR_OP_INPUTS + WEIR_OP_OUTPUTS + WEIR_OP_PARAMS) + 2];
    int n_blocks;
};

static void *bound_block(struct bound *b, size_t bytes)
{
    return b->blocks[b->n_blocks++] = block(bytes);
}

static void bind(struct bound *b, const struct bench *bench, struct weir_kernel_context *context, int n_threads)
{
    *b = (struct bound){.step = {.seed = 1, .training = 1}};
    struct weir_op_shapes *s = &b->shapes;
    s->attr = bench->op->attr_bytes ? &bench->attr : NULL;
    s->n_inputs = bench->n_inputs;
    memcpy(s->inputs, bench->inputs, sizeof s->inputs);
    if (bench->op->infer(s))
        stop(bench->op->name);
    s->n_outputs = s->n_outputs ? s->n_outputs : 1;
    b->call = (struct weir_op_call){.op = bench->op, .attr = s->attr, .n_inputs = s->n_inputs,
                                    .n_outputs = s->n_outputs, .n_params = s->n_params, .accumulate = true, .loss_scale = 1, .step = &b->step,
                                    .context = context};
    int64_t below = s->inputs[0].dims[s->inputs[0].n_dims - 1];
    if (bench->op == &weir_op_embedding)
        below = bench->attr.embedding.vocabulary;
    for (int i = 0; i < s->n_inputs; i++) {
        b->call.inputs[i] = weir_tensor_view(bound_block(b, weir_shape_bytes(&s->inputs[i])), &s->inputs[i]);
        b->call.d_inputs[i] = weir_tensor_view(bound_block(b, weir_shape_bytes(&s->inputs[i])), &s->inputs[i]);
        fill(&s->inputs[i], below, b->call.inputs[i].data);
    }
    for (int i = 0; i < s->n_params; i++) {
        b->call.params[i] = weir_tensor_view(bound_block(b, weir_shape_bytes(&s->params[i])), &s->params[i]);
        b->call.d_params[i] = weir_tensor_view(bound_block(b, weir_shape_bytes(&s->params[i])), &s->params[i]);
        fill(&s->params[i], 1, b->call.params[i].data);
    }
    for (int i = 0; i < s->n_outputs; i++) {
        b->call.outputs[i] = weir_tensor_view(bound_block(b, weir_shape_bytes(&s->outputs[i])), &s->outputs[i]);
        b->call.d_outputs[i] = weir_tensor_view(bound_block(b, weir_shape_bytes(&s->outputs[i])), &s->outputs[i]);
        if (s->outputs[i].dtype == WEIR_DTYPE_F32)
            fill(&s->outputs[i], 1, b->call.d_outputs[i].data);
    }
    b->call.saved = bound_block(b, s->saved_bytes);
    size_t scratch = 0;
    const struct weir_op_kernels *cpu = cpu_kernels(bench->op);
    for (int pass = 0; pass < WEIR_PASSES && cpu->scratch_bytes; pass++) {
        size_t bytes = cpu->scratch_bytes(s, (enum weir_pass)pass, n_threads);
        scratch = bytes > scratch ? bytes : scratch;
    }
    b->call.scratch = bound_block(b, scratch);
}

static weir_status pass_run(void *argument)
{
    struct bound *b = argument;
    return b->fn(&b->call, NULL);
}

struct copy {
    void *to;
    const void *from;
    size_t bytes;
};

static weir_status copy_run(void *argument)
{
    const struct copy *c = argument;
    memcpy(c->to, c->from, c->bytes);
    __asm__ volatile("" : : "r"(c->to) : "memory");
    return WEIR_OK;
}

/* GB/s of memcpy, read and write both counted, over as many bytes as the pass touches. */
static double copy_rate(const struct settings *s, double bytes)
{
    struct copy c = {.bytes = (size_t)(bytes / 2) + 64};
    void *from = block(c.bytes);
    c.to = block(c.bytes);
    c.from = from;
    double rate = 2 * (double)c.bytes / measure(s, copy_run, &c).median;
    free(from);
    free(c.to);
    return rate;
}

struct product_run {
    struct weir_matmul *matmul;
    struct weir_product product;
    float *a, *b, *c;
    void *scratch;
};

static weir_status product_run(void *argument)
{
    const struct product_run *r = argument;
    return weir_matmul_run(r->matmul, &r->product, r->a, r->b, NULL, r->c, r->scratch);
}

/* The best GFLOP/s of a few raw products. */
static double product_rate(const struct settings *s)
{
    static const int64_t sizes[][3] = {{256, 768, 768}, {256, 3072, 768}, {256, 768, 3072}};
    double best = 0;
    struct product_run r = {.product = {.transpose_b = true}};
    if (weir_matmul_open(s->n_threads, &r.matmul))
        stop("matmul");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        r.product.m = sizes[i][0], r.product.n = sizes[i][1], r.product.k = sizes[i][2];
        r.a = block((size_t)(r.product.m * r.product.k) * 4);
        r.b = block((size_t)(r.product.k * r.product.n) * 4);
        r.c = block((size_t)(r.product.m * r.product.n) * 4);
        r.scratch = block(weir_matmul_scratch(&r.product, s->n_threads));
        double flops = 2.0 * (double)r.product.m * (double)r.product.n * (double)r.product.k;
        best = fmax(best, flops / measure(s, product_run, &r).median);
        free(r.a), free(r.b), free(r.c), free(r.scratch);
    }
    weir_matmul_close(r.matmul);
    return best;
}

static void row_run(const struct settings *s, const struct bench *bench, double peak)
{
    static const char *const names[] = {"forward", "backward_input", "backward_weight"};
    const struct weir_op_kernels *cpu = cpu_kernels(bench->op);
    const weir_kernel_fn fns[] = {cpu->forward, cpu->backward_input, cpu->backward_weight};
    struct weir_kernel_context *context;
    struct bound b;
    if (weir_kernel_context_open(s->n_threads, &context))
        stop("context");
    bind(&b, bench, context, s->n_threads);
    for (int pass = 0; pass < WEIR_PASSES; pass++) {
        if (!fns[pass] || (pass == WEIR_BACKWARD_WEIGHT && !b.shapes.n_params))
            continue;
        b.fn = fns[pass];
        struct timing t = measure(s, pass_run, &b);
        double gflops = b.shapes.flops[pass] / t.median, gbs = b.shapes.bytes[pass] / t.median;
        double copy = copy_rate(s, b.shapes.bytes[pass]);
        printf("%-14s %-18s %-15s %10.1f %10.1f %10.1f %8.1f %8.1f %8.1f %7.0f%%\n", bench->op->name, bench->shape,
               names[pass], t.median / 1e3, t.min / 1e3, t.max / 1e3, gflops, gbs, copy,
               100 * fmax(gflops / peak, gbs / copy));
    }
    weir_kernel_context_close(context);
    for (int i = 0; i < b.n_blocks; i++)
        free(b.blocks[i]);
}

#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}
#define I32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_I32}

/* gpt2: GPT-2 124M, one sample of 256 tokens.  tiny: gpt2-tiny, 8 samples of 64.  large: beyond the caches. */
static const struct bench benches[] = {
    {"gpt2 qkv", &weir_op_linear, {.linear = {.out_features = 2304, .bias = true, .in_out = true}}, 1, {F32(3, 1, 256, 768)}},
    {"gpt2 proj", &weir_op_linear, {.linear = {.out_features = 768, .bias = true, .in_out = true}}, 1, {F32(3, 1, 256, 768)}},
    {"gpt2 up", &weir_op_linear, {.linear = {.out_features = 3072, .bias = true, .in_out = true}}, 1, {F32(3, 1, 256, 768)}},
    {"gpt2 down", &weir_op_linear, {.linear = {.out_features = 768, .bias = true, .in_out = true}}, 1, {F32(3, 1, 256, 3072)}},
    {"gpt2 head", &weir_op_linear, {.linear = {.out_features = 50257}}, 1, {F32(3, 1, 256, 768)}},
    {"gpt2", &weir_op_attention, {.attention = {.n_heads = 12}}, 1, {F32(3, 1, 256, 2304)}},
    {"gpt2 T=1024", &weir_op_attention, {.attention = {.n_heads = 12}}, 1, {F32(3, 1, 1024, 2304)}},
    {"gpt2 dropout", &weir_op_attention, {.attention = {.n_heads = 12, .dropout = 0.1}}, 1, {F32(3, 1, 256, 2304)}},
    {"llama 8 on 2", &weir_op_attention, {.attention = {.n_heads = 8, .kv_heads = 2}}, 3,
     {F32(3, 1, 256, 1024), F32(3, 1, 256, 256), F32(3, 1, 256, 256)}},
    {"llama", &weir_op_rope, {.rope = {.n_heads = 8, .rope = {.theta = 10000}}}, 1, {F32(3, 1, 256, 1024)}},
    {"llama", &weir_op_swiglu, {0}, 2, {F32(3, 1, 256, 2816), F32(3, 1, 256, 2816)}},
    {"gpt2", &weir_op_layer_norm, {.norm = {.bias = true, .eps = 1e-5}}, 1, {F32(3, 1, 256, 768)}},
    {"large", &weir_op_layer_norm, {.norm = {.bias = true, .eps = 1e-5}}, 1, {F32(3, 64, 256, 768)}},
    {"large", &weir_op_rms_norm, {.norm = {.eps = 1e-5}}, 1, {F32(3, 64, 256, 768)}},
    {"gpt2", &weir_op_gelu_tanh, {0}, 1, {F32(3, 1, 256, 3072)}},
    {"large", &weir_op_gelu_tanh, {0}, 1, {F32(3, 16, 256, 3072)}},
    {"large", &weir_op_gelu_erf, {0}, 1, {F32(3, 16, 256, 3072)}},
    {"large", &weir_op_relu, {0}, 1, {F32(3, 16, 256, 3072)}},
    {"two of U", &weir_op_concat, {0}, 2, {F32(3, 1, 256, 2048), F32(3, 1, 256, 2048)}},
    {"gate and up", &weir_op_split, {.split = {.parts = {2816, 2816}}}, 1, {F32(3, 1, 256, 5632)}},
    {"large", &weir_op_silu, {0}, 1, {F32(3, 16, 256, 3072)}},
    {"gpt2", &weir_op_add, {0}, 2, {F32(3, 1, 256, 768), F32(3, 1, 256, 768)}},
    {"large", &weir_op_add, {0}, 2, {F32(3, 64, 256, 768), F32(3, 64, 256, 768)}},
    {"large", &weir_op_dropout, {.dropout = {.dropout = 0.1}}, 1, {F32(3, 64, 256, 768)}},
    {"gpt2", &weir_op_embedding, {.embedding = {.vocabulary = 50257, .n_positions = 1024, .out_features = 768}}, 1, {I32(2, 1, 256)}},
    {"gpt2", &weir_op_cross_entropy, {0}, 2, {F32(3, 1, 256, 50257), I32(2, 1, 256)}},
    {"large", &weir_op_mse, {0}, 2, {F32(2, 4096, 768), F32(2, 4096, 768)}},
    {"tiny qkv", &weir_op_linear, {.linear = {.out_features = 384, .bias = true}}, 1, {F32(3, 8, 64, 128)}},
    {"tiny up", &weir_op_linear, {.linear = {.out_features = 512, .bias = true}}, 1, {F32(3, 8, 64, 128)}},
    {"tiny", &weir_op_attention, {.attention = {.n_heads = 4}}, 1, {F32(3, 8, 64, 384)}},
    {"tiny", &weir_op_layer_norm, {.norm = {.bias = true, .eps = 1e-5}}, 1, {F32(3, 8, 64, 128)}},
    {"tiny", &weir_op_gelu_tanh, {0}, 1, {F32(3, 8, 64, 512)}},
    {"tiny", &weir_op_embedding, {.embedding = {.vocabulary = 256, .n_positions = 64, .out_features = 128}}, 1, {I32(2, 8, 64)}},
    {"tiny", &weir_op_cross_entropy, {0}, 2, {F32(3, 8, 64, 256), I32(2, 8, 64)}},
};

struct update {
    int64_t n;
    float *x[4];
};

static weir_status adamw_run(void *argument)
{
    const struct update *u = argument;
    const struct weir_update a = {1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.1f, 0.05f};
    const struct weir_update_gate gate = {.grad_scale = 1, .apply = 1};
    return weir_vector_cpu.adamw(&a, &gate, (struct weir_update_scale){1, 1}, u->n, u->x[0], u->x[1], u->x[2], u->x[3], NULL);
}

static weir_status vector_add_run(void *argument)
{
    const struct update *u = argument;
    return weir_vector_cpu.add(u->n, u->x[0], u->x[1], NULL);
}

static weir_status square_sums_run(void *argument)
{
    static double sums[(7 << 20) / WEIR_NORM_BLOCK];
    const struct update *u = argument;
    return weir_vector_cpu.square_sums(u->n, u->x[0], sums, NULL);
}

static void updates_run(const struct settings *s)
{
    static const struct {
        const char *name;
        run_fn fn;
        double bytes; /* per element */
    } rows[] = {{"adamw", adamw_run, 28}, {"vector_add", vector_add_run, 12}, {"square_sums", square_sums_run, 4}};
    struct update u = {.n = 7 << 20};
    for (int i = 0; i < 4; i++)
        u.x[i] = block((size_t)u.n * sizeof(float));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct timing t = measure(s, rows[i].fn, &u);
        double gbs = rows[i].bytes * (double)u.n / t.median, copy = copy_rate(s, rows[i].bytes * (double)u.n);
        printf("%-14s %-18s %-15s %10.1f %10.1f %10.1f %8s %8.1f %8.1f %7.0f%%\n", rows[i].name, "large", "update",
               t.median / 1e3, t.min / 1e3, t.max / 1e3, "", gbs, copy, 100 * gbs / copy);
    }
    for (int i = 0; i < 4; i++)
        free(u.x[i]);
}

int main(int argc, char **argv)
{
    const struct settings s = {argc > 1 ? atoi(argv[1]) : 1, (int64_t)(argc > 2 ? atoi(argv[2]) : 200) * 1000000,
                               argc > 3 ? argv[3] : ""};
    double peak = product_rate(&s);
    printf("weir %s, %s, %d thread%s; best matrix product %.1f GFLOP/s\n", WEIR_VERSION,
           WEIR_HAVE_ONEDNN ? "oneDNN" : "plain products", s.n_threads, s.n_threads == 1 ? "" : "s", peak);
    printf("%-14s %-18s %-15s %10s %10s %10s %8s %8s %8s %8s\n", "row", "shape", "pass", "median us", "min us",
           "max us", "GFLOP/s", "GB/s", "memcpy", "of peak");
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", benches[i].op->name, benches[i].shape);
        if (strstr(name, s.filter))
            row_run(&s, &benches[i], peak);
    }
    if (strstr("adamw vector_add square_sums", s.filter))
        updates_run(&s);
    return 0;
}
