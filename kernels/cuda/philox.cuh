/* Philox4x32-10 on the device (base/rng.h has the source), and dropout factors made of it. */
#ifndef WEIR_KERNELS_CUDA_PHILOX_CUH
#define WEIR_KERNELS_CUDA_PHILOX_CUH

#include "kernels/cuda/cuda_launch.cuh"

struct weir_philox {
    uint32_t word[4];
};

__device__ static inline weir_philox weir_philox_draw(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0;
        c1 = (uint32_t)p1;
        c2 = n2;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return weir_philox{{c0, c1, c2, c3}};
}

__device__ static inline bool weir_dropout_on(const weir_cuda_dropout &dropout)
{
    return dropout.p > 0.0f && dropout.step && dropout.step->training;
}

__device__ static inline weir_philox weir_dropout_block(const weir_cuda_dropout &dropout, int64_t sample, int64_t block)
{
    return weir_philox_draw(dropout.step->seed, (uint32_t)block, dropout.node, dropout.first_sample + (uint32_t)sample,
                            dropout.step->step);
}

/* The factor of one word: 24 bits, uniform in [0, 1), against the probability. */
__device__ static inline float weir_dropout_factor(const weir_cuda_dropout &dropout, uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f < dropout.p ? 0.0f : dropout.keep;
}

/* The factor of one element of a sample, alone. */
__device__ static inline float weir_dropout_element(const weir_cuda_dropout &dropout, int64_t sample, int64_t element)
{
    weir_philox random = weir_dropout_block(dropout, sample, element / 4);
    int word = (int)(element % 4);
    return weir_dropout_factor(dropout, word == 0   ? random.word[0]
                                        : word == 1 ? random.word[1]
                                        : word == 2 ? random.word[2]
                                                    : random.word[3]);
}

#endif
