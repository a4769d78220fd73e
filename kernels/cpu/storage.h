/* Numbers of tensors that are stored as f32 or as bf16 (op.h, Storage), as the floats that kernels compute with.
 *
 *     float room[2][WEIR_ROOM];
 *     for (int64_t n, at = first; at < end; at += n) {
 *         n = weir_part(bf16, end - at);
 *         const float *x = weir_floats(bf16, input, at, n, room[0]);
 *         float *y = weir_floats_out(bf16, output, at, room[1]);
 *         for (int64_t i = 0; i < n; i++)
 *             y[i] = f(x[i]);
 *         weir_floats_end(bf16, output, at, n, room[1]);
 *     }
 *
 * With f32 the part is everything, x and y lie in the tensors, and the end does nothing.  With bf16 a part of at most
 * WEIR_ROOM elements is widened, which is exact, and rounded at the end: once per element, to the nearest, ties to even.
 * So a row computes with bf16 what it computes with f32 of the same numbers, rounded. */
#ifndef WEIR_KERNELS_CPU_STORAGE_H
#define WEIR_KERNELS_CPU_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/weir/op.h"

enum { WEIR_ROOM = 1024 }; /* floats: a few of them stay in the nearest cache */

static inline bool weir_tensor_bf16(const struct weir_tensor *tensor)
{
    return tensor->code == 4;
}

/* Pointer to element `at`; NULL stays NULL. */
static inline const void *weir_element(bool bf16, const void *data, int64_t at)
{
    return data ? (const char *)data + at * (bf16 ? 2 : 4) : NULL;
}

static inline void *weir_element_out(bool bf16, void *data, int64_t at)
{
    return data ? (char *)data + at * (bf16 ? 2 : 4) : NULL;
}

static inline int64_t weir_part(bool bf16, int64_t n)
{
    return bf16 && n > WEIR_ROOM ? WEIR_ROOM : n;
}

/* to[i] = from[i], n bf16 numbers */
void weir_widen(int64_t n, const void *from, float *to);

/* to[i] = from[i] as bf16: past the largest an infinity, and every NaN 0x7fff */
void weir_round(int64_t n, const float *from, void *to);

/* Elements at..at+n-1 as floats: where they are, or in `room`.  `data` NULL gives NULL. */
static inline const float *weir_floats(bool bf16, const void *data, int64_t at, int64_t n, float *room)
{
    if (!bf16 || !data)
        return (const float *)weir_element(false, data, at);
    weir_widen(n, weir_element(true, data, at), room);
    return room;
}

/* Where the floats of elements from `at` on are to be written. */
static inline float *weir_floats_out(bool bf16, void *data, int64_t at, float *room)
{
    return bf16 ? room : (float *)data + at;
}

static inline void weir_floats_end(bool bf16, void *data, int64_t at, int64_t n, const float *room)
{
    if (bf16)
        weir_round(n, room, weir_element_out(true, data, at));
}

#endif
