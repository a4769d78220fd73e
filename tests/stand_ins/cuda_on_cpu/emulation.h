/* Running CUDA kernels on the processor.
 *
 * A launch runs block after block; the threads of a block are fibers on the calling thread, which change only at barriers
 * and warp operations, so every run has the same order.  A .cu file is compiled as C++17 against the stand-in headers in
 * include/ and calls weir_emulated_launch(); everything below is what those headers need, in C.
 *
 * Found and reported, with kernel, block and thread, as WEIR_ERR_INTERNAL of the launch:
 *   - a barrier that a thread never reaches, because it ended or waits elsewhere, and threads at different barriers;
 *   - a shuffle, vote or __syncwarp whose mask names lanes that never come, or that a lane outside of its mask calls;
 *   - two threads that use one element of a shared array, one of them writing, with no barrier between (__syncthreads
 *     orders all threads, __syncwarp those of its warp, a shuffle orders nothing);
 *   - an index outside of a shared array.  A shared array holds 0xff bytes (NaN) when a block begins.
 * With WEIR_EMULATED_DESCENDING blocks and threads run in the opposite order, which shows races in global memory by other
 * results.
 *
 * Not shown: the memory model (a missing __threadfence, visibility between blocks), races in global memory that neither
 * order shows, occupancy, register and shared memory limits, bank conflicts, alignment of vector accesses, contraction to
 * fused multiply-adds, the device's own math functions and their last bits, and every question of speed. */
#ifndef WEIR_TESTS_EMULATION_H
#define WEIR_TESTS_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { WEIR_EMULATED_CLOSURE = 768, WEIR_EMULATED_WARP = 32 };

/* One launch: plain data, so that a stream can keep it and run it later. */
struct weir_emulated_call {
    const char *name;
    uint64_t kernel; /* tells kernels of one name apart */
    unsigned grid[3], block[3];
    void (*run)(const void *closure); /* the kernel, as one thread */
    uint64_t closure[WEIR_EMULATED_CLOSURE / 8];
};

/* What threadIdx and its kind are read from; of the running thread. */
struct weir_emulated_index {
    unsigned x, y, z;
};

struct weir_emulated_place {
    struct weir_emulated_index thread, block, block_size, grid;
    unsigned index, warp, lane;    /* of the thread in its block, of its warp, in its warp */
    uint64_t block_serial;         /* a number of this run of this block */
    uint64_t interval;             /* a number of the time since the block's last barrier */
    uint64_t warp_interval;        /* the same, counting __syncwarp of this warp too */
};

/* Who used an element of a shared array last.  A number of an interval that is over means nobody. */
struct weir_emulated_log {
    uint64_t written, read;           /* interval */
    uint64_t written_warp, read_warp; /* warp_interval */
    uint16_t writer, reader;          /* thread */
    bool other_warps, other_threads;  /* more readers in this interval: of other warps, of the reader's warp */
};

enum weir_emulated_order { WEIR_EMULATED_ASCENDING, WEIR_EMULATED_DESCENDING };

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_EMULATED_LOCAL __thread /* not thread_local, which C++ reads through a function */

extern WEIR_EMULATED_LOCAL struct weir_emulated_place *weir_emulated_now;

/* What WEIR_LAUNCH calls.  Weak: a stand-in of the CUDA runtime that has streams puts its own in its place, keeps the call
 * and runs it with weir_emulated_run when the stream is that far. */
weir_status weir_emulated_launch(void *stream, const struct weir_emulated_call *call);

/* Run all blocks of a launch on this thread, to the end. */
weir_status weir_emulated_run(const struct weir_emulated_call *call);

/* The order of blocks and threads from now on, for launches of this thread. */
void weir_emulated_set_order(enum weir_emulated_order order);

/* Release the fibers of this thread, and its shared arrays. */
void weir_emulated_release(void);

/* ---- called by running threads ------------------------------------------------------------------------------------- */

enum weir_emulated_wait { WEIR_WAIT_NONE, WEIR_WAIT_BARRIER, WEIR_WAIT_SYNCWARP, WEIR_WAIT_SHUFFLE, WEIR_WAIT_VOTE };

/* __syncthreads_or: whether any thread of the block said so. */
bool weir_emulated_barrier(bool say, const char *file, int line);

/* Wait for the lanes of `mask`, then the value of lane `source` (taken modulo 32). */
uint64_t weir_emulated_exchange(enum weir_emulated_wait what, unsigned mask, uint64_t value, unsigned source,
                                const char *file, int line);

/* Record a mistake of the running thread and leave the kernel; does not return. */
void weir_emulated_fault(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* `bytes` of zeros for this thread, also in *slot, until it releases its fibers; then *slot is NULL again. */
void *weir_emulated_keep(void **slot, size_t bytes);

/* Note an access to an element of a shared array. */
void weir_emulated_access(struct weir_emulated_log *log, size_t index, bool write);

#ifdef __cplusplus
}
#endif

#endif
