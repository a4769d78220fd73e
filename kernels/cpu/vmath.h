/* exp, sigmoid and the normal distribution as inline scalar functions that compilers turn into vector code.
 *
 * They have no branches, no tables and no calls, so that a loop over them is vectorised and element i has the same bits
 * wherever the vector loop ends.  Errors measured over the whole range (tests/kernels/test_vector_math.c holds them):
 *   weir_exp 1.2e-7 and weir_sigmoid 2e-7 relative, weir_normal_cdf 2e-7 absolute.
 * Arguments are clamped to +-87.3: weir_exp gives 1.2e-38 to 8.2e37 and never 0 or infinity. */
#ifndef WEIR_KERNELS_CPU_VMATH_H
#define WEIR_KERNELS_CPU_VMATH_H

#include "kernels/cpu/simd.h"

WEIR_INLINE uint32_t weir_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

WEIR_INLINE float weir_from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2; Taylor series of degree 7 (remainder r^8/8! < 6e-9).
 * Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits; ln 2 is split in two so that n * hi is exact
 * (Cody and Waite, "Software Manual for the Elementary Functions", 1980).  NaN stays NaN. */
WEIR_INLINE float weir_exp_clamped(float x)
{
    float shifted = x * 1.44269504088896341f + 12582912.0f;
    float n = shifted - 12582912.0f;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = (p * r) * r + r;
    return (p + 1.0f) * weir_from_bits((weir_bits(shifted) << 23) + 0x3f800000u);
}

/* The argument is clamped by its magnitude in one step: gcc threads two clamps in a row into two copies of the loop body,
 * three times as slow. */
WEIR_INLINE float weir_exp(float x)
{
    uint32_t sign = weir_bits(x) & 0x80000000u;
    float size = weir_from_bits(weir_bits(x) ^ sign);
    size = size > 87.3f ? 87.3f : size;
    return weir_exp_clamped(weir_from_bits(weir_bits(size) | sign));
}

/* The same bits for x <= 87.3, and for NaN: above it is wrong.  A softmax has x <= 0. */
WEIR_INLINE float weir_exp_falling(float x)
{
    return weir_exp_clamped(x < -87.3f ? -87.3f : x);
}

WEIR_INLINE float weir_sigmoid(float x)
{
    return 1.0f / (1.0f + weir_exp(-x));
}

/* Phi(x) and phi(x) of the standard normal distribution.  Phi(-|x|) = e^(-x^2/2) t q(t), t = 1 / (1 + 0.35 |x|), the
 * form of Abramowitz and Stegun 7.1.26; q is our own Chebyshev interpolation of degree 8 (4e-8 relative, |x| <= 13). */
WEIR_INLINE float weir_normal_cdf(float x, float *density_out)
{
    float a = x < 0.0f ? -x : x;
    float e = weir_exp_falling(-0.5f * x * x);
    float t = 1.0f / (1.0f + 0.35f * a);
    float q = -0.029520308142672657f;
    q = q * t + 0.14580466638826176f;
    q = q * t + -0.25950866280300366f;
    q = q * t + 0.16349326393441402f;
    q = q * t + -0.026052365845090696f;
    q = q * t + 0.10673017727609452f;
    q = q * t + 0.11953228847745155f;
    q = q * t + 0.13990168704010322f;
    q = q * t + 0.1396192374504529f;
    float tail = e * (t * q);
    *density_out = 0.398942280401432678f * e;
    return x < 0.0f ? tail : 1.0f - tail;
}

#endif
