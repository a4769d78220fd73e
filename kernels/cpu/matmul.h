/* Matrix products of the CPU rows: C (m, n) = op(A) (m, k) · op(B) (k, n), plus C or a bias.
 *
 * All matrices are row-major and dense.  op(A) is A (m, k), or the transpose of A (k, m); op(B) is B (k, n), or the
 * transpose of B (n, k).  Two implementations, one per build: matmul_dnnl.c (oneDNN 2.x and 3.x) and gemm_ref.c.
 *
 * Which algorithm computes a product follows from its description, the number of threads and the instruction set, never
 * from a timing or an address.  An object belongs to the thread that opened it: oneDNN's primitives and its OpenMP pool
 * do, and weir_matmul_open sets that thread's OpenMP thread count.
 *
 *     weir_matmul_prepare(matmul, &product)                 once: makes the primitive, allocates
 *     weir_matmul_run(matmul, &product, a, b, bias, c, s)   every step: no allocation of ours; s has
 *                                                           weir_matmul_scratch(&product, n_threads) bytes */
#ifndef WEIR_KERNELS_CPU_MATMUL_H
#define WEIR_KERNELS_CPU_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "include/weir/op.h"

struct weir_product {
    int64_t m, n, k;                /* all at least 1 */
    bool transpose_a, transpose_b;
    bool accumulate;                /* C += instead of C = */
    bool bias;                      /* add a vector (n) to every row; not together with accumulate */
    bool packed;                    /* B is in the form that weir_matmul_pack gives it */
    enum weir_dtype factors, result; /* F32, or BF16 where weir_matmul_has_bf16(): of A, B and bias; of C */
};

struct weir_matmul;

weir_status weir_matmul_open(int n_threads, struct weir_matmul **matmul_out);
void weir_matmul_close(struct weir_matmul *matmul);

/* Bytes of scratch that weir_matmul_run needs, 64-byte aligned; may be called from any thread. */
size_t weir_matmul_scratch(const struct weir_product *product, int n_threads);

/* Bytes that a thread which takes part in products keeps beside their scratch, at most: what the library copies factors
 * into, on processors for which it has no kernels that do without. */
size_t weir_matmul_library_bytes(void);

/* Make ready for a product.  WEIR_ERR_NOMEM, WEIR_ERR_DEVICE with oneDNN's status. */
weir_status weir_matmul_prepare(struct weir_matmul *matmul, const struct weir_product *product);

/* Compute.  A product that was not prepared is prepared first. */
weir_status weir_matmul_run(struct weir_matmul *matmul, const struct weir_product *product, const void *a, const void *b,
                            const void *bias, void *c, void *scratch);

/* B in a form of the library's own, which spares it to bring B into that form in every product: worth it for a B that is used
 * several times.  Bytes of that form, a multiple of 64; 0: the library has none for this product, or it is not packed because a
 * side is as long as a vocabulary, C has few rows, or it would take more scratch than the plain product.  `product` is as without packing.  Sums may have another order in it. */
size_t weir_matmul_packed_bytes(const struct weir_product *product, int n_threads);

/* Bring `b` into that form.  `product` has `packed` set.  WEIR_ERR_DEVICE with oneDNN's status. */
weir_status weir_matmul_pack(struct weir_matmul *matmul, const struct weir_product *product, const void *b, void *packed);

/* Are products of bf16 numbers done by the processor's own instructions, where these are faster than those for floats?
 * Otherwise they go through product.h.  Any thread. */
bool weir_matmul_has_bf16(void);

/* Are those instructions used only for factors and results whose rows lie side by side (AMX)?  Any thread. */
bool weir_matmul_bf16_is_dense(void);

/* The plain C product, in every build: the implementation without oneDNN and the oracle of its tests.  Computes the
 * columns first_column .. first_column+n_columns-1 of C that exist; first_column is a multiple of 32.  Column ranges have
 * the same bits alone and together. */
size_t weir_gemm_ref_scratch(const struct weir_product *product);
void weir_gemm_ref(const struct weir_product *product, int64_t first_column, int64_t n_columns, const float *a,
                   const float *b, const float *bias, float *c, void *scratch);

#endif
