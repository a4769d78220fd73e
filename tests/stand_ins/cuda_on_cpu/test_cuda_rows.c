/* CUDA rows, emulated or on a device: each against the CPU's row, which test_ops holds to a float64 reference.  labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "device_rig.h"
#include "kernels/op_rows.h"
#include "rows_device.h"
#include "rows_findings.h"
#include "tests/stand_ins/cuda_on_cpu/cuda_kernels.h"
#include "tests/support/op_cases.h"

/* Of the largest value.  A device multiplies and adds in one rounding and has math functions of its own. */
#ifdef WEIR_ROWS_ON_DEVICE
static const double near_f32 = 2e-5, near_bf16 = 6e-3, near_bf16_weights = 2e-5;
#else
static const double near_f32 = 4e-6, near_bf16 = 6e-3, near_bf16_weights = 1e-5;
#endif

/* Sizes beyond those of op_cases: several blocks, tiles and chunks, and their edges. */
#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}
#define I32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_I32}
static const struct op_case more_cases[] = {
    {"more rows than one block looks at", &weir_op_embedding, {.embedding = {.vocabulary = 7, .n_positions = 300, .out_features = 3}}, 1,
     {I32(2, 2, 290)}},
    {"more rows than a partial sum", &weir_op_layer_norm, {.norm = {.bias = true, .eps = 1e-5}}, 1, {F32(2, 259, 34)}},
    {"more rows than two partial sums", &weir_op_linear, {.linear = {.out_features = 5, .bias = true}}, 1, {F32(2, 515, 3)}},
    {"more elements than a block", &weir_op_gelu_tanh, {0}, 1, {F32(2, 3, 257)}},
    {"tiles of queries, a wide head, dropout", &weir_op_attention, {.attention = {.n_heads = 1, .dropout = 0.2}}, 1, {F32(3, 1, 130, 3 * 70)}},
    {"a head of more than two parts", &weir_op_attention, {.attention = {.n_heads = 1}}, 1, {F32(3, 1, 35, 3 * 131)}},
    {"packed, two heads on one of keys", &weir_op_attention, {.attention = {.n_heads = 2, .kv_heads = 1}}, 1, {F32(3, 2, 37, 4 * 6)}},
    {"more pairs than a block", &weir_op_rope, {.rope = {.n_heads = 3, .rope = {.theta = 10000}}}, 1, {F32(3, 1, 65, 3 * 4)}},
    {"more elements than a block", &weir_op_concat, {0}, 2, {F32(2, 67, 5), F32(2, 67, 3)}},
    {"more elements than a block", &weir_op_split, {.split = {.parts = {5, 300, 2}}}, 1, {F32(2, 3, 307)}},
    {"more rows than threads", &weir_op_mse, {0}, 2, {F32(2, 258, 3), F32(2, 258, 3)}},
    {.sentence = NULL},
};

static const struct op_case *case_at(int i)
{
    int n = 0;
    while (op_cases[n].sentence)
        n++;
    if (i >= n && getenv("WEIR_ROWS_SMALL"))
        return NULL; /* for tools under which a GPU is slow */
    const struct op_case *c = i < n ? &op_cases[i] : &more_cases[i - n];
    return c->sentence ? c : NULL;
}

static void compare(const struct op_case *c, const char *what, const struct weir_tensor *got,
                    const struct weir_tensor *wanted, double tolerance)
{
    rows_compare(c, what, got, wanted->data, weir_tensor_elements(wanted), tolerance);
}

static void output_check(const struct op_case *c, const struct op_rig *rig, const struct device_rig *device, double near)
{
    if (c->op->flags & WEIR_OP_LOSS) {
        double wanted = *(double *)rig->full.output.data, got = *(double *)device->full.output.data;
        rows_note(c, "loss", device->type == WEIR_DTYPE_BF16, fabs(got - wanted) / fabs(wanted), 1e-6);
        if (!(fabs(got - wanted) <= 1e-6 * fabs(wanted)))
            rows_fail("%s, %s: loss is %.9g, it should be %.9g", c->op->name, c->sentence, got, wanted);
        compare(c, "d_input", &device->full.d_inputs[0], &rig->full.d_inputs[0], near);
    } else {
        for (int i = 0; i < rig->full.n_outputs; i++)
            compare(c, "output", &device->full.outputs[i], &rig->full.outputs[i], near);
    }
}

/* After the device's output was rounded to bf16, the CPU's backward starts from the same numbers. */
static void output_hand_over(struct op_rig *rig, const struct device_rig *device)
{
    if (rig->c->op->flags & WEIR_OP_LOSS)
        return;
    for (int k = 0; k < rig->full.n_outputs; k++) {
        float *output = rig->full.outputs[k].data;
        for (int64_t i = 0; i < weir_tensor_elements(&rig->full.outputs[k]); i++)
            output[i] = device_rig_element(&device->full.outputs[k], i);
    }
}

static void gradients_check(const struct op_case *c, const char *what, const struct op_rig *rig,
                            const struct device_rig *device, double near)
{
    for (int i = 0; i < c->n_inputs; i++)
        if (rig->full.d_inputs[i].data)
            compare(c, what, &device->full.d_inputs[i], &rig->full.d_inputs[i], near);
}

static void backward_input_check(const struct op_case *c, struct op_rig *rig, struct device_rig *device, double near)
{
    const void *addends[WEIR_OP_INPUTS] = {NULL}, *copies[WEIR_OP_INPUTS] = {NULL}, *own[WEIR_OP_INPUTS] = {NULL};
    void *wanted[WEIR_OP_INPUTS] = {NULL};
    size_t bytes[WEIR_OP_INPUTS] = {0};
    assert_ok(op_rig_run(rig, WEIR_BACKWARD_INPUT, NULL, false));
    if (!rows_ran(c, "backward_input", device_rig_run(device, WEIR_BACKWARD_INPUT, NULL, false)))
        return;
    gradients_check(c, "d_input", rig, device, near);
    for (int i = 0; i < c->n_inputs; i++) {
        int64_t n = weir_tensor_elements(&rig->full.d_inputs[i]);
        float *addend = op_rig_block(rig, (size_t)n * sizeof *addend);
        for (int64_t k = 0; k < n; k++)
            addend[k] = (float)((k + i) % 7) - 3.0f;
        addends[i] = addend;
        copies[i] = device_rig_floats(device, n, addend);
        own[i] = device->full.d_inputs[i].data;
        wanted[i] = device_rig_floats(device, n, addend);
        bytes[i] = (size_t)n * weir_dtype_bytes(device->type);
    }
    assert_ok(op_rig_run_adding(rig, WEIR_BACKWARD_INPUT, addends, false));
    assert_ok(device_rig_run(device, WEIR_BACKWARD_INPUT, copies, false));
    gradients_check(c, "d_input with an addend", rig, device, near);
    for (int i = 0; i < c->n_inputs; i++) {
        memcpy(wanted[i], device->full.d_inputs[i].data, bytes[i]);
        memcpy(device->full.d_inputs[i].data, copies[i], bytes[i]);
    }
    assert_ok(device_rig_run(device, WEIR_BACKWARD_INPUT, own, false));
    for (int i = 0; i < c->n_inputs; i++)
        if (memcmp(device->full.d_inputs[i].data, wanted[i], bytes[i]) != 0)
            rows_fail("%s, %s: d_input %d over its addend differs", c->op->name, c->sentence, i);
}

static void backward_weight_check(const struct op_case *c, struct op_rig *rig, struct device_rig *device, double near)
{
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        assert_ok(op_rig_run(rig, WEIR_BACKWARD_WEIGHT, NULL, accumulate));
        if (!rows_ran(c, "backward_weight", device_rig_run(device, WEIR_BACKWARD_WEIGHT, NULL, accumulate)))
            return;
        for (int i = 0; i < rig->shapes.n_params; i++)
            compare(c, accumulate ? "d_param, added" : "d_param", &device->full.d_params[i], &rig->full.d_params[i],
                        near);
    }
}

static void case_check(struct twin_device *on, const struct op_case *c, enum weir_dtype type, uint32_t training)
{
    struct op_rig rig;
    struct device_rig device;
    double near = type == WEIR_DTYPE_BF16 ? near_bf16 : near_f32;
    op_rig_open(&rig, c, 1, 21, 0);
    rig.step.training = training;
    device_rig_open(&device, on, &rig, type);
    assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
    if (rows_ran(c, "forward", device_rig_run(&device, WEIR_FORWARD, NULL, false))) {
        output_check(c, &rig, &device, near);
        output_hand_over(&rig, &device);
        if (cuda_kernels(c->op)->backward_input)
            backward_input_check(c, &rig, &device, near);
        if (cuda_kernels(c->op)->backward_weight)
            backward_weight_check(c, &rig, &device, type == WEIR_DTYPE_BF16 ? near_bf16_weights : near_f32);
    }
    device_rig_close(&device);
    op_rig_close(&rig);
}

static void every_row_has_the_kernels_of_the_cpu(void **state)
{
    (void)state;
    for (int i = 0; weir_ops[i]; i++) {
        const struct weir_op_kernels *cpu = cpu_kernels(weir_ops[i]), *cuda = cuda_kernels(weir_ops[i]);
        if (!cuda->forward || !cuda->backward_input != !cpu->backward_input ||
            !cuda->backward_weight != !cpu->backward_weight)
            fail_msg("'%s' lacks a kernel on cuda", weir_ops[i]->name);
    }
}

static void rows_in_f32_follow_the_cpu(void **state)
{
    const struct op_case *c;
    for (int i = 0; (c = case_at(i)); i++)
        if (rows_case_runs(i))
            case_check(*state, c, WEIR_DTYPE_F32, 1);
}

static void rows_in_bf16_follow_the_cpu(void **state)
{
    const struct op_case *c;
    for (int i = 0; (c = case_at(i)); i++)
        if (rows_case_runs(i))
            case_check(*state, c, WEIR_DTYPE_BF16, 1);
}

static bool drops(const struct op_case *c)
{
    return c->op == &weir_op_dropout ? c->attr.dropout.dropout > 0 : c->op == &weir_op_attention && c->attr.attention.dropout > 0;
}

static void nothing_is_dropped_outside_of_training(void **state)
{
    const struct op_case *c;
    for (int i = 0; (c = case_at(i)); i++)
        if (rows_case_runs(i) && drops(c))
            case_check(*state, c, WEIR_DTYPE_F32, 0);
}

/* Everything a case gives on the device. */
static bool all_passes(struct device_rig *device, const struct op_case *c)
{
    const struct weir_op_kernels *cuda = cuda_kernels(device->full.op);
    weir_status status = device_rig_run(device, WEIR_FORWARD, NULL, false);
    if (!status && cuda->backward_input)
        status = device_rig_run(device, WEIR_BACKWARD_INPUT, NULL, false);
    for (int accumulate = 0; accumulate < 2 && !status && cuda->backward_weight; accumulate++)
        status = device_rig_run(device, WEIR_BACKWARD_WEIGHT, NULL, accumulate);
    return rows_ran(c, "all passes", status);
}

static void assert_same_blocks(const struct op_case *c, const struct device_rig *x, const struct device_rig *y)
{
    for (int b = 0; b < x->memory.n_blocks; b++) {
        const struct twin_block *one = &x->memory.blocks[b], *other = &y->memory.blocks[b];
        if (memcmp(one->host, other->host, TWIN_GUARD + one->bytes) != 0 && one->host + TWIN_GUARD != (char *)x->full.scratch)
            rows_fail("%s, %s: device block %d differs", c->op->name, c->sentence, b);
    }
}

/* Emulated, the second run has the opposite order of threads and blocks. */
static void two_runs_give_the_same_bits(void **state)
{
    const struct op_case *c;
    for (int i = 0; (c = case_at(i)); i++) {
        struct op_rig rig;
        struct device_rig first, second;
        if (!rows_case_runs(i))
            continue;
        op_rig_open(&rig, c, 1, 22, 0);
        device_rig_open(&first, *state, &rig, WEIR_DTYPE_F32);
        device_rig_open(&second, *state, &rig, WEIR_DTYPE_F32);
        bool ran = all_passes(&first, c);
        rows_order_set(true);
        ran = all_passes(&second, c) && ran;
        rows_order_set(false);
        if (ran)
            assert_same_blocks(c, &first, &second);
        device_rig_close(&second);
        device_rig_close(&first);
        op_rig_close(&rig);
    }
}

/* A number that the device cannot refuse makes NaN, and nothing is read or written out of bounds. */
static void numbers_outside_of_the_vocabulary_become_nan(void **state)
{
    for (int i = 0; i < 2; i++) {
        const struct op_case *c = op_cases;
        while (c->op != (i ? &weir_op_cross_entropy : &weir_op_embedding))
            c++;
        for (int32_t bad = -1; bad <= 1000000; bad += 1000001) {
            struct op_rig rig;
            struct device_rig device;
            op_rig_open(&rig, c, 1, 23, 0);
            device_rig_open(&device, *state, &rig, WEIR_DTYPE_F32);
            ((int32_t *)device.full.inputs[i].data)[1] = bad;
            bool ran = rows_ran(c, "forward", device_rig_run(&device, WEIR_FORWARD, NULL, false));
            if (ran && cuda_kernels(c->op)->backward_weight)
                ran = rows_ran(c, "backward_weight", device_rig_run(&device, WEIR_BACKWARD_WEIGHT, NULL, false));
            bool nan = i ? isnan(*(double *)device.full.output.data)
                         : isnan(device_rig_element(&device.full.output, c->attr.embedding.out_features));
            if (ran && !nan)
                rows_fail("%s, %s: the number %d made no NaN", c->op->name, c->sentence, (int)bad);
            device_rig_close(&device);
            op_rig_close(&rig);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_the_kernels_of_the_cpu),
        cmocka_unit_test_teardown(rows_in_f32_follow_the_cpu, rows_findings_check),
        cmocka_unit_test_teardown(rows_in_bf16_follow_the_cpu, rows_findings_check),
        cmocka_unit_test_teardown(nothing_is_dropped_outside_of_training, rows_findings_check),
        cmocka_unit_test_teardown(two_runs_give_the_same_bits, rows_findings_check),
        cmocka_unit_test_teardown(numbers_outside_of_the_vocabulary_become_nan, rows_findings_check),
    };
    return rows_device_there() ? cmocka_run_group_tests(tests, rows_device_open, rows_device_close) : 0;
}
