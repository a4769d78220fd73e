#include "base/alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"

static _Atomic uint64_t n_allocations;
static _Atomic int64_t budget = -1;
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
static size_t claimed; /* bytes of all claims of room; under `asking` */

static int budget_take(void)
{
    if (weir_fault(WEIR_FAULT_ALLOC))
        return 0;
    int64_t left = atomic_load_explicit(&budget, memory_order_relaxed);
    while (left > 0)
        if (atomic_compare_exchange_weak(&budget, &left, left - 1))
            return 1;
    return left < 0;
}

weir_status weir_alloc(size_t count, size_t size, void *pointer_out)
{
    void *pointer = budget_take() ? calloc(count ? count : 1, size ? size : 1) : NULL;
    if (!pointer)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: %zu items of %zu bytes", count, size);
    atomic_fetch_add_explicit(&n_allocations, 1, memory_order_relaxed);
    memcpy(pointer_out, &pointer, sizeof pointer);
    return WEIR_OK;
}

weir_status weir_grow(void *items, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return WEIR_OK;
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    if (wanted < need)
        wanted = need;
    void *old, *grown = NULL;
    memcpy(&old, items, sizeof old);
    if (size && wanted <= SIZE_MAX / size && budget_take())
        grown = realloc(old, wanted * size);
    if (!grown)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: %zu items of %zu bytes", wanted, size);
    atomic_fetch_add_explicit(&n_allocations, 1, memory_order_relaxed);
    memcpy(items, &grown, sizeof grown);
    *capacity = wanted;
    return WEIR_OK;
}

weir_status weir_room_enter(size_t bytes)
{
    pthread_mutex_lock(&asking);
    size_t all = claimed + bytes;
    void *room = all ? mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;
    if (room == MAP_FAILED) {
        weir_status status =
            WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: there is no room for %zu bytes: %s", all, strerror(errno));
        pthread_mutex_unlock(&asking);
        return status;
    }
    if (room)
        munmap(room, all);
    claimed = all;
    return WEIR_OK;
}

void weir_room_leave(size_t bytes)
{
    claimed -= bytes;
    pthread_mutex_unlock(&asking);
}

weir_status weir_room_claim(size_t bytes)
{
    weir_status status = weir_room_enter(bytes);
    if (!status)
        pthread_mutex_unlock(&asking);
    return status;
}

void weir_room_release(size_t bytes)
{
    pthread_mutex_lock(&asking);
    weir_room_leave(bytes);
}

void weir_free(void *pointer)
{
    free(pointer);
}

weir_status weir_strdup(const char *text, char **copy_out)
{
    char *copy = NULL;
    size_t n = strlen(text) + 1;
    weir_status status = weir_alloc(n, 1, &copy);
    if (status)
        return status;
    memcpy(copy, text, n);
    *copy_out = copy;
    return WEIR_OK;
}

uint64_t weir_alloc_count(void)
{
    return atomic_load(&n_allocations);
}

void weir_alloc_set_budget(int64_t n)
{
    atomic_store(&budget, n);
}
