/* Matrix products whose factors are stored as bf16; sums and the products of two numbers are f32 (matmul.h).
 *
 * Where the library has kernels for it that are faster than those of f32, it is given the numbers as they are.  Elsewhere
 * they are widened, which is exact, block by block, and multiplied as f32: that saves memory and no time.  Either way an
 * element of a bf16 result is rounded once, with its bias or addend. */
#ifndef WEIR_KERNELS_CPU_PRODUCT_H
#define WEIR_KERNELS_CPU_PRODUCT_H

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/parallel.h"

/* `product` with factors == WEIR_DTYPE_BF16.  result BF16: not transpose_a, `accumulate` unset, an addend is given to the
 * run.  result F32: transpose_a, no bias. */
size_t weir_product_scratch(const struct weir_product *product, int n_threads);
weir_status weir_product_prepare(const struct weir_kernel_context *context, const struct weir_product *product, bool addend);

/* Bytes of B packed (matmul.h); 0: it is widened, or the product is cut, or the library has no form of its own. */
size_t weir_product_packed_bytes(const struct weir_product *product, int n_threads);

/* C = op(A) op(B) + bias + addend; the last two may be NULL, and `addend` may be C. */
weir_status weir_product_run(const struct weir_kernel_context *context, const struct weir_product *product, const void *a,
                             const void *b, const void *bias, const void *addend, void *c, void *scratch);

#endif
