/* CUDA vector kernels, emulated or on a device: every entry of the table against the CPU's.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/cuda/cuda.h"
#include "rows_device.h"

enum { SIZES = 6 };
static const int64_t sizes[SIZES] = {0, 1, 31, 257, 65536, 65536 + 65};

static const struct weir_update update = {.learning_rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f,
                                          .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.05f};

/* n normal numbers, and the same again at +n for the device to change. */
static float *numbers_make(struct twin_memory *memory, int64_t n, uint64_t key)
{
    float *x = twin_block(memory, (size_t)(2 * n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = x[n + i] = weir_rng_normal(key, (uint64_t)i);
    return x;
}

static void *block_of(struct twin_memory *memory, const void *values, size_t bytes)
{
    return memcpy(twin_block(memory, bytes), values, bytes);
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
    struct twin_memory memory = {.on = *state};
    for (int s = 0; s < SIZES; s++) {
        int64_t n = sizes[s];
        float *sum = numbers_make(&memory, n, 1), *term = numbers_make(&memory, n, 2), *other = numbers_make(&memory, n, 3);
        float *d_sum = twin_of(&memory, sum + n), *d_term = twin_of(&memory, term), *d_other = twin_of(&memory, other);
        assert_ok(weir_vector_cpu.add(n, sum, term, NULL));
        twin_push(&memory);
        assert_ok(weir_vector_cuda.add(n, d_sum, d_term, memory.on->native));
        twin_pull(&memory);
        assert_memory_equal(sum, sum + n, (size_t)n * sizeof *sum);
        const float *cpu[] = {term, sum, other}, *cuda[] = {d_term, d_sum, d_other};
        assert_ok(weir_vector_cpu.reduce(n, sum, 3, cpu, NULL));
        twin_push(&memory);
        assert_ok(weir_vector_cuda.reduce(n, d_sum, 3, cuda, memory.on->native));
        twin_pull(&memory);
        assert_memory_equal(sum, sum + n, (size_t)n * sizeof *sum);
        twin_release(&memory, "add, reduce");
    }
    float x = 0;
    const float *terms[WEIR_REDUCE_TERMS + 1] = {&x};
    assert_fails(weir_vector_cuda.reduce(1, &x, WEIR_REDUCE_TERMS + 1, terms, NULL), WEIR_ERR_INVALID, "65 terms");
}

static void squares_are_summed_block_by_block(void **state)
{
    struct twin_memory memory = {.on = *state};
    for (int s = 0; s < SIZES; s++) {
        int64_t n = sizes[s];
        float *x = numbers_make(&memory, n, 4);
        double wanted[2] = {7, 7}, *got = block_of(&memory, wanted, sizeof wanted); /* 7: not written */
        assert_ok(weir_vector_cpu.square_sums(n, x, wanted, NULL));
        twin_push(&memory);
        assert_ok(weir_vector_cuda.square_sums(n, twin_of(&memory, x), twin_of(&memory, got), memory.on->native));
        twin_pull(&memory);
        for (int b = 0; b < 2; b++)
            assert_true(fabs(got[b] - wanted[b]) <= 1e-12 * wanted[b]);
        twin_release(&memory, "square_sums");
    }
}

static void the_gate_has_the_bits_of_the_cpu(void **state)
{
    struct twin_memory memory = {.on = *state};
    double sums[300], losses[3] = {1.5, 2.25, 3.125};
    for (int i = 0; i < 300; i++)
        sums[i] = 1.0 / (i + 1);
    for (int round = 0; round < 4; round++) {
        struct weir_update_gate wanted, *got;
        double clip = round == 1 ? 1.0 : round == 2 ? 100.0 : 0;
        losses[1] = round == 3 ? INFINITY : 2.25;
        memset(&wanted, 0, sizeof wanted);
        got = block_of(&memory, &wanted, sizeof wanted);
        const double *d_sums = twin_of(&memory, block_of(&memory, sums, sizeof sums));
        const double *d_losses = twin_of(&memory, block_of(&memory, losses, sizeof losses));
        assert_ok(weir_vector_cpu.gate(300, sums, 3, losses, 8, clip, &wanted, NULL));
        twin_push(&memory);
        assert_ok(weir_vector_cuda.gate(300, d_sums, 3, d_losses, 8, clip, twin_of(&memory, got), memory.on->native));
        twin_pull(&memory);
        assert_memory_equal(&wanted, got, sizeof wanted);
        assert_int_equal(got->apply, round != 3);
        twin_release(&memory, "gate");
    }
}

/* One update on both sides; where the gate is shut, nothing changes. */
static void update_check(struct twin_device *on, int64_t n, bool adamw, bool decay, uint32_t apply)
{
    struct twin_memory memory = {.on = on};
    const struct weir_update_gate gate = {1, 1, 0.5f, apply};
    const struct weir_update_scale scale = {n % 2 ? 1 : 0.75f, decay ? 1.5f : 0};
    float *param = numbers_make(&memory, n, 5), *grad = numbers_make(&memory, n, 6), *m = numbers_make(&memory, n, 7);
    float *v = numbers_make(&memory, n, 8), *before = numbers_make(&memory, n, 5);
    const struct weir_update *d_update = twin_of(&memory, block_of(&memory, &update, sizeof update));
    const struct weir_update_gate *d_gate = twin_of(&memory, block_of(&memory, &gate, sizeof gate));
    float *d_param = twin_of(&memory, param + n), *d_grad = twin_of(&memory, grad), *d_m = twin_of(&memory, m + n);
    for (int64_t i = 0; i < 2 * n; i++)
        v[i] *= v[i];
    twin_push(&memory);
    assert_ok(adamw ? weir_vector_cuda.adamw(d_update, d_gate, scale, n, d_param, d_grad, d_m, twin_of(&memory, v + n),
                                             on->native)
                    : weir_vector_cuda.sgd(d_update, d_gate, scale, n, d_param, d_grad, on->native));
    twin_pull(&memory);
    assert_ok(adamw ? weir_vector_cpu.adamw(&update, &gate, scale, n, param, grad, m, v, NULL)
                    : weir_vector_cpu.sgd(&update, &gate, scale, n, param, grad, NULL));
    assert_near(n, param + n, param);
    assert_near(n, m + n, m);
    assert_near(n, v + n, v);
    assert_int_equal(n > 0 && memcmp(param + n, before, (size_t)n * sizeof *param) != 0, n > 0 && apply);
    twin_release(&memory, adamw ? "adamw" : "sgd");
}

static void updates_follow_the_cpu(void **state)
{
    for (int s = 0; s < SIZES - 1; s++)
        for (int bits = 0; bits < 8; bits++)
            update_check(*state, sizes[s], bits & 1, bits & 2, (bits & 4) != 0);
}

static void bf16_has_the_bits_of_the_cpu(void **state)
{
    static const uint32_t odd[] = {0x7f800000, 0xff800000, 0x7f800001, 0xffc00000, 0x7f7fffff, 0x3f808000, 0x3f818000, 1};
    for (int s = 0; s < SIZES; s++) {
        struct twin_memory memory = {.on = *state};
        int64_t n = sizes[s];
        float *from = numbers_make(&memory, n, 9);
        uint16_t *wanted = twin_block(&memory, (size_t)n * sizeof *wanted), *got = twin_block(&memory, (size_t)n * sizeof *got);
        for (int64_t i = 0; i < n && i < (int64_t)(sizeof odd / sizeof *odd); i++)
            memcpy(from + n - 1 - i, odd + i, sizeof *odd);
        assert_ok(weir_vector_cpu.to_bf16(n, from, wanted, NULL));
        twin_push(&memory);
        assert_ok(weir_vector_cuda.to_bf16(n, twin_of(&memory, from), twin_of(&memory, got), memory.on->native));
        twin_pull(&memory);
        assert_memory_equal(got, wanted, (size_t)n * sizeof *got);
        twin_release(&memory, "to_bf16");
    }
}

static void errors_of_the_runtime_name_the_call(void **state)
{
    (void)state;
    assert_ok(weir_cuda_check(0, "cudaMalloc"));
    assert_fails(weir_cuda_check(2, "cudaMalloc"), WEIR_ERR_NOMEM, "cuda: cudaMalloc: cudaErrorMemoryAllocation, out of");
    assert_fails(weir_cuda_check(1, "cudaFree"), WEIR_ERR_DEVICE, "cuda: cudaFree: cudaErrorInvalidValue, invalid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_vectors_are_those_of_the_cpu), cmocka_unit_test(squares_are_summed_block_by_block),
        cmocka_unit_test(the_gate_has_the_bits_of_the_cpu),     cmocka_unit_test(updates_follow_the_cpu),
        cmocka_unit_test(bf16_has_the_bits_of_the_cpu),         cmocka_unit_test(errors_of_the_runtime_name_the_call),
    };
    return rows_device_there() ? cmocka_run_group_tests(tests, rows_device_open, rows_device_close) : 0;
}
