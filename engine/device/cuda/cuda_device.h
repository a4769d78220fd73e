/* What the files of the cuda device share.
 *
 * A struct weir_cuda_device stands for one rank's use of a GPU; several may stand for the same GPU (device cuda:0,cuda:0),
 * each with streams of its own.  What belongs to the GPU in this process, streams in use and who reaches whom, is counted
 * in cuda_process.c.
 *
 * The calling thread's current device is set before every call that depends on it, never assumed: a thread may serve several
 * GPUs, and several threads one.  A device, its streams and its events are used by one thread at a time; only a wait for an
 * event comes from the thread of another device, after that event's record.
 *
 * Failure.  A kernel function that returns a failure poisons its stream on the host's side: what is issued to it later is
 * left out.  A fault of the GPU surfaces as the status of any later call; stream_sync() reports it in the end.
 *
 * Marks.  Times come from events, whose distance CUDA gives in milliseconds as a float.  So that a long run does not lose
 * its digits, each device keeps a base event, and moves it when a stream has become empty, no mark is pending and the base
 * is old: base_ns grows by the distance of two events on one clock and never drifts from it.
 * A stream keeps its marks' events from one synchronisation to the next: a step makes none after the first. */
#ifndef WEIR_ENGINE_DEVICE_CUDA_CUDA_DEVICE_H
#define WEIR_ENGINE_DEVICE_CUDA_CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include "engine/device/device.h"

struct weir_cuda_device {
    uint32_t process; /* that opened it (base/process.h): CUDA works in no child of it */
    int index;
    size_t n_blocks, n_streams; /* open */
    cudaEvent_t base, next_base;
    int64_t base_ns; /* of the monotonic clock */
    size_t n_marks;  /* pending on all streams */
    bool is_broken;  /* releasing something failed and was logged */
};

struct weir_cuda_event {
    struct weir_cuda_device *device;
    cudaEvent_t native;
};

/* A time that is known once its event has happened. */
struct weir_cuda_mark {
    cudaEvent_t event;
    int64_t *ns_out;
};

struct weir_cuda_stream {
    struct weir_cuda_device *device;
    enum weir_stream_class stream_class;
    cudaStream_t native;
    weir_status failure; /* of a kernel function */
    char message[WEIR_ERROR_MAX];
    struct weir_cuda_mark *marks; /* [n_marks] pending, [n_mark_events] have an event, room for mark_room */
    size_t n_marks, n_mark_events, mark_room;
};

/* ---- cuda_process.c: what all devices of the process share --------------------------------------------------------- */

/* Sets what CUDA reads when it starts: the first call of the process counts. */
void weir_cuda_process_start(void);

/* Number of GPUs. */
weir_status weir_cuda_count(int *n_devices_out);

/* Every stream of a GPU has a queue of its own, those of libraries too.  WEIR_ERR_UNSUPPORTED: there are not so many left. */
weir_status weir_cuda_queues_take(int index, int n);
void weir_cuda_queues_give(int index, int n);

weir_status weir_cuda_connect(int index, int peer);

/* WEIR_ERR_INVALID: in a child after fork(). */
weir_status weir_cuda_here(const struct weir_cuda_device *device);

/* Make the GPU the calling thread's current one.  WEIR_ERR_INVALID: in a child after fork(). */
weir_status weir_cuda_enter(const struct weir_cuda_device *device);

/* weir_cuda_check with the device's name in front of the message. */
weir_status weir_cuda_result(const struct weir_cuda_device *device, cudaError_t error, const char *call);

/* A call that releases something has nobody to tell: the first failure of a device is logged, the rest follows from it. */
void weir_cuda_released(struct weir_cuda_device *device, cudaError_t error, const char *call);

/* ---- cuda_memory.c ------------------------------------------------------------------------------------------------- */
weir_status weir_cuda_memory_alloc(struct weir_cuda_device *device, size_t bytes, void **memory_out);
void weir_cuda_memory_free(struct weir_cuda_device *device, void *memory);
weir_status weir_cuda_memory_info(struct weir_cuda_device *device, size_t *free_out, size_t *total_out);
weir_status weir_cuda_host_alloc(struct weir_cuda_device *device, size_t bytes, void **memory_out);
void weir_cuda_host_free(struct weir_cuda_device *device, void *memory);

/* ---- cuda_stream.c ------------------------------------------------------------------------------------------------- */
weir_status weir_cuda_stream_open(struct weir_cuda_device *device, enum weir_stream_class stream_class, size_t capacity,
                                  struct weir_cuda_stream **stream_out);
void weir_cuda_stream_close(struct weir_cuda_stream *stream);
weir_status weir_cuda_stream_sync(struct weir_cuda_stream *stream, int64_t timeout_ns);
weir_status weir_cuda_stream_reset(struct weir_cuda_stream *stream);

/* ---- cuda_mark.c --------------------------------------------------------------------------------------------------- */
weir_status weir_cuda_clock_open(struct weir_cuda_device *device);
void weir_cuda_clock_close(struct weir_cuda_device *device);
weir_status weir_cuda_mark(struct weir_cuda_stream *stream, int64_t *ns_out);

/* Write the times of the stream's marks, all of which have happened. */
weir_status weir_cuda_marks_resolve(struct weir_cuda_stream *stream);
void weir_cuda_marks_release(struct weir_cuda_stream *stream);

/* ---- cuda_range.c -------------------------------------------------------------------------------------------------- */
void weir_cuda_range_push(const char *name);
void weir_cuda_range_pop(void);

#endif
