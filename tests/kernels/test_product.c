/* Products of bf16 factors, also with a side as long as a vocabulary: every element is rounded once.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/storage.h"

enum { LONG = 12300 }; /* above what is computed at once (product.c) */

static const struct {
    int64_t m, n, k;
    bool transpose_a, transpose_b, bias, addend, accumulate;
} rows[] = {{5, 7, 9, false, true, true, false, false},      {5, 7, 9, false, false, false, true, false},
            {33, 64, 96, false, true, true, false, false},   {33, 64, 96, true, false, false, false, true},
            {3, LONG, 8, false, true, true, false, false},   {3, LONG, 8, false, true, false, false, false},
            {3, LONG, 8, false, true, false, true, false},   {3, 8, LONG, false, false, false, false, false},
            {3, 8, LONG, false, false, false, true, false},  {3, 8, LONG, false, true, true, false, false},
            {LONG, 8, 5, true, false, false, false, false},  {LONG, 8, 5, true, false, false, false, true},
            {6144 * 3, 4, 2, true, false, false, false, true}, {2, 3072 * 5, 4, false, true, true, false, false}};

struct numbers {
    uint16_t *narrow;
    float *wide; /* the same values */
};

static struct numbers numbers_make(int64_t n, uint64_t key)
{
    struct numbers x = {aligned_alloc(64, (size_t)(n + 63) / 32 * 64), malloc((size_t)n * sizeof(float))};
    assert_true(x.narrow && x.wide);
    weir_rng_fill_normal(key, 0, n, 1, x.wide);
    weir_round(n, x.wide, x.narrow);
    weir_widen(n, x.narrow, x.wide);
    return x;
}

static void numbers_free(struct numbers x)
{
    free(x.narrow);
    free(x.wide);
}

/* The sum in double, and how large its terms are. */
static double element(const struct weir_product *p, const float *a, const float *b, double start, int64_t i, int64_t j, double *size_out)
{
    double sum = start, size = fabs(start);
    for (int64_t k = 0; k < p->k; k++) {
        double term = (double)a[p->transpose_a ? k * p->m + i : i * p->k + k] * (double)b[p->transpose_b ? j * p->k + k : k * p->n + j];
        sum += term;
        size += fabs(term);
    }
    *size_out = size;
    return sum;
}

/* A bf16 number has 8 bits: rounding once errs by half of the last one.  Sums of floats err by 2^-24 of their terms each. */
static void element_check(double got, double wanted, double size, bool bf16)
{
    int exponent;
    frexp(wanted, &exponent);
    double error = size * 0x1p-20 + (bf16 ? ldexp(1.001, exponent - 9) : 0);
    if (!(fabs(got - wanted) <= error))
        print_error("%g, wanted %g within %g\n", got, wanted, error);
    assert_true(fabs(got - wanted) <= error);
}

static void row_check(int row, int n_threads)
{
    struct weir_product p = {.m = rows[row].m, .n = rows[row].n, .k = rows[row].k, .transpose_a = rows[row].transpose_a,
                             .transpose_b = rows[row].transpose_b, .bias = rows[row].bias, .accumulate = rows[row].accumulate,
                             .factors = WEIR_DTYPE_BF16, .result = rows[row].transpose_a ? WEIR_DTYPE_F32 : WEIR_DTYPE_BF16};
    bool bf16 = p.result == WEIR_DTYPE_BF16;
    int64_t n = p.m * p.n;
    struct numbers a = numbers_make(p.m * p.k, 1), b = numbers_make(p.k * p.n, 2), bias = numbers_make(p.n, 3), start = numbers_make(n, 4);
    float *c = malloc((size_t)n * sizeof *c), *found = malloc((size_t)n * sizeof *found);
    size_t scratch_bytes = weir_product_scratch(&p, n_threads);
    char *scratch = aligned_alloc(64, (scratch_bytes + 127) / 64 * 64);
    struct weir_kernel_context *context;
    assert_true(c && found && scratch);
    memset(scratch + scratch_bytes, 0x5a, 64);
    memcpy(c, start.wide, (size_t)n * sizeof *c);
    assert_ok(weir_kernel_context_open(n_threads, &context));
    assert_ok(weir_product_prepare(context, &p, rows[row].addend));
    assert_ok(weir_product_run(context, &p, a.narrow, b.narrow, p.bias ? bias.narrow : NULL, rows[row].addend ? start.narrow : NULL, c, scratch));
    weir_kernel_context_close(context);
    for (int i = 0; i < 64; i++)
        assert_int_equal(scratch[scratch_bytes + (size_t)i], 0x5a);
    if (bf16)
        weir_widen(n, c, found);
    else
        memcpy(found, c, (size_t)n * sizeof *c);
    for (int64_t i = 0; i < n; i++) {
        double size, first = rows[row].addend || p.accumulate ? (double)start.wide[i] : p.bias ? (double)bias.wide[i % p.n] : 0;
        double wanted = element(&p, a.wide, b.wide, first, i / p.n, i % p.n, &size);
        element_check((double)found[i], wanted, size, bf16);
    }
    numbers_free(a), numbers_free(b), numbers_free(bias), numbers_free(start);
    free(c), free(found), free(scratch);
}

static void every_element_is_rounded_once(void **state)
{
    (void)state;
    for (int row = 0; row < (int)(sizeof rows / sizeof rows[0]); row++)
        for (int n_threads = 1; n_threads <= 2; n_threads++)
            row_check(row, n_threads);
    print_message("bf16 products of the processor: %s\n", weir_matmul_has_bf16() ? "used" : "not used, numbers are widened");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_element_is_rounded_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
