/* bf16 on the processor: every row gives, rounded once, what it gives in f32 for the same numbers.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/storage.h"
#include "kernels/op_rows.h"
#include "tests/support/bf16_bits.h"
#include "tests/support/op_cases.h"
#include "tests/support/row_kernels.h"

/* Sizes that reach past one part, one tile, one block of every kernel. */
#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}
#define I32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_I32}
static const struct op_case more_cases[] = {
    {"rows of more than a part", &weir_op_embedding, {.embedding = {.vocabulary = 7, .n_positions = 30, .out_features = 1500}}, 1, {I32(2, 2, 30)}},
    {"rows of more than a part", &weir_op_layer_norm, {.norm = {.bias = true, .eps = 1e-5}}, 1, {F32(2, 19, 1500)}},
    {"more than a part", &weir_op_gelu_tanh, {0}, 1, {F32(3, 3, 5, 1111)}},
    {"more than a part", &weir_op_swiglu, {0}, 2, {F32(2, 3, 1111), F32(2, 3, 1111)}},
    {"more than a part", &weir_op_add, {0}, 3, {F32(2, 3, 1111), F32(2, 3, 1111), F32(2, 3, 1111)}},
    {"more than a part, and less", &weir_op_concat, {0}, 3, {F32(2, 3, 1111), F32(2, 3, 5), F32(2, 3, 1025)}},
    {"more than a part, and less", &weir_op_split, {.split = {.parts = {1025, 3, 1111}}}, 1, {F32(2, 3, 2139)}},
    {"blocks of positions, a wide head", &weir_op_attention, {.attention = {.n_heads = 1, .dropout = 0.2}}, 1, {F32(3, 1, 130, 3 * 70)}},
    {"blocks of columns", &weir_op_linear, {.linear = {.out_features = 1300, .bias = true}}, 1, {F32(2, 9, 600)}},
    {"blocks of columns, (in, out)", &weir_op_linear, {.linear = {.out_features = 1300, .bias = true, .in_out = true}}, 1, {F32(2, 9, 600)}},
    {"blocks of depth", &weir_op_linear, {.linear = {.out_features = 600, .bias = true}}, 1, {F32(2, 9, 1300)}},
    {"blocks of depth, (in, out)", &weir_op_linear, {.linear = {.out_features = 600, .bias = true, .in_out = true}}, 1, {F32(2, 9, 1300)}},
    {"blocks of rows of the gradient", &weir_op_linear, {.linear = {.out_features = 200, .bias = true}}, 1, {F32(2, 4100, 7)}},
    {.sentence = NULL},
};

static const struct op_case *case_at(int i)
{
    int n = 0;
    while (op_cases[n].sentence)
        n++;
    const struct op_case *c = i < n ? &op_cases[i] : &more_cases[i - n];
    return c->sentence ? c : NULL;
}

/* The same call with tensors of bf16. */
struct narrow {
    struct op_rig *rig;
    struct op_case c;
    struct weir_op_shapes shapes;
    struct weir_op_call full;
    size_t scratch_bytes;
};

/* A copy in bf16 where `stored`; the original is rounded alike, so that both sides compute with the same numbers. */
static struct weir_tensor tensor_copy(struct op_rig *rig, const struct weir_tensor *tensor, bool stored)
{
    struct weir_tensor copy = *tensor;
    if (!tensor->data)
        return copy;
    int64_t n = weir_tensor_elements(tensor);
    bool narrow = stored && tensor->code == 2 && tensor->bits == 32;
    copy.data = op_rig_block(rig, (size_t)n * (narrow ? 2 : tensor->bits / 8));
    if (!narrow) {
        memcpy(copy.data, tensor->data, (size_t)n * tensor->bits / 8);
        return copy;
    }
    copy.code = 4;
    copy.bits = 16;
    float *values = tensor->data;
    uint16_t *bits = copy.data;
    for (int64_t i = 0; i < n; i++)
        values[i] = float_of(bits[i] = bf16_of(values[i]));
    return copy;
}

static void narrow_open(struct narrow *narrow, struct op_rig *rig, int n_threads)
{
    *narrow = (struct narrow){.rig = rig, .c = *rig->c, .full = rig->full};
    narrow->shapes = (struct weir_op_shapes){.attr = op_case_attr(&narrow->c), .storage = WEIR_DTYPE_BF16, .n_inputs = rig->c->n_inputs};
    for (int i = 0; i < rig->c->n_inputs; i++) {
        struct weir_shape shape = rig->c->inputs[i];
        shape.dtype = shape.dtype == WEIR_DTYPE_F32 ? WEIR_DTYPE_BF16 : shape.dtype;
        narrow->shapes.inputs[i] = shape;
    }
    assert_ok(rig->c->op->infer(&narrow->shapes));
    struct weir_op_call *call = &narrow->full;
    for (int i = 0; i < WEIR_OP_INPUTS; i++) {
        call->inputs[i] = tensor_copy(rig, &rig->full.inputs[i], true);
        call->d_inputs[i] = tensor_copy(rig, &rig->full.d_inputs[i], true);
    }
    for (int i = 0; i < WEIR_OP_PARAMS; i++) {
        call->params[i] = tensor_copy(rig, &rig->full.params[i], true);
        call->d_params[i] = tensor_copy(rig, &rig->full.d_params[i], false);
    }
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++) {
        call->outputs[i] = tensor_copy(rig, &rig->full.outputs[i], true);
        call->d_outputs[i] = tensor_copy(rig, &rig->full.d_outputs[i], true);
    }
    assert_int_equal(narrow->shapes.saved_bytes, rig->shapes.saved_bytes);
    call->saved = op_rig_block(rig, narrow->shapes.saved_bytes);
    for (int pass = 0; pass < WEIR_PASSES && cpu_kernels(rig->c->op)->scratch_bytes; pass++) {
        size_t bytes = cpu_kernels(rig->c->op)->scratch_bytes(&narrow->shapes, (enum weir_pass)pass, n_threads);
        narrow->scratch_bytes = bytes > narrow->scratch_bytes ? bytes : narrow->scratch_bytes;
    }
    call->scratch = op_rig_block(rig, narrow->scratch_bytes);
}

static weir_status narrow_run(struct narrow *narrow, enum weir_pass pass, const void *const *addends, bool accumulate)
{
    const struct weir_op_kernels *cpu = cpu_kernels(narrow->full.op);
    const weir_kernel_fn kernels[] = {cpu->forward, cpu->backward_input, cpu->backward_weight};
    struct weir_op_call call = op_rig_needed(&narrow->full, pass, accumulate);
    if (addends)
        memcpy(call.addends, addends, sizeof call.addends);
    memset(call.scratch, 0xff, narrow->scratch_bytes);
    weir_status status = cpu->prepare ? cpu->prepare(&call, pass) : WEIR_OK;
    return status ? status : kernels[pass](&call, NULL);
}

/* Products may be summed in another order than those of f32: then within a rounding of a sum that is near. */
static void assert_rounded(const struct op_case *c, const char *what, const struct weir_tensor *got,
                           const struct weir_tensor *wanted)
{
    int64_t n = weir_tensor_elements(wanted);
    const float *exact = wanted->data;
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(exact[i]));
    for (int64_t i = 0; i < n; i++) {
        bool narrow = got->code == 4;
        float value = narrow ? float_of(((uint16_t *)got->data)[i]) : ((float *)got->data)[i];
        float limit = fabsf(exact[i]) * (narrow ? 0x1.01p-8f : 0) + 4e-6f * most;
        bool same = value == (narrow ? float_of(bf16_of(exact[i])) : exact[i]);
        if (c->op == &weir_op_linear ? !(fabsf(value - exact[i]) <= limit) : !same)
            fail_msg("%s, %s: %s[%ld] is %.9g, f32 has %.9g", c->op->name, c->sentence, what, (long)i, (double)value,
                     (double)exact[i]);
    }
}

static void forward_check(const struct op_case *c, struct op_rig *rig, struct narrow *narrow)
{
    assert_ok(op_rig_run(rig, WEIR_FORWARD, NULL, false));
    assert_ok(narrow_run(narrow, WEIR_FORWARD, NULL, false));
    if (c->op->flags & WEIR_OP_LOSS) {
        assert_memory_equal(narrow->full.output.data, rig->full.output.data, sizeof(double));
        assert_rounded(c, "d_input", &narrow->full.d_inputs[0], &rig->full.d_inputs[0]);
        return;
    }
    for (int k = 0; k < rig->full.n_outputs; k++) {
        assert_rounded(c, "output", &narrow->full.outputs[k], &rig->full.outputs[k]);
        float *output = rig->full.outputs[k].data;
        for (int64_t i = 0; i < weir_tensor_elements(&rig->full.outputs[k]); i++)
            output[i] = float_of(((uint16_t *)narrow->full.outputs[k].data)[i]);
    }
}

static void backward_input_check(const struct op_case *c, struct op_rig *rig, struct narrow *narrow)
{
    const void *addends[WEIR_OP_INPUTS] = {NULL}, *narrows[WEIR_OP_INPUTS] = {NULL}, *own[WEIR_OP_INPUTS] = {NULL};
    for (int adding = 0; adding < 3; adding++) { /* nothing, addends, addends that are the result */
        assert_ok(op_rig_run_adding(rig, WEIR_BACKWARD_INPUT, addends, false));
        assert_ok(narrow_run(narrow, WEIR_BACKWARD_INPUT, adding == 2 ? own : narrows, false));
        for (int i = 0; i < c->n_inputs; i++) {
            int64_t n = weir_tensor_elements(&rig->full.d_inputs[i]);
            if (!rig->full.d_inputs[i].data)
                continue;
            assert_rounded(c, adding ? "d_input with an addend" : "d_input", &narrow->full.d_inputs[i], &rig->full.d_inputs[i]);
            float *addend = adding ? NULL : op_rig_block(rig, (size_t)n * sizeof *addend);
            uint16_t *bits = adding ? NULL : op_rig_block(rig, (size_t)n * sizeof *bits);
            for (int64_t k = 0; k < n && !adding; k++)
                addend[k] = float_of(bits[k] = bf16_of((float)((k + i) % 7) - 3.0f));
            addends[i] = adding ? addends[i] : addend;
            narrows[i] = adding ? narrows[i] : bits;
            own[i] = narrow->full.d_inputs[i].data;
            memcpy(narrow->full.d_inputs[i].data, narrows[i], (size_t)n * sizeof *bits);
        }
    }
}

static void backward_weight_check(const struct op_case *c, struct op_rig *rig, struct narrow *narrow)
{
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        assert_ok(op_rig_run(rig, WEIR_BACKWARD_WEIGHT, NULL, accumulate));
        assert_ok(narrow_run(narrow, WEIR_BACKWARD_WEIGHT, NULL, accumulate));
        for (int i = 0; i < rig->shapes.n_params; i++)
            assert_rounded(c, accumulate ? "d_param, added" : "d_param", &narrow->full.d_params[i], &rig->full.d_params[i]);
    }
}

static void every_row_rounds_what_it_computes_in_f32(void **state)
{
    (void)state;
    for (int i = 0; case_at(i); i++)
        for (int threads = 1; threads <= 2; threads++) {
            struct op_rig rig;
            struct narrow narrow;
            const struct op_case *c = case_at(i);
            op_rig_open(&rig, c, threads, 21, 0);
            narrow_open(&narrow, &rig, threads);
            forward_check(c, &rig, &narrow);
            if (cpu_kernels(c->op)->backward_input)
                backward_input_check(c, &rig, &narrow);
            if (cpu_kernels(c->op)->backward_weight)
                backward_weight_check(c, &rig, &narrow);
            op_rig_close(&rig);
        }
}

/* The numbers that rounding is about: ties, carries into the exponent, the largest, infinities, NaN, the smallest. */
static void rounding_is_to_the_nearest_and_ties_go_to_even(void **state)
{
    (void)state;
    const uint32_t from[] = {0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x3fff8000, 0x7f7fffff, 0x7f800000,
                             0xff800000, 0x7f800001, 0xffc00000, 0x00000001, 0x80000000, 0x00008000, 0x00018000};
    const uint16_t wanted[] = {0x3f80, 0x3f82, 0x3f80, 0x3f81, 0x4000, 0x7f80, 0x7f80,
                               0xff80, 0x7fff, 0x7fff, 0x0000, 0x8000, 0x0000, 0x0002};
    enum { N = sizeof from / sizeof *from };
    float values[N], back[N];
    uint16_t got[N];
    memcpy(values, from, sizeof values);
    weir_round(N, values, got);
    assert_memory_equal(got, wanted, sizeof got);
    weir_widen(N, got, back);
    for (int i = 0; i < N; i++)
        assert_true(bf16_of(back[i]) == got[i]);
}

/* What a processor with instructions for bf16 is given: the same sums, if in another order. */
static void the_library_multiplies_bf16_numbers(void **state)
{
    (void)state;
    enum { M = 33, N = 70, K = 129 };
    struct weir_kernel_context *context;
    assert_ok(weir_kernel_context_open(1, &context));
    uint16_t a[M * K], b[K * N];
    float sum[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = bf16_of(weir_rng_normal(1, (uint64_t)i));
    for (int i = 0; i < K * N; i++)
        b[i] = bf16_of(weir_rng_normal(2, (uint64_t)i));
    struct weir_product p = {.m = M, .n = N, .k = K, .factors = WEIR_DTYPE_BF16, .result = WEIR_DTYPE_F32};
    if (weir_matmul_prepare(context->matmul, &p) != WEIR_OK) {
        weir_kernel_context_close(context);
        skip(); /* no library, or not on this processor */
    }
    void *scratch = aligned_alloc(64, (weir_matmul_scratch(&p, 1) + 64) / 64 * 64);
    assert_ok(weir_matmul_run(context->matmul, &p, a, b, NULL, sum, scratch));
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double wanted = 0;
            for (int k = 0; k < K; k++)
                wanted += (double)float_of(a[i * K + k]) * (double)float_of(b[k * N + j]);
            assert_true(fabs((double)sum[i * N + j] - wanted) < 1e-4);
        }
    free(scratch);
    weir_kernel_context_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_rounds_what_it_computes_in_f32),
        cmocka_unit_test(rounding_is_to_the_nearest_and_ties_go_to_even),
        cmocka_unit_test(the_library_multiplies_bf16_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
