/* Issuing to streams of the cpu device: the ring's producer side, opening, closing and synchronising. */
#include "engine/device/cpu/cpu_device.h"

#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/process.h"

/* Block the issuing thread until `target` tasks are done; false: the deadline came first. */
static bool head_wait(struct weir_cpu_stream *stream, uint32_t target, int64_t deadline_ns)
{
    atomic_store_explicit(&stream->wanted, target, memory_order_relaxed);
    return weir_futex_wait(&stream->head, target, weir_cpu_issuer_may_spin(stream->device), deadline_ns, WEIR_FUTEX_THREADS);
}

static uint32_t tail_of(const struct weir_cpu_stream *stream)
{
    return atomic_load_explicit(&stream->tail.value, memory_order_relaxed); /* the issuing thread's own */
}

weir_status weir_cpu_here(const struct weir_cpu_device *device)
{
    return weir_process_check(device->process, "a device of kind 'cpu'");
}

/* A full ring is left alone until a quarter of it is free, so that the issuing thread is not woken for every task. */
weir_status weir_cpu_issue(struct weir_cpu_stream *stream, const struct weir_cpu_task *task)
{
    uint32_t tail = tail_of(stream);
    weir_status status = weir_cpu_here(stream->device);
    if (status)
        return status;
    if (!weir_futex_reached(&stream->head, tail + 1 - stream->capacity))
        head_wait(stream, tail + 1 - stream->capacity + stream->capacity / 4, WEIR_FUTEX_FOREVER);
    stream->ring[tail & stream->mask] = *task;
    weir_futex_set(&stream->tail, tail + 1, WEIR_FUTEX_THREADS);
    if (stream->stream_class == WEIR_STREAM_EDGE) {
        struct weir_cpu_ready ready = {0};
        weir_cpu_edge_kick(stream, WEIR_CPU_KICKED, &ready);
        weir_cpu_ready_run(&ready);
    }
    return WEIR_OK;
}

weir_status weir_cpu_stream_sync(struct weir_cpu_stream *stream, int64_t timeout_ns)
{
    int64_t now = weir_clock_ns();
    weir_status status = weir_cpu_here(stream->device);
    if (status)
        return status;
    bool bounded = timeout_ns >= 0 && timeout_ns < WEIR_FUTEX_FOREVER - now;
    if (!head_wait(stream, tail_of(stream), bounded ? now + timeout_ns : WEIR_FUTEX_FOREVER))
        return WEIR_FAIL(WEIR_ERR_TIMEOUT, "a cpu stream did not finish its tasks in %.3f s", (double)timeout_ns * 1e-9);
    if (stream->failure)
        weir_error_put(stream->message);
    return stream->failure;
}

weir_status weir_cpu_stream_reset(struct weir_cpu_stream *stream)
{
    weir_status status = weir_cpu_here(stream->device);
    if (status)
        return status;
    if (!weir_futex_reached(&stream->head, tail_of(stream)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a stream with unfinished tasks cannot be reset: synchronise it first");
    stream->failure = WEIR_OK; /* edge: the next task's tail publishes it */
    stream->message[0] = 0;
    return WEIR_OK;
}

/* The worker takes no signals, they are for the program's own threads, except those that its own instructions raise. */
static weir_status worker_start(struct weir_cpu_stream *stream)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
        sigdelset(&blocked, own[k]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int reason = pthread_create(&stream->thread, NULL, weir_cpu_worker, stream);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (reason)
        return WEIR_FAIL(WEIR_ERR_DEVICE, "cannot start the thread of a cpu stream: %s", strerror(reason));
    pthread_setname_np(stream->thread, "weir-compute");
    weir_cpu_worker_enter(stream);
    return WEIR_OK;
}

static uint32_t ring_slots(size_t capacity)
{
    uint32_t slots = 1;
    while (slots < capacity)
        slots *= 2;
    return slots;
}

static void stream_init(struct weir_cpu_stream *stream, struct weir_cpu_device *device,
                        enum weir_stream_class stream_class, size_t capacity)
{
    stream->device = device;
    stream->stream_class = stream_class;
    stream->capacity = (uint32_t)capacity;
    stream->mask = ring_slots(capacity) - 1;
    weir_futex_init(&stream->tail, WEIR_CPU_FIRST);
    weir_futex_init(&stream->head, WEIR_CPU_FIRST);
    atomic_init(&stream->wanted, WEIR_CPU_FIRST);
    atomic_init(&stream->claim, 0);
}

weir_status weir_cpu_stream_open(struct weir_cpu_device *device, enum weir_stream_class stream_class, size_t capacity,
                                 struct weir_cpu_stream **stream_out)
{
    if (capacity < 1 || capacity > 1u << 30)
        return WEIR_FAIL(WEIR_ERR_INVALID, "capacity of a stream is %zu, it must be from 1 to 2^30", capacity);
    struct weir_cpu_stream *stream;
    weir_status status = weir_cpu_here(device);
    if (!status)
        status = weir_alloc(1, sizeof *stream, &stream);
    if (status)
        return status;
    stream_init(stream, device, stream_class, capacity);
    status = weir_alloc(ring_slots(capacity), sizeof *stream->ring, &stream->ring);
    if (status)
        goto free_stream;
    if (stream_class == WEIR_STREAM_COMPUTE)
        status = worker_start(stream);
    if (status)
        goto free_ring;
    *stream_out = stream;
    return WEIR_OK;
free_ring:
    weir_free(stream->ring);
free_stream:
    weir_free(stream);
    return status;
}

void weir_cpu_stream_close(struct weir_cpu_stream *stream)
{
    if (!weir_process_is(stream->device->process))
        return;
    if (stream->stream_class == WEIR_STREAM_COMPUTE) {
        weir_cpu_issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_STOP});
        pthread_join(stream->thread, NULL);
        weir_cpu_worker_leave(stream);
    } else {
        head_wait(stream, tail_of(stream), WEIR_FUTEX_FOREVER);
        /* edge: last owner ─▶ closing thread: it looks at the ring once more before it lets go */
        while (atomic_load_explicit(&stream->claim, memory_order_acquire))
            sched_yield();
    }
    weir_free(stream->ring);
    weir_free(stream);
}
