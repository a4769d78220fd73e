/* Counter-based random numbers: Philox4x32-10.
 *
 * A number is a pure function of a key and a counter, so any thread, stage or replica can compute any of them, in any
 * order, twice, and get the same bits.  Weir keys by seed and counts by (element / 4, node, sample, step).
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32, 10 rounds;
 * known-answer values of the authors' Random123 distribution are in tests/base/test_base.c). */
#ifndef WEIR_BASE_RNG_H
#define WEIR_BASE_RNG_H

#include <stdint.h>

struct weir_rng_block {
    uint32_t v[4];
};

/* One block of four 32-bit words for a 64-bit key and a 128-bit counter. */
static inline struct weir_rng_block weir_rng_philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    struct weir_rng_block block = {{c0, c1, c2, c3}};
    return block;
}

/* Uniform in [0, 1) with 24 bits, and in (0, 1] with 32 bits, from one word. */
static inline float weir_rng_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

static inline double weir_rng_unit_positive(uint32_t word)
{
    return ((double)word + 1.0) * 0x1p-32;
}

/* A 64-bit key from a seed and a name (the initial values of a parameter are keyed so). */
uint64_t weir_rng_key(uint64_t seed, const char *name);

/* Standard normal number `element` of the sequence of `key` (Box-Muller in double, rounded once to float). */
float weir_rng_normal(uint64_t key, uint64_t element);

/* out[i] = scale times number `first` + i of that sequence, for n of them: a block of Philox makes four. */
void weir_rng_fill_normal(uint64_t key, uint64_t first, int64_t n, double scale, float *out);

#endif
