/* matrix products: gemm_ref against double, the build's implementation against gemm_ref.   labels: pure */
#include "tests/support/testing.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/tile.h"

static const int64_t sizes[][3] = {{1, 1, 1},    {1, 17, 3},   {17, 1, 33},   {3, 3, 3},     {4, 32, 64},      {5, 33, 257},
                                   {64, 96, 16}, {67, 131, 97}, {33, 300, 513}, {128, 64, 256}, {33, 1024, 40}, {32, 3072, 17},
                                   {6, 5, 12300}};

struct matrices {
    float *a, *b, *bias, *c, *other, *start, *scratch;
    size_t c_bytes;
};

static float *matrix_make(int64_t n, uint64_t key)
{
    float *x = aligned_alloc(64, (size_t)(n + 31) / 16 * 64);
    assert_non_null(x);
    weir_rng_fill_normal(key, 0, n, 1, x);
    return x;
}

static struct matrices matrices_make(const struct weir_product *p)
{
    size_t scratch = weir_matmul_scratch(p, 2), plain = weir_gemm_ref_scratch(p), one = weir_matmul_scratch(p, 1);
    scratch = scratch > plain ? scratch : plain;
    scratch = scratch > one ? scratch : one;
    return (struct matrices){matrix_make(p->m * p->k, 1), matrix_make(p->k * p->n, 2), matrix_make(p->n, 3),
                             matrix_make(p->m * p->n, 4), matrix_make(p->m * p->n, 4), matrix_make(p->m * p->n, 4),
                             matrix_make((int64_t)(scratch / 4 + 1), 5), (size_t)(p->m * p->n) * sizeof(float)};
}

static void matrices_free(struct matrices *x)
{
    free(x->a), free(x->b), free(x->bias), free(x->c), free(x->other), free(x->start), free(x->scratch);
}

/* All descriptions: sizes, transposes, and plain, accumulating or with a bias. */
static struct weir_product product_number(int number)
{
    int size = number / 12, kind = number % 3;
    return (struct weir_product){.m = sizes[size][0], .n = sizes[size][1], .k = sizes[size][2],
                                 .transpose_a = number / 3 % 2 == 1, .transpose_b = number / 6 % 2 == 1,
                                 .accumulate = kind == 1, .bias = kind == 2};
}

enum { PRODUCTS = 12 * (int)(sizeof sizes / sizeof *sizes) };

static double element(const struct weir_product *p, const struct matrices *x, int64_t i, int64_t j)
{
    double sum = p->accumulate ? (double)x->start[i * p->n + j] : p->bias ? (double)x->bias[j] : 0;
    for (int64_t k = 0; k < p->k; k++)
        sum += (double)x->a[p->transpose_a ? k * p->m + i : i * p->k + k] *
               (double)x->b[p->transpose_b ? j * p->k + k : k * p->n + j];
    return sum;
}

static void assert_product(const struct weir_product *p, const struct matrices *x, const float *c)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++)
            if (fabs((double)c[i * p->n + j] - element(p, x, i, j)) > 3e-6 * (3 + 3 * sqrt((double)p->k)))
                fail_msg("(%ld, %ld, %ld)%s%s: [%ld][%ld] is %g, it should be %g", (long)p->m, (long)p->n, (long)p->k,
                         p->transpose_a ? " a^T" : "", p->transpose_b ? " b^T" : "", (long)i, (long)j,
                         (double)c[i * p->n + j], element(p, x, i, j));
}

/* c is what it should be, but for the order of sums and a share of the element itself. */
static void assert_alike(const struct weir_product *p, const float *c, const float *expected, double share)
{
    for (int64_t i = 0; i < p->m * p->n; i++)
        if (fabs((double)c[i] - (double)expected[i]) > 3e-6 * (3 + 3 * sqrt((double)p->k)) + share * fabs((double)expected[i]))
            fail_msg("(%ld, %ld, %ld)%s%s%s: element %ld is %g, it should be %g", (long)p->m, (long)p->n, (long)p->k,
                     p->transpose_a ? " a^T" : "", p->transpose_b ? " b^T" : "", p->factors == WEIR_DTYPE_BF16 ? " bf16" : "", (long)i,
                     (double)c[i], (double)expected[i]);
}

static void the_plain_product_follows_double(void **state)
{
    (void)state;
    for (int n = 0; n < PRODUCTS; n++) {
        struct weir_product p = product_number(n);
        struct matrices x = matrices_make(&p);
        weir_gemm_ref(&p, 0, p.n, x.a, x.b, p.bias ? x.bias : NULL, x.c, x.scratch);
        assert_product(&p, &x, x.c);
        for (int64_t j = 0; j < p.n; j += 32)
            weir_gemm_ref(&p, j, 32, x.a, x.b, p.bias ? x.bias : NULL, x.other, x.scratch);
        assert_memory_equal(x.c, x.other, x.c_bytes);
        matrices_free(&x);
    }
}

static void run_all(int n_threads)
{
    struct weir_matmul *matmul;
    assert_ok(weir_matmul_open(n_threads, &matmul));
    for (int n = 0; n < PRODUCTS; n++) {
        struct weir_product p = product_number(n);
        struct matrices x = matrices_make(&p);
        const float *bias = p.bias ? x.bias : NULL;
        assert_ok(weir_matmul_prepare(matmul, &p));
        assert_ok(weir_matmul_run(matmul, &p, x.a, x.b, bias, x.c, x.scratch));
        weir_gemm_ref(&p, 0, p.n, x.a, x.b, bias, x.start, x.scratch);
        assert_alike(&p, x.c, x.start, 0);
        assert_ok(weir_matmul_run(matmul, &p, x.a, x.b, bias, x.other, x.scratch));
        assert_memory_equal(x.c, x.other, x.c_bytes);
        matrices_free(&x);
    }
    weir_matmul_close(matmul);
}

static void the_product_of_this_build_follows_it_and_repeats_its_bits(void **state)
{
    (void)state;
    run_all(1);
}

static void so_it_does_with_two_threads(void **state)
{
    (void)state;
    run_all(2);
}

/* ---- large ------------------------------------------------------------------------------------------------------------- */

/* n floats become what bf16 makes of them; returns those numbers. */
static void *narrowed(float *x, int64_t n)
{
    void *narrow = aligned_alloc(64, (size_t)(n + 31) / 32 * 64);
    assert_non_null(narrow);
    weir_round(n, x, narrow);
    weir_widen(n, narrow, x);
    return narrow;
}

static void large_run(struct weir_matmul *matmul, const struct weir_product *p)
{
    struct weir_product floats = *p;
    floats.factors = floats.result = WEIR_DTYPE_F32;
    struct matrices x = matrices_make(p), y = matrices_make(&floats);
    bool bf16 = p->factors == WEIR_DTYPE_BF16, narrow = p->result == WEIR_DTYPE_BF16;
    void *a = bf16 ? narrowed(y.a, p->m * p->k) : x.a, *b = bf16 ? narrowed(y.b, p->k * p->n) : x.b;
    void *bias = bf16 ? narrowed(y.bias, p->n) : x.bias;
    weir_gemm_ref(&floats, 0, p->n, y.a, y.b, p->bias ? y.bias : NULL, y.c, y.scratch);
    assert_ok(weir_matmul_run(matmul, p, a, b, p->bias ? bias : NULL, x.c, x.scratch));
    if (narrow) {
        memcpy(x.other, x.c, x.c_bytes / 2);
        weir_widen(p->m * p->n, x.other, x.c);
    }
    assert_alike(p, x.c, y.c, narrow ? 0x1p-8 : 0);
    if (bf16)
        free(a), free(b), free(bias);
    matrices_free(&x), matrices_free(&y);
}

/* Sizes from which other kernels of the library take over. */
static void large_products_follow_the_plain_one(void **state)
{
    (void)state;
    static const struct weir_product all[] = {
        {.m = 64, .n = 1024, .k = 512},                                              /* 2^19 weights */
        {.m = 70, .n = 700, .k = 770, .bias = true},
        {.m = 64, .n = 1027, .k = 520, .accumulate = true},
        {.m = 130, .n = 140, .k = 130, .transpose_a = true, .accumulate = true},     /* dW */
        {.m = 1, .n = 1000, .k = 768, .bias = true},                                 /* a token */
        {.m = 1, .n = 1000, .k = 768, .transpose_b = true},
        {.m = 33, .n = 1100, .k = 50, .transpose_b = true, .bias = true},            /* columns */
        {.m = 40, .n = 2049, .k = 65, .transpose_b = true, .accumulate = true},
        {.m = 512, .n = 1030, .k = 1024, .bias = true, .factors = WEIR_DTYPE_BF16, .result = WEIR_DTYPE_BF16},
        {.m = 1030, .n = 512, .k = 65, .transpose_a = true, .accumulate = true, .factors = WEIR_DTYPE_BF16},
        {.m = 1030, .n = 512, .k = 64, .transpose_a = true, .factors = WEIR_DTYPE_BF16},
        {.m = 3, .n = 40, .k = 12300, .factors = WEIR_DTYPE_BF16, .result = WEIR_DTYPE_BF16},
        {.m = 1, .n = 1000, .k = 768, .bias = true, .factors = WEIR_DTYPE_BF16, .result = WEIR_DTYPE_BF16},
        {.m = 1, .n = 1000, .k = 768, .transpose_b = true, .factors = WEIR_DTYPE_BF16, .result = WEIR_DTYPE_BF16},
    };
    for (int threads = 1; threads <= 2; threads++) {
        struct weir_matmul *matmul;
        assert_ok(weir_matmul_open(threads, &matmul));
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i].factors == WEIR_DTYPE_F32 || weir_matmul_has_bf16())
                large_run(matmul, &all[i]);
        weir_matmul_close(matmul);
    }
}

static void a_prepared_product_allocates_nothing_of_ours(void **state)
{
    (void)state;
    struct weir_matmul *matmul;
    struct weir_product p = {.m = 33, .n = 65, .k = 17, .transpose_b = true, .accumulate = true};
    struct matrices x = matrices_make(&p);
    assert_ok(weir_matmul_open(1, &matmul));
    assert_ok(weir_matmul_prepare(matmul, &p));
    uint64_t before = weir_alloc_count();
    for (int i = 0; i < 10; i++)
        assert_ok(weir_matmul_run(matmul, &p, x.a, x.b, NULL, x.c, x.scratch));
    assert_int_equal(weir_alloc_count(), before);
    weir_matmul_close(matmul);
    matrices_free(&x);
}

/* ---- packed ------------------------------------------------------------------------------------------------------------ */

/* Plain and transposed, alone, added to C, with a bias. */
static void packed_run(struct weir_matmul *matmul, struct weir_product p)
{
    size_t bytes = weir_matmul_packed_bytes(&p, 1);
    if (!bytes)
        return;
    struct weir_product packed = p;
    packed.packed = true;
    struct matrices x = matrices_make(&p);
    const float *bias = p.bias ? x.bias : NULL;
    void *b = aligned_alloc(64, bytes);
    assert_non_null(b);
    assert_true(weir_matmul_scratch(&packed, 1) <= weir_matmul_scratch(&p, 1));
    assert_ok(weir_matmul_run(matmul, &p, x.a, x.b, bias, x.c, x.scratch));
    assert_ok(weir_matmul_pack(matmul, &packed, x.b, b));
    memset(x.b, 0xff, (size_t)(p.k * p.n) * sizeof(float)); /* NaN: it is not read any more */
    assert_ok(weir_matmul_run(matmul, &packed, x.a, b, bias, x.other, x.scratch));
    assert_alike(&p, x.c, x.other, 0);
    free(b);
    matrices_free(&x);
}

static void packing_changes_rounding_alone(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{64, 96, 128}, {256, 384, 128}, {65, 70, 33}, {256, 768, 3072}, {256, 3072, 768}};
    struct weir_matmul *matmul;
    assert_ok(weir_matmul_open(1, &matmul));
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < 6; kind++)
            packed_run(matmul, (struct weir_product){.m = shapes[i][0], .n = shapes[i][1], .k = shapes[i][2], .transpose_b = kind % 2,
                                                     .accumulate = kind / 2 == 1, .bias = kind / 2 == 2});
    weir_matmul_close(matmul);
}

static void what_gains_nothing_is_not_packed(void **state)
{
    (void)state;
    const struct weir_product few = {.m = 8, .n = 768, .k = 768}, wide = {.m = 256, .n = 50257, .k = 768, .transpose_b = true},
                              weight = {.m = 768, .n = 768, .k = 256, .transpose_a = true};
    assert_int_equal(weir_matmul_packed_bytes(&few, 1), 0);
    assert_int_equal(weir_matmul_packed_bytes(&wide, 1), 0);
    assert_int_equal(weir_matmul_packed_bytes(&weight, 1), 0);
}

static void every_failed_allocation_is_a_status(void **state)
{
    (void)state;
    const struct weir_product p = {.m = 3, .n = 5, .k = 7};
    for (int budget = 0;; budget++) {
        struct weir_matmul *matmul = NULL;
        weir_alloc_set_budget(budget);
        weir_status status = weir_matmul_open(1, &matmul);
        if (!status)
            status = weir_matmul_prepare(matmul, &p);
        weir_alloc_set_budget(-1);
        weir_matmul_close(matmul);
        if (!status)
            break;
        assert_int_equal(status, WEIR_ERR_NOMEM);
        assert_true(budget < 10);
    }
}

/* Whether a process lives that uses two rows of 8 floats, 12 apart, in `n` floats. */
static bool rows_pass(size_t n)
{
    int result;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        float *x = malloc(n * sizeof *x);
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        weir_rows_check(2, 12, 8, x);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    return WIFEXITED(result) && WEXITSTATUS(result) == 0;
}

/* Tiles have no checks of their own in builds with the address sanitizer. */
static void a_tile_past_its_memory_is_seen_where_there_is_a_sanitizer(void **state)
{
    (void)state;
    assert_true(rows_pass(20));
#if defined(WEIR_ASAN)
    assert_false(rows_pass(19));
    assert_false(rows_pass(8));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_product_follows_double),
        cmocka_unit_test(the_product_of_this_build_follows_it_and_repeats_its_bits),
        cmocka_unit_test(so_it_does_with_two_threads),
        cmocka_unit_test(large_products_follow_the_plain_one),
        cmocka_unit_test(a_prepared_product_allocates_nothing_of_ours),
        cmocka_unit_test(packing_changes_rounding_alone),
        cmocka_unit_test(what_gains_nothing_is_not_packed),
        cmocka_unit_test(every_failed_allocation_is_a_status),
        cmocka_unit_test(a_tile_past_its_memory_is_seen_where_there_is_a_sanitizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
