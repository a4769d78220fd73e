/* Vector code without intrinsics: one source, three instruction sets, chosen when the program is loaded.
 *
 * WEIR_KERNEL in front of a function makes the compiler build it for plain x86-64, for AVX2 and for AVX-512 and pick by
 * the processor at load time (an ifunc), so that no build needs -march=native.  Under sanitizers (whose runtime is not
 * ready when ifuncs are resolved) and on other processors it is empty.  WEIR_NO_AVX512 (CMake: WEIR_AVX512=OFF) leaves out
 * the third.  It is for static functions: compilers disagree about the names of exported ones.
 *
 * Two ways to write a loop:
 *   - element-wise: a plain loop after WEIR_LOOP, which promises that iterations are independent (equal pointers are
 *     fine: element i is read before it is written).  -ffp-contract=off holds for all files but those listed in
 *     cmake/kernels.cmake, so body and tail of such a loop give the same bits, as do all instruction sets.
 *   - reductions: explicit lanes (weir_f8), summed in a fixed tree at the end.  The order depends on the length only.
 *     Eight lanes, because gcc keeps wider vectors in memory in the clones that lack them.
 *
 * Vectors are never passed by value between functions that are not inlined: their ABI differs between the clones. */
#ifndef WEIR_KERNELS_CPU_SIMD_H
#define WEIR_KERNELS_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__has_feature)
#define WEIR_FEATURE(name) __has_feature(name)
#else
#define WEIR_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || WEIR_FEATURE(address_sanitizer)
#define WEIR_ASAN 1
#endif
#if defined(WEIR_ASAN) || defined(__SANITIZE_THREAD__) || WEIR_FEATURE(thread_sanitizer) || WEIR_FEATURE(memory_sanitizer)
#define WEIR_SANITIZED 1
#endif

#if !defined(__x86_64__) || !defined(__linux__) || defined(WEIR_SANITIZED)
#define WEIR_KERNEL
#elif defined(WEIR_NO_AVX512) && defined(__clang__) && __clang_major__ >= 14
#define WEIR_KERNEL __attribute__((target_clones("default", "avx2")))
#elif defined(WEIR_NO_AVX512) && !defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 12
#define WEIR_KERNEL __attribute__((target_clones("default", "arch=x86-64-v3")))
#elif defined(__clang__) && __clang_major__ >= 14
#define WEIR_KERNEL __attribute__((target_clones("default", "avx2", "avx512f")))
#elif !defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 12
#define WEIR_KERNEL __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define WEIR_KERNEL
#endif

/* WEIR_WIDE: for AVX-512 only; called where WEIR_HAS_WIDE() is true. */
#if !defined(__x86_64__) || !defined(__linux__) || defined(WEIR_NO_AVX512)
#define WEIR_WIDE
#define WEIR_HAS_WIDE() 0
#else
#define WEIR_WIDE __attribute__((target("avx512f")))
#define WEIR_HAS_WIDE() __builtin_cpu_supports("avx512f")
#endif

#if defined(__clang__)
#define WEIR_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define WEIR_LOOP _Pragma("GCC ivdep")
#endif

#define WEIR_INLINE static inline __attribute__((always_inline))

enum { WEIR_LANES = 8 };

typedef float weir_f8 __attribute__((vector_size(32)));
typedef float weir_f8_memory __attribute__((vector_size(32), aligned(4), may_alias)); /* anywhere in memory */
typedef int32_t weir_i8 __attribute__((vector_size(32)));
typedef float weir_f16 __attribute__((vector_size(64)));
typedef float weir_f16_memory __attribute__((vector_size(64), aligned(4), may_alias));
typedef double weir_d8 __attribute__((vector_size(64)));

/* The next 8 floats of `x`, of which only the first n count; the others are 0. */
WEIR_INLINE void weir_load(weir_f8 *v, const float *x, int64_t n)
{
    if (n >= WEIR_LANES) {
        *v = *(const weir_f8_memory *)x;
        return;
    }
    weir_f8 part = {0};
    memcpy(&part, x, (size_t)n * sizeof(float));
    *v = part;
}

/* v with the lanes from n on taken from `other`. */
WEIR_INLINE void weir_keep_lanes(weir_f8 *v, int64_t n, const weir_f8 *other)
{
    const weir_i8 lane = {0, 1, 2, 3, 4, 5, 6, 7};
    weir_i8 keep = lane < (int32_t)(n < WEIR_LANES ? n : WEIR_LANES);
    *v = (weir_f8)((keep & (weir_i8)*v) | (~keep & (weir_i8)*other));
}

/* Sum of the lanes: halves are added until one is left. */
WEIR_INLINE float weir_lanes_sum(const weir_f8 *v)
{
    float lane[WEIR_LANES];
    memcpy(lane, v, sizeof lane);
    for (int width = WEIR_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

/* a = the larger of a and b, lane by lane; a NaN in b is passed over. */
WEIR_INLINE void weir_lanes_keep_max(weir_f8 *a, const weir_f8 *b)
{
    weir_i8 larger = *b > *a;
    *a = (weir_f8)((larger & (weir_i8)*b) | (~larger & (weir_i8)*a));
}

WEIR_INLINE float weir_lanes_max(const weir_f8 *v)
{
    float lane[WEIR_LANES];
    memcpy(lane, v, sizeof lane);
    for (int i = 1; i < WEIR_LANES; i++)
        lane[0] = lane[i] > lane[0] ? lane[i] : lane[0];
    return lane[0];
}

/* The largest of n >= 1 numbers. */
WEIR_INLINE float weir_row_max(int64_t n, const float *x)
{
    int64_t i = 0;
    float best = x[0];
    if (n >= 2 * WEIR_LANES) {
        weir_f8 most[2] = {*(const weir_f8_memory *)x, *(const weir_f8_memory *)(x + WEIR_LANES)};
        for (i = 2 * WEIR_LANES; i + 2 * WEIR_LANES <= n; i += 2 * WEIR_LANES) {
            weir_f8 v = *(const weir_f8_memory *)(x + i), w = *(const weir_f8_memory *)(x + i + WEIR_LANES);
            weir_lanes_keep_max(&most[0], &v);
            weir_lanes_keep_max(&most[1], &w);
        }
        weir_lanes_keep_max(&most[0], &most[1]);
        best = weir_lanes_max(&most[0]);
    }
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

#endif
