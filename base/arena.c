#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

struct weir_arena_chunk {
    struct weir_arena_chunk *next;
    size_t capacity, used; /* bytes of data[] */
    char data[];
};

enum { FIRST_CHUNK = 16 * 1024, LARGEST_CHUNK = 4 * 1024 * 1024, FIRST_ITEMS = 32 };

static char *chunk_take(struct weir_arena_chunk *chunk, size_t bytes, size_t align)
{
    uintptr_t base = (uintptr_t)chunk->data;
    size_t start = ((base + chunk->used + align - 1) & ~(uintptr_t)(align - 1)) - base;
    if (start > chunk->capacity || bytes > chunk->capacity - start)
        return NULL;
    chunk->used = start + bytes;
    return chunk->data + start;
}

static weir_status chunk_add(struct weir_arena *arena, size_t bytes)
{
    size_t capacity = arena->head ? arena->head->capacity * 2 : FIRST_CHUNK;
    if (capacity > LARGEST_CHUNK)
        capacity = LARGEST_CHUNK;
    if (capacity < bytes + 64)
        capacity = bytes + 64;
    struct weir_arena_chunk *chunk;
    weir_status status = weir_alloc(1, sizeof *chunk + capacity, &chunk);
    if (status)
        return status;
    chunk->capacity = capacity;
    chunk->next = arena->head;
    arena->head = chunk;
    arena->bytes += sizeof *chunk + capacity;
    return WEIR_OK;
}

weir_status weir_arena_alloc(struct weir_arena *arena, size_t count, size_t size, void *pointer_out)
{
    if (size && count > (SIZE_MAX / 2) / size)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: %zu items of %zu bytes", count, size);
    size_t bytes = count * size, align = bytes >= 64 ? 64 : 16;
    char *pointer = arena->head ? chunk_take(arena->head, bytes, align) : NULL;
    if (!pointer) {
        weir_status status = chunk_add(arena, bytes);
        if (status)
            return status;
        pointer = chunk_take(arena->head, bytes, align);
    }
    memcpy(pointer_out, &pointer, sizeof pointer);
    return WEIR_OK;
}

weir_status weir_arena_grow(struct weir_arena *arena, void *items, size_t *capacity, size_t need, size_t size)
{
    void *old, *grown = NULL;
    if (need <= *capacity)
        return WEIR_OK;
    size_t wanted = *capacity < FIRST_ITEMS / 2 ? FIRST_ITEMS : *capacity < SIZE_MAX / 2 ? *capacity * 2 : SIZE_MAX;
    if (wanted < need)
        wanted = need;
    weir_status status = weir_arena_alloc(arena, wanted, size, &grown);
    if (status)
        return status;
    memcpy(&old, items, sizeof old);
    if (*capacity)
        memcpy(grown, old, *capacity * size);
    memcpy(items, &grown, sizeof grown);
    *capacity = wanted;
    return WEIR_OK;
}

weir_status weir_arena_strdup(struct weir_arena *arena, const char *text, const char **copy_out)
{
    char *copy;
    size_t n = strlen(text) + 1;
    weir_status status = weir_arena_alloc(arena, n, 1, &copy);
    if (status)
        return status;
    memcpy(copy, text, n);
    *copy_out = copy;
    return WEIR_OK;
}

weir_status weir_arena_printf(struct weir_arena *arena, const char **text_out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "cannot format '%s'", format);
    char *text;
    weir_status status = weir_arena_alloc(arena, (size_t)n + 1, 1, &text);
    if (status)
        return status;
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    *text_out = text;
    return WEIR_OK;
}

void weir_arena_release(struct weir_arena *arena)
{
    struct weir_arena_chunk *chunk = arena->head;
    while (chunk) {
        struct weir_arena_chunk *next = chunk->next;
        weir_free(chunk);
        chunk = next;
    }
    *arena = (struct weir_arena){0};
}
