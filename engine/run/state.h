/* The engine's own structs. */
#ifndef WEIR_ENGINE_RUN_STATE_H
#define WEIR_ENGINE_RUN_STATE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "engine/device/device.h"
#include "engine/program/program.h"
#include "engine/transport/transport.h"
#include "engine/weir.h"

/* One instruction at run time: the argument of its task. */
struct weir_exec {
    struct weir_rank *rank;
    const struct weir_instr *instr;
    const char *name;
    int64_t start_ns, end_ns; /* of the last step, waits excluded */
};

struct weir_op_clock {
    int64_t calls, ns;
};

/* A rank of one replica.  engine->ranks holds those of all replicas, replica by replica; the blocks of a rank that lives
 * elsewhere are where this process sees them. */
struct weir_rank {
    int index;   /* in its pipeline */
    int replica;
    weir_engine *engine;
    weir_device *device;
    weir_stream *stream;
    char *blocks[WEIR_MEMORY_KINDS];
    bool shared[WEIR_MEMORY_KINDS]; /* the block belongs to the engine's link */
    struct weir_kernel_context *context;
    void *native;                   /* the device's own stream: argument of kernels; NULL on cpu */
    struct weir_step_block host;    /* values and update are copied to STEP when a step begins, its gate back at the end */
    struct weir_exec *execs;        /* [n_instrs] */
    struct weir_op_clock *clocks;   /* [n_nodes * WEIR_PASSES] */
};

/* From the first instruction of all ranks to the end of the last one. */
struct weir_step_span {
    int64_t first_ns, last_ns;
};

struct weir_engine {
    struct weir_engine_config config;
    const struct weir_graph *graph;
    struct weir_arena arena;
    struct weir_program *program;
    int *first_layer; /* [n_stages + 1] */
    const struct weir_device_kind *kind;
    const struct weir_vector_kernels *vectors;
    int n_replicas, n_ranks; /* n_ranks: of all replicas together */
    struct weir_rank *ranks;
    int first_here, end_here;            /* of them live in this process: ranks [first_here, end_here) */
    const struct weir_transport_kind *wire; /* to other processes; NULL: all ranks live here */
    weir_transport *transport;
    weir_link *link;
    const struct weir_transport_info *info;
    int *signallers;                     /* [n_events]: rank of its pipeline; when there is a transport */
    struct weir_step_note *notes;        /* [n_ranks], in the order of the processes */
    int64_t clock_ahead_ns;              /* of this host, compared to rank 0's */
    const volatile int *stop_flag;       /* the program's; NULL: none */
    weir_event **events; /* [n_replicas * n_events]; when all ranks live here */
    int64_t step;
    _Atomic int failed;      /* a kernel failed: nobody updates */
    bool broken;             /* only close is left */
    int64_t *compute_ns;     /* [n_ranks] */
    size_t *peak_bytes;      /* [n_ranks] */
};

static inline struct weir_rank *weir_rank_at(const struct weir_engine *engine, int replica, int index)
{
    return &engine->ranks[replica * engine->program->n_ranks + index];
}

static inline bool weir_rank_is_here(const struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    return rank >= engine->ranks + engine->first_here && rank < engine->ranks + engine->end_here;
}

static inline struct weir_step_block *weir_step_block(const struct weir_rank *rank)
{
    return (struct weir_step_block *)(void *)rank->blocks[WEIR_MEMORY_STEP];
}

/* Copy within the rank's instruction: from its own memory or a peer's. */
weir_status weir_rank_copy(struct weir_rank *rank, void *destination, const void *source, size_t bytes);

/* Wait for all ranks; the first failure, with its message. */
weir_status weir_ranks_sync(weir_engine *engine);

/* Ranks in other processes (peers.c).  Join: open the transport, which rank lives here?  Link: share memory and events.
 * Ready: all ranks are.  Leave: after everything else is closed. */
weir_status weir_peers_join(weir_engine *engine);
weir_status weir_peers_link(weir_engine *engine);
weir_status weir_peers_ready(weir_engine *engine);
void weir_peers_leave(weir_engine *engine);
void weir_peers_stop(const weir_engine *engine, weir_status status); /* this process has failed */

/* Around an instruction, on the rank's own thread. */
weir_status weir_peers_await(const struct weir_rank *rank, const struct weir_instr *instr);
weir_status weir_peers_passed(const struct weir_rank *rank, const struct weir_instr *instr);

/* The end of a step on all ranks: fills compute_ns of all, makes span and *stop (the largest) the same for all. */
weir_status weir_peers_step_end(weir_engine *engine, struct weir_step_span *span, int *stop);

/* The times of all ranks' instructions in the last step, on every process. */
weir_status weir_peers_times(weir_engine *engine);

/* The rank uses memory of this host. */
bool weir_peers_on_host(const struct weir_rank *rank);

/* The process that rank `index` of `replica` lives in. */
int weir_peers_process(const weir_engine *engine, int replica, int index);

/* The task of one instruction; `exec` is a struct weir_exec. */
weir_status weir_exec_run(void *exec);

/* Fill the addresses of one call of `stage` for micro-batch `mb`. */
void weir_call_bind(struct weir_rank *rank, int stage, int mb, const struct weir_step_call *step_call,
                    struct weir_op_call *call_out);

/* The instructions after the last micro-batch: reduce.c and optimizer.c. */
weir_status weir_tie_add(struct weir_rank *rank);
weir_status weir_reduce(struct weir_rank *rank, int bucket);
weir_status weir_gather(struct weir_rank *rank, int bucket);
weir_status weir_norm(struct weir_rank *rank);
weir_status weir_update(struct weir_rank *rank);
weir_status weir_param_gather(struct weir_rank *rank);
weir_status weir_tie_copy(struct weir_rank *rank);

/* The address `offset` bytes into a rank's block. */
static inline float *weir_block_at(const struct weir_rank *rank, enum weir_memory_kind kind, size_t offset)
{
    return (float *)(void *)(rank->blocks[kind] + offset);
}

/* Initial values of the rank's parameters. */
void weir_params_init(struct weir_rank *rank);

#endif
