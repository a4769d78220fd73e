/* What the files of the stand-in share.  One lock guards everything; one condition tells of every change. */
#ifndef WEIR_TESTS_FAKE_STATE_H
#define WEIR_TESTS_FAKE_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include <cuda_runtime_api.h>

#include "fake_cuda.h"

enum { FAKE_PRIORITY_LEAST = 0, FAKE_PRIORITY_GREATEST = -5 };
enum { FAKE_RANGES = 4096, FAKE_HOST = WEIR_FAKE_HOST, FAKE_REASON = 600, FAKE_FILLED = 16 << 20 };

/* A block of memory. */
struct fake_range {
    char *at;
    size_t bytes, mapped;
    int device; /* or FAKE_HOST */
};

/* One record of an event: a wait holds the moment, not the event, which may be recorded again. */
struct fake_moment {
    int references;
    bool done;
    int64_t ns;
};

enum fake_kind { FAKE_COPY, FAKE_CALL, FAKE_RECORD, FAKE_WAIT };

struct fake_task {
    struct fake_task *next;
    enum fake_kind kind;
    uint64_t serial;
    void *to;
    const void *from;
    size_t bytes;
    cudaHostFn_t fn; /* CALL: of the host */
    void *argument;
    void *launch; /* CALL: a kernel, freed behind it */
    struct fake_moment *moment;
};

struct CUstream_st {
    int device, priority;
    pthread_t thread;
    struct fake_task *first, **end;
    uint64_t n_issued, n_done, random;
    bool stop, sees[WEIR_FAKE_DEVICES]; /* memory that its kernels have open */
};

struct CUevent_st {
    int device;
    unsigned flags;
    struct fake_moment *latest; /* NULL: never recorded */
};

struct fake_state {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct weir_fake_machine machine;
    int first_number; /* in the machine, of device 0: what the driver shows of it is all the process knows */
    struct fake_range ranges[FAKE_RANGES];
    int n_ranges;
    size_t used[WEIR_FAKE_DEVICES], taken[WEIR_FAKE_DEVICES];
    size_t asked[WEIR_FAKE_DEVICES + 1], most_asked[WEIR_FAKE_DEVICES + 1]; /* the last: pinned on the host */
    int busy[WEIR_FAKE_DEVICES]; /* pieces of work for which the memory is open */
    bool reaches[WEIR_FAKE_DEVICES][WEIR_FAKE_DEVICES];
    uint64_t serial, flushed; /* work up to `flushed` may begin */
    int n_open;
    unsigned n_callers; /* threads that were delayed */
    int64_t n_calls, fail_at;
    cudaError_t fail_with, sticky;
    bool fail_sticky;
    char reason[FAKE_REASON];
};

extern struct fake_state fake;

/* ---- fake_error.c -------------------------------------------------------------------------------------------------- */

/* The beginning of every call that can fail: takes the lock.  Then fake_leave() gives it back and the call's result. */
cudaError_t fake_enter(void);
cudaError_t fake_leave(cudaError_t error);

/* With the lock: a kernel or copy failed; from now on every call does. */
void fake_break(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* With the lock: what weir_fake_reason() says, when nothing has been said yet. */
void fake_reason_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

int fake_current(void); /* the thread's current device */
unsigned fake_draw(uint64_t *random); /* 24 bits */

/* ---- fake_memory.c, with the lock ---------------------------------------------------------------------------------- */

/* The device of `bytes` bytes at `at`, or FAKE_HOST for pinned memory; false: they are not of one block. */
bool fake_find(const void *at, size_t bytes, int *device_out);

/* Open a device's memory, and close it when nobody uses it any more. */
void fake_memory_open(int device);
void fake_memory_close(int device);

/* ---- fake_stream.c, with the lock ---------------------------------------------------------------------------------- */
struct fake_task *fake_issue(cudaStream_t stream, enum fake_kind kind); /* to be filled before the lock is given back */
void fake_flush(void);
void fake_stream_follow(cudaStream_t stream, cudaStream_t other); /* what comes waits for what `other` has now */
void fake_streams_drain(int device); /* wait for all streams of the device */
void fake_moment_release(struct fake_moment *moment);
int64_t fake_now(void);

/* ---- fake_launch.c: without the lock, memory open ------------------------------------------------------------------ */
int fake_launch_run(void *launch, char reason_out[FAKE_REASON]); /* 0: ok */
void fake_launch_release(void); /* what the thread kept for running kernels */

#endif
