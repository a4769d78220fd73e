/* One matrix product with its operands, and who may compute it.
 *
 *     product_rig_open(&rig, context, &product)       random factors; what Weir makes of them
 *     product_rig_check(&rig, &candidate)             is its result that of Weir?
 *     product_rig_run(&rig, &candidate)               again and again, to be timed
 *     product_rig_close(&rig)
 *
 * A result is right when no element is further from Weir's than 1e-5 of the sum of the absolute values of its terms, and, of
 * a bf16 result, 2^-8 of itself.  Weir's own products of bf16 numbers are held to its product of these numbers as floats. */
#ifndef WEIR_BENCH_PRODUCT_RIG_H
#define WEIR_BENCH_PRODUCT_RIG_H

#include "bench/loaded_blas.h"
#include "kernels/cpu/parallel.h"

enum candidate_kind { CANDIDATE_WEIR, CANDIDATE_PLAIN, CANDIDATE_BLAS };

struct candidate {
    char name[16];
    enum candidate_kind kind;
    struct loaded_blas blas;
};

struct product_rig {
    const struct weir_kernel_context *context;
    struct weir_product product; /* accumulate: C += whatever the result's type */
    /* of the product's types */
    void *a, *b, *bias, *c, *scratch;
    /* what C holds at first, what it is to be, and the sums of absolute values of its terms (m, n) */
    float *first, *expected, *bound;
};

/* WEIR_ERR_NOMEM; statuses of matmul.h.  On failure nothing is left to close. */
weir_status product_rig_open(struct product_rig *rig, const struct weir_kernel_context *context,
                             const struct weir_product *product);
void product_rig_close(struct product_rig *rig);

weir_status product_rig_run(const struct product_rig *rig, const struct candidate *candidate);

/* Runs once, on C as it was at first. */
weir_status product_rig_check(const struct product_rig *rig, const struct candidate *candidate, bool *right_out);

#endif
