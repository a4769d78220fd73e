#include "twin.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "tests/support/testing.h"

enum { CAPACITY = 4 * TWIN_BLOCKS };

void twin_device_open(const struct weir_device_kind *kind, struct twin_device *device)
{
    *device = (struct twin_device){.kind = kind};
    if (!kind) {
        assert_ok(weir_cuda_context_open(0, false, NULL, &device->context));
        return;
    }
    assert_ok(kind->open(0, 1, &device->device));
    assert_ok(kind->stream_open(device->device, WEIR_STREAM_COMPUTE, CAPACITY, &device->stream));
    assert_ok(kind->native(device->stream, &device->native));
    assert_ok(kind->context_open(device->device, device->stream, false, &device->context));
}

void twin_device_close(struct twin_device *device)
{
    const struct weir_device_kind *kind = device->kind;
    if (!kind) {
        weir_cuda_context_close(device->context);
        return;
    }
    kind->context_close(device->device, device->context);
    kind->stream_close(device->stream);
    kind->close(device->device);
}

void *twin_block(struct twin_memory *memory, size_t bytes)
{
    const struct weir_device_kind *kind = memory->on->kind;
    size_t all = TWIN_GUARD + bytes + TWIN_GUARD;
    void *host, *device;
    assert_true(memory->n_blocks < TWIN_BLOCKS);
    if (kind) {
        assert_ok(kind->host_alloc(memory->on->device, all, &host));
        assert_ok(kind->memory_alloc(memory->on->device, all, &device));
    } else {
        assert_non_null(host = device = aligned_alloc(64, (all + 63) / 64 * 64));
    }
    memset(host, 0x5a, all);
    memory->blocks[memory->n_blocks++] = (struct twin_block){host, device, bytes};
    return (char *)host + TWIN_GUARD;
}

void *twin_of(const struct twin_memory *memory, const void *host)
{
    const char *at = host;
    for (int b = 0; b < memory->n_blocks && host; b++) {
        const struct twin_block *block = &memory->blocks[b];
        if (at >= block->host + TWIN_GUARD && at <= block->host + TWIN_GUARD + block->bytes)
            return block->device + (at - block->host);
    }
    assert_null(host);
    return NULL;
}

static void all_copy(struct twin_memory *memory, bool to_device)
{
    const struct weir_device_kind *kind = memory->on->kind;
    for (int b = 0; b < memory->n_blocks && kind; b++) {
        const struct twin_block *block = &memory->blocks[b];
        assert_ok(kind->copy(memory->on->stream, to_device ? block->device : block->host,
                             to_device ? block->host : block->device, TWIN_GUARD + block->bytes + TWIN_GUARD));
    }
    if (kind)
        assert_ok(kind->stream_sync(memory->on->stream, -1));
}

void twin_push(struct twin_memory *memory)
{
    all_copy(memory, true);
}

void twin_pull(struct twin_memory *memory)
{
    all_copy(memory, false);
}

static bool guards_hold(const struct twin_block *block)
{
    for (size_t i = 0; i < TWIN_GUARD; i++)
        if (block->host[i] != 0x5a || block->host[TWIN_GUARD + block->bytes + i] != 0x5a)
            return false;
    return true;
}

void twin_release(struct twin_memory *memory, const char *what)
{
    const struct weir_device_kind *kind = memory->on->kind;
    for (int b = 0; b < memory->n_blocks; b++) {
        const struct twin_block *block = &memory->blocks[b];
        if (!guards_hold(block))
            fail_msg("'%s' wrote outside of device block %d", what, b);
        if (kind) {
            kind->memory_free(memory->on->device, block->device);
            kind->host_free(memory->on->device, block->host);
        } else {
            free(block->host);
        }
    }
    memory->n_blocks = 0;
}
