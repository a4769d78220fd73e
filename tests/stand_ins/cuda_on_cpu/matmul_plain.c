/* kernels/cuda/cuda_lt.h without cuBLASLt: one loop per element, enqueued as a kernel of one thread.
 *
 * WEIR_FAKE_PRODUCTS, words with commas between them, is how it refuses or errs, as cuBLASLt may:
 *
 *     none           it names no algorithm
 *     no-bias        .. for a product with a bias
 *     thin           a matrix with one row or one column is an invalid value
 *     first-fails    the first algorithm passes every check and fails when it is run
 *     wrong          the first element of every result is off by one */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "emulation.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_lt.h"

enum { CANDIDATES = 3 };

struct weir_cuda_lt {
    int unused;
};

struct weir_cuda_lt_plan {
    struct weir_cuda_product product;
};

static bool has_word(const char *word)
{
    const char *text = getenv("WEIR_FAKE_PRODUCTS");
    size_t n = strlen(word);
    for (const char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!strncmp(at, word, n) && (at[n] == ',' || !at[n]))
            return true;
    }
    return false;
}

weir_status weir_cuda_lt_open(void *workspace, size_t workspace_bytes, bool tf32, struct weir_cuda_lt **lt_out)
{
    (void)workspace, (void)workspace_bytes, (void)tf32; /* the products below are more exact than they need be */
    *lt_out = malloc(sizeof **lt_out);
    return *lt_out ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the matrix products");
}

void weir_cuda_lt_close(struct weir_cuda_lt *lt)
{
    free(lt);
}

const char *weir_cuda_lt_device(const struct weir_cuda_lt *lt)
{
    (void)lt;
    return "stand-in";
}

uint64_t weir_cuda_lt_version(const struct weir_cuda_lt *lt)
{
    (void)lt;
    return 1;
}

weir_status weir_cuda_lt_plan_open(struct weir_cuda_lt *lt, const struct weir_cuda_product *p,
                                   struct weir_cuda_lt_plan **plan_out, int *n_out)
{
    (void)lt;
    *n_out = 0;
    if (has_word("thin") && (p->m == 1 || p->n == 1 || p->k == 1))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "stand-in: an invalid value");
    if (has_word("none") || (has_word("no-bias") && p->bias))
        return WEIR_OK;
    *plan_out = malloc(sizeof **plan_out);
    if (!*plan_out)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a product");
    (*plan_out)->product = *p;
    *n_out = CANDIDATES;
    return WEIR_OK;
}

void weir_cuda_lt_plan_close(struct weir_cuda_lt_plan *plan)
{
    free(plan);
}

static float element(enum weir_dtype type, const void *x, int64_t i)
{
    if (type != WEIR_DTYPE_BF16)
        return ((const float *)x)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)x)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void element_put(enum weir_dtype type, void *x, int64_t i, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (type == WEIR_DTYPE_BF16)
        ((uint16_t *)x)[i] = (uint16_t)(value != value ? 0x7fff : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
    else
        ((float *)x)[i] = value;
}

struct product_call {
    struct weir_cuda_product product;
    struct weir_cuda_operands o;
    bool is_wrong;
};

static void product_run(const void *closure)
{
    const struct product_call *call = closure;
    const struct weir_cuda_product *p = &call->product;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float sum = 0;
            for (int64_t q = 0; q < p->k; q++)
                sum += element(p->type, call->o.a, p->transpose_a ? q * p->m + i : i * p->k + q) *
                       element(p->type, call->o.b, p->transpose_b ? j * p->k + q : q * p->n + j);
            if (call->is_wrong && i == 0 && j == 0)
                sum += 1;
            if (p->bias)
                sum += element(p->type, call->o.bias, j);
            if (p->add)
                sum += element(p->result_type, call->o.addend, i * p->n + j);
            element_put(p->result_type, call->o.c, i * p->n + j, sum);
        }
}

/* Every product has a kernel of its own. */
static uint64_t kernel_of(const struct weir_cuda_product *p)
{
    const int64_t facts[] = {p->m, p->n, p->k, p->transpose_a, p->transpose_b, p->add, p->bias, p->type, p->result_type};
    return weir_hash64(facts, sizeof facts, 0);
}

weir_status weir_cuda_lt_run(struct weir_cuda_lt *lt, struct weir_cuda_lt_plan *plan, int candidate,
                             const struct weir_cuda_operands *operands, void *stream)
{
    (void)lt;
    if (candidate == 0 && has_word("first-fails"))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "stand-in: the algorithm failed");
    struct weir_emulated_call launch = {.name = "product", .grid = {1, 1, 1}, .block = {1, 1, 1}, .run = product_run,
                                        .kernel = kernel_of(&plan->product)};
    struct product_call call = {plan->product, *operands, has_word("wrong")};
    _Static_assert(sizeof call <= sizeof launch.closure, "a closure holds a product");
    memcpy(launch.closure, &call, sizeof call);
    return weir_emulated_launch(stream, &launch);
}
