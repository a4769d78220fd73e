/* vector math: accuracy, independence of length and position, dropout numbers, updates.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/cpu/vmath.h"
#include "kernels/op_rows.h"
#include "kernels/vector.h"
#include "tests/support/op_rig.h"
#include "tests/support/row_kernels.h"

static void exp_and_the_normal_distribution_are_accurate(void **state)
{
    (void)state;
    for (double at = -87.2; at <= 87.2; at += 0.00037) {
        float x = (float)at;
        assert_true(fabs((double)weir_exp(x) / exp((double)x) - 1) < 1.2e-7);
    }
    for (double at = -15; at <= 15; at += 0.00037) {
        float x = (float)at, density;
        double cdf = 0.5 * erfc(-(double)x / sqrt(2)), slope = exp(-0.5 * (double)x * (double)x) / sqrt(2 * M_PI);
        assert_true(fabs((double)weir_normal_cdf(x, &density) - cdf) < 2e-7);
        assert_true(fabs((double)density - slope) < 1e-7);
        assert_true(fabs((double)weir_sigmoid(x) * (1 + exp(-(double)x)) - 1) < 2e-7);
    }
    for (double at = -90; at <= 87.3; at += 0.0013) {
        float x = (float)at, both = weir_exp(x), falling = weir_exp_falling(x);
        assert_memory_equal(&both, &falling, sizeof both);
    }
    assert_true(weir_exp_falling(-INFINITY) == weir_exp(-INFINITY) && isnan(weir_exp_falling(NAN)));
    assert_true(weir_exp(-1000.0f) < 1.3e-38f && weir_exp(-INFINITY) < 1.3e-38f);
    assert_true(weir_exp(INFINITY) > 8e37f && weir_exp(1000.0f) < 8.5e37f && isnan(weir_exp(NAN)) && weir_exp(0.0f) == 1.0f);
}

static struct op_case vector_case(const struct weir_op *op, int64_t n)
{
    return (struct op_case){"", op, {.dropout = {.dropout = 0.25}}, op == &weir_op_add ? 2 : 1,
                            {{1, {n}, WEIR_DTYPE_F32}, {1, {n}, WEIR_DTYPE_F32}}};
}

/* Element `from + i` of a long vector against element i of a vector of n. */
static void part_check(const struct weir_op *op, const struct op_rig *whole, int64_t from, int64_t n)
{
    struct op_case c = vector_case(op, n);
    struct op_rig part;
    op_rig_open(&part, &c, 1, 1, 0);
    for (int i = 0; i < c.n_inputs; i++)
        part.full.inputs[i].data = (float *)whole->full.inputs[i].data + from;
    part.full.d_output.data = (float *)whole->full.d_output.data + from;
    assert_ok(op_rig_run(&part, WEIR_FORWARD, NULL, false));
    assert_memory_equal(part.full.output.data, (float *)whole->full.output.data + from, (size_t)n * 4);
    if (cpu_kernels(op)->backward_input) {
        assert_ok(op_rig_run(&part, WEIR_BACKWARD_INPUT, NULL, false));
        assert_memory_equal(part.full.d_inputs[0].data, (float *)whole->full.d_inputs[0].data + from, (size_t)n * 4);
    }
    op_rig_close(&part);
}

static void an_element_does_not_depend_on_length_or_position(void **state)
{
    (void)state;
    static const struct weir_op *const rows[] = {&weir_op_gelu_tanh, &weir_op_gelu_erf, &weir_op_relu, &weir_op_silu,
                                                 &weir_op_add};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct op_case c = vector_case(rows[r], 40000);
        struct op_rig whole;
        op_rig_open(&whole, &c, 1, 1, 0);
        float *x = whole.full.inputs[0].data;
        for (int i = 0; i < 40000; i += 3)
            x[i] *= 20.0f;
        assert_ok(op_rig_run(&whole, WEIR_FORWARD, NULL, false));
        if (cpu_kernels(rows[r])->backward_input)
            assert_ok(op_rig_run(&whole, WEIR_BACKWARD_INPUT, NULL, false));
        for (int64_t n = 1; n < 70; n++)
            part_check(rows[r], &whole, n * 7 % 33, n);
        part_check(rows[r], &whole, 16384, 17000);
        op_rig_close(&whole);
    }
}

static void dropout_drops_its_share_and_only_in_training(void **state)
{
    (void)state;
    struct op_case c = {"", &weir_op_dropout, {.dropout = {.dropout = 0.25}}, 1, {{2, {2, 50000}, WEIR_DTYPE_F32}}};
    struct op_rig rig;
    op_rig_open(&rig, &c, 1, 1, 0);
    const float *x = rig.full.inputs[0].data, *y = rig.full.output.data;
    assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
    int zeros = 0;
    for (int i = 0; i < 100000; i++)
        zeros += y[i] == 0.0f;
    assert_in_range(zeros, 24500, 25500);
    rig.step.training = 0;
    assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
    assert_memory_equal(x, y, 400000);
    op_rig_close(&rig);
}

enum { N = 1003 };

static const struct weir_update_scale whole = {1, 1};

static void filled(float *x, uint64_t key)
{
    for (int i = 0; i < N; i++)
        x[i] = weir_rng_normal(key, (uint64_t)i);
}

static void adamw_follows_its_formula(void **state)
{
    (void)state;
    float p[N], g[N], m[N], v[N], before[N], p1[N], m1[N], v1[N];
    filled(p, 1), filled(g, 2), filled(m, 3), filled(v, 4);
    for (int i = 0; i < N; i++)
        v[i] = fabsf(v[i]);
    memcpy(before, p, sizeof p), memcpy(p1, p, sizeof p), memcpy(m1, m, sizeof m), memcpy(v1, v, sizeof v);
    const struct weir_update a = {1e-2f, 0.9f, 0.95f, 1e-8f, 0.1f, 1 - 0.9f * 0.9f, 1 - 0.95f * 0.95f};
    const struct weir_update_gate gate = {.grad_scale = 0.5f, .apply = 1}, closed = {.grad_scale = 0.5f};
    for (int i = 0; i < N; i++) {
        double d = 0.5 * (double)g[i], m2 = 0.9 * (double)m[i] + 0.1 * d, v2 = 0.95 * (double)v[i] + 0.05 * d * d;
        double w = (double)p[i] * (1 - 1e-2 * 0.1) - 1e-2 * (m2 / 0.19) / (sqrt(v2 / 0.0975) + 1e-8);
        weir_vector_cpu.adamw(&a, &gate, whole, 1, &p1[i], &g[i], &m1[i], &v1[i], NULL);
        assert_true(fabs((double)p1[i] - w) < 1e-6 * (1 + fabs(w)));
    }
    weir_vector_cpu.adamw(&a, &closed, whole, N, p, g, m, v, NULL);
    assert_memory_equal(p, before, sizeof p);
    weir_vector_cpu.adamw(&a, &gate, whole, N, p, g, m, v, NULL);
    assert_memory_equal(p, p1, sizeof p);
    assert_memory_equal(m, m1, sizeof m);
    assert_memory_equal(v, v1, sizeof v);
    assert_memory_not_equal(p, before, sizeof p);
}

static void sgd_and_sums_follow_their_formulas(void **state)
{
    (void)state;
    float p[N], g[N], sum[N];
    double squares = 0;
    filled(p, 1), filled(g, 2);
    memcpy(sum, p, sizeof p);
    weir_vector_cpu.add(N, sum, g, NULL);
    for (int i = 0; i < N; i++) {
        assert_true(sum[i] == p[i] + g[i]);
        squares += (double)g[i] * (double)g[i];
    }
    double found = -1;
    weir_vector_cpu.square_sums(0, g, &found, NULL);
    assert_true(found == -1);
    weir_vector_cpu.square_sums(1, g, &found, NULL);
    assert_true(found == (double)g[0] * (double)g[0]);
    weir_vector_cpu.square_sums(N, g, &found, NULL);
    assert_true(fabs(found / squares - 1) < 1e-12);
    memcpy(sum, p, sizeof p);
    const struct weir_update update = {.learning_rate = 0.1f, .weight_decay = 0.01f};
    const struct weir_update_gate gate = {.grad_scale = 2.0f, .apply = 1};
    weir_vector_cpu.sgd(&update, &gate, whole, N, p, g, NULL);
    for (int i = 0; i < N; i++)
        assert_true(fabs((double)p[i] - ((double)sum[i] - 0.1 * (2.0 * (double)g[i] + 0.01 * (double)sum[i]))) < 1e-6);
}

static void factors_scale_the_rates_and_zero_stops_them(void **state)
{
    (void)state;
    float p[N], g[N], m[N], v[N], before[N], p2[N], m2[N], v2[N];
    filled(p, 1), filled(g, 2), memset(m, 0, sizeof m), memset(v, 0, sizeof v);
    memcpy(before, p, sizeof p), memcpy(p2, p, sizeof p), memcpy(m2, m, sizeof m), memcpy(v2, v, sizeof v);
    const struct weir_update a = {1e-2f, 0.9f, 0.95f, 1e-8f, 0.1f, 1 - 0.9f, 1 - 0.95f};
    const struct weir_update b = {1e-2f * 0.25f, 0.9f, 0.95f, 1e-8f, 0.1f * 4, 1 - 0.9f, 1 - 0.95f};
    const struct weir_update_gate gate = {.grad_scale = 0.5f, .apply = 1};
    const struct weir_update_scale scale = {0.25f, 4}, stopped = {0, 1};
    weir_vector_cpu.adamw(&a, &gate, scale, N, p, g, m, v, NULL);
    weir_vector_cpu.adamw(&b, &gate, whole, N, p2, g, m2, v2, NULL);
    assert_memory_equal(p, p2, sizeof p);
    weir_vector_cpu.sgd(&a, &gate, scale, N, p, g, NULL);
    weir_vector_cpu.sgd(&b, &gate, whole, N, p2, g, NULL);
    assert_memory_equal(p, p2, sizeof p);
    memcpy(p, before, sizeof p);
    weir_vector_cpu.adamw(&a, &gate, stopped, N, p, g, m, v, NULL);
    weir_vector_cpu.sgd(&a, &gate, stopped, N, p, g, NULL);
    assert_memory_equal(p, before, sizeof p);
}

/* The nearest of the two bf16 numbers around x, the even one of two that are equally near. */
static uint16_t bf16_nearest(float x)
{
    uint32_t low, high;
    float a, b;
    memcpy(&low, &x, sizeof low);
    low &= 0xffff0000u;
    high = low + 0x10000u;
    memcpy(&a, &low, sizeof a), memcpy(&b, &high, sizeof b);
    double above = isinf(b) ? copysign(0x1p128, (double)x) : (double)b; /* the next number, were there one */
    double to_a = fabs((double)x - (double)a), to_b = fabs(above - (double)x);
    bool down = to_a < to_b || (to_a == to_b && !(low >> 16 & 1));
    return (uint16_t)((isnan(x) ? 0x7fff0000u : isinf(x) || down ? low : high) >> 16);
}

static void bf16_is_the_nearest_number_for_every_upper_half(void **state)
{
    (void)state;
    static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { EACH = sizeof lower / sizeof *lower, PART = 256 * EACH };
    for (uint32_t upper = 0; upper < 0x10000; upper += 256) {
        float from[PART];
        uint16_t to[PART];
        for (uint32_t i = 0; i < PART; i++) {
            uint32_t bits = (upper + i / EACH) << 16 | lower[i % EACH];
            memcpy(from + i, &bits, sizeof bits);
        }
        weir_vector_cpu.to_bf16(PART, from, to, NULL);
        for (int i = 0; i < PART; i++)
            if (to[i] != bf16_nearest(from[i]))
                fail_msg("%a became %04x, not %04x", (double)from[i], to[i], bf16_nearest(from[i]));
    }
}

static void replicas_are_added_in_order_whoever_owns_the_sum(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    static float terms[4][LONG], expected[LONG];
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < LONG; i++)
            terms[t][i] = weir_rng_normal((uint64_t)t + 1, (uint64_t)i);
    for (int i = 0; i < LONG; i++)
        expected[i] = ((terms[0][i] + terms[1][i]) + terms[2][i]) + terms[3][i];
    for (int owner = 0; owner < 4; owner++) {
        static float copies[4][LONG];
        memcpy(copies, terms, sizeof copies);
        const float *const at[4] = {copies[0], copies[1], copies[2], copies[3]};
        weir_vector_cpu.reduce(LONG, copies[owner], 4, at, NULL);
        assert_memory_equal(copies[owner], expected, sizeof expected);
    }
}

static void the_gate_closes_on_what_is_not_finite(void **state)
{
    (void)state;
    const double sums[] = {9, 16}, losses[] = {3, 5}, bad[] = {3, NAN};
    struct weir_update_gate gate;
    weir_vector_cpu.gate(2, sums, 2, losses, 4, 2.5, &gate, NULL);
    assert_true(gate.apply && gate.grad_norm == 5 && gate.loss == 2);
    assert_true(fabs((double)gate.grad_scale - 0.5) < 1e-6);
    weir_vector_cpu.gate(2, sums, 2, losses, 4, 0, &gate, NULL);
    assert_true(gate.apply && gate.grad_scale == 1.0f);
    weir_vector_cpu.gate(2, sums, 2, bad, 4, 1, &gate, NULL);
    assert_false(gate.apply);
    weir_vector_cpu.gate(2, bad, 2, losses, 4, 1, &gate, NULL);
    assert_false(gate.apply);
}

/* Five blocks, the last one short, on one thread and on three. */
static void threads_change_no_bit(void **state)
{
    (void)state;
    enum { MANY = 4 * WEIR_NORM_BLOCK + 77, VECTORS = 4 };
    const struct weir_update update = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.1f, 0.05f};
    const struct weir_update_gate gate = {.grad_scale = 0.5f, .apply = 1};
    struct weir_kernel_context *context;
    static float x[2][VECTORS][MANY];
    static uint16_t narrow[2][MANY];
    double sums[2][5];
    assert_ok(weir_kernel_context_open(3, &context));
    for (int run = 0; run < 2; run++) {
        void *stream = run ? context : NULL;
        float *p = x[run][0], *g = x[run][1], *m = x[run][2], *v = x[run][3];
        for (int k = 0; k < VECTORS; k++)
            for (int i = 0; i < MANY; i++)
                x[run][k][i] = fabsf(weir_rng_normal((uint64_t)k, (uint64_t)i));
        const float *const terms[] = {m, v, p};
        assert_ok(weir_vector_cpu.adamw(&update, &gate, whole, MANY, p, g, m, v, stream));
        assert_ok(weir_vector_cpu.sgd(&update, &gate, whole, MANY, p, g, stream));
        assert_ok(weir_vector_cpu.add(MANY, m, p, stream));
        assert_ok(weir_vector_cpu.reduce(MANY, g, 3, terms, stream));
        assert_ok(weir_vector_cpu.square_sums(MANY, g, sums[run], stream));
        assert_ok(weir_vector_cpu.to_bf16(MANY, g, narrow[run], stream));
    }
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
    assert_memory_equal(narrow[0], narrow[1], sizeof narrow[0]);
    weir_kernel_context_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_and_the_normal_distribution_are_accurate),
        cmocka_unit_test(an_element_does_not_depend_on_length_or_position),
        cmocka_unit_test(dropout_drops_its_share_and_only_in_training),
        cmocka_unit_test(adamw_follows_its_formula),
        cmocka_unit_test(sgd_and_sums_follow_their_formulas),
        cmocka_unit_test(factors_scale_the_rates_and_zero_stops_them),
        cmocka_unit_test(bf16_is_the_nearest_number_for_every_upper_half),
        cmocka_unit_test(replicas_are_added_in_order_whoever_owns_the_sum),
        cmocka_unit_test(the_gate_closes_on_what_is_not_finite),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
