/* Matrix products of the CUDA rows: C (m, n) = op(A) (m, k) · op(B) (k, n), plus an addend or a bias.
 *
 * All matrices are row-major and dense, in device memory aligned to 16 bytes.  op(A) is A (m, k), or the transpose of
 * A (k, m); op(B) is B (k, n), or the transpose of B (n, k).  Sums are made in f32.
 *
 * A product is computed in one of three ways.  cuBLASLt may refuse a description, which is known of matrices of one row or
 * one column, or fail with the first algorithm that it names; so the next way is there when one is not to be had:
 *
 *     fused    by cuBLASLt, the bias in its epilogue
 *     apart    by cuBLASLt without a bias, which a kernel adds afterwards
 *     plain    by a kernel of our own, one thread per element
 *
 * The first algorithm that passes cuBLASLt's check and a trial run is kept.  So way and algorithm follow from the
 * description, the size of the workspace and the device, never from a timing or an address, and none adds with atomics.
 * Where a table that was measured beforehand names an algorithm (cuda_choices.h), that one is tried first.  A way that is not
 * the first is told as a warning, once for each product. */
#ifndef WEIR_KERNELS_CUDA_CUDA_MATMUL_H
#define WEIR_KERNELS_CUDA_CUDA_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "include/weir/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weir_cuda_product {
    int64_t m, n, k; /* all at least 1 */
    bool transpose_a, transpose_b;
    bool add;  /* C = addend + .., where the addend may be C itself and may not */
    bool bias; /* add a vector (n), of A's and C's type, to every row; not together with `add` */
    enum weir_dtype type;        /* of A and B: f32 or bf16 */
    enum weir_dtype result_type; /* of C and the addend: f32, or bf16 where A and B are */
};

/* Do two descriptions mean the same product? */
static inline bool weir_cuda_product_same(const struct weir_cuda_product *p, const struct weir_cuda_product *q)
{
    return p->m == q->m && p->n == q->n && p->k == q->k && p->transpose_a == q->transpose_a &&
           p->transpose_b == q->transpose_b && p->add == q->add && p->bias == q->bias && p->type == q->type &&
           p->result_type == q->result_type;
}

struct weir_cuda_operands {
    const void *a, *b, *bias, *addend; /* bias, addend: NULL where the product has none */
    void *c;
};

enum weir_cuda_way { WEIR_CUDA_FUSED, WEIR_CUDA_APART, WEIR_CUDA_PLAIN };

/* How a product is computed. */
struct weir_cuda_decision {
    enum weir_cuda_way way;
    int candidate; /* of the library's list; plain: 0 */
};

struct weir_cuda_choice;
struct weir_cuda_matmul;

/* On the current device.  `workspace`: device memory of the caller's, for cuBLASLt.  `choices`: rows of cuda_choices.h up to
 * one without a device, or NULL. */
weir_status weir_cuda_matmul_open(void *workspace, size_t workspace_bytes, bool tf32, const struct weir_cuda_choice *choices,
                                  struct weir_cuda_matmul **matmul_out);
void weir_cuda_matmul_close(struct weir_cuda_matmul *matmul);

/* Enqueue.  The first time that a product is met its way is chosen, which allocates host memory and loads code; this run of it
 * is the trial. */
weir_status weir_cuda_matmul_run(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product,
                                 const struct weir_cuda_operands *operands, void *stream);

/* What was decided about a product that has been run; false: it has not. */
bool weir_cuda_matmul_decision(const struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product,
                               struct weir_cuda_decision *decision_out);

#ifdef __cplusplus
}
#endif

#endif
