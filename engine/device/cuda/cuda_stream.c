/* Streams of the cuda device: opening, closing, waiting for them. */
#include <sched.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/device/cuda/cuda_device.h"

enum { FIRST_PAUSE_NS = 10000, LONGEST_PAUSE_NS = 40000 };

/* What goes to another rank is waited for: it may start before the blocks of a long kernel that are still to come. */
static weir_status native_open(const struct weir_cuda_device *device, enum weir_stream_class stream_class, cudaStream_t *native_out)
{
    int least, greatest; /* of the device; a greater priority is a smaller number */
    weir_status status = weir_cuda_result(device, cudaDeviceGetStreamPriorityRange(&least, &greatest),
                                          "cudaDeviceGetStreamPriorityRange");
    if (status)
        return status;
    /* not in the order of the default stream, which nobody here uses */
    return weir_cuda_result(device,
                            cudaStreamCreateWithPriority(native_out, cudaStreamNonBlocking,
                                                         stream_class == WEIR_STREAM_EDGE ? greatest : least),
                            "cudaStreamCreateWithPriority");
}

weir_status weir_cuda_stream_open(struct weir_cuda_device *device, enum weir_stream_class stream_class, size_t capacity,
                                  struct weir_cuda_stream **stream_out)
{
    if (capacity < 1 || capacity > (size_t)1 << 30)
        return WEIR_FAIL(WEIR_ERR_INVALID, "capacity of a stream is %zu, it must be from 1 to 2^30", capacity);
    struct weir_cuda_stream *stream;
    weir_status status = weir_alloc(1, sizeof *stream, &stream);
    if (status)
        return status;
    stream->device = device;
    stream->stream_class = stream_class;
    if ((status = weir_cuda_queues_take(device->index, 1)))
        goto free_stream;
    if ((status = weir_cuda_enter(device)))
        goto give_queue;
    if ((status = native_open(device, stream_class, &stream->native)))
        goto give_queue;
    device->n_streams++;
    *stream_out = stream;
    return WEIR_OK;
give_queue:
    weir_cuda_queues_give(device->index, 1);
free_stream:
    weir_free(stream);
    return status;
}

void weir_cuda_stream_close(struct weir_cuda_stream *stream)
{
    struct weir_cuda_device *device = stream->device;
    weir_cuda_released(device, cudaStreamSynchronize(stream->native), "cudaStreamSynchronize");
    weir_cuda_released(device, cudaStreamDestroy(stream->native), "cudaStreamDestroy");
    weir_cuda_marks_release(stream);
    weir_cuda_queues_give(device->index, 1);
    device->n_streams--;
    weir_free(stream);
}

/* Ask again and again: first at once, then with pauses.  They stay short, for the end of a step is waited for here, and a
 * query costs a microsecond or two. */
static cudaError_t poll(const struct weir_cuda_stream *stream, int64_t timeout_ns)
{
    int64_t start = weir_clock_ns(), pause = 0;
    for (;;) {
        cudaError_t error = cudaStreamQuery(stream->native);
        if (error != cudaErrorNotReady || weir_clock_ns() - start >= timeout_ns)
            return error;
        if (pause == 0)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = (long)pause}, NULL);
        if (weir_clock_ns() - start > 100000)
            pause = pause == 0 ? FIRST_PAUSE_NS : pause < LONGEST_PAUSE_NS ? pause * 2 : pause;
    }
}

weir_status weir_cuda_stream_sync(struct weir_cuda_stream *stream, int64_t timeout_ns)
{
    weir_status status = weir_cuda_enter(stream->device);
    if (status)
        return status;
    cudaError_t error = timeout_ns < 0 ? cudaStreamSynchronize(stream->native) : poll(stream, timeout_ns);
    if (error == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* a handled error must not be found by the next check */
        return WEIR_FAIL(WEIR_ERR_TIMEOUT, "a stream of device 'cuda:%d' did not finish within %lld ms",
                         stream->device->index, (long long)(timeout_ns / 1000000));
    }
    status = weir_cuda_result(stream->device, error, "what was enqueued");
    if (!status)
        status = weir_cuda_marks_resolve(stream);
    if (!status && stream->failure) {
        weir_error_put(stream->message);
        return stream->failure;
    }
    return status;
}

weir_status weir_cuda_stream_reset(struct weir_cuda_stream *stream)
{
    weir_status status = weir_cuda_enter(stream->device);
    if (status)
        return status;
    cudaError_t error = cudaStreamQuery(stream->native);
    if (error == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* a handled error must not be found by the next check */
        return WEIR_FAIL(WEIR_ERR_INVALID, "a stream with unfinished tasks cannot be reset: wait for it first");
    }
    stream->failure = WEIR_OK;
    return weir_cuda_result(stream->device, error, "what was enqueued");
}
