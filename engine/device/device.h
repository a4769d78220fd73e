/* Devices: memory, streams, events and copies behind one const table per kind.
 *
 * The model is CUDA's.  Work is enqueued on streams and runs asynchronously, in order within a stream; events order
 * streams against each other.  One thread at a time opens, issues, synchronises, closes and allocates on the devices,
 * streams and events that belong together (a run's); two runs in one process may each have a thread.  Where the host
 * enqueues kernel by kernel (no WEIR_DEVICE_TASKS), a run may have a thread per device that does: each issues to the streams
 * of its own device, and between them they keep the record of an event before its waits (engine/run/issue.c).
 *
 *     stream A:  launch f │ record e            wait() captures what record() was issued last before it: a wait issued
 *     stream B:           │ wait e │ launch g   before any record returns at once.  Issue records before their waits.
 *
 * Records of one event happen in the order in which they were issued, on whichever streams: a later one waits for the
 * earlier one, so that nobody is let through too early.
 *
 * A stream of class WEIR_STREAM_COMPUTE runs kernels.  A stream of class WEIR_STREAM_EDGE carries only waits, copies,
 * marks and records; on `cpu` it has no thread: its tasks run inline on the thread that satisfies their last dependency
 * (or on the issuing thread, when nothing is missing).
 *
 * Memory of a copy is device memory or comes from host_alloc(): other host memory may hold the issuing thread up.
 *
 * Failure.  A kernel that fails poisons its stream: later kernels, host functions and copies of the stream are skipped;
 * records, waits and marks still happen, so that nobody hangs; stream_sync() returns the first failure with its message.
 * A poisoned stream stays poisoned until stream_reset().
 *
 * fork().  A child has none of its parent's devices: their functions return WEIR_ERR_INVALID there, and closing them or their
 * streams, events and memory does nothing.  A child may open devices of its own, except on CUDA when the parent has used it.
 *
 * cpu: a compute stream is a bounded queue with one worker thread, bound to a core where there are enough of them.  A
 * worker that has nothing to do spins for some microseconds when no more workers than cores exist, then sleeps on a
 * futex.  Nothing here allocates or makes a system call other than futex after the streams and events are open.
 *
 * cuda: a stream is a CUDA stream, an event a CUDA event.  A kernel function enqueues and returns, so the issuing thread
 * calls it itself.  A kernel function that refuses poisons its stream at once; a fault on
 * the GPU breaks the process's use of it, is reported by whatever call comes next, and nothing heals it. */
#ifndef WEIR_ENGINE_DEVICE_DEVICE_H
#define WEIR_ENGINE_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "include/weir/op.h"
#include "kernels/kernel_table.h"

typedef struct weir_device weir_device;
typedef struct weir_stream weir_stream;
typedef struct weir_event weir_event;
struct weir_vector_kernels; /* kernels/vector.h */

enum weir_stream_class { WEIR_STREAM_COMPUTE, WEIR_STREAM_EDGE };

enum weir_device_flags {
    WEIR_DEVICE_HOST_MEMORY = 1 << 0, /* device memory is host memory: the host may read and write it directly */
    WEIR_DEVICE_TASKS = 1 << 1,       /* run() works: host functions are executed in the order of the stream */
    WEIR_DEVICE_BF16 = 1 << 2,        /* kernels take bf16 tensors */
    WEIR_DEVICE_DRY = 1 << 3,         /* nothing is computed: no value means anything, and parameters need none */
};

/* A host function that a stream runs (preparation, reductions of the optimizer).  May block only on its own work. */
typedef weir_status (*weir_task_fn)(void *argument);

struct weir_device_kind {
    const char *name;    /* "cpu" */
    const char *summary; /* one line */
    unsigned flags;      /* enum weir_device_flags */

    /* What carries blocks between processes, by name: those of one host that `weir launch` started, and those of MPI.  NULL:
     * a run of this kind has one process. */
    const char *launch_transport, *mpi_transport;

    /* Kernels of this kind.  A context is the state that kernels keep for one rank, whose kernels run on `stream`: the issuing
     * thread opens and closes it, or with WEIR_DEVICE_TASKS a task of the stream; it takes context_bytes of device memory.
     * `tf32`: factors of f32 products may be rounded; WEIR_ERR_USAGE where the kind cannot. */
    int32_t tensor_device; /* WEIR_DEVICE_TYPE_CPU ..., for weir_tensor.device_type */
    weir_kernels_fn kernels; /* kernels/kernel_table.h: which it has for a row, and for calls of which shapes */
    weir_packed_fn packed_bytes; /* (optional) what kernels keep packed */
    const struct weir_vector_kernels *vectors;
    size_t context_bytes;
    weir_status (*context_open)(weir_device *device, weir_stream *stream, bool tf32,
                                struct weir_kernel_context **context_out);
    void (*context_close)(weir_device *device, struct weir_kernel_context *context);

    /* (optional) Set what the kind's library reads when it starts: before anything in the process may have started it,
     * another library of this process among them.  Any number of times. */
    void (*process_start)(void);

    /* Devices of this kind on this machine.  WEIR_ERR_UNSUPPORTED with the reason when the kind cannot be used here. */
    weir_status (*count)(int *n_devices_out);

    /* cpu: `n_threads` is the number of threads with which kernels on this device compute; the worker prefers the
     * n_threads cores from number index · n_threads on among the allowed ones (modulo their number), in the order of
     * placement_cores.h, which keeps a device's cores together.  Others: 1. */
    weir_status (*open)(int index, int n_threads, weir_device **device_out);
    void (*close)(weir_device *device); /* after its streams and events are closed */

    /* (optional) cpu: other processes compute on this machine too, and together there are more threads than cores: workers of
     * the device neither spin nor are bound.  Before the first stream is opened. */
    void (*crowd)(weir_device *device);

    /* Let kernels and copies of `device` reach memory of `peer`, which may be the same.  WEIR_ERR_UNSUPPORTED: the hardware
     * does not connect them. */
    weir_status (*connect)(weir_device *device, weir_device *peer);

    /* Zeroed memory, 64-byte aligned (cpu: page aligned from 2 MiB on), and bytes free and total on the device. */
    weir_status (*memory_alloc)(weir_device *device, size_t bytes, void **memory_out);
    void (*memory_free)(weir_device *device, void *memory);
    void (*memory_touch)(void *memory, size_t bytes); /* (optional) zero it on this thread, so that it lies near */
    weir_status (*memory_info)(weir_device *device, size_t *free_out, size_t *total_out);

    /* Host memory, zeroed and 64-byte aligned, that copies read and write while the issuing thread goes on. */
    weir_status (*host_alloc)(weir_device *device, size_t bytes, void **memory_out);
    void (*host_free)(weir_device *device, void *memory);

    /* `capacity`: tasks that can be enqueued before issuing blocks until the stream has caught up. */
    weir_status (*stream_open)(weir_device *device, enum weir_stream_class stream_class, size_t capacity,
                               weir_stream **stream_out);
    void (*stream_close)(weir_stream *stream); /* waits for what is enqueued */

    /* (optional, both or neither) Streams that another library of the caller's makes on the device by itself.  They count as
     * those that are opened here do.  WEIR_ERR_UNSUPPORTED: there is no room for so many. */
    weir_status (*streams_reserve)(weir_device *device, int n);
    void (*streams_release)(weir_device *device, int n);

    /* Streams of `device` record the event, streams of any device wait for it. */
    weir_status (*event_open)(weir_device *device, weir_event **event_out);
    void (*event_close)(weir_event *event); /* once every stream that records or awaits it has been synchronised */

    /* Make the stream's device the calling thread's current one and give what kernel functions take for a stream (cpu:
     * NULL), so that the caller may call them itself. */
    weir_status (*native)(weir_stream *stream, void **native_out);

    /* Enqueue: run fn(call, native stream); run task(argument) (only with WEIR_DEVICE_TASKS, else WEIR_ERR_UNSUPPORTED);
     * copy; note the time in nanoseconds, which is in *ns_out once stream_sync() has returned.  Times of one device
     * compare to a microsecond or better, and to weir_clock_ns() and other devices as exactly as the devices' clocks do.
     * WEIR_ERR_INVALID: launch or run on an edge stream. */
    weir_status (*launch)(weir_stream *stream, weir_kernel_fn fn, const struct weir_op_call *call);
    weir_status (*run)(weir_stream *stream, weir_task_fn fn, void *argument);
    weir_status (*copy)(weir_stream *stream, void *destination, const void *source, size_t bytes);
    weir_status (*mark)(weir_stream *stream, int64_t *ns_out);

    /* Have fn(argument) done where the stream has come to: by a task of the stream; or, where the host enqueues kernel by kernel,
     * now, with the device current on the calling thread, and its failure is the call's.  Such a function copies by
     * copy_here(): then and there on cpu, enqueued elsewhere. */
    weir_status (*perform)(weir_stream *stream, weir_task_fn fn, void *argument);
    weir_status (*copy_here)(weir_stream *stream, void *destination, const void *source, size_t bytes);

    /* (optional, both or neither) What the calling thread enqueues until the pop has a name in the vendor's tools: NVTX
     * ranges of the domain "weir" on cuda.  Ranges nest; tools show them beside the kernels that came of them. */
    void (*range_push)(const char *name);
    void (*range_pop)(void);

    weir_status (*record)(weir_stream *stream, weir_event *event);
    weir_status (*wait)(weir_stream *stream, weir_event *event);

    /* Has the latest issued record of the event happened?  Without any record it has. */
    weir_status (*event_done)(weir_event *event, bool *done_out);

    /* Block the calling thread until the stream is empty, at most `timeout_ns` (negative: for ever).
     * WEIR_ERR_TIMEOUT, or the first failure of the stream. */
    weir_status (*stream_sync)(weir_stream *stream, int64_t timeout_ns);
    weir_status (*stream_reset)(weir_stream *stream); /* forget a failure; the stream must be empty */
};

#ifdef __cplusplus
extern "C" {
#endif

extern const struct weir_device_kind weir_device_cpu;
extern const struct weir_device_kind weir_device_null;
extern const struct weir_device_kind weir_device_cuda; /* in its plugin (plugin/plugin.h) */

/* The kinds that can be had here, from 0 on: those of the library, then those of plugins that load; NULL beyond the last. */
const struct weir_device_kind *weir_device_kind_at(int i);

/* The kind called `name`.  WEIR_ERR_USAGE: unknown (with a suggestion); else what loading its plugin says. */
weir_status weir_device_kind_find(const char *name, const struct weir_device_kind **kind_out);

/* The same for what is planned and not run: of a kind in a plugin, what is known without loading it.  Such a kind has no functions
 * but `kernels`. */
weir_status weir_device_kind_plan(const char *name, const struct weir_device_kind **kind_out);

/* Which devices `n_ranks` ranks use, from text as --device takes it:
 *     cpu, cuda            rank r on device r
 *     cuda:1               all ranks on device 1
 *     cuda:0,cuda:0        rank r on the r-th of the list, which has one entry per rank
 * WEIR_ERR_USAGE: not of that form, several kinds, an entry too many or too few, or an unknown kind. */
weir_status weir_device_list(const char *text, int n_ranks, const struct weir_device_kind **kind_out, int *indices_out);

/* The kind that such a text names, whatever its devices. */
weir_status weir_device_list_kind(const char *text, const struct weir_device_kind **kind_out);

/* Both for what is planned and not run. */
weir_status weir_device_list_plan(const char *text, int n_ranks, const struct weir_device_kind **kind_out, int *indices_out);
weir_status weir_device_list_kind_plan(const char *text, const struct weir_device_kind **kind_out);

/* cpu: cores this process may use, and text about the machine for `weir info` ("2 cores, 1 NUMA node, AMD EPYC").  Both
 * read the machine's topology, which takes some milliseconds. */
int weir_cpu_cores(void);
weir_status weir_cpu_describe(char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
