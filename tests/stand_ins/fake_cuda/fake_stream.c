/* Streams and events of the stand-in. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_state.h"

static struct CUstream_st *streams[1024]; /* guarded by the lock */
static int n_streams;

int64_t fake_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void fake_moment_release(struct fake_moment *moment)
{
    if (moment && --moment->references == 0)
        free(moment);
}

/* ---- the thread of a stream ---------------------------------------------------------------------------------------- */

static bool may_begin(const struct fake_task *task)
{
    if (fake.machine.mode == WEIR_FAKE_LAZY && task->serial > fake.flushed)
        return false;
    return task->kind != FAKE_WAIT || task->moment->done;
}

/* Now and then up to 200 microseconds. */
static void pause_maybe(struct CUstream_st *stream)
{
    unsigned draw = fake_draw(&stream->random);
    if (draw % 8 == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(draw % 200000)}, NULL);
}

static void copy_run(const struct fake_task *task)
{
    int to = FAKE_HOST, from = FAKE_HOST;
    if (!fake_find(task->to, task->bytes, &to) || !fake_find(task->from, task->bytes, &from)) {
        fake_break(cudaErrorInvalidValue, "a copy of %zu bytes from %p to %p touches memory that is neither one device "
                   "block nor pinned", task->bytes, (void *)(size_t)task->from, task->to);
        return;
    }
    const int open[] = {to, from};
    for (int i = 0; i < 2; i++)
        if (open[i] != FAKE_HOST)
            fake_memory_open(open[i]);
    pthread_mutex_unlock(&fake.lock);
    memmove(task->to, task->from, task->bytes);
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < 2; i++)
        if (open[i] != FAKE_HOST)
            fake_memory_close(open[i]);
}

/* A kernel sees the memory of its GPU and of enabled peers; a host function sees none. */
static void memory_see(struct CUstream_st *stream, bool of_kernels)
{
    for (int d = 0; d < WEIR_FAKE_DEVICES; d++) {
        bool sees = of_kernels && (d == stream->device || fake.reaches[stream->device][d]);
        if (sees && !stream->sees[d])
            fake_memory_open(d);
        else if (!sees && stream->sees[d])
            fake_memory_close(d);
        stream->sees[d] = sees;
    }
}

static bool is_kernel(const struct fake_task *task)
{
    return task && task->kind == FAKE_CALL && task->launch;
}

static void call_run(struct CUstream_st *stream, const struct fake_task *task)
{
    char reason[FAKE_REASON];
    int failed = 0;
    memory_see(stream, is_kernel(task));
    pthread_mutex_unlock(&fake.lock);
    if (task->launch)
        failed = fake_launch_run(task->launch, reason);
    else
        task->fn(task->argument);
    pthread_mutex_lock(&fake.lock);
    if (failed)
        fake_break(cudaErrorLaunchFailure, "%s", reason);
}

static void task_run(struct CUstream_st *stream, struct fake_task *task)
{
    if (task->kind == FAKE_COPY && !fake.sticky)
        copy_run(task);
    else if (task->kind == FAKE_CALL && (!fake.sticky || !task->launch))
        call_run(stream, task);
    else if (task->kind == FAKE_RECORD)
        *task->moment = (struct fake_moment){task->moment->references, true, fake_now()};
}

static void *stream_thread(void *argument)
{
    struct CUstream_st *stream = argument;
    pthread_mutex_lock(&fake.lock);
    while (!stream->stop || stream->first) {
        struct fake_task *task = stream->first;
        if (!task || !may_begin(task)) {
            pthread_cond_wait(&fake.changed, &fake.lock);
            continue;
        }
        if (fake.machine.mode == WEIR_FAKE_RANDOM) {
            pthread_mutex_unlock(&fake.lock);
            pause_maybe(stream);
            pthread_mutex_lock(&fake.lock);
        }
        task_run(stream, task);
        /* between kernels that follow each other it stays open: opening is slow */
        if (!is_kernel(task->next) || !may_begin(task->next) || fake.sticky)
            memory_see(stream, false);
        stream->first = task->next;
        if (!stream->first)
            stream->end = &stream->first;
        stream->n_done++;
        fake_moment_release(task->moment);
        free(task->launch);
        free(task);
        pthread_cond_broadcast(&fake.changed);
    }
    pthread_mutex_unlock(&fake.lock);
    fake_launch_release();
    return NULL;
}

/* ---- issuing ------------------------------------------------------------------------------------------------------- */

struct fake_task *fake_issue(cudaStream_t stream, enum fake_kind kind)
{
    struct fake_task *task = calloc(1, sizeof *task);
    if (!task)
        abort();
    task->kind = kind;
    task->serial = ++fake.serial;
    *stream->end = task;
    stream->end = &task->next;
    stream->n_issued++;
    pthread_cond_broadcast(&fake.changed);
    return task;
}

void fake_flush(void)
{
    fake.flushed = fake.serial;
    pthread_cond_broadcast(&fake.changed);
}

void fake_stream_follow(cudaStream_t stream, cudaStream_t other)
{
    struct fake_moment *moment = calloc(1, sizeof *moment);
    if (!moment)
        abort();
    moment->references = 2;
    fake_issue(other, FAKE_RECORD)->moment = moment;
    fake_issue(stream, FAKE_WAIT)->moment = moment;
}

static void stream_drain(struct CUstream_st *stream)
{
    uint64_t target = stream->n_issued;
    fake_flush();
    while (stream->n_done < target)
        pthread_cond_wait(&fake.changed, &fake.lock);
}

void fake_streams_drain(int device)
{
    for (int i = 0; i < n_streams; i++)
        if (streams[i]->device == device)
            stream_drain(streams[i]);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (!error && (kind != cudaMemcpyDefault || !stream))
        error = cudaErrorInvalidValue;
    if (!error) {
        struct fake_task *task = fake_issue(stream, FAKE_COPY);
        task->to = to, task->from = from, task->bytes = bytes;
    }
    return fake_leave(error);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *argument)
{
    cudaError_t error = fake_enter();
    if (!error) {
        struct fake_task *task = fake_issue(stream, FAKE_CALL);
        task->fn = fn, task->argument = argument;
    }
    return fake_leave(error);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (!error && stream && stream->device != event->device)
        error = cudaErrorInvalidResourceHandle;
    if (!error) {
        fake_moment_release(event->latest);
        event->latest = calloc(1, sizeof *event->latest);
        if (!event->latest)
            abort();
        event->latest->references = 1;
        if (stream) {
            event->latest->references = 2;
            fake_issue(stream, FAKE_RECORD)->moment = event->latest;
        } else { /* the default stream has nothing to do */
            event->latest->done = true;
            event->latest->ns = fake_now();
        }
    }
    return fake_leave(error);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    cudaError_t error = fake_enter();
    if (!error && flags)
        error = cudaErrorInvalidValue;
    if (!error && event->latest) {
        event->latest->references++;
        fake_issue(stream, FAKE_WAIT)->moment = event->latest;
    }
    return fake_leave(error);
}

/* ---- streams ------------------------------------------------------------------------------------------------------- */

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    cudaError_t error = fake_enter();
    *least = FAKE_PRIORITY_LEAST;
    *greatest = FAKE_PRIORITY_GREATEST;
    return fake_leave(error);
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority)
{
    cudaError_t error = fake_enter();
    *priority = stream->priority;
    return fake_leave(error);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return cudaStreamCreateWithPriority(stream, flags, FAKE_PRIORITY_LEAST);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    cudaError_t error = fake_enter();
    struct CUstream_st *made = NULL;
    bool refused = flags != cudaStreamNonBlocking || priority > FAKE_PRIORITY_LEAST || priority < FAKE_PRIORITY_GREATEST;
    if (!error && (refused || n_streams == 1024 || !(made = calloc(1, sizeof *made))))
        error = cudaErrorInvalidValue;
    if (!error) {
        made->device = fake_current();
        made->priority = priority;
        made->random = fake.machine.seed * 1000 + (uint64_t)n_streams;
        made->end = &made->first;
        if (pthread_create(&made->thread, NULL, stream_thread, made) != 0)
            error = cudaErrorUnknown;
    }
    if (!error) {
        streams[n_streams++] = made;
        fake.n_open++;
        *stream = made;
    } else {
        free(made);
    }
    return fake_leave(error);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    pthread_mutex_lock(&fake.lock);
    stream->stop = true;
    fake_flush();
    pthread_mutex_unlock(&fake.lock);
    pthread_join(stream->thread, NULL);
    pthread_mutex_lock(&fake.lock);
    int i = 0;
    while (streams[i] != stream)
        i++;
    streams[i] = streams[--n_streams];
    fake.n_open--;
    free(stream);
    return fake_leave(fake.sticky);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (!error)
        stream_drain(stream);
    return fake_leave(error ? error : fake.sticky);
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    fake_flush();
    if (!error && stream->n_done < stream->n_issued)
        error = cudaErrorNotReady;
    return fake_leave(error);
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    cudaError_t error = fake_enter();
    struct CUevent_st *made = error ? NULL : calloc(1, sizeof *made);
    if (!error && !made)
        error = cudaErrorMemoryAllocation;
    if (!error) {
        *made = (struct CUevent_st){.device = fake_current(), .flags = flags};
        fake.n_open++;
        *event = made;
    }
    return fake_leave(error);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    pthread_mutex_lock(&fake.lock);
    fake_moment_release(event->latest);
    free(event);
    fake.n_open--;
    return fake_leave(fake.sticky);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    cudaError_t error = fake_enter();
    fake_flush();
    if (!error && event->latest && !event->latest->done)
        error = cudaErrorNotReady;
    return fake_leave(error);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaError_t error = fake_enter();
    fake_flush();
    struct fake_moment *moment = error ? NULL : event->latest;
    if (moment)
        moment->references++;
    while (moment && !moment->done)
        pthread_cond_wait(&fake.changed, &fake.lock);
    fake_moment_release(moment);
    return fake_leave(error ? error : fake.sticky);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    cudaError_t error = fake_enter();
    if (!error && (start->device != end->device || ((start->flags | end->flags) & cudaEventDisableTiming) ||
                   !start->latest || !end->latest))
        error = cudaErrorInvalidResourceHandle;
    if (!error && (!start->latest->done || !end->latest->done))
        error = cudaErrorNotReady;
    if (!error)
        *milliseconds = (float)((double)(end->latest->ns - start->latest->ns) * 1e-6);
    return fake_leave(error);
}
