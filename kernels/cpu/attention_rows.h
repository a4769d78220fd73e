/* The loops of attention: blocks of rows padded to whole tiles, and rows of scores.
 *
 * A block is (rows, d) with rows padded to a multiple of 4 and d to one of 32, a strip is a transposed block of 32
 * positions, (d, 32).  All of them lie in scratch, 64-byte aligned, so nothing here depends on alignment; the padding
 * holds zeros or finite numbers.  Compiled with fused multiply-adds where there are any (cmake/kernels.cmake). */
#ifndef WEIR_KERNELS_CPU_ATTENTION_ROWS_H
#define WEIR_KERNELS_CPU_ATTENTION_ROWS_H

#include <stdbool.h>
#include <stdint.h>

/* to (padded_rows, padded d) = scale * from (rows, d), whose rows are `stride` floats apart; zero elsewhere. */
void weir_block_copy(int64_t d, const float *from, int64_t stride, int64_t rows, int64_t padded_rows, float scale,
                     float *to);

/* to (strips, d, 32): the transpose of from (positions, d); positions past the end are zero. */
void weir_strips_copy(int64_t d, const float *from, int64_t stride, int64_t positions, float *to);

/* C (m, n) = or (beta) += A (m, k) B (k, n).  Element (i, p) of A is a[i * a_row + p * a_column].  B lies in strips of 32
 * columns, `b_strip` floats apart, whose rows are `b_row` apart.  m is a multiple of 4, n of 32. */
void weir_block_multiply(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_column,
                         const float *b, int64_t b_row, int64_t b_strip, bool beta, float *c, int64_t c_row);

/* p[0..n) = e^(p - shift), zero up to `padded`, a multiple of 16.  Returns the sum.  Only whole vectors are stored: a
 * narrow store before a wide load of the same bytes would stall. */
float weir_row_exp(int64_t n, int64_t padded, float shift, float *p);

/* The largest of s[0..n); values up to the next whole vector are read, but do not count. */
float weir_row_largest(int64_t n, const float *s);

/* x[i] *= factors[i] */
void weir_row_multiply(int64_t n, const float *factors, float *x);

/* The sum of p[i] * dp[i]; n is a multiple of 16. */
float weir_row_dot(int64_t n, const float *p, const float *dp);

/* dp = p (dp - shift); p is 0 where the row has ended. */
void weir_row_softmax_backward(int64_t n, const float *p, float shift, float *dp);

/* to[i] = scale * from[i], plus addend[i] unless addend is NULL; addend may be `to`. */
void weir_row_store(int64_t n, const float *from, float scale, const float *addend, float *to);

#endif
