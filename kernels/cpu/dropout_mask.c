#include "kernels/cpu/dropout_mask.h"

#include "base/rng.h"
#include "kernels/cpu/simd.h"

enum { MASK_BLOCKS = 64, MASK_ELEMENTS = 4 * MASK_BLOCKS };

struct mask_key {
    uint64_t seed;
    uint32_t node, sample, step;
    float p, keep;
};

/* weir_rng_philox of 64 blocks at once, round by round, which compilers turn into vector code. */
WEIR_INLINE void blocks_draw(const struct mask_key *key, uint32_t first, uint32_t c[4][MASK_BLOCKS])
{
    uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
    for (uint32_t i = 0; i < MASK_BLOCKS; i++)
        c[0][i] = first + i, c[1][i] = key->node, c[2][i] = key->sample, c[3][i] = key->step;
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (int i = 0; i < MASK_BLOCKS; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i], p1 = (uint64_t)0xCD9E8D57u * c[2][i];
            c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
            c[1][i] = (uint32_t)p1;
            c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
            c[3][i] = (uint32_t)p0;
        }
}

/* Factors of the blocks first .. first+63; the four words of a block are neighbours. */
WEIR_KERNEL static void blocks_fill(const struct mask_key *key, uint32_t first, float *restrict factors)
{
    uint32_t words[4][MASK_BLOCKS];
    const float p = key->p, keep = key->keep;
    blocks_draw(key, first, words);
    for (int i = 0; i < MASK_BLOCKS; i++)
        for (int j = 0; j < 4; j++)
            factors[4 * i + j] = weir_rng_unit(words[j][i]) < p ? 0.0f : keep;
}

void weir_dropout_factors(const struct weir_op_call *call, double p, int64_t sample, int64_t first, int64_t n, float *factors)
{
    const struct mask_key key = {call->step->seed, call->node, call->first_sample + (uint32_t)sample, call->step->step,
                                 (float)p, (float)(1 / (1 - p))};
    float chunk[MASK_ELEMENTS];
    while (n > 0) {
        int64_t skip = first % 4, take = MASK_ELEMENTS - skip;
        take = take < n ? take : n;
        bool whole = take == MASK_ELEMENTS;
        blocks_fill(&key, (uint32_t)(first / 4), whole ? factors : chunk);
        if (!whole)
            memcpy(factors, chunk + skip, (size_t)take * sizeof *factors);
        factors += take, first += take, n -= take;
    }
}
