/* product_rig.h: numbers are made as floats, which a bf16 product gets rounded. */
#include "bench/product_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/storage.h"

enum { PATTERN = 65521, LINE = 64 }; /* a prime: no row is like the next */
enum seed { A = 1, B, BIAS, FIRST };

static const double F32_LIMIT = 1e-5, BF16_LIMIT = 1.0 / 256;

static void *block(size_t bytes)
{
    return aligned_alloc(LINE, (bytes + 2 * LINE - 1) / LINE * LINE);
}

static bool is_bf16(enum weir_dtype dtype)
{
    return dtype == WEIR_DTYPE_BF16;
}

/* Number i of those that `seed` stands for, from -0.5 to 0.5; bf16 has it too where it is to be stored so. */
static float number(uint32_t seed, int64_t i, enum weir_dtype dtype)
{
    float unit = weir_rng_unit(weir_rng_philox(seed, (uint32_t)i, 0, 0, 0).v[0]);
    return (is_bf16(dtype) ? floorf(256 * unit) / 256 : unit) - 0.5f;
}

static float *numbers(int64_t n, uint32_t seed, enum weir_dtype dtype)
{
    float *x = block((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = i < PATTERN ? number(seed, i, dtype) : x[i - PATTERN];
    return x;
}

static void absolute(int64_t n, float *x)
{
    for (int64_t i = 0; x && i < n; i++)
        x[i] = fabsf(x[i]);
}

/* The floats as numbers of `dtype`; takes `x`. */
static void *stored(float *x, int64_t n, enum weir_dtype dtype)
{
    if (!x || !is_bf16(dtype))
        return x;
    void *narrow = block((size_t)n * sizeof(uint16_t));
    if (narrow)
        weir_round(n, x, narrow);
    free(x);
    return narrow;
}

/* `factors` and C as floats, multiplied by Weir.  c (m, n) holds what is added. */
static weir_status floats_product(const struct weir_kernel_context *context, const struct weir_product *product,
                                  const float *a, const float *b, const float *bias, float *c)
{
    struct weir_product p = *product;
    p.factors = p.result = WEIR_DTYPE_F32;
    void *scratch = block(weir_matmul_scratch(&p, context->n_threads));
    weir_status status = scratch && a && b && (bias || !p.bias) && c ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a product");
    if (!status)
        status = weir_matmul_run(context->matmul, &p, a, b, bias, c, scratch);
    free(scratch);
    return status;
}

/* What C is to be, or with `bounds` the sums of the absolute values. */
static weir_status expect(const struct product_rig *rig, bool bounds, float *c)
{
    const struct weir_product *p = &rig->product;
    int64_t a_size = p->m * p->k, b_size = p->k * p->n;
    float *a = numbers(a_size, A, p->factors), *b = numbers(b_size, B, p->factors);
    float *bias = p->bias ? numbers(p->n, BIAS, p->factors) : NULL;
    if (c)
        memcpy(c, rig->first, (size_t)(p->m * p->n) * sizeof *c);
    if (bounds) {
        absolute(a_size, a);
        absolute(b_size, b);
        absolute(p->n, bias);
        absolute(p->m * p->n, c);
    }
    weir_status status = floats_product(rig->context, p, a, b, bias, c);
    free(a), free(b), free(bias);
    return status;
}

/* product.h takes what is added to a bf16 result apart from the product. */
static struct weir_product product_of(const struct product_rig *rig)
{
    struct weir_product p = rig->product;
    p.accumulate = p.accumulate && !is_bf16(p.result);
    return p;
}

static size_t scratch_bytes(const struct product_rig *rig)
{
    struct weir_product p = product_of(rig);
    if (is_bf16(p.factors))
        return weir_product_scratch(&p, rig->context->n_threads);
    size_t library = weir_matmul_scratch(&p, rig->context->n_threads), plain = weir_gemm_ref_scratch(&p);
    return library > plain ? library : plain;
}

weir_status product_rig_open(struct product_rig *rig, const struct weir_kernel_context *context,
                             const struct weir_product *product)
{
    const struct weir_product *p = product;
    int64_t a_size = p->m * p->k, b_size = p->k * p->n, c_size = p->m * p->n;
    *rig = (struct product_rig){.context = context, .product = *p};
    rig->a = stored(numbers(a_size, A, p->factors), a_size, p->factors);
    rig->b = stored(numbers(b_size, B, p->factors), b_size, p->factors);
    rig->bias = p->bias ? stored(numbers(p->n, BIAS, p->factors), p->n, p->factors) : NULL;
    rig->first = numbers(c_size, FIRST, p->factors);
    rig->c = stored(numbers(c_size, FIRST, p->factors), c_size, p->result);
    rig->scratch = block(scratch_bytes(rig));
    rig->expected = block((size_t)c_size * sizeof(float));
    rig->bound = block((size_t)c_size * sizeof(float));
    bool all = rig->a && rig->b && (rig->bias || !p->bias) && rig->first && rig->c && rig->scratch && rig->expected && rig->bound;
    weir_status status = all ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a product");
    if (!status)
        status = expect(rig, false, rig->expected);
    if (!status)
        status = expect(rig, true, rig->bound);
    if (status)
        product_rig_close(rig);
    return status;
}

void product_rig_close(struct product_rig *rig)
{
    free(rig->a), free(rig->b), free(rig->bias), free(rig->c), free(rig->scratch);
    free(rig->first), free(rig->expected), free(rig->bound);
}

weir_status product_rig_run(const struct product_rig *rig, const struct candidate *candidate)
{
    struct weir_product p = product_of(rig);
    if (candidate->kind == CANDIDATE_BLAS)
        loaded_blas_product(&candidate->blas, &p, rig->a, rig->b, rig->bias, rig->c);
    else if (candidate->kind == CANDIDATE_PLAIN)
        weir_gemm_ref(&p, 0, p.n, rig->a, rig->b, rig->bias, rig->c, rig->scratch);
    else if (is_bf16(p.factors))
        return weir_product_run(rig->context, &p, rig->a, rig->b, rig->bias,
                                rig->product.accumulate && !p.accumulate ? rig->c : NULL, rig->c, rig->scratch);
    else
        return weir_matmul_run(rig->context->matmul, &p, rig->a, rig->b, rig->bias, rig->c, rig->scratch);
    return WEIR_OK;
}

/* Elements at..at+n-1 of C; no number is not right. */
static bool part_right(const struct product_rig *rig, int64_t at, int64_t n)
{
    bool bf16 = is_bf16(rig->product.result);
    float room[WEIR_ROOM];
    const float *c = weir_floats(bf16, rig->c, at, n, room);
    for (int64_t i = 0; i < n; i++) {
        double limit = F32_LIMIT * rig->bound[at + i] + (bf16 ? BF16_LIMIT * fabs(rig->expected[at + i]) : 0);
        if (!(fabs((double)c[i] - rig->expected[at + i]) <= limit))
            return false;
    }
    return true;
}

weir_status product_rig_check(const struct product_rig *rig, const struct candidate *candidate, bool *right_out)
{
    int64_t size = rig->product.m * rig->product.n;
    if (is_bf16(rig->product.result))
        weir_round(size, rig->first, rig->c);
    else
        memcpy(rig->c, rig->first, (size_t)size * sizeof(float));
    weir_status status = product_rig_run(rig, candidate);
    bool right = true;
    for (int64_t n, at = 0; at < size && !status && right; at += n) {
        n = size - at < WEIR_ROOM ? size - at : WEIR_ROOM;
        right = part_right(rig, at, n);
    }
    if (!status)
        *right_out = right;
    return status;
}
