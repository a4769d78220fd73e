/* The cpu device: its table, and what is too short for a file of its own.  cpu_device.h explains how it works. */
#include "engine/device/cpu/cpu_device.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/process.h"
#include "kernels/cpu/cpu.h"
#include "kernels/vector.h"

/* ---- handles: those of device.h are these structs, and only this file knows it ---------------------------------------- */

static struct weir_cpu_device *device_of(weir_device *handle)
{
    return (struct weir_cpu_device *)handle;
}

static struct weir_cpu_stream *stream_of(weir_stream *handle)
{
    return (struct weir_cpu_stream *)handle;
}

static struct weir_cpu_event *event_of(weir_event *handle)
{
    return (struct weir_cpu_event *)handle;
}

/* ---- devices and their memory ------------------------------------------------------------------------------------------ */

static weir_status device_count(int *n_devices_out)
{
    *n_devices_out = weir_cpu_cores();
    return WEIR_OK;
}

static weir_status device_open(int index, int n_threads, weir_device **device_out)
{
    if (index < 0 || n_threads < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "index of a cpu device is %d and its threads are %d, they must be at least 0 and 1",
                         index, n_threads);
    struct weir_cpu_device *device;
    weir_status status = weir_alloc(1, sizeof *device, &device);
    if (status)
        return status;
    device->process = weir_process_number();
    device->index = index;
    device->n_threads = n_threads;
    weir_cpu_cores_find(index * n_threads, n_threads, &device->cores);
    *device_out = (weir_device *)device;
    return WEIR_OK;
}

static void device_close(weir_device *handle)
{
    struct weir_cpu_device *device = device_of(handle);
    if (!weir_process_is(device->process))
        return;
    if (device->blocks)
        weir_log(WEIR_LOG_WARN, "device 'cpu:%d' is closed before its memory is freed", device->index);
    weir_free(device);
}

static void device_crowd(weir_device *device)
{
    device_of(device)->is_crowded = true;
}

/* One process, one memory. */
static weir_status device_connect(weir_device *device, weir_device *peer)
{
    (void)device;
    (void)peer;
    return WEIR_OK;
}

static weir_status memory_alloc(weir_device *device, size_t bytes, void **memory_out)
{
    weir_status status = weir_cpu_here(device_of(device));
    return status ? status : weir_cpu_memory_alloc(device_of(device), bytes, memory_out);
}

static void memory_free(weir_device *device, void *memory)
{
    if (weir_process_is(device_of(device)->process))
        weir_cpu_memory_free(device_of(device), memory);
}

static void memory_touch(void *memory, size_t bytes)
{
    memset(memory, 0, bytes);
}

static weir_status memory_info(weir_device *device, size_t *free_out, size_t *total_out)
{
    (void)device; /* all of them share the machine's */
    return weir_cpu_memory_info(free_out, total_out);
}

static weir_status context_open(weir_device *device, weir_stream *stream, bool tf32,
                                struct weir_kernel_context **context_out)
{
    (void)stream; /* kernels run where they are called */
    if (tf32)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device 'cpu' has no tf32: use " WEIR_OPTION("dtype=f32"));
    return weir_kernel_context_open(device_of(device)->n_threads, context_out);
}

static void context_close(weir_device *device, struct weir_kernel_context *context)
{
    if (weir_process_is(device_of(device)->process))
        weir_kernel_context_close(context);
}

/* ---- streams and events ------------------------------------------------------------------------------------------------ */

static weir_status stream_open(weir_device *device, enum weir_stream_class stream_class, size_t capacity,
                               weir_stream **stream_out)
{
    struct weir_cpu_stream *stream;
    weir_status status = weir_cpu_stream_open(device_of(device), stream_class, capacity, &stream);
    if (!status)
        *stream_out = (weir_stream *)stream;
    return status;
}

static void stream_close(weir_stream *stream)
{
    weir_cpu_stream_close(stream_of(stream));
}

static weir_status event_open(weir_device *device, weir_event **event_out)
{
    struct weir_cpu_event *event;
    (void)device;
    weir_status status = weir_cpu_event_open(&event);
    if (!status)
        *event_out = (weir_event *)event;
    return status;
}

static void event_close(weir_event *event)
{
    weir_free(event);
}

static weir_status event_done(weir_event *event, bool *done_out)
{
    *done_out = weir_cpu_event_done(event_of(event));
    return WEIR_OK;
}

static weir_status stream_native(weir_stream *stream, void **native_out)
{
    (void)stream;
    *native_out = NULL;
    return WEIR_OK;
}

/* ---- issuing ----------------------------------------------------------------------------------------------------------- */

static weir_status issue(weir_stream *stream, const struct weir_cpu_task *task)
{
    return weir_cpu_issue(stream_of(stream), task);
}

static weir_status needs_worker(weir_stream *stream)
{
    if (stream_of(stream)->stream_class == WEIR_STREAM_COMPUTE)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "an edge stream runs no kernels and no host functions: use a compute stream");
}

static weir_status stream_launch(weir_stream *stream, weir_kernel_fn fn, const struct weir_op_call *call)
{
    weir_status status = needs_worker(stream);
    return status ? status : issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_LAUNCH, .launch = {fn, call}});
}

static weir_status stream_run(weir_stream *stream, weir_task_fn fn, void *argument)
{
    weir_status status = needs_worker(stream);
    return status ? status : issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_RUN, .run = {fn, argument}});
}

static weir_status stream_copy(weir_stream *stream, void *destination, const void *source, size_t bytes)
{
    return issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_COPY, .copy = {destination, source, bytes}});
}

/* The task that calls has got here. */
static weir_status copy_here(weir_stream *stream, void *destination, const void *source, size_t bytes)
{
    (void)stream;
    memcpy(destination, source, bytes);
    return WEIR_OK;
}

static weir_status stream_mark(weir_stream *stream, int64_t *ns_out)
{
    return issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_MARK, .ns_out = ns_out});
}

static weir_status stream_record(weir_stream *stream, weir_event *handle)
{
    struct weir_cpu_event *event = event_of(handle);
    event->issued++;
    return issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_RECORD, .generation = event->issued, .event = event});
}

/* A record that has happened already needs no task: what the issuing thread saw done is published with its next task. */
static weir_status stream_wait(weir_stream *stream, weir_event *handle)
{
    struct weir_cpu_event *event = event_of(handle);
    if (weir_futex_reached(&event->done, event->issued))
        return WEIR_OK;
    return issue(stream, &(struct weir_cpu_task){.kind = WEIR_CPU_WAIT, .generation = event->issued, .event = event});
}

static weir_status stream_sync(weir_stream *stream, int64_t timeout_ns)
{
    return weir_cpu_stream_sync(stream_of(stream), timeout_ns);
}

static weir_status stream_reset(weir_stream *stream)
{
    return weir_cpu_stream_reset(stream_of(stream));
}

const struct weir_device_kind weir_device_cpu = {
    .name = "cpu",
    .summary = "cores of this machine, one worker thread per compute stream",
    .flags = WEIR_DEVICE_HOST_MEMORY | WEIR_DEVICE_TASKS | WEIR_DEVICE_BF16,
    .launch_transport = "shm",
    .mpi_transport = "mpi",
    .tensor_device = WEIR_DEVICE_TYPE_CPU,
    .kernels = weir_cpu_kernels,
    .packed_bytes = weir_cpu_packed_bytes,
    .vectors = &weir_vector_cpu,
    .context_open = context_open,
    .context_close = context_close,
    .count = device_count,
    .open = device_open,
    .close = device_close,
    .crowd = device_crowd,
    .connect = device_connect,
    .memory_alloc = memory_alloc,
    .memory_free = memory_free,
    .memory_touch = memory_touch,
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
    .perform = stream_run,
    .copy_here = copy_here,
    .record = stream_record,
    .wait = stream_wait,
    .event_done = event_done,
    .stream_sync = stream_sync,
    .stream_reset = stream_reset,
};
