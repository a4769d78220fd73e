#include "base/large.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static const size_t LARGE = (size_t)4 << 20, PAGE = 4096;

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
