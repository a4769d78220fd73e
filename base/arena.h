/* Arena: many small objects with one lifetime.
 *
 * Plans, schedules and programs are built into an arena and released in one go.  Memory comes in chunks that are never
 * moved, so pointers stay valid until weir_arena_release():
 *
 *     head ─▶ [chunk k: used ......|free....] ─▶ [chunk k-1: used ...........] ─▶ ...
 *
 * An arena starts as all zero bits (`struct weir_arena arena = {0};`).  One thread at a time. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stddef.h>

#include "base/status.h"

struct weir_arena {
    struct weir_arena_chunk *head; /* newest chunk, NULL at first */
    size_t bytes;                  /* bytes held in all chunks */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* `count` × `size` zeroed bytes, 64-byte aligned for blocks of 64 bytes and more, else 16.  `pointer_out` is the
 * address of a pointer of any type.  WEIR_ERR_NOMEM. */
weir_status weir_arena_alloc(struct weir_arena *arena, size_t count, size_t size, void *pointer_out);

/* weir_grow() for an array in the arena: room for `need` items, the new ones zeroed; capacity at least doubles, from 32.
 * The array before it stays behind until the arena goes, so pointers into it stay readable. */
weir_status weir_arena_grow(struct weir_arena *arena, void *items, size_t *capacity, size_t need, size_t size);

/* A copy of `text` in the arena. */
weir_status weir_arena_strdup(struct weir_arena *arena, const char *text, const char **copy_out);

/* printf into the arena. */
weir_status weir_arena_printf(struct weir_arena *arena, const char **text_out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Free everything; the arena is empty and usable again. */
void weir_arena_release(struct weir_arena *arena);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
