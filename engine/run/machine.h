/* The machine of a run: devices, streams and blocks of memory of the ranks that live in this process.
 *
 * A rank has one device, one compute stream on it, and one block per kind of memory.  Ranks of other processes have an entry
 * too: its blocks are where this process sees them, if it does (world.h).  What a rank runs is not known here (runner.h).
 *
 * With two copies of the weights (program.h) two ranks beside each other in the list are one *worker*: they have device,
 * stream, kernel state, ACTIVATIONS and SCRATCH together, and the other blocks each for itself.  The first of them opens and closes these.
 *
 *     weir_machine_open      devices, and that they reach each other's memory
 *     weir_machine_streams   the ranks' compute streams
 *     weir_machine_look      what the devices have: the answer to "does it fit?" is engine/program/fit.h's
 *     weir_machine_blocks    memory; blocks that processes share are set before by the world
 *     weir_machine_issuers   threads that enqueue, where there are several GPUs (issue.c)
 *     weir_machine_close     takes back whatever was opened, however far that got; devices last, with
 *     weir_machine_devices_close
 *
 * Threads: the thread that opens calls everything; weir_machine_tasks_run() runs a function on every rank's own thread. */
#ifndef WEIR_ENGINE_RUN_MACHINE_H
#define WEIR_ENGINE_RUN_MACHINE_H

#include "base/arena.h"
#include "engine/device/device.h"
#include "engine/program/build.h"
#include "engine/program/extra_memory.h"
#include "engine/run/pulse.h"

struct weir_machine;

/* The first call of a rank whose results were not finite (nonfinite.h). */
struct weir_nonfinite_note {
    int32_t is_set, instr, node, pass, microbatch;
};

/* A rank of one replica. */
struct weir_rank {
    const struct weir_machine *machine;
    int number;              /* of all replicas, worker by worker; with one copy of the weights replica by replica */
    int worker;              /* of all replicas: whose stream it is on */
    int index, replica;      /* in its pipeline; which pipeline */
    int device_index;
    weir_device *device;     /* NULL: the rank lives in another process */
    weir_stream *stream;
    weir_stream *issuer;     /* whose thread enqueues its instructions (issue.c); NULL: the calling thread */
    void *native;            /* the device's own stream: argument of kernels; NULL on cpu */
    struct weir_kernel_context *context;
    char *blocks[WEIR_MEMORY_KINDS];
    bool shared[WEIR_MEMORY_KINDS];   /* the block belongs to a link between processes */
    char *mirrors[WEIR_MEMORY_KINDS]; /* host memory of blocks that the host reads and writes each step; transfer.h */
    char *chunk;                      /* host memory that all other transfers go through, WEIR_TRANSFER_BYTES */
    struct weir_flight *flight;     /* what its worker does, for others to see; NULL: of another host */
    struct weir_call_watch *call;   /* the worker's call that is under way; NULL: nobody looks */
    int64_t free_ns;                /* of a worker's first rank: end of the worker's last instruction */
    _Atomic int failed;             /* likewise: weir_status of an instruction that failed; what follows on the stream is skipped */
    struct weir_nonfinite_note nonfinite;
    double *partial_sums; /* NCCL only: this worker's addends for the global norm and losses; same layout as the norm part of
                             STEP, zero where another rank contributes */
};

/* A thread that issues: a compute stream of a cpu device of its own. */
struct weir_issuer {
    weir_device *device;
    weir_stream *stream;
};

struct weir_machine {
    const struct weir_device_kind *kind;
    const struct weir_build *build;
    int n_ranks;              /* of all replicas */
    int first_here, end_here; /* ranks [first_here, end_here) live in this process */
    struct weir_rank *ranks;  /* [n_ranks] */
    struct weir_issuer *issuers; /* [n_issuers] */
    int n_issuers;            /* 0: the calling thread enqueues everything */
    int n_workers;            /* of all replicas */
    int *device_of;           /* [n_workers]: device_index, or WEIR_DEVICE_ELSEWHERE */
    size_t *taken, *free_bytes, *total_bytes; /* [n_workers]: what weir_machine_look() saw */
};

static inline struct weir_rank *weir_rank_at(const struct weir_machine *machine, int replica, int index)
{
    int n_copies = machine->build->program->n_copies;
    return &machine->ranks[weir_build_worker(machine->build, replica, index) * n_copies + replica % n_copies];
}

/* The ranks of a worker stand beside each other; the first of them. */
static inline struct weir_rank *weir_worker_first(const struct weir_machine *machine, int worker)
{
    return &machine->ranks[worker * machine->build->program->n_copies];
}

static inline bool weir_rank_is_first(const struct weir_rank *rank)
{
    return rank->number % rank->machine->build->program->n_copies == 0;
}

/* The other rank on the worker: of the other copy of the weights. */
static inline struct weir_rank *weir_rank_twin(const struct weir_rank *rank)
{
    return &rank->machine->ranks[rank->number ^ 1];
}

static inline bool weir_rank_is_here(const struct weir_rank *rank)
{
    return rank->number >= rank->machine->first_here && rank->number < rank->machine->end_here;
}

static inline const struct weir_rank_program *weir_rank_program(const struct weir_rank *rank)
{
    return &rank->machine->build->program->ranks[rank->index];
}

static inline struct weir_step_block *weir_step_block(const struct weir_rank *rank)
{
    return (struct weir_step_block *)(void *)rank->blocks[WEIR_MEMORY_STEP];
}

/* The address `offset` bytes into a rank's block. */
static inline float *weir_block_at(const struct weir_rank *rank, enum weir_memory_kind kind, size_t offset)
{
    return (float *)(void *)(rank->blocks[kind] + offset);
}

/* Which ranks live here, and this process's device among those of its host where the configuration gives none by number
 * (else -1). */
struct weir_machine_place {
    int first_here, end_here;
    int device_index;
    bool is_crowded; /* other processes compute on this host too, more threads than cores together */
};

/* Memory of `arena`.  WEIR_ERR_USAGE, WEIR_ERR_UNSUPPORTED: devices that are not there or do not reach each other. */
weir_status weir_machine_open(struct weir_machine *machine, const struct weir_build *build,
                              const struct weir_machine_place *place, struct weir_arena *arena);

/* `capacity`: what a stream must hold while a program is enqueued, of the worker with that number in its replica. */
weir_status weir_machine_streams(struct weir_machine *machine, size_t (*capacity)(const struct weir_build *build, int worker));

/* What the devices have now.  `have_out` points into the machine. */
weir_status weir_machine_look(struct weir_machine *machine, struct weir_resources *have_out);

/* Blocks, and bytes of partial_sums for every rank here (0: none). */
weir_status weir_machine_blocks(struct weir_machine *machine, size_t partial_bytes);

void weir_machine_close(struct weir_machine *machine);
void weir_machine_devices_close(struct weir_machine *machine);

/* Wait for all ranks; the first failure, with its message.  `watch`, when not NULL, is asked every WEIR_MACHINE_LOOK_NS
 * whether a wait may still come to an end. */
#define WEIR_MACHINE_LOOK_NS INT64_C(100000000)
struct weir_machine_watch {
    weir_status (*look)(void *context);
    void *context;
};
weir_status weir_machine_sync(const struct weir_machine *machine, const struct weir_machine_watch *watch);

/* After a failure the streams of this process end by themselves, or never: true when one has not within `grace_ns`. */
bool weir_machine_is_stuck(const struct weir_machine *machine, int64_t grace_ns);

/* Run `fn`, whose argument is arguments + r * stride for the rank with number r, on every rank's thread, and wait.  Where a device has no
 * tasks it runs here and now, with the rank's device the current one. */
weir_status weir_machine_tasks_run(const struct weir_machine *machine, weir_task_fn fn, void *arguments, size_t stride);

/* Copy within the rank's instruction: from its own memory or a peer's. */
weir_status weir_rank_copy(const struct weir_rank *rank, void *destination, const void *source, size_t bytes);

/* Does the host enqueue kernel by kernel, or are instructions tasks of their streams? */
static inline bool weir_machine_enqueues(const struct weir_machine *machine)
{
    return !(machine->kind->flags & WEIR_DEVICE_TASKS);
}

/* What vector kernels get for a stream, on the rank's worker; where there is none (cpu), the kernels' state with its threads. */
static inline void *weir_rank_vectors(const struct weir_rank *rank)
{
    return rank->native ? rank->native : rank->context;
}

/* Threads that enqueue, one per GPU where there are several (issue.c). */
weir_status weir_machine_issuers(struct weir_machine *machine, struct weir_arena *arena);

#endif
