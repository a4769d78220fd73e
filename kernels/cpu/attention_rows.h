/* The loops of attention: blocks of rows padded to whole tiles, and rows of scores.
 *
 * A block is (rows, d) with rows padded to a multiple of 4 and d to one of 32, a strip is a transposed block of 32
 * positions, (d, 32).  All of them lie in scratch, 64-byte aligned, so nothing here depends on alignment; the padding
 * holds zeros or finite numbers.  Only cpu_attention.c includes this; it is compiled with fused multiply-adds where there
 * are any (cmake/kernels.cmake). */
#ifndef WEIR_KERNELS_CPU_ATTENTION_ROWS_H
#define WEIR_KERNELS_CPU_ATTENTION_ROWS_H

#include "kernels/cpu/tile.h"
#include "kernels/cpu/vmath.h"

enum { STRIP = WEIR_TILE_COLUMNS };

/* to (padded_rows, padded d) = scale * from (rows, d), whose rows are `stride` floats apart; zero elsewhere. */
WEIR_KERNEL static void block_copy(int64_t d, const float *from, int64_t stride, int64_t rows, int64_t padded_rows,
                                   float scale, float *to)
{
    int64_t padded_d = weir_round_up(d, WEIR_TILE_COLUMNS);
    for (int64_t t = 0; t < padded_rows; t++, to += padded_d) {
        int64_t n = t < rows ? d : 0;
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            to[i] = scale * from[t * stride + i];
        memset(to + n, 0, (size_t)(padded_d - n) * sizeof *to);
    }
}

/* to (4, 4), rows 32 apart = the transpose of from (4, 4), rows `stride` apart. */
WEIR_INLINE void square_transpose(const float *from, int64_t stride, float *to)
{
    typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
    four a = *(const four *)from, b = *(const four *)(from + stride);
    four c = *(const four *)(from + 2 * stride), d = *(const four *)(from + 3 * stride);
    four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    four AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four *)(to + STRIP) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(four *)(to + 2 * STRIP) = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
    *(four *)(to + 3 * STRIP) = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

/* to (strips, d, 32): the transpose of from (positions, d); positions past the end are zero. */
WEIR_KERNEL static void strips_copy(int64_t d, const float *from, int64_t stride, int64_t positions, float *to)
{
    for (int64_t t0 = 0; t0 < positions; t0 += STRIP, to += d * STRIP, from += STRIP * stride) {
        int64_t rows = positions - t0 < STRIP ? positions - t0 : STRIP, squares = rows == STRIP ? d / 4 * 4 : 0;
        for (int64_t t = 0; t < STRIP; t += 4)
            for (int64_t i = 0; i < squares; i += 4)
                square_transpose(from + t * stride + i, stride, to + i * STRIP + t);
        for (int64_t i = squares; i < d; i++)
            for (int64_t t = 0; t < STRIP; t++)
                to[i * STRIP + t] = t < rows ? from[t * stride + i] : 0.0f;
    }
}

WEIR_WIDE WEIR_UNCHECKED static void block_multiply_wide(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row,
                                          int64_t a_column, const float *b, int64_t b_row, int64_t b_strip, bool beta,
                                          float *c, int64_t c_row)
{
    for (int64_t j = 0; j < n; j += WEIR_TILE_COLUMNS, b += b_strip)
        for (int64_t i = 0; i < m; i += WEIR_TILE_ROWS)
            weir_tile_wide(k, a + i * a_row, a_row, a_column, b, b_row, beta, c + i * c_row + j, c_row);
}

WEIR_KERNEL WEIR_UNCHECKED static void block_multiply_narrow(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row,
                                              int64_t a_column, const float *b, int64_t b_row, int64_t b_strip,
                                              bool beta, float *c, int64_t c_row)
{
    for (int64_t j = 0; j < n; j += WEIR_TILE_COLUMNS, b += b_strip)
        for (int64_t i = 0; i < m; i += WEIR_TILE_ROWS)
            weir_tile_narrow(k, a + i * a_row, a_row, a_column, b, b_row, beta, c + i * c_row + j, c_row);
}

/* C (m, n) = or (beta) += A (m, k) B (k, n).  Element (i, p) of A is a[i * a_row + p * a_column].  B lies in strips of 32
 * columns, `b_strip` floats apart, whose rows are `b_row` apart.  m is a multiple of 4, n of 32. */
static inline void block_multiply(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_column,
                                  const float *b, int64_t b_row, int64_t b_strip, bool beta, float *c, int64_t c_row)
{
    weir_rows_check(a_row == 1 ? k : m, a_row == 1 ? a_column : a_row, a_row == 1 ? m : k, a);
    for (int64_t j = 0; j < n; j += WEIR_TILE_COLUMNS)
        weir_rows_check(k, b_row, WEIR_TILE_COLUMNS, b + j / WEIR_TILE_COLUMNS * b_strip);
    weir_rows_check(m, c_row, n, c);
    if (WEIR_HAS_WIDE())
        block_multiply_wide(m, n, k, a, a_row, a_column, b, b_row, b_strip, beta, c, c_row);
    else
        block_multiply_narrow(m, n, k, a, a_row, a_column, b, b_row, b_strip, beta, c, c_row);
}

/* p[0..n) = e^(p - shift), zero up to `padded`, a multiple of 8.  Returns the sum.  Only whole vectors are stored: a
 * narrow store before a wide load of the same bytes would stall. */
WEIR_KERNEL static float row_exp(int64_t n, int64_t padded, float shift, float *p)
{
    const weir_f8 zero = {0};
    int64_t whole = weir_round_up(n, WEIR_LANES);
    WEIR_LOOP
    for (int64_t i = 0; i < whole; i++)
        p[i] = weir_exp_falling(p[i] - shift);
    weir_f8 sum = {0}, last = *(const weir_f8_memory *)(p + whole - WEIR_LANES);
    weir_keep_lanes(&last, n - (whole - WEIR_LANES), &zero);
    *(weir_f8_memory *)(p + whole - WEIR_LANES) = last;
    for (int64_t i = 0; i < whole - WEIR_LANES; i += WEIR_LANES)
        sum += *(const weir_f8_memory *)(p + i);
    sum += last;
    for (int64_t i = whole; i < padded; i += WEIR_LANES)
        *(weir_f8_memory *)(p + i) = zero;
    return weir_lanes_sum(&sum);
}

/* The largest of s[0..n); values up to the next whole vector are read, but do not count. */
WEIR_KERNEL static float row_largest(int64_t n, const float *s)
{
    weir_f8 most = *(const weir_f8_memory *)s, first = (weir_f8){0} + s[0], v;
    weir_keep_lanes(&most, n, &first);
    for (int64_t i = WEIR_LANES; i < n; i += WEIR_LANES) {
        v = *(const weir_f8_memory *)(s + i);
        weir_keep_lanes(&v, n - i, &most);
        weir_lanes_keep_max(&most, &v);
    }
    return weir_lanes_max(&most);
}

/* x[i] *= factors[i] */
WEIR_KERNEL static void row_multiply(int64_t n, const float *factors, float *x)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        x[i] *= factors[i];
}

/* The sum of p[i] * dp[i]; n is a multiple of 8. */
WEIR_KERNEL static float row_dot(int64_t n, const float *p, const float *dp)
{
    weir_f8 sum = {0};
    for (int64_t i = 0; i < n; i += WEIR_LANES)
        sum += *(const weir_f8_memory *)(p + i) * *(const weir_f8_memory *)(dp + i);
    return weir_lanes_sum(&sum);
}

/* dp = p (dp - shift); p is 0 where the row has ended. */
WEIR_KERNEL static void row_softmax_backward(int64_t n, const float *p, float shift, float *dp)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        dp[i] = p[i] * (dp[i] - shift);
}

/* to[i] = scale * from[i], plus addend[i] unless addend is NULL; addend may be `to`. */
WEIR_KERNEL static void row_store(int64_t n, const float *from, float scale, const float *addend, float *to)
{
    if (addend) {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            to[i] = addend[i] + scale * from[i];
    } else {
        WEIR_LOOP
        for (int64_t i = 0; i < n; i++)
            to[i] = scale * from[i];
    }
}

#endif
