/* CUDA vector kernels on the processor: every entry of the table against the CPU's.   labels: pure */
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "emulation.h"
#include "kernels/cuda/cuda.h"

enum { SIZES = 6 };
static const int64_t sizes[SIZES] = {0, 1, 31, 257, 65536, 65536 + 65};

static const struct weir_update update = {.learning_rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f,
                                          .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.05f};

/* n normal numbers, and the same again at +n for the other side. */
static float *numbers_make(int64_t n, uint64_t key)
{
    float *x = malloc((size_t)(2 * n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = x[n + i] = weir_rng_normal(key, (uint64_t)i);
    return x;
}

static void assert_near(int64_t n, const float *got, const float *wanted)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - wanted[i]) <= 1e-6f * fmaxf(1, fabsf(wanted[i]))))
            fail_msg("element %ld of %ld is %.9g, it should be %.9g", (long)i, (long)n, (double)got[i],
                     (double)wanted[i]);
}

static void sums_of_vectors_are_those_of_the_cpu(void **state)
{
    (void)state;
    for (int s = 0; s < SIZES; s++) {
        int64_t n = sizes[s];
        float *sum = numbers_make(n, 1), *term = numbers_make(n, 2), *other = numbers_make(n, 3);
        assert_ok(weir_vector_cpu.add(n, sum, term, NULL));
        assert_ok(weir_vector_cuda.add(n, sum + n, term, NULL));
        assert_memory_equal(sum, sum + n, (size_t)n * sizeof *sum);
        const float *cpu[] = {term, sum, other}, *cuda[] = {term, sum + n, other};
        assert_ok(weir_vector_cpu.reduce(n, sum, 3, cpu, NULL));
        assert_ok(weir_vector_cuda.reduce(n, sum + n, 3, cuda, NULL));
        assert_memory_equal(sum, sum + n, (size_t)n * sizeof *sum);
        free(sum);
        free(term);
        free(other);
    }
    float x = 0;
    const float *terms[WEIR_REDUCE_TERMS + 1] = {&x};
    assert_fails(weir_vector_cuda.reduce(1, &x, WEIR_REDUCE_TERMS + 1, terms, NULL), WEIR_ERR_INVALID, "65 terms");
}

static void squares_are_summed_block_by_block(void **state)
{
    (void)state;
    for (int s = 0; s < SIZES; s++) {
        int64_t n = sizes[s];
        float *x = numbers_make(n, 4);
        double wanted[2] = {7, 7}, got[2] = {7, 7}; /* 7: not written */
        assert_ok(weir_vector_cpu.square_sums(n, x, wanted, NULL));
        assert_ok(weir_vector_cuda.square_sums(n, x, got, NULL));
        for (int b = 0; b < 2; b++)
            assert_true(fabs(got[b] - wanted[b]) <= 1e-12 * wanted[b]);
        free(x);
    }
}

static void the_gate_has_the_bits_of_the_cpu(void **state)
{
    (void)state;
    double sums[300], losses[3] = {1.5, 2.25, 3.125};
    for (int i = 0; i < 300; i++)
        sums[i] = 1.0 / (i + 1);
    for (int round = 0; round < 4; round++) {
        struct weir_update_gate wanted, got;
        double clip = round == 1 ? 1.0 : round == 2 ? 100.0 : 0;
        memset(&wanted, 0, sizeof wanted);
        memset(&got, 0, sizeof got);
        losses[1] = round == 3 ? INFINITY : 2.25;
        assert_ok(weir_vector_cpu.gate(300, sums, 3, losses, 8, clip, &wanted, NULL));
        assert_ok(weir_vector_cuda.gate(300, sums, 3, losses, 8, clip, &got, NULL));
        assert_memory_equal(&wanted, &got, sizeof got);
        assert_int_equal(got.apply, round != 3);
    }
}

/* One update on both sides; where the gate is shut, nothing changes. */
static void update_check(int64_t n, bool adamw, bool decay, uint32_t apply)
{
    const struct weir_update_gate gate = {1, 1, 0.5f, apply};
    float *param = numbers_make(n, 5), *grad = numbers_make(n, 6), *m = numbers_make(n, 7), *v = numbers_make(n, 8);
    float *before = numbers_make(n, 5);
    for (int64_t i = 0; i < 2 * n; i++)
        v[i] *= v[i];
    if (adamw) {
        assert_ok(weir_vector_cpu.adamw(&update, &gate, decay, n, param, grad, m, v, NULL));
        assert_ok(weir_vector_cuda.adamw(&update, &gate, decay, n, param + n, grad, m + n, v + n, NULL));
    } else {
        assert_ok(weir_vector_cpu.sgd(&update, &gate, decay, n, param, grad, NULL));
        assert_ok(weir_vector_cuda.sgd(&update, &gate, decay, n, param + n, grad, NULL));
    }
    assert_near(n, param + n, param);
    assert_near(n, m + n, m);
    assert_near(n, v + n, v);
    assert_int_equal(n > 0 && memcmp(param + n, before, (size_t)n * sizeof *param) != 0, n > 0 && apply);
    free(param);
    free(grad);
    free(m);
    free(v);
    free(before);
}

static void updates_follow_the_cpu(void **state)
{
    (void)state;
    for (int s = 0; s < SIZES - 1; s++)
        for (int bits = 0; bits < 8; bits++)
            update_check(sizes[s], bits & 1, bits & 2, (bits & 4) != 0);
}

static void bf16_is_rounded_to_the_nearest(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t bits;
    } rows[] = {{1.0f, 0x3f80},       {0x1.01p0f, 0x3f80}, {0x1.03p0f, 0x3f82}, {0x1.010002p0f, 0x3f81},
                {-0x1.03p0f, 0xbf82}, {INFINITY, 0x7f80},  {0x1.ffp127f, 0x7f80}, {0.0f, 0}};
    enum { N = sizeof rows / sizeof *rows };
    float values[N], back[N];
    uint16_t bits[N];
    for (int i = 0; i < N; i++)
        values[i] = rows[i].value;
    assert_ok(weir_cuda_to_bf16(N, values, bits, NULL));
    assert_ok(weir_cuda_from_bf16(N, bits, back, NULL));
    for (int i = 0; i < N; i++) {
        assert_int_equal(bits[i], rows[i].bits);
        assert_true(back[i] == values[i] || fabsf(back[i] - values[i]) <= fabsf(values[i]) / 256 || isinf(back[i]));
    }
}

static void errors_of_the_runtime_name_the_call(void **state)
{
    (void)state;
    assert_ok(weir_cuda_check(0, "cudaMalloc"));
    assert_fails(weir_cuda_check(2, "cudaMalloc"), WEIR_ERR_NOMEM, "cuda: cudaMalloc: cudaErrorMemoryAllocation, out of");
    assert_fails(weir_cuda_check(1, "cudaFree"), WEIR_ERR_DEVICE, "cuda: cudaFree: cudaErrorInvalidValue, invalid");
}

static int fibers_release(void **state)
{
    (void)state;
    weir_emulated_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_vectors_are_those_of_the_cpu), cmocka_unit_test(squares_are_summed_block_by_block),
        cmocka_unit_test(the_gate_has_the_bits_of_the_cpu),     cmocka_unit_test(updates_follow_the_cpu),
        cmocka_unit_test(bf16_is_rounded_to_the_nearest),       cmocka_unit_test(errors_of_the_runtime_name_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, fibers_release);
}
