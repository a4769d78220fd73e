/* The null device: everything is there but the computing.
 *
 * It takes part in a run as a GPU does: programs are compiled for it, memory is set aside, instructions are issued in their
 * order, events are recorded and awaited.  Kernels are counted and do nothing, and so are copies of more than a page.  So a dry run shows what a run would do
 * and take, on a machine that the model does not fit:
 *
 *     weir train --model gpt2-xl --device null --stages 8 --steps 1
 *
 * Memory is address space: mapped and hardly ever written, it costs nothing and reads as zeros.  The exception is the gate of a
 * step (kernels/vector.h): it lets every step through, with NaN for loss and norm, which are not known.
 *
 * A stream has no thread.  What is issued is done when the call returns, so an event's records are there before its waits
 * are issued (device.h), and waits do nothing.
 *
 * It is also the shortest example of a device: what a third kind has to bring is this file and a line in device.c. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/device/device.h"
#include "kernels/vector.h"

enum { DEVICES = 65536, ALIGNMENT = 4096, MOVED = 4096 /* most bytes of a copy that moves any */ };
#define MEMORY_BYTES ((size_t)1 << 46) /* of one device: less than a process has addresses for */

struct null_block {
    struct null_block *next;
    void *memory;
    size_t bytes;
};

struct null_device {
    uint32_t process; /* that opened it (base/process.h) */
    int index;
    struct null_block *blocks; /* newest first */
    size_t bytes, most_bytes;  /* of blocks: now, and at most so far */
    _Atomic int64_t n_kernels, n_copies, copied_bytes;
};

struct null_stream {
    struct null_device *device;
    enum weir_stream_class stream_class;
    weir_status failure; /* of a task; the first */
    char message[WEIR_ERROR_MAX];
};

struct null_event {
    uint32_t process;
};

static struct null_device *device_of(weir_device *handle)
{
    return (struct null_device *)handle;
}

static struct null_stream *stream_of(weir_stream *handle)
{
    return (struct null_stream *)handle;
}

static weir_status here(const struct null_device *device)
{
    return weir_process_check(device->process, "a null device");
}

/* ---- kernels --------------------------------------------------------------------------------------------------------- */

static weir_status counted(void *stream)
{
    if (stream)
        atomic_fetch_add_explicit(&((struct null_stream *)stream)->device->n_kernels, 1, memory_order_relaxed);
    return WEIR_OK;
}

static weir_status row_count(const struct weir_op_call *call, void *stream)
{
    (void)call;
    return counted(stream);
}

/* Whatever the row is: nothing of it is run, and no scratch is needed. */
static weir_status kernels_find(const struct weir_op *op, const struct weir_op_shapes *shapes,
                                const struct weir_op_kernels **kernels_out)
{
    static const struct weir_op_kernels count = {row_count, row_count, row_count, NULL, NULL};
    (void)op, (void)shapes;
    *kernels_out = &count;
    return WEIR_OK;
}

static weir_status add(int64_t n, float *sum, const float *term, void *stream)
{
    (void)n, (void)sum, (void)term;
    return counted(stream);
}

static weir_status reduce(int64_t n, float *sum, int n_terms, const float *const *terms, void *stream)
{
    (void)n, (void)sum, (void)n_terms, (void)terms;
    return counted(stream);
}

static weir_status square_sums(int64_t n, const float *x, double *sums, void *stream)
{
    (void)n, (void)x, (void)sums;
    return counted(stream);
}

static weir_status gate(int64_t n_sums, const double *sums, int64_t n_losses, const double *losses, double n_targets, double clip,
                        struct weir_update_gate *gate_out, void *stream)
{
    (void)n_sums, (void)sums, (void)n_losses, (void)losses, (void)n_targets, (void)clip;
    *gate_out = (struct weir_update_gate){.grad_norm = NAN, .loss = NAN, .grad_scale = 1, .apply = 1};
    return counted(stream);
}

static weir_status adamw(const struct weir_update *update, const struct weir_update_gate *gate_in, struct weir_update_scale scale,
                         int64_t n, float *param, const float *grad, float *m, float *v, void *stream)
{
    (void)update, (void)gate_in, (void)scale, (void)n, (void)param, (void)grad, (void)m, (void)v;
    return counted(stream);
}

static weir_status sgd(const struct weir_update *update, const struct weir_update_gate *gate_in, struct weir_update_scale scale,
                       int64_t n, float *param, const float *grad, void *stream)
{
    (void)update, (void)gate_in, (void)scale, (void)n, (void)param, (void)grad;
    return counted(stream);
}

static weir_status to_bf16(int64_t n, const float *from, void *to, void *stream)
{
    (void)n, (void)from, (void)to;
    return counted(stream);
}

static const struct weir_vector_kernels vectors = {
    .add = add, .reduce = reduce, .square_sums = square_sums, .gate = gate, .adamw = adamw, .sgd = sgd, .to_bf16 = to_bf16};

static weir_status context_open(weir_device *device, weir_stream *stream, bool tf32, struct weir_kernel_context **context_out)
{
    (void)stream, (void)tf32;
    *context_out = NULL;
    return here(device_of(device));
}

static void context_close(weir_device *device, struct weir_kernel_context *context)
{
    (void)device, (void)context;
}

/* ---- devices and their memory ---------------------------------------------------------------------------------------- */

static weir_status device_count(int *n_devices_out)
{
    *n_devices_out = DEVICES;
    return WEIR_OK;
}

static weir_status device_open(int index, int n_threads, weir_device **device_out)
{
    struct null_device *device;
    (void)n_threads;
    if (index < 0 || index >= DEVICES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "index of a null device is %d, it must be 0 to %d", index, DEVICES - 1);
    weir_status status = weir_alloc(1, sizeof *device, &device);
    if (status)
        return status;
    device->process = weir_process_number();
    device->index = index;
    *device_out = (weir_device *)device;
    return WEIR_OK;
}

static void device_close(weir_device *handle)
{
    struct null_device *device = device_of(handle);
    if (here(device))
        return;
    weir_log(WEIR_LOG_INFO, "device 'null:%d': %" PRId64 " kernel calls, %" PRId64 " copies of %" PRId64 " bytes, %zu bytes of memory; "
             "nothing was computed", device->index, atomic_load(&device->n_kernels), atomic_load(&device->n_copies),
             atomic_load(&device->copied_bytes), device->most_bytes);
    weir_free(device);
}

static weir_status device_connect(weir_device *device, weir_device *peer)
{
    (void)peer;
    return here(device_of(device));
}

static weir_status memory_alloc(weir_device *handle, size_t bytes, void **memory_out)
{
    struct null_device *device = device_of(handle);
    struct null_block *block;
    weir_status status = here(device);
    if (!status && bytes > MEMORY_BYTES - device->bytes)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "device 'null:%d' has no addresses for %zu bytes beside %zu", device->index, bytes,
                         device->bytes);
    if (!status)
        status = weir_alloc(1, sizeof *block, &block);
    if (status)
        return status;
    block->bytes = bytes < ALIGNMENT ? ALIGNMENT : bytes;
    block->memory = mmap(NULL, block->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block->memory == MAP_FAILED) {
        weir_free(block);
        return WEIR_FAIL(WEIR_ERR_NOMEM, "the system gives no addresses for %zu bytes: %s; 'ulimit -v' or vm.overcommit_memory=2 may "
                         "forbid it", bytes, strerror(errno));
    }
    block->next = device->blocks;
    device->blocks = block;
    device->bytes += bytes;
    device->most_bytes = device->bytes > device->most_bytes ? device->bytes : device->most_bytes;
    *memory_out = block->memory;
    return WEIR_OK;
}

static void memory_free(weir_device *handle, void *memory)
{
    struct null_device *device = device_of(handle);
    struct null_block **link = &device->blocks;
    while (*link && (*link)->memory != memory)
        link = &(*link)->next;
    struct null_block *block = *link;
    if (!block || here(device))
        return;
    *link = block->next;
    device->bytes -= block->bytes < device->bytes ? block->bytes : device->bytes;
    munmap(block->memory, block->bytes);
    weir_free(block);
}

static weir_status memory_info(weir_device *handle, size_t *free_out, size_t *total_out)
{
    const struct null_device *device = device_of(handle);
    *free_out = MEMORY_BYTES - device->bytes;
    *total_out = MEMORY_BYTES;
    return here(device);
}

/* ---- streams and events ---------------------------------------------------------------------------------------------- */

static weir_status stream_open(weir_device *device, enum weir_stream_class stream_class, size_t capacity, weir_stream **stream_out)
{
    struct null_stream *stream;
    (void)capacity;
    weir_status status = here(device_of(device));
    if (!status)
        status = weir_alloc(1, sizeof *stream, &stream);
    if (status)
        return status;
    stream->device = device_of(device);
    stream->stream_class = stream_class;
    *stream_out = (weir_stream *)stream;
    return WEIR_OK;
}

static void stream_close(weir_stream *stream)
{
    if (!here(stream_of(stream)->device))
        weir_free(stream);
}

static weir_status event_open(weir_device *device, weir_event **event_out)
{
    struct null_event *event;
    weir_status status = here(device_of(device));
    if (!status)
        status = weir_alloc(1, sizeof *event, &event);
    if (status)
        return status;
    event->process = weir_process_number();
    *event_out = (weir_event *)event;
    return WEIR_OK;
}

static void event_close(weir_event *handle)
{
    struct null_event *event = (struct null_event *)handle;
    if (weir_process_is(event->process))
        weir_free(event);
}

static weir_status stream_native(weir_stream *stream, void **native_out)
{
    *native_out = stream;
    return here(stream_of(stream)->device);
}

static weir_status compute_check(const struct null_stream *stream)
{
    weir_status status = here(stream->device);
    if (status || stream->stream_class == WEIR_STREAM_COMPUTE)
        return status;
    return WEIR_FAIL(WEIR_ERR_INVALID, "an edge stream runs no kernels and no host functions: use a compute stream");
}

static weir_status stream_launch(weir_stream *stream, weir_kernel_fn fn, const struct weir_op_call *call)
{
    (void)fn, (void)call;
    weir_status status = compute_check(stream_of(stream));
    return status ? status : counted(stream);
}

/* A failure is the stream's, as on cpu. */
static weir_status stream_run(weir_stream *handle, weir_task_fn fn, void *argument)
{
    struct null_stream *stream = stream_of(handle);
    weir_status status = compute_check(stream);
    if (status || stream->failure)
        return status;
    weir_error_put("");
    stream->failure = fn(argument);
    if (stream->failure && !*weir_last_error())
        weir_error_put(weir_status_str(stream->failure));
    if (stream->failure)
        weir_error_take(stream->message);
    return WEIR_OK;
}

/* What is small moves: the values of a step to the device, its gate to the host. */
static weir_status stream_copy(weir_stream *handle, void *destination, const void *source, size_t bytes)
{
    struct null_device *device = stream_of(handle)->device;
    if (bytes <= MOVED)
        memcpy(destination, source, bytes);
    atomic_fetch_add_explicit(&device->n_copies, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&device->copied_bytes, (int64_t)bytes, memory_order_relaxed);
    return here(device);
}

static weir_status stream_mark(weir_stream *stream, int64_t *ns_out)
{
    *ns_out = weir_clock_ns();
    return here(stream_of(stream)->device);
}

static weir_status stream_event(weir_stream *stream, weir_event *event)
{
    (void)event;
    return here(stream_of(stream)->device);
}

static weir_status event_done(weir_event *event, bool *done_out)
{
    (void)event;
    *done_out = true;
    return WEIR_OK;
}

static weir_status stream_sync(weir_stream *handle, int64_t timeout_ns)
{
    const struct null_stream *stream = stream_of(handle);
    (void)timeout_ns;
    weir_status status = here(stream->device);
    if (status || !stream->failure)
        return status;
    weir_error_put(stream->message);
    return stream->failure;
}

static weir_status stream_reset(weir_stream *stream)
{
    weir_status status = here(stream_of(stream)->device);
    if (!status)
        stream_of(stream)->failure = WEIR_OK;
    return status;
}

const struct weir_device_kind weir_device_null = {
    .name = "null",
    .summary = "computes nothing: counts calls and bytes, for dry runs of what is too large for this machine",
    .flags = WEIR_DEVICE_TASKS | WEIR_DEVICE_BF16 | WEIR_DEVICE_DRY,
    .tensor_device = WEIR_DEVICE_TYPE_CPU,
    .kernels = kernels_find,
    .vectors = &vectors,
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
    .perform = stream_run,
    .copy_here = stream_copy,
    .record = stream_event,
    .wait = stream_event,
    .event_done = event_done,
    .stream_sync = stream_sync,
    .stream_reset = stream_reset,
};
