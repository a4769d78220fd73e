/* A BLAS out of a shared library that the program was not linked with.
 *
 *     struct loaded_blas blas;
 *     if (!loaded_blas_open("/usr/lib/.../libopenblas.so.0", &blas))
 *         loaded_blas_product(&blas, &product, a, b, bias, c);
 *
 * Any library with cblas_sgemm will do: OpenBLAS, BLIS, MKL; with integers of 32 bits, or of 64 where the names say so
 * (cblas_sgemm64_, and scipy_cblas_sgemm64_ as Python's packages have it).  It computes on one thread.  Nothing is unloaded:
 * these libraries keep threads. */
#ifndef WEIR_BENCH_LOADED_BLAS_H
#define WEIR_BENCH_LOADED_BLAS_H

#include <stdint.h>

#include "kernels/cpu/matmul.h"

typedef void (*sgemm_fn)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
                         const float *b, int ldb, float beta, float *c, int ldc);
typedef void (*sgemm64_fn)(int order, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
                           const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

struct loaded_blas {
    sgemm_fn sgemm;     /* one of the two */
    sgemm64_fn sgemm64;
    const char *kind;   /* "openblas", "blis", "blas" where neither is known */
    char about[256];    /* the library's words for its version and the processor it takes this one for; may be "" */
};

/* WEIR_ERR_USAGE: it cannot be loaded, or has no cblas_sgemm. */
weir_status loaded_blas_open(const char *path, struct loaded_blas *blas_out);

/* matmul.h's product of floats: C = op(A) op(B), plus C or a bias (n), which is first written into the rows of C. */
void loaded_blas_product(const struct loaded_blas *blas, const struct weir_product *product, const float *a, const float *b,
                         const float *bias, float *c);

#endif
