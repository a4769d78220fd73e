/* What the files of the cpu device share.
 *
 * Everything that waits, waits on a counter that only grows (base/futex.h).
 *
 *     issuing thread             worker of stream A                     worker of stream B
 *     ring slot, tail ─────────▶ sleeps on tail, runs tasks
 *     sleeps on head      ◀───── head, after each task
 *                                record: event's done ────────────────▶ wait: sleeps on done
 *                                        └─ parked edge streams are run here, inline
 *
 * Edge streams have a ring but no thread.  The word `claim` says who runs one: whoever sets OWNED first owns the stream,
 * runs its tasks until one must wait or none is left, and lets go by a compare-and-swap that fails when somebody left a
 * bit behind in the meantime.  A stream that must wait parks itself on the event's list and is then run only by whoever
 * takes it off that list.  Streams that become runnable while a thread runs another go to that thread's ready list, so
 * the stack does not grow with the length of a chain.
 *
 * Counters start shortly before 2^32, so that every run goes through their wrap. */
#ifndef WEIR_ENGINE_DEVICE_CPU_CPU_DEVICE_H
#define WEIR_ENGINE_DEVICE_CPU_CPU_DEVICE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/futex.h"
#include "engine/device/device.h"

enum {
    WEIR_CPU_LINE = 64,            /* bytes of a cache line */
    WEIR_CPU_MOST_CORES = 1 << 13, /* hardware threads that the sets below can hold */
};
#define WEIR_CPU_FIRST 0xffffff00u /* first value of every counter */

/* ---- device, stream, event --------------------------------------------------------------------------------------- */
struct weir_cpu_cores {
    int n;                                                  /* cores that this process may use */
    bool bindable;                                          /* `chosen` are some of them */
    cpu_set_t chosen[WEIR_CPU_MOST_CORES / CPU_SETSIZE];    /* their hardware threads */
    cpu_set_t allowed[WEIR_CPU_MOST_CORES / CPU_SETSIZE];   /* hardware threads that the process may use */
};

struct weir_cpu_device {
    uint32_t process; /* that opened it (base/process.h) */
    int index, n_threads;
    bool is_crowded; /* set before any stream is there */
    struct weir_cpu_cores cores;
    struct weir_cpu_block *blocks; /* memory handed out, newest first */
};

struct weir_cpu_event {
    char before[WEIR_CPU_LINE]; /* events that are neighbours in memory share no line */
    uint32_t issued;            /* records issued; the issuing thread's own */
    struct weir_futex done;     /* records that happened */
    _Atomic(struct weir_cpu_stream *) parked; /* edge streams that wait, linked by next_parked */
    char after[WEIR_CPU_LINE];
};

enum weir_cpu_task_kind { WEIR_CPU_LAUNCH, WEIR_CPU_RUN, WEIR_CPU_COPY, WEIR_CPU_MARK, WEIR_CPU_RECORD, WEIR_CPU_WAIT,
                          WEIR_CPU_STOP };

struct weir_cpu_task {
    enum weir_cpu_task_kind kind;
    uint32_t generation; /* record, wait: of the event */
    union {
        struct {
            weir_kernel_fn fn;
            const struct weir_op_call *call;
        } launch;
        struct {
            weir_task_fn fn;
            void *argument;
        } run;
        struct {
            void *destination;
            const void *source;
            size_t bytes;
        } copy;
        int64_t *ns_out;
        struct weir_cpu_event *event;
    };
};

/* Bits of `claim`. */
enum { WEIR_CPU_OWNED = 1, WEIR_CPU_KICKED = 2, WEIR_CPU_UNPARKED = 4 };

struct weir_cpu_stream {
    /* set at opening */
    struct weir_cpu_device *device;
    enum weir_stream_class stream_class;
    struct weir_cpu_task *ring;
    uint32_t capacity, mask;
    pthread_t thread;                 /* compute */
    struct weir_cpu_stream *next_worker; /* compute: the process's list of workers (cpu_bind.c) */
    bool is_bound;                    /* compute: to its device's core */

    /* issuing thread writes */
    char pad_tail[WEIR_CPU_LINE];
    struct weir_futex tail;           /* tasks issued */
    _Atomic uint32_t wanted;          /* value of head that the issuing thread sleeps for; published by n_sleepers */

    /* whoever runs the stream's tasks writes */
    char pad_head[WEIR_CPU_LINE];
    struct weir_futex head;           /* tasks done */
    weir_status failure;              /* first failure, published by head */
    bool is_parked;                   /* edge: on an event's list */
    struct weir_cpu_stream *next_parked; /* edge: link of that list */
    struct weir_cpu_stream *next_ready;  /* edge: link of the owner's ready list */

    char pad_claim[WEIR_CPU_LINE];
    _Atomic unsigned claim;           /* edge */
    char message[WEIR_ERROR_MAX];     /* of the first failure */
};

/* Edge streams that the calling thread owns and has yet to run. */
struct weir_cpu_ready {
    struct weir_cpu_stream *first, *last;
};

/* ---- cpu_task.c: running tasks ----------------------------------------------------------------------------------- */
void *weir_cpu_worker(void *stream); /* the thread of a compute stream */

void weir_cpu_ready_run(struct weir_cpu_ready *ready); /* edge streams, until none of them can go on */

/* ---- cpu_event.c ------------------------------------------------------------------------------------------------- */
weir_status weir_cpu_event_open(struct weir_cpu_event **event_out); /* freed with weir_free */
bool weir_cpu_event_done(const struct weir_cpu_event *event);
void weir_cpu_event_record(struct weir_cpu_event *event, uint32_t generation, struct weir_cpu_ready *ready);
/* Leave `bit` in the stream's claim; becomes the owner (the stream goes to `ready`) when nobody is. */
void weir_cpu_edge_kick(struct weir_cpu_stream *stream, unsigned bit, struct weir_cpu_ready *ready);
/* Park `stream` until the event may have reached `target`; the owner of the stream calls it. */
void weir_cpu_event_park(struct weir_cpu_event *event, uint32_t target, struct weir_cpu_stream *stream,
                         struct weir_cpu_ready *ready);

/* ---- cpu_stream.c: issuing --------------------------------------------------------------------------------------- */
weir_status weir_cpu_stream_open(struct weir_cpu_device *device, enum weir_stream_class stream_class, size_t capacity,
                                 struct weir_cpu_stream **stream_out);
void weir_cpu_stream_close(struct weir_cpu_stream *stream);
/* In a child after fork() there is no worker: WEIR_ERR_INVALID from all but close, which does nothing. */
weir_status weir_cpu_here(const struct weir_cpu_device *device);
weir_status weir_cpu_issue(struct weir_cpu_stream *stream, const struct weir_cpu_task *task);
weir_status weir_cpu_stream_sync(struct weir_cpu_stream *stream, int64_t timeout_ns);
weir_status weir_cpu_stream_reset(struct weir_cpu_stream *stream);

/* ---- cpu_memory.c ------------------------------------------------------------------------------------------------ */
weir_status weir_cpu_memory_alloc(struct weir_cpu_device *device, size_t bytes, void **memory_out);
void weir_cpu_memory_free(struct weir_cpu_device *device, void *memory);
weir_status weir_cpu_memory_info(size_t *free_out, size_t *total_out);

/* ---- cpu_topology.c: which cores there are ----------------------------------------------------------------------- */
void weir_cpu_cores_find(int first, int n, struct weir_cpu_cores *cores_out); /* chosen: n cores from number `first` on */

/* ---- cpu_bind.c: the workers of the process ---------------------------------------------------------------------- */
void weir_cpu_worker_enter(struct weir_cpu_stream *stream);
void weir_cpu_worker_leave(struct weir_cpu_stream *stream);
/* A thread that waits may spin: with it, no more threads than cores are busy. */
bool weir_cpu_worker_may_spin(const struct weir_cpu_device *device);
bool weir_cpu_issuer_may_spin(const struct weir_cpu_device *device);

#endif
