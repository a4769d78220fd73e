/* Matrix products of the CUDA rows: C (m, n) = op(A) (m, k) · op(B) (k, n), plus an addend or a bias.
 *
 * All matrices are row-major and dense, in device memory aligned to 16 bytes.  op(A) is A (m, k), or the transpose of
 * A (k, m); op(B) is B (k, n), or the transpose of B (n, k).  Sums are made in f32.
 *
 * Which algorithm computes a product follows from its description, the size of the workspace and the device, never from a
 * timing or an address, and none adds with atomics.  cuda_matmul_lt.c implements this with cuBLASLt; tests/stand_ins/cuda_on_cpu has
 * a plain one in its place. */
#ifndef WEIR_KERNELS_CUDA_CUDA_MATMUL_H
#define WEIR_KERNELS_CUDA_CUDA_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/tensor.h"

struct weir_cuda_product {
    int64_t m, n, k; /* all at least 1 */
    bool transpose_a, transpose_b;
    bool add;  /* C = addend + .., where the addend may be C itself and may not */
    bool bias; /* add a vector (n), of A's and C's type, to every row; not together with `add` */
    enum weir_dtype type;        /* of A and B: f32 or bf16 */
    enum weir_dtype result_type; /* of C and the addend: f32, or bf16 where A and B are */
};

struct weir_cuda_matmul;

weir_status weir_cuda_matmul_open(size_t workspace_bytes, bool tf32, struct weir_cuda_matmul **matmul_out);
void weir_cuda_matmul_close(struct weir_cuda_matmul *matmul);

/* Choose the algorithm of a product and keep it.  WEIR_ERR_UNSUPPORTED: cuBLASLt knows none. */
weir_status weir_cuda_matmul_prepare(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product);

/* Enqueue.  A product that was not prepared is prepared first. */
weir_status weir_cuda_matmul_run(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product, const void *a,
                                 const void *b, const void *bias, const void *addend, void *c, void *stream);

#endif
