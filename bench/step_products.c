/* step_products.h: tables of weights. */
#include "bench/step_products.h"

static const struct step_linear gpt2[] = {
    {"qkv", 768, 2304, true, true, false, 12}, {"proj", 768, 768, true, true, false, 12},
    {"up", 768, 3072, true, true, false, 12},  {"down", 3072, 768, true, true, false, 12},
    {"head", 768, 50257, false, false, false, 1},
};

/* q, k and v read one tensor, gate and up another: all but the first of them find a gradient there. */
static const struct step_linear llama[] = {
    {"q, o", 768, 768, false, false, false, 24},  {"k, v", 768, 768, false, false, true, 24},
    {"gate", 768, 2048, false, false, false, 12}, {"up", 768, 2048, false, false, true, 12},
    {"down", 2048, 768, false, false, false, 12}, {"head", 768, 32000, false, false, false, 1},
};

static const struct step_linear small[] = {
    {"in, out", 48, 96, true, true, false, 2},
    {"out, in", 96, 48, false, false, true, 1},
};

enum { PASSES = 3 };

#define LINEARS(table) table, sizeof table / sizeof *table

const struct step_model step_models[] = {
    {"gpt2", 256, 1024, LINEARS(gpt2)}, {"llama", 256, 1024, LINEARS(llama)}, {"small", 32, 64, LINEARS(small)}, {0}};

static const char *const pass_names[PASSES] = {"forward", "dX", "dW"};

static struct weir_product product_of(const struct step_linear *l, int64_t tokens, int pass)
{
    if (pass == 0)
        return (struct weir_product){.m = tokens, .n = l->out, .k = l->in, .transpose_b = !l->in_out, .bias = l->bias};
    if (pass == 1)
        return (struct weir_product){.m = tokens, .n = l->in, .k = l->out, .transpose_b = l->in_out, .accumulate = l->addend};
    return (struct weir_product){.m = l->in_out ? l->in : l->out, .n = l->in_out ? l->out : l->in, .k = tokens,
                                 .transpose_a = true, .accumulate = true};
}

struct step_product step_product_of(const struct step_model *model, int i, enum weir_dtype dtype)
{
    const struct step_linear *l = &model->linears[i / PASSES];
    int pass = i % PASSES;
    struct step_product s = {l->name, pass_names[pass], product_of(l, model->tokens, pass), l->per_step};
    s.product.factors = dtype;
    s.product.result = pass == 2 ? WEIR_DTYPE_F32 : dtype;
    return s;
}

struct step_product step_cube_of(const struct step_model *model, enum weir_dtype dtype)
{
    int64_t n = model->cube;
    return (struct step_product){"cube", "", {.m = n, .n = n, .k = n, .factors = dtype, .result = dtype}, 0};
}
