/* The cuda device: its table, and what is too short for a file of its own.  cuda_device.h explains how it works. */
#include "base/alloc.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/device/cuda/cuda_device.h"
#include "kernels/cuda/cuda.h"

/* ---- handles: those of device.h are these structs, and only this file knows it ---------------------------------------- */

static struct weir_cuda_device *device_of(weir_device *handle)
{
    return (struct weir_cuda_device *)handle;
}

/* Closing does nothing in a child after fork(). */
static bool is_here(const struct weir_cuda_device *device)
{
    return weir_process_is(device->process);
}

static struct weir_cuda_stream *stream_of(weir_stream *handle)
{
    return (struct weir_cuda_stream *)handle;
}

static struct weir_cuda_event *event_of(weir_event *handle)
{
    return (struct weir_cuda_event *)handle;
}

/* ---- devices and their memory ------------------------------------------------------------------------------------------ */

static weir_status context_open(weir_device *device, weir_stream *stream, bool tf32,
                                struct weir_kernel_context **context_out)
{
    weir_status status = weir_cuda_enter(device_of(device));
    return status ? status : weir_cuda_context_open(WEIR_CUDA_WORKSPACE_BYTES, tf32, stream_of(stream)->native, context_out);
}

static void context_close(weir_device *handle, struct weir_kernel_context *context)
{
    struct weir_cuda_device *device = device_of(handle);
    if (!is_here(device))
        return;
    weir_cuda_released(device, cudaSetDevice(device->index), "cudaSetDevice");
    weir_cuda_context_close(context);
}

static weir_status device_open(int index, int n_threads, weir_device **device_out)
{
    int n;
    (void)n_threads; /* what a GPU computes with is not for us to choose */
    weir_status status = weir_cuda_count(&n);
    if (status)
        return status;
    if (index < 0 || index >= n)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "there is no device 'cuda:%d', this machine has %d: ranks of one process may share one ("
                         WEIR_OPTION("device=cuda:0") "), processes need one each",
                         index, n);
    struct weir_cuda_device *device;
    status = weir_alloc(1, sizeof *device, &device);
    if (status)
        return status;
    device->process = weir_process_number();
    device->index = index;
    status = weir_cuda_enter(device);
    if (!status)
        status = weir_cuda_clock_open(device);
    if (status) {
        weir_cuda_clock_close(device);
        weir_free(device);
        return status;
    }
    *device_out = (weir_device *)device;
    return WEIR_OK;
}

static void device_close(weir_device *handle)
{
    struct weir_cuda_device *device = device_of(handle);
    if (!is_here(device))
        return;
    if (device->n_blocks || device->n_streams)
        weir_log(WEIR_LOG_WARN, "device 'cuda:%d' is closed before its memory and its streams are", device->index);
    weir_cuda_clock_close(device);
    weir_free(device);
}

static weir_status device_connect(weir_device *device, weir_device *peer)
{
    return weir_cuda_connect(device_of(device)->index, device_of(peer)->index);
}

static weir_status memory_alloc(weir_device *device, size_t bytes, void **memory_out)
{
    return weir_cuda_memory_alloc(device_of(device), bytes, memory_out);
}

static void memory_free(weir_device *device, void *memory)
{
    if (is_here(device_of(device)))
        weir_cuda_memory_free(device_of(device), memory);
}

static weir_status memory_info(weir_device *device, size_t *free_out, size_t *total_out)
{
    return weir_cuda_memory_info(device_of(device), free_out, total_out);
}

static weir_status host_alloc(weir_device *device, size_t bytes, void **memory_out)
{
    return weir_cuda_host_alloc(device_of(device), bytes, memory_out);
}

static void host_free(weir_device *device, void *memory)
{
    if (is_here(device_of(device)))
        weir_cuda_host_free(device_of(device), memory);
}

/* ---- streams and events ------------------------------------------------------------------------------------------------ */

static weir_status stream_open(weir_device *device, enum weir_stream_class stream_class, size_t capacity,
                               weir_stream **stream_out)
{
    struct weir_cuda_stream *stream;
    weir_status status = weir_cuda_stream_open(device_of(device), stream_class, capacity, &stream);
    if (!status)
        *stream_out = (weir_stream *)stream;
    return status;
}

static void stream_close(weir_stream *stream)
{
    if (is_here(stream_of(stream)->device))
        weir_cuda_stream_close(stream_of(stream));
}

static weir_status stream_sync(weir_stream *stream, int64_t timeout_ns)
{
    return weir_cuda_stream_sync(stream_of(stream), timeout_ns);
}

static weir_status stream_reset(weir_stream *stream)
{
    return weir_cuda_stream_reset(stream_of(stream));
}

static weir_status stream_mark(weir_stream *stream, int64_t *ns_out)
{
    return weir_cuda_mark(stream_of(stream), ns_out);
}

static weir_status event_open(weir_device *handle, weir_event **event_out)
{
    struct weir_cuda_device *device = device_of(handle);
    struct weir_cuda_event *event;
    weir_status status = weir_alloc(1, sizeof *event, &event);
    if (status)
        return status;
    event->device = device;
    status = weir_cuda_enter(device);
    if (!status)
        status = weir_cuda_result(device, cudaEventCreateWithFlags(&event->native, cudaEventDisableTiming), "cudaEventCreate");
    if (status) {
        weir_free(event);
        return status;
    }
    *event_out = (weir_event *)event;
    return WEIR_OK;
}

static void event_close(weir_event *handle)
{
    struct weir_cuda_event *event = event_of(handle);
    if (!is_here(event->device))
        return;
    weir_cuda_released(event->device, cudaEventDestroy(event->native), "cudaEventDestroy");
    weir_free(event);
}

static weir_status needs_compute(const struct weir_cuda_stream *stream)
{
    if (stream->stream_class == WEIR_STREAM_COMPUTE)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "an edge stream runs no kernels and no host functions: use a compute stream");
}

static weir_status stream_native(weir_stream *handle, void **native_out)
{
    const struct weir_cuda_stream *stream = stream_of(handle);
    weir_status status = weir_cuda_enter(stream->device);
    if (!status)
        *native_out = stream->native;
    return status;
}

/* As on cpu, a failure of the kernel is the stream's, not the caller's. */
static weir_status stream_launch(weir_stream *handle, weir_kernel_fn fn, const struct weir_op_call *call)
{
    struct weir_cuda_stream *stream = stream_of(handle);
    weir_status status = needs_compute(stream);
    if (!status)
        status = weir_cuda_enter(stream->device);
    if (status || stream->failure)
        return status;
    weir_error_put("");
    stream->failure = fn(call, stream->native);
    if (stream->failure && !*weir_last_error())
        weir_error_put(weir_status_str(stream->failure));
    if (stream->failure)
        weir_error_take(stream->message);
    return WEIR_OK;
}

static weir_status stream_run(weir_stream *stream, weir_task_fn fn, void *argument)
{
    (void)fn;
    (void)argument;
    weir_status status = needs_compute(stream_of(stream));
    return status ? status : WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "device 'cuda' runs no host functions");
}

static weir_status stream_copy(weir_stream *handle, void *destination, const void *source, size_t bytes)
{
    const struct weir_cuda_stream *stream = stream_of(handle);
    if (stream->failure || bytes == 0)
        return WEIR_OK;
    weir_status status = weir_cuda_enter(stream->device);
    return status ? status : weir_cuda_result(stream->device, cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDefault, stream->native),
                                              "cudaMemcpyAsync");
}

/* What the function enqueues comes after all that was enqueued before. */
static weir_status stream_perform(weir_stream *stream, weir_task_fn fn, void *argument)
{
    weir_status status = weir_cuda_enter(stream_of(stream)->device);
    return status ? status : fn(argument);
}

static weir_status stream_record(weir_stream *stream_handle, weir_event *event_handle)
{
    const struct weir_cuda_stream *stream = stream_of(stream_handle);
    const struct weir_cuda_event *event = event_of(event_handle);
    if (stream->device->index != event->device->index)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a stream of 'cuda:%d' cannot record an event of 'cuda:%d'",
                         stream->device->index, event->device->index);
    weir_status status = weir_cuda_here(stream->device);
    return status ? status
                  : weir_cuda_result(stream->device, cudaEventRecord(event->native, stream->native), "cudaEventRecord");
}

static weir_status stream_wait(weir_stream *stream_handle, weir_event *event_handle)
{
    const struct weir_cuda_stream *stream = stream_of(stream_handle);
    const struct weir_cuda_event *event = event_of(event_handle);
    weir_status status = weir_cuda_enter(stream->device);
    return status ? status : weir_cuda_result(stream->device, cudaStreamWaitEvent(stream->native, event->native, 0), "cudaStreamWaitEvent");
}

static weir_status event_done(weir_event *handle, bool *done_out)
{
    const struct weir_cuda_event *event = event_of(handle);
    weir_status status = weir_cuda_here(event->device);
    if (status)
        return status;
    cudaError_t error = cudaEventQuery(event->native);
    *done_out = error == cudaSuccess;
    if (error == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* a handled error must not be found by the next check */
        return WEIR_OK;
    }
    return weir_cuda_result(event->device, error, "cudaEventQuery");
}

static weir_status streams_reserve(weir_device *device, int n)
{
    return weir_cuda_queues_take(device_of(device)->index, n);
}

static void streams_release(weir_device *device, int n)
{
    weir_cuda_queues_give(device_of(device)->index, n);
}

const struct weir_device_kind weir_device_cuda = {
    .name = "cuda",
    .summary = "NVIDIA GPUs, f32, tf32 or bf16; cuda:0,cuda:1 names one per rank, and one may serve several ranks",
    .flags = WEIR_DEVICE_BF16,
    .launch_transport = "nccl",
    .mpi_transport = "nccl",
    .tensor_device = WEIR_DEVICE_TYPE_CUDA,
    .kernels = weir_cuda_kernels,
    .vectors = &weir_vector_cuda,
    .context_bytes = WEIR_CUDA_WORKSPACE_BYTES,
    .context_open = context_open,
    .context_close = context_close,
    .process_start = weir_cuda_process_start,
    .count = weir_cuda_count,
    .open = device_open,
    .close = device_close,
    .connect = device_connect,
    .memory_alloc = memory_alloc,
    .memory_free = memory_free,
    .memory_info = memory_info,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .stream_open = stream_open,
    .stream_close = stream_close,
    .streams_reserve = streams_reserve,
    .streams_release = streams_release,
    .event_open = event_open,
    .event_close = event_close,
    .native = stream_native,
    .launch = stream_launch,
    .run = stream_run,
    .copy = stream_copy,
    .mark = stream_mark,
    .perform = stream_perform,
    .copy_here = stream_copy,
    .range_push = weir_cuda_range_push,
    .range_pop = weir_cuda_range_pop,
    .record = stream_record,
    .wait = stream_wait,
    .event_done = event_done,
    .stream_sync = stream_sync,
    .stream_reset = stream_reset,
};
