/* Memory with two sides, for tests of CUDA kernels: the host's side, which the test fills and reads, and the device's, on
 * which kernels run.
 *
 *     twin_device_open(NULL, &device)                 the emulation: both sides are one
 *     twin_device_open(&weir_device_cuda, &device)    a GPU, through its table
 *     struct twin_memory memory = {.on = &device};
 *     float *x = twin_block(&memory, bytes);          the host's side
 *     twin_push(&memory);                             all blocks to the device
 *     kernel(twin_of(&memory, x), device.native);
 *     twin_pull(&memory);                             wait, and all blocks back
 *     twin_release(&memory, "kernel");
 *
 * Blocks lie between guard bytes on both sides; twin_release fails the test when one has changed. */
#ifndef WEIR_TESTS_TWIN_H
#define WEIR_TESTS_TWIN_H

#include "engine/device/device.h"

enum { TWIN_BLOCKS = 96, TWIN_GUARD = 64 /* bytes on each side of a block */ };

struct twin_device {
    const struct weir_device_kind *kind; /* NULL: the emulation */
    weir_device *device;
    weir_stream *stream;
    void *native; /* argument of kernels */
    struct weir_kernel_context *context;
};

struct twin_block {
    char *host, *device; /* guards included */
    size_t bytes;        /* without them */
};

struct twin_memory {
    struct twin_device *on;
    struct twin_block blocks[TWIN_BLOCKS];
    int n_blocks;
};

/* Device 0 of `kind`, which must be there. */
void twin_device_open(const struct weir_device_kind *kind, struct twin_device *device);
void twin_device_close(struct twin_device *device);

/* The host's side of a new block of `bytes`, not cleared. */
void *twin_block(struct twin_memory *memory, size_t bytes);

/* The device's address of what lies at `host` in one of the blocks; NULL of NULL. */
void *twin_of(const struct twin_memory *memory, const void *host);

void twin_push(struct twin_memory *memory);
void twin_pull(struct twin_memory *memory);

/* `what` is named when it wrote outside of a block. */
void twin_release(struct twin_memory *memory, const char *what);

#endif
