/* The matrix products of a training step, as the linear rows call for them (kernels/cpu/cpu_linear.c).
 *
 * Three per weight and micro-batch of `tokens`: forward, the gradient of the input (dX), the gradient of the weight (dW).
 * dW is added to that of the micro-batches before; dX only where the input has another reader, whose gradient lies in dX.
 * One more product, a cube, is what the rates of all others are held to. */
#ifndef WEIR_BENCH_STEP_PRODUCTS_H
#define WEIR_BENCH_STEP_PRODUCTS_H

#include <stdint.h>

#include "kernels/cpu/matmul.h"

struct step_linear {
    const char *name;
    int64_t in, out;
    bool in_out; /* the weight is (in, out), else (out, in) */
    bool bias, addend;
    int per_step; /* for one micro-batch */
};

struct step_model {
    const char *name;
    int64_t tokens, cube;
    const struct step_linear *linears;
    int n_linears;
};

struct step_product {
    const char *name, *pass; /* pass "": the cube */
    struct weir_product product;
    int per_step; /* 0: the cube */
};

/* Ended by a model without a name. */
extern const struct step_model step_models[];

/* The products of a model, 3 n_linears, or its cube; factors and results are of `dtype`, the gradients of weights f32. */
struct step_product step_product_of(const struct step_model *model, int i, enum weir_dtype dtype);
struct step_product step_cube_of(const struct step_model *model, enum weir_dtype dtype);

static inline double step_product_flops(const struct weir_product *p)
{
    return 2.0 * (double)p->m * (double)p->n * (double)p->k;
}

#endif
