/* Ways to compute a product, when the library refuses one or fails: every way gives the product.  labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda_choices.h"
#include "kernels/cuda/cuda_matmul.h"

enum { MOST = 33 * 17 };

struct data {
    float a[MOST], b[MOST], bias[64], addend[MOST], c[MOST];
};

static float bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Small numbers whose sums are exact in f32 and in bf16. */
static void fill(float *x, int n, int seed)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)((i * 7 + seed) % 5 - 2);
}

static void narrow(enum weir_dtype type, float *x, int n)
{
    for (int i = 0; i < n && type == WEIR_DTYPE_BF16; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        ((uint16_t *)(void *)x)[i] = (uint16_t)(bits >> 16);
    }
}

static float element(enum weir_dtype type, const float *x, int64_t i)
{
    if (type != WEIR_DTYPE_BF16)
        return x[i];
    uint32_t bits = (uint32_t)((const uint16_t *)(const void *)x)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float wanted(const struct weir_cuda_product *p, const struct data *d, int64_t row, int64_t column)
{
    float sum = p->add ? d->addend[row * p->n + column] : p->bias ? d->bias[column] : 0;
    for (int64_t q = 0; q < p->k; q++)
        sum += d->a[p->transpose_a ? q * p->m + row : row * p->k + q] *
               d->b[p->transpose_b ? column * p->k + q : q * p->n + column];
    return p->result_type == WEIR_DTYPE_BF16 ? bf16_of(sum) : sum;
}

static void product_check(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *p)
{
    static struct data exact, given;
    fill(exact.a, MOST, 1), fill(exact.b, MOST, 2), fill(exact.bias, 64, 3), fill(exact.addend, MOST, 4);
    memset(exact.c, 0xff, sizeof exact.c);
    given = exact;
    narrow(p->type, given.a, MOST), narrow(p->type, given.b, MOST), narrow(p->type, given.bias, 64);
    narrow(p->result_type, given.addend, MOST);
    /* the first run of a product is also its trial: what is added is added once, in place too */
    const struct weir_cuda_operands apart = {given.a, given.b, given.bias, given.addend, given.c};
    const struct weir_cuda_operands in_place = {given.a, given.b, given.bias, given.addend, given.addend};
    for (int run = 0; run < 2; run++) {
        assert_ok(weir_cuda_matmul_run(matmul, p, run && p->add ? &in_place : &apart, NULL));
        const float *c = run && p->add ? given.addend : given.c;
        for (int64_t i = 0; i < p->m * p->n; i++)
            assert_true(element(p->result_type, c, i) == wanted(p, &exact, i / p->n, i % p->n));
    }
}

static const int64_t sizes[][3] = {{1, 1, 1}, {1, 17, 3}, {33, 3, 1}, {33, 1, 5}, {5, 17, 7}};
enum { SIZES = sizeof sizes / sizeof sizes[0], KINDS = 9 };

/* Forward with and without a bias, the gradients of inputs and of weights, in f32 and bf16. */
static struct weir_cuda_product product_of(const int64_t size[3], int kind)
{
    struct weir_cuda_product p = {.m = size[0], .n = size[1], .k = size[2]};
    p.transpose_b = kind % 3 != 2;
    p.transpose_a = kind % 3 == 2;
    p.bias = kind % 3 == 0;
    p.add = kind % 3 == 1 || kind == 8;
    p.type = kind < 3 ? WEIR_DTYPE_F32 : WEIR_DTYPE_BF16;
    p.result_type = kind >= 3 && kind < 6 ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
    if (kind >= 6) /* bf16 to f32: of weights only */
        p.bias = false;
    return p;
}

/* WEIR_FAKE_PRODUCTS and how a product with and one without a bias is computed then. */
struct refusal {
    const char *words;
    struct weir_cuda_decision with_bias, without;
};

static void refusal_check(const struct refusal *refusal)
{
    struct weir_cuda_matmul *matmul;
    setenv("WEIR_FAKE_PRODUCTS", refusal->words, 1);
    assert_ok(weir_cuda_matmul_open(NULL, 0, false, weir_cuda_choices, &matmul));
    for (int s = 0; s < SIZES; s++)
        for (int kind = 0; kind < KINDS; kind++) {
            const struct weir_cuda_product p = product_of(sizes[s], kind);
            const struct weir_cuda_decision *decision = p.bias ? &refusal->with_bias : &refusal->without;
            struct weir_cuda_decision made;
            assert_false(weir_cuda_matmul_decision(matmul, &p, &made));
            product_check(matmul, &p);
            assert_true(weir_cuda_matmul_decision(matmul, &p, &made));
            if (strcmp(refusal->words, "thin") != 0 || p.m == 1 || p.n == 1 || p.k == 1) {
                assert_int_equal(made.way, decision->way);
                assert_int_equal(made.candidate, decision->candidate);
            } else {
                assert_int_equal(made.way, WEIR_CUDA_FUSED);
            }
        }
    weir_cuda_matmul_close(matmul);
    unsetenv("WEIR_FAKE_PRODUCTS");
}

static void a_product_that_the_library_refuses_is_computed_another_way(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", {WEIR_CUDA_FUSED, 0}, {WEIR_CUDA_FUSED, 0}},
        {"no-bias", {WEIR_CUDA_APART, 0}, {WEIR_CUDA_FUSED, 0}},
        {"thin", {WEIR_CUDA_PLAIN, 0}, {WEIR_CUDA_PLAIN, 0}},
        {"none", {WEIR_CUDA_PLAIN, 0}, {WEIR_CUDA_PLAIN, 0}},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        refusal_check(&refusals[i]);
}

static void the_first_algorithm_that_can_be_run_is_kept(void **state)
{
    (void)state;
    refusal_check(&(struct refusal){"first-fails", {WEIR_CUDA_FUSED, 1}, {WEIR_CUDA_FUSED, 1}});
    refusal_check(&(struct refusal){"first-fails,no-bias", {WEIR_CUDA_APART, 1}, {WEIR_CUDA_FUSED, 1}});
}

static void a_table_made_beforehand_names_the_algorithm(void **state)
{
    (void)state;
    const struct weir_cuda_product p = {5, 17, 7, .transpose_b = true}, other = {5, 17, 6, .transpose_b = true};
    const struct weir_cuda_choice choices[] = {
        {"another device", 1, false, p, 1}, {"stand-in", 2, false, p, 1}, {"stand-in", 1, true, p, 1},
        {"stand-in", 1, false, other, 99},  {"stand-in", 1, false, p, 2}, {.device = NULL},
    };
    struct weir_cuda_decision made;
    struct weir_cuda_matmul *matmul;
    assert_ok(weir_cuda_matmul_open(NULL, 0, false, choices, &matmul));
    product_check(matmul, &p);
    product_check(matmul, &other);
    assert_true(weir_cuda_matmul_decision(matmul, &p, &made));
    assert_int_equal(made.candidate, 2);
    assert_true(weir_cuda_matmul_decision(matmul, &other, &made));
    assert_int_equal(made.candidate, 0); /* there is no 99 */
    weir_cuda_matmul_close(matmul);
}

static void a_named_algorithm_that_fails_gives_way_to_the_others(void **state)
{
    (void)state;
    const struct weir_cuda_product p = {5, 17, 7, .transpose_b = true};
    const struct weir_cuda_choice choices[] = {{"stand-in", 1, false, p, 0}, {.device = NULL}};
    struct weir_cuda_decision made;
    struct weir_cuda_matmul *matmul;
    setenv("WEIR_FAKE_PRODUCTS", "first-fails", 1);
    assert_ok(weir_cuda_matmul_open(NULL, 0, false, choices, &matmul));
    product_check(matmul, &p);
    unsetenv("WEIR_FAKE_PRODUCTS");
    assert_true(weir_cuda_matmul_decision(matmul, &p, &made));
    assert_true(made.way == WEIR_CUDA_FUSED && made.candidate == 1);
    weir_cuda_matmul_close(matmul);
}

static void a_product_that_is_described_wrongly_is_refused(void **state)
{
    (void)state;
    struct weir_cuda_matmul *matmul;
    const struct weir_cuda_product p = {5, 0, 7, .transpose_b = true};
    const struct weir_cuda_operands none = {NULL, NULL, NULL, NULL, NULL};
    assert_ok(weir_cuda_matmul_open(NULL, 0, false, NULL, &matmul));
    assert_fails(weir_cuda_matmul_run(matmul, &p, &none, NULL), WEIR_ERR_INTERNAL, "described wrongly");
    weir_cuda_matmul_close(matmul);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_that_the_library_refuses_is_computed_another_way),
        cmocka_unit_test(the_first_algorithm_that_can_be_run_is_kept),
        cmocka_unit_test(a_table_made_beforehand_names_the_algorithm),
        cmocka_unit_test(a_named_algorithm_that_fails_gives_way_to_the_others),
        cmocka_unit_test(a_product_that_is_described_wrongly_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
