#include "kernels/cpu/storage.h"

#include <string.h>

#include "kernels/cpu/simd.h"

WEIR_KERNEL static void widen(int64_t n, const uint16_t *from, float *to)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(to + i, &bits, sizeof bits);
    }
}

void weir_widen(int64_t n, const void *from, float *to)
{
    widen(n, from, to);
}

/* Half of the last kept bit, less one where that bit is even, carries into what is kept.  kernels/cuda does the same. */
WEIR_KERNEL static void round_all(int64_t n, const float *from, uint16_t *to)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
        to[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
    }
}

void weir_round(int64_t n, const float *from, void *to)
{
    round_all(n, from, to);
}
