/* Running tasks: on the worker of a compute stream, and on whatever thread owns an edge stream. */
#include "engine/device/cpu/cpu_device.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* The first failure stays; its message moves from this thread to the stream. */
static void stream_poison(struct weir_cpu_stream *stream, weir_status status)
{
    stream->failure = status;
    weir_error_take(stream->message);
    if (!stream->message[0])
        snprintf(stream->message, sizeof stream->message, "a kernel failed: %s", weir_status_str(status));
    weir_error_put("");
}

static void task_compute(struct weir_cpu_stream *stream, const struct weir_cpu_task *task)
{
    if (stream->failure)
        return;
    weir_status status = task->kind == WEIR_CPU_LAUNCH ? task->launch.fn(task->launch.call, NULL)
                                                       : task->run.fn(task->run.argument);
    if (status)
        stream_poison(stream, status);
}

static void task_run(struct weir_cpu_stream *stream, const struct weir_cpu_task *task, struct weir_cpu_ready *ready)
{
    switch (task->kind) {
    case WEIR_CPU_LAUNCH:
    case WEIR_CPU_RUN:
        task_compute(stream, task);
        break;
    case WEIR_CPU_COPY:
        if (!stream->failure && task->copy.bytes)
            memmove(task->copy.destination, task->copy.source, task->copy.bytes);
        break;
    case WEIR_CPU_MARK:
        *task->ns_out = weir_clock_ns();
        break;
    case WEIR_CPU_RECORD:
        weir_cpu_event_record(task->event, task->generation, ready);
        break;
    case WEIR_CPU_WAIT:
    case WEIR_CPU_STOP:
        break;
    }
}

/* What `task` must wait for.  A record waits for the record before it, which another stream may have: the counter of an
 * event goes through its values in the order in which the records were issued. */
static struct weir_cpu_event *task_dependency(const struct weir_cpu_task *task, uint32_t *target_out)
{
    if (task->kind != WEIR_CPU_RECORD && task->kind != WEIR_CPU_WAIT)
        return NULL;
    *target_out = task->kind == WEIR_CPU_WAIT ? task->generation : task->generation - 1;
    return task->event;
}

/* edge: task ─▶ issuing thread, which may reuse the slot, or read what the tasks wrote.  The issuing thread is woken
 * when head reaches what it wants, not after each task. */
static void stream_retire(struct weir_cpu_stream *stream, uint32_t head)
{
    atomic_store(&stream->head.value, head);
    if (!atomic_load(&stream->head.n_sleepers))
        return;
    if (weir_futex_passed(head, atomic_load_explicit(&stream->wanted, memory_order_relaxed)))
        weir_futex_wake(&stream->head, WEIR_FUTEX_THREADS);
}

static void worker_await(const struct weir_cpu_stream *stream, struct weir_futex *futex, uint32_t target)
{
    weir_futex_wait(futex, target, weir_cpu_worker_may_spin(stream->device), WEIR_FUTEX_FOREVER, WEIR_FUTEX_THREADS);
}

void *weir_cpu_worker(void *argument)
{
    struct weir_cpu_stream *stream = argument;
    enum weir_cpu_task_kind kind;
    uint32_t head = WEIR_CPU_FIRST;
    do {
        /* edge: issuing thread ─▶ worker: the slot is written before tail moves */
        worker_await(stream, &stream->tail, head + 1);
        const struct weir_cpu_task *task = &stream->ring[head & stream->mask];
        kind = task->kind;
        uint32_t target;
        struct weir_cpu_event *event = task_dependency(task, &target);
        if (event) /* edge: the stream that records ─▶ this one */
            worker_await(stream, &event->done, target);
        struct weir_cpu_ready ready = {0};
        task_run(stream, task, &ready);
        weir_cpu_ready_run(&ready);
        stream_retire(stream, ++head);
    } while (kind != WEIR_CPU_STOP);
    return NULL;
}

/* ---- edge streams ------------------------------------------------------------------------------------------------ */

/* Run tasks until one must wait (the stream is parked then) or none is left. */
static void edge_advance(struct weir_cpu_stream *stream, struct weir_cpu_ready *ready)
{
    uint32_t head = atomic_load_explicit(&stream->head.value, memory_order_relaxed);
    for (; weir_futex_reached(&stream->tail, head + 1); head++) {
        const struct weir_cpu_task *task = &stream->ring[head & stream->mask];
        uint32_t target;
        struct weir_cpu_event *event = task_dependency(task, &target);
        if (event && !weir_futex_reached(&event->done, target)) {
            weir_cpu_event_park(event, target, stream, ready);
            return;
        }
        task_run(stream, task, ready);
        stream_retire(stream, head + 1);
    }
}

/* The owner takes the bits before it looks at the ring, and lets go only if no bit came since: a task issued or an event
 * recorded in between is never missed.  After letting go it does not touch the stream. */
static void edge_run(struct weir_cpu_stream *stream, struct weir_cpu_ready *ready)
{
    unsigned owned;
    do {
        unsigned bits = atomic_exchange_explicit(&stream->claim, WEIR_CPU_OWNED, memory_order_acq_rel);
        if (bits & WEIR_CPU_UNPARKED)
            stream->is_parked = false;
        if (!stream->is_parked)
            edge_advance(stream, ready);
        owned = WEIR_CPU_OWNED;
    } while (!atomic_compare_exchange_strong_explicit(&stream->claim, &owned, 0, memory_order_acq_rel,
                                                      memory_order_relaxed));
}

void weir_cpu_ready_run(struct weir_cpu_ready *ready)
{
    while (ready->first) {
        struct weir_cpu_stream *stream = ready->first;
        ready->first = stream->next_ready;
        edge_run(stream, ready);
    }
}
