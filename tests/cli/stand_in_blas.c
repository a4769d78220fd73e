/* A BLAS of one function, for tests/cli/bench_cpu_products.bats: row-major products of floats by three loops.
 *
 * With WEIR_TEST_BLAS=wrong in the environment the last element of C is too large by a thousandth of the sum of the absolute values
 * of its terms.  Built with WIDE its integers have 64 bits, and its name says so as Python's packages have it. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef WIDE
#define SGEMM scipy_cblas_sgemm64_
typedef int64_t integer;
#else
#define SGEMM cblas_sgemm
typedef int integer;
#endif

enum { ROW_MAJOR = 101, TRANSPOSED = 112 };

void SGEMM(int order, int transpose_a, int transpose_b, integer m, integer n, integer k, float alpha, const float *a, integer lda,
           const float *b, integer ldb, float beta, float *c, integer ldc);

void SGEMM(int order, int transpose_a, int transpose_b, integer m, integer n, integer k, float alpha, const float *a, integer lda,
           const float *b, integer ldb, float beta, float *c, integer ldc)
{
    const char *mode = getenv("WEIR_TEST_BLAS");
    float size = 0;
    if (order != ROW_MAJOR)
        abort();
    for (integer i = 0; i < m; i++)
        for (integer j = 0; j < n; j++) {
            float sum = 0;
            size = 0;
            for (integer l = 0; l < k; l++) {
                float term = (transpose_a == TRANSPOSED ? a[l * lda + i] : a[i * lda + l]) *
                             (transpose_b == TRANSPOSED ? b[j * ldb + l] : b[l * ldb + j]);
                sum += term;
                size += fabsf(term);
            }
            c[i * ldc + j] = alpha * sum + (beta != 0 ? beta * c[i * ldc + j] : 0);
        }
    if (mode && !strcmp(mode, "wrong"))
        c[(m - 1) * ldc + n - 1] += 1e-3f * size;
}
