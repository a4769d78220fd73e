#include "prompt_device.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/device/device.h"
#include "kernels/cpu/cpu.h"
#include "kernels/vector.h"

enum { MOST_THREADS = 8 };

struct weir_device {
    int index;
};

struct weir_stream {
    int device;
};

/* Not atomic: threads that use an event must be ordered by whoever runs them. */
struct weir_event {
    int run; /* that recorded it last */
};

static struct {
    _Atomic uint64_t seed;
    _Atomic int64_t n_calls, fail_at;
    _Atomic int fail_all, run, early_waits;
    pthread_mutex_t lock;
    pthread_t threads[PROMPT_DEVICES][MOST_THREADS]; /* guarded by lock */
    int n_threads[PROMPT_DEVICES];
} prompt = {.fail_at = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what the tests set and ask ------------------------------------------------------------------------------------- */

void prompt_set(uint64_t seed, int64_t k, int all)
{
    atomic_store(&prompt.seed, seed);
    atomic_store(&prompt.n_calls, 0);
    atomic_store(&prompt.fail_at, k);
    atomic_store(&prompt.fail_all, all);
    atomic_store(&prompt.early_waits, 0);
    pthread_mutex_lock(&prompt.lock);
    memset(prompt.n_threads, 0, sizeof prompt.n_threads);
    pthread_mutex_unlock(&prompt.lock);
}

int64_t prompt_calls(void)
{
    return atomic_load(&prompt.n_calls);
}

int prompt_threads(int device)
{
    pthread_mutex_lock(&prompt.lock);
    int n = prompt.n_threads[device];
    if (n == 1 && pthread_equal(prompt.threads[device][0], pthread_self()))
        n = -1;
    pthread_mutex_unlock(&prompt.lock);
    return n;
}

int prompt_early_waits(void)
{
    return atomic_load(&prompt.early_waits);
}

void prompt_run_begin(void)
{
    atomic_fetch_add(&prompt.run, 1);
}

/* ---- what every call does ------------------------------------------------------------------------------------------- */

static void thread_note(int device)
{
    pthread_mutex_lock(&prompt.lock);
    int n = prompt.n_threads[device], i = 0;
    while (i < n && !pthread_equal(prompt.threads[device][i], pthread_self()))
        i++;
    if (i == n && n < MOST_THREADS)
        prompt.threads[device][prompt.n_threads[device]++] = pthread_self();
    pthread_mutex_unlock(&prompt.lock);
}

static void turn_lose(int64_t call)
{
    uint64_t seed = atomic_load(&prompt.seed), draw = (seed + (uint64_t)call) * 6364136223846793005u;
    if (seed == 0)
        return;
    draw = (draw ^ draw >> 29) * 1442695040888963407u >> 40;
    if (draw % 4 == 0)
        sched_yield();
    if (draw % 32 == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(draw % 100000)}, NULL);
}

static weir_status call_begin(const weir_stream *stream, const char *name)
{
    int64_t call = atomic_fetch_add(&prompt.n_calls, 1), fail_at = atomic_load(&prompt.fail_at);
    thread_note(stream->device);
    turn_lose(call);
    if (fail_at >= 0 && (call == fail_at || (call > fail_at && atomic_load(&prompt.fail_all))))
        return WEIR_FAIL(WEIR_ERR_DEVICE, "prompt device %d: %s was told to fail", stream->device, name);
    return WEIR_OK;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static weir_status context_open(weir_device *device, weir_stream *stream, bool tf32,
                                struct weir_kernel_context **context_out)
{
    (void)device, (void)stream, (void)tf32;
    return weir_kernel_context_open(1, context_out);
}

static void context_close(weir_device *device, struct weir_kernel_context *context)
{
    (void)device;
    weir_kernel_context_close(context);
}

static weir_status device_count(int *n_devices_out)
{
    *n_devices_out = PROMPT_DEVICES;
    return WEIR_OK;
}

static weir_status device_open(int index, int n_threads, weir_device **device_out)
{
    (void)n_threads;
    weir_status status = weir_alloc(1, sizeof **device_out, device_out);
    if (!status)
        (*device_out)->index = index;
    return status;
}

static void device_close(weir_device *device)
{
    weir_free(device);
}

static weir_status device_connect(weir_device *device, weir_device *peer)
{
    (void)device, (void)peer;
    return WEIR_OK;
}

static weir_status memory_alloc(weir_device *device, size_t bytes, void **memory_out)
{
    (void)device;
    return weir_alloc(bytes, 1, memory_out);
}

static void memory_free(weir_device *device, void *memory)
{
    (void)device;
    weir_free(memory);
}

static weir_status memory_info(weir_device *device, size_t *free_out, size_t *total_out)
{
    (void)device;
    *free_out = *total_out = (size_t)1 << 40;
    return WEIR_OK;
}

static weir_status stream_open(weir_device *device, enum weir_stream_class stream_class, size_t capacity,
                               weir_stream **stream_out)
{
    (void)stream_class, (void)capacity;
    weir_status status = weir_alloc(1, sizeof **stream_out, stream_out);
    if (!status)
        (*stream_out)->device = device->index;
    return status;
}

static void stream_close(weir_stream *stream)
{
    weir_free(stream);
}

static weir_status event_open(weir_device *device, weir_event **event_out)
{
    (void)device;
    return weir_alloc(1, sizeof **event_out, event_out);
}

static void event_close(weir_event *event)
{
    weir_free(event);
}

static weir_status stream_native(weir_stream *stream, void **native_out)
{
    (void)stream;
    *native_out = NULL;
    return WEIR_OK;
}

static weir_status stream_launch(weir_stream *stream, weir_kernel_fn fn, const struct weir_op_call *call)
{
    (void)stream;
    return fn(call, NULL);
}

static weir_status stream_run(weir_stream *stream, weir_task_fn fn, void *argument)
{
    (void)stream, (void)fn, (void)argument;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "no host functions here");
}

static weir_status stream_perform(weir_stream *stream, weir_task_fn fn, void *argument)
{
    (void)stream;
    return fn(argument);
}

static weir_status stream_copy(weir_stream *stream, void *destination, const void *source, size_t bytes)
{
    weir_status status = call_begin(stream, "copy");
    if (!status && bytes)
        memmove(destination, source, bytes);
    return status;
}

static weir_status stream_mark(weir_stream *stream, int64_t *ns_out)
{
    (void)stream;
    *ns_out = weir_clock_ns();
    return WEIR_OK;
}

static weir_status stream_record(weir_stream *stream, weir_event *event)
{
    weir_status status = call_begin(stream, "record");
    if (!status)
        event->run = atomic_load(&prompt.run);
    return status;
}

static weir_status stream_wait(weir_stream *stream, weir_event *event)
{
    weir_status status = call_begin(stream, "wait");
    if (!status && event->run != atomic_load(&prompt.run))
        atomic_fetch_add(&prompt.early_waits, 1);
    return status;
}

static weir_status stream_sync(weir_stream *stream, int64_t timeout_ns)
{
    (void)stream, (void)timeout_ns;
    return WEIR_OK;
}

static weir_status stream_reset(weir_stream *stream)
{
    (void)stream;
    return WEIR_OK;
}

const struct weir_device_kind weir_device_cuda = {
    .name = "cuda",
    .summary = "prompt devices",
    .flags = WEIR_DEVICE_HOST_MEMORY,
    .launch_transport = "shm",
    .mpi_transport = "mpi",
    .tensor_device = WEIR_DEVICE_TYPE_CPU,
    .kernels = weir_cpu_kernels,
    .vectors = &weir_vector_cpu,
    .context_open = context_open,
    .context_close = context_close,
    .count = device_count,
    .open = device_open,
    .close = device_close,
    .connect = device_connect,
    .memory_alloc = memory_alloc,
    .memory_free = memory_free,
    .memory_info = memory_info,
    .host_alloc = memory_alloc,
    .host_free = memory_free,
    .stream_open = stream_open,
    .stream_close = stream_close,
    .event_open = event_open,
    .event_close = event_close,
    .native = stream_native,
    .launch = stream_launch,
    .run = stream_run,
    .copy = stream_copy,
    .mark = stream_mark,
    .perform = stream_perform,
    .copy_here = stream_copy,
    .record = stream_record,
    .wait = stream_wait,
    .stream_sync = stream_sync,
    .stream_reset = stream_reset,
};
