/* Large arrays: zeroed arena memory on huge pages where the system gives them.
 *
 * A schedule of 25 million actions walks through hundreds of megabytes, a few bytes of many rows at a time; with small
 * pages most of that time goes into page faults and address translation. */
#ifndef WEIR_BASE_LARGE_H
#define WEIR_BASE_LARGE_H

#include "base/arena.h"

/* weir_arena_alloc, with advice to the system when it is large.  WEIR_ERR_NOMEM. */
weir_status weir_large_alloc(struct weir_arena *arena, size_t count, size_t size, void *pointer_out);

/* Give the whole pages from `from` up to before `to` back to the system; what they held is lost.  They are part of one
 * block of the heap, which stays the caller's to free.  Nothing is done until there is a megabyte of them.  Returns the
 * address from which on nothing has been given back. */
char *weir_pages_give_back(char *from, const char *to);

#endif
