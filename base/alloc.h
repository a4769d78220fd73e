/* Host memory: malloc with checked sizes, a count, and a budget for tests.
 *
 * All of Weir's own heap use goes through here (libraries such as jansson keep their own).  Tests give the allocator a
 * budget and raise it one allocation at a time: each run must either succeed or return WEIR_ERR_NOMEM and leak nothing.
 * Threads: all functions may be called from any thread. */
#ifndef WEIR_BASE_ALLOC_H
#define WEIR_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* `count` × `size` bytes, zeroed, 16-byte aligned.  A request of zero bytes gives a pointer that may be freed.
 * WEIR_ERR_NOMEM names the bytes. */
weir_status weir_alloc(size_t count, size_t size, void *pointer_out);

/* Grow `*items` (a pointer to an array of `size`-byte items with room for *capacity) so that it holds `need` items;
 * capacity at least doubles.  On failure the array is untouched. */
weir_status weir_grow(void *items, size_t *capacity, size_t need, size_t size);

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C"
#endif
void weir_free(void *pointer); /* NULL is fine */
#pragma GCC visibility pop

/* A copy of `text`, to be freed with weir_free. */
weir_status weir_strdup(const char *text, char **copy_out);

/* For calls of libraries that end the process when they get no memory: ask first whether the system would map what the call
 * may take, together with all claims that other threads hold.  Nothing is mapped for longer than the question takes.  After
 * WEIR_OK the claim is held until it is released, after the call.  WEIR_ERR_NOMEM names the bytes. */
weir_status weir_room_claim(size_t bytes);
void weir_room_release(size_t bytes);

/* The same for a call that is made at once: until it leaves nobody else asks, for a question takes the room for a moment in
 * which the call may need it.  A thread that has entered neither enters again nor claims.  After WEIR_ERR_NOMEM it has not. */
weir_status weir_room_enter(size_t bytes);
void weir_room_leave(size_t bytes);

/* Tests: successful allocations so far; and a budget after which every allocation fails (negative: no limit). */
uint64_t weir_alloc_count(void);
void weir_alloc_set_budget(int64_t n_allocations);

#endif
