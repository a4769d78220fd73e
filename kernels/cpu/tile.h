/* The one inner loop of our own matrix products: a tile of 4 x 32 accumulators.
 *
 *     C[i][j] = (beta ? C[i][j] : 0) + sum over p of A[i * a_row + p * a_column] * B[p * b_row + j]
 *
 * with i < 4, j < 32.  Sums run in ascending p from 0, C is added last.  Callers pad: a tile always has its full size.
 * Files that use it are compiled with -ffp-contract=fast, so that it becomes fused multiply-adds where there are any;
 * results therefore depend on the instruction set, as the exactness contract allows. */
#ifndef WEIR_KERNELS_CPU_TILE_H
#define WEIR_KERNELS_CPU_TILE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/cpu/simd.h"

/* Sanitizers put a check before every access, which makes a step of training eight times slower.  A function that is WEIR_UNCHECKED has
 * none; its caller asks about the operands with weir_rows_check, once for each row. */
#if defined(WEIR_ASAN)
#include <sanitizer/asan_interface.h>
#define WEIR_UNCHECKED __attribute__((no_sanitize("address", "undefined")))

/* `rows` rows of n floats, `stride` floats apart: the first byte that may not be touched is reported, as its use would be. */
static inline void weir_rows_check(int64_t rows, int64_t stride, int64_t n, const float *x)
{
    for (int64_t i = 0; i < rows; i++) {
        const char *bad = __asan_region_is_poisoned((void *)(uintptr_t)(x + i * stride), (size_t)n * sizeof *x);
        if (bad)
            (void)*(const volatile char *)bad;
    }
}
#else
#define WEIR_UNCHECKED
WEIR_INLINE void weir_rows_check(int64_t rows, int64_t stride, int64_t n, const float *x)
{
    (void)rows, (void)stride, (void)n, (void)x;
}
#endif

enum { WEIR_TILE_ROWS = 4, WEIR_TILE_COLUMNS = 32 };

WEIR_INLINE int64_t weir_round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

/* The tile in registers of 16 floats, for AVX-512. */
WEIR_UNCHECKED WEIR_INLINE void weir_tile_wide(int64_t k, const float *a, int64_t a_row, int64_t a_column, const float *b,
                                int64_t b_row, bool beta, float *c, int64_t c_row)
{
    weir_f16 sum[WEIR_TILE_ROWS][2];
    for (int i = 0; i < WEIR_TILE_ROWS; i++)
        sum[i][0] = sum[i][1] = (weir_f16){0};
    for (int64_t p = 0; p < k; p++) {
        const weir_f16_memory *from = (const weir_f16_memory *)(b + p * b_row);
        weir_f16 b0 = from[0], b1 = from[1];
        for (int i = 0; i < WEIR_TILE_ROWS; i++) {
            float x = a[i * a_row + p * a_column];
            sum[i][0] = sum[i][0] + x * b0;
            sum[i][1] = sum[i][1] + x * b1;
        }
    }
    for (int i = 0; i < WEIR_TILE_ROWS; i++)
        for (int j = 0; j < 2; j++) {
            weir_f16_memory *to = (weir_f16_memory *)(c + i * c_row) + j;
            if (beta)
                sum[i][j] = *to + sum[i][j];
            *to = sum[i][j];
        }
}

/* The same in registers of 8 floats, as two tiles of 16 columns. */
WEIR_UNCHECKED WEIR_INLINE void weir_tile_narrow(int64_t k, const float *a, int64_t a_row, int64_t a_column, const float *b,
                                  int64_t b_row, bool beta, float *c, int64_t c_row)
{
    for (int half = 0; half < 2; half++, b += 16, c += 16) {
        weir_f8 sum[WEIR_TILE_ROWS][2];
        for (int i = 0; i < WEIR_TILE_ROWS; i++)
            sum[i][0] = sum[i][1] = (weir_f8){0};
        for (int64_t p = 0; p < k; p++) {
            const weir_f8_memory *from = (const weir_f8_memory *)(b + p * b_row);
            weir_f8 b0 = from[0], b1 = from[1];
            for (int i = 0; i < WEIR_TILE_ROWS; i++) {
                float x = a[i * a_row + p * a_column];
                sum[i][0] = sum[i][0] + x * b0;
                sum[i][1] = sum[i][1] + x * b1;
            }
        }
        for (int i = 0; i < WEIR_TILE_ROWS; i++)
            for (int j = 0; j < 2; j++) {
                weir_f8_memory *to = (weir_f8_memory *)(c + i * c_row) + j;
                if (beta)
                    sum[i][j] = *to + sum[i][j];
                *to = sum[i][j];
            }
    }
}

#endif
