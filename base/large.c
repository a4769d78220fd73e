#include "base/large.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static const size_t LARGE = (size_t)4 << 20, ENOUGH = (size_t)1 << 20, PAGE = 4096;

weir_status weir_large_alloc(struct weir_arena *arena, size_t count, size_t size, void *pointer_out)
{
    char *pointer;
    weir_status status = weir_arena_alloc(arena, count, size, &pointer);
    if (status)
        return status;
#ifdef MADV_HUGEPAGE
    if (count * size >= LARGE) {
        char *start = pointer + (-(uintptr_t)pointer & (PAGE - 1));
        size_t bytes = (size_t)(pointer + count * size - start) & ~(PAGE - 1);
        (void)madvise(start, bytes, MADV_HUGEPAGE); /* advice only: without it the memory is as good, but slower */
    }
#endif
    memcpy(pointer_out, &pointer, sizeof pointer);
    return WEIR_OK;
}

char *weir_pages_give_back(char *from, const char *to)
{
    char *start = from + (-(uintptr_t)from & (PAGE - 1));
    if (to < start || (size_t)(to - start) < ENOUGH)
        return from;
    size_t bytes = (size_t)(to - start) & ~(PAGE - 1);
    (void)madvise(start, bytes, MADV_DONTNEED); /* when it fails the memory is only given back later */
    return start + bytes;
}
