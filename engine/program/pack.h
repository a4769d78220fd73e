/* Packing: give buffers with known lifetimes offsets in one block, so that those alive at the same time do not overlap.
 *
 * Greedy: each buffer at the lowest offset free of overlap with those placed before that share a moment with it.  Up to
 * 4096 buffers go largest first (ties: earlier start, then index), which packs tightest and is quadratic; more go by
 * start, so that only those still alive need be looked at.  The result is at least the largest sum of bytes alive at one
 * moment, and usually equal to it. */
#ifndef WEIR_ENGINE_PROGRAM_PACK_H
#define WEIR_ENGINE_PROGRAM_PACK_H

#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

enum { WEIR_PACK_ALIGN = 64, WEIR_PACK_LARGEST_FIRST = 4096 };

struct weir_pack_item {
    size_t bytes;
    int first, last; /* inclusive moments */
    size_t offset;   /* result, a multiple of WEIR_PACK_ALIGN */
};

static inline size_t weir_pack_round(size_t bytes)
{
    return (bytes + WEIR_PACK_ALIGN - 1) / WEIR_PACK_ALIGN * WEIR_PACK_ALIGN;
}

/* Set the offsets and return the bytes of the block.  Temporary memory is taken from `arena`. */
weir_status weir_pack(struct weir_pack_item *items, int n_items, struct weir_arena *arena, size_t *bytes_out);

#endif
