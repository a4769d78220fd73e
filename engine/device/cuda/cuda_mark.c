/* Times of the cuda device; cuda_device.h says how the base moves. */
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/device/cuda/cuda_device.h"

static const int64_t base_age_ns = 500000000; /* a float still has 30 ns at this distance */

static weir_status event_wait(const struct weir_cuda_device *device, cudaEvent_t event, cudaStream_t stream)
{
    weir_status status = weir_cuda_result(device, cudaEventRecord(event, stream), "cudaEventRecord");
    return status ? status : weir_cuda_result(device, cudaEventSynchronize(event), "cudaEventSynchronize");
}

weir_status weir_cuda_clock_open(struct weir_cuda_device *device)
{
    weir_status status = weir_cuda_result(device, cudaEventCreateWithFlags(&device->base, cudaEventDefault), "cudaEventCreate");
    if (!status)
        status = weir_cuda_result(device, cudaEventCreateWithFlags(&device->next_base, cudaEventDefault), "cudaEventCreate");
    if (!status)
        status = event_wait(device, device->base, NULL);
    device->base_ns = weir_clock_ns();
    return status;
}

void weir_cuda_clock_close(struct weir_cuda_device *device)
{
    if (device->base)
        (void)cudaEventDestroy(device->base);
    if (device->next_base)
        (void)cudaEventDestroy(device->next_base);
}

static weir_status distance_ns(const struct weir_cuda_device *device, cudaEvent_t event, int64_t *ns_out)
{
    float milliseconds;
    weir_status status = weir_cuda_result(device, cudaEventElapsedTime(&milliseconds, device->base, event), "cudaEventElapsedTime");
    if (!status)
        *ns_out = device->base_ns + (int64_t)((double)milliseconds * 1e6);
    return status;
}

/* One more entry with an event; entries are reused, so that a steady step makes none. */
static weir_status entry_add(struct weir_cuda_stream *stream)
{
    weir_status status = weir_grow(&stream->marks, &stream->mark_room, stream->n_mark_events + 1, sizeof *stream->marks);
    if (!status)
        status = weir_cuda_result(stream->device,
                                  cudaEventCreateWithFlags(&stream->marks[stream->n_mark_events].event, cudaEventDefault),
                                  "cudaEventCreate");
    stream->n_mark_events += !status;
    return status;
}

weir_status weir_cuda_mark(struct weir_cuda_stream *stream, int64_t *ns_out)
{
    weir_status status = weir_cuda_enter(stream->device);
    if (!status && stream->n_marks == stream->n_mark_events)
        status = entry_add(stream);
    if (status)
        return status;
    struct weir_cuda_mark *mark = &stream->marks[stream->n_marks];
    status = weir_cuda_result(stream->device, cudaEventRecord(mark->event, stream->native), "cudaEventRecord");
    if (status)
        return status;
    mark->ns_out = ns_out;
    stream->n_marks++;
    stream->device->n_marks++;
    return WEIR_OK;
}

/* The stream is empty: the new base happens at once. */
static weir_status base_move(struct weir_cuda_stream *stream)
{
    struct weir_cuda_device *device = stream->device;
    int64_t ns;
    weir_status status = event_wait(device, device->next_base, stream->native);
    if (!status)
        status = distance_ns(device, device->next_base, &ns);
    if (status)
        return status;
    cudaEvent_t old = device->base;
    device->base = device->next_base;
    device->next_base = old;
    device->base_ns = ns;
    return WEIR_OK;
}

weir_status weir_cuda_marks_resolve(struct weir_cuda_stream *stream)
{
    struct weir_cuda_device *device = stream->device;
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < stream->n_marks && !status; i++)
        status = distance_ns(device, stream->marks[i].event, stream->marks[i].ns_out);
    device->n_marks -= stream->n_marks;
    stream->n_marks = 0;
    if (!status && device->n_marks == 0 && weir_clock_ns() - device->base_ns > base_age_ns)
        status = base_move(stream);
    return status;
}

void weir_cuda_marks_release(struct weir_cuda_stream *stream)
{
    stream->device->n_marks -= stream->n_marks;
    for (size_t i = 0; i < stream->n_mark_events; i++)
        (void)cudaEventDestroy(stream->marks[i].event);
    weir_free(stream->marks);
}
