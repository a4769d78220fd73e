/* The engine's own structs. */
#ifndef WEIR_ENGINE_RUN_STATE_H
#define WEIR_ENGINE_RUN_STATE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "engine/device/device.h"
#include "engine/device/placement/placement.h"
#include "engine/program/program.h"
#include "engine/transport/transport.h"
#include "engine/weir.h"

/* Generation: what a micro-batch of the coming run is. */
struct weir_lane {
    struct weir_sequence rows;
    int sequence; /* whose cache it reads and extends */
    int end_node; /* calls of nodes from here on are left out; -1: the lane is idle */
};

/* A program with what its run needs.  The engine's own, and another for evaluation, share streams and blocks. */
struct weir_run_program {
    struct weir_program *program;    /* NULL: there is none */
    struct weir_exec **execs;        /* [n_ranks][n_instrs], replica by replica */
    int n_events;                    /* of all replicas together */
    weir_event **events;             /* [n_events], replica by replica; when all ranks live here */
    weir_event **issued;             /* [n_events]: their twins on the host (issue.c); NULL: one thread issues */
    weir_link *link;                 /* to other processes, in place of events */
    int *signallers;                 /* [program's n_events]: rank of its pipeline; when there is a link */
    enum weir_memory_kind scratch;   /* the block that holds its SCRATCH */
    struct weir_lane *lanes;         /* [n_microbatches], written between runs; NULL: training */
};

/* One instruction at run time: the argument of its task. */
struct weir_exec {
    struct weir_rank *rank;
    const struct weir_run_program *run;
    const struct weir_instr *instr;
    const char *name;
    int64_t start_ns, end_ns; /* of the last step, waits excluded */
    int64_t *calls_end_ns;    /* [n_calls] likewise, by marks; NULL: calls are not timed so */
};

struct weir_op_clock {
    int64_t calls, ns;
};

/* A thread that issues: a compute stream of a cpu device of its own. */
struct weir_issuer {
    weir_device *device;
    weir_stream *stream;
};

/* A rank of one replica.  engine->ranks holds those of all replicas, replica by replica; the blocks of a rank that lives
 * elsewhere are where this process sees them. */
struct weir_rank {
    int index;   /* in its pipeline */
    int replica;
    weir_engine *engine;
    int device_index;
    weir_device *device;
    weir_stream *stream;
    weir_stream *issuer; /* whose thread enqueues its instructions, a stream of issue.c; NULL: the calling thread */
    char *blocks[WEIR_MEMORY_KINDS];
    bool shared[WEIR_MEMORY_KINDS]; /* the block belongs to the link of train */
    char *mirrors[WEIR_MEMORY_KINDS]; /* transfer.h */
    double *terms;                  /* transport in stream order: what this rank adds to the sums of norm and losses, laid out
                                       as in STEP from norm_offset on, 0 where others do; NULL: STEP itself */
    char *chunk;
    struct weir_kernel_context *context;
    void *native;                   /* the device's own stream: argument of kernels; NULL on cpu */
    struct weir_step_block host;    /* values and update are copied to STEP when a step begins, its gate back at the end */
    struct weir_op_clock *clocks;   /* [n_nodes * WEIR_PASSES] */
};

/* What every rank says at the end of a step. */
struct weir_step_note {
    int64_t first_ns, last_ns, busy_ns; /* of rank 0's clock */
    int64_t stop;
};

/* From the first instruction of all ranks to the end of the last one. */
struct weir_step_span {
    int64_t first_ns, last_ns;
};

struct weir_engine {
    struct weir_engine_config config;
    const struct weir_graph *graph;
    struct weir_arena arena;
    struct weir_program *program;     /* that of train */
    struct weir_run_program train;    /* a generator's: prompts */
    struct weir_run_program evaluate; /* when the configuration wants it: the forwards of train, in its memory; a
                                         generator's: one token of every sample */
    const char *advice;               /* of a generator: what makes it smaller, should it not fit; NULL: found by trying */
    int *first_layer; /* [n_stages + 1] */
    bool *recompute;  /* [n_layers] */
    const struct weir_device_kind *kind;
    const struct weir_vector_kernels *vectors;
    int n_replicas, n_ranks; /* n_ranks: of all replicas together */
    enum weir_placement_order order; /* of the processes */
    struct weir_rank *ranks;
    struct weir_issuer *issuers;            /* [n_issuers] */
    int n_issuers;                          /* 0: the calling thread issues everything */
    int first_here, end_here;               /* of them live in this process: ranks [first_here, end_here) */
    const struct weir_transport_kind *wire; /* to other processes; NULL: all ranks live here */
    weir_transport *transport;
    const struct weir_transport_info *info;
    struct weir_step_note *notes;           /* [n_ranks], in the order of the processes */
    int64_t clock_ahead_ns;                 /* of this host, compared to rank 0's */
    const volatile int *stop_flag;          /* the program's; NULL: none */
    double *losses; /* of an evaluation: [n_replicas * n_microbatches] */
    int64_t step;
    _Atomic int failed;      /* a kernel failed: nobody updates */
    bool broken;             /* only close is left */
    bool stuck;              /* and what is on the devices cannot be ended: nothing of it may be touched */
    const struct weir_run_program *running; /* the last one that began; transports in stream order */
    bool stepped;            /* there are gradients of a step */
    int64_t *compute_ns;     /* [n_ranks] */
    size_t *peak_bytes;      /* [n_ranks] */
    struct weir_extra *extras; /* memory beside the blocks (extra_memory.h) */
    const int *extra_devices;  /* [n_ranks]: where that is; -1: of another process */
};

/* The steps of opening, for generators too: what is wrong with a configuration; first_layer and recompute, the
 * configuration's, layers balanced when it has none; device kind and transport by name; devices, memory, threads and initial values for the programs made. */
weir_status weir_engine_config_check(const struct weir_engine_config *config);
weir_status weir_engine_partition(weir_engine *engine);
weir_status weir_engine_parts_find(weir_engine *engine);
weir_status weir_engine_start(weir_engine *engine);

/* Training: bind the configuration's schedule to its graph.  Fills in first_layer, recompute and the programs, whose memory
 * is the engine's arena. */
weir_status weir_engine_compile(weir_engine *engine);

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

/* A rank's stream; its own blocks; what it runs of a program, and the events between ranks; prepare: a task of the rank, once
 * all of that is there.  Closing takes back what was opened, however far that got. */
weir_status weir_rank_stream_open(weir_engine *engine, int r);
weir_status weir_rank_open(weir_engine *engine, int r);
void weir_rank_close(weir_engine *engine, struct weir_rank *rank);
weir_status weir_run_open(weir_engine *engine, struct weir_run_program *run);
void weir_run_close(weir_engine *engine, struct weir_run_program *run);
weir_status weir_rank_prepare(void *rank);

/* Wait for all ranks; the first failure, with its message. */
weir_status weir_ranks_sync(weir_engine *engine);

/* Run `fn`, whose argument is the struct weir_rank, on every rank's thread, and wait. */
weir_status weir_ranks_run(weir_engine *engine, weir_task_fn fn);

/* Ranks in other processes (peers.c, peers_run.c).  Join: open the transport, which rank lives here?  Link: share memory and events.
 * Ready: all ranks are.  Leave: after everything else is closed. */
weir_status weir_peers_join(weir_engine *engine);
/* Which device of this host this process opens, so that neighbours in a pipeline are neighbours there; *index stays when
 * all ranks live here. */
weir_status weir_peers_device_index(weir_engine *engine, int *index);
weir_status weir_peers_link(weir_engine *engine);
weir_status weir_peers_place(weir_engine *engine); /* once this rank has its blocks: now those of others have addresses */
size_t weir_peers_terms_bytes(const weir_engine *engine); /* of struct weir_rank.terms; 0: none */
weir_status weir_peers_ready(weir_engine *engine);
void weir_peers_unlink(weir_engine *engine); /* before the devices are closed */
void weir_peers_leave(weir_engine *engine);
void weir_peers_stop(weir_engine *engine, weir_status status); /* this process has failed */

/* Transports in stream order: is all well?  Names what is awaited, when it is not. */
weir_status weir_peers_look(const weir_engine *engine);

static inline bool weir_peers_stream(const weir_engine *engine)
{
    return engine->wire && engine->wire->streams;
}

/* Collectives of the run that began last. */
weir_status weir_peers_collect(const weir_engine *engine, enum weir_collective_scope scope, enum weir_collective what,
                               enum weir_dtype dtype, int n_parts, const struct weir_collective_part *parts);
weir_status weir_peers_collected(const weir_engine *engine, enum weir_collective_scope scope);

/* The process of rank `index` of `replica`; the messages of a program that start or end in this process, with its events
 * known (peers_wires.c; memory of `arena`). */
int weir_peers_process(const weir_engine *engine, int replica, int index);
static inline int weir_rank_process(const struct weir_rank *rank)
{
    return weir_peers_process(rank->engine, rank->replica, rank->index);
}

weir_status weir_peers_wires(const weir_engine *engine, const struct weir_run_program *run, struct weir_arena *arena,
                             struct weir_link_spec *spec);

/* `bytes` of this host become those of all hosts together. */
weir_status weir_peers_sum(weir_engine *engine, size_t *bytes);

/* A run of a program; all of them do nothing when all ranks live here.  Between: around an instruction, on the rank's own
 * thread; progress between the kernels of one. */
weir_status weir_peers_begin(weir_engine *engine, const struct weir_run_program *run);
weir_status weir_peers_await(const struct weir_exec *exec); /* and before something is written that goes to others */
weir_status weir_peers_progress(const struct weir_engine *engine, const struct weir_run_program *run);
weir_status weir_peers_passed(const struct weir_exec *exec);
weir_status weir_peers_finish(weir_engine *engine, const struct weir_run_program *run);

/* The end of a step on all ranks: fills compute_ns of all, makes span and *stop (the largest) the same for all. */
weir_status weir_peers_step_end(weir_engine *engine, struct weir_step_span *span, int *stop);

/* The process of rank `index` of `replica` has `data`: all get it. */
weir_status weir_peers_share(weir_engine *engine, int replica, int index, void *data, size_t bytes);

/* The times of all ranks' instructions in the last step, on every process. */
weir_status weir_peers_times(weir_engine *engine);

/* The task of one instruction; `exec` is a struct weir_exec.  Where the issuing thread runs it, it awaits first, then marks
 * times around the body, then passes. */
weir_status weir_exec_run(void *exec);
weir_status weir_exec_body(const struct weir_exec *exec);
weir_status weir_exec_fail(const struct weir_exec *exec, weir_status status); /* returns `status` */

/* After a run: what the marks of its calls say goes to the clocks of the ranks here. */
void weir_run_clock(weir_engine *engine, const struct weir_run_program *run);

/* Fill the addresses of one call of `stage` for micro-batch `mb`. */
void weir_call_bind(struct weir_rank *rank, const struct weir_run_program *run, int stage, int mb,
                    const struct weir_step_call *step_call, struct weir_op_call *call_out);

/* After a failure the engine can only be closed, and the other processes cannot go on without it.  Returns `status`. */
weir_status weir_engine_break(weir_engine *engine, weir_status status);

/* Give every rank the values of the coming run. */
weir_status weir_step_begin(weir_engine *engine, double learning_rate, bool training);

/* Enqueue one instruction with what it awaits and signals, on the thread that issues for its rank.  Whatever orders
 * communication between processes can go by it: a rank's calls come in the program's order, from one thread. */
weir_status weir_instr_issue(struct weir_exec *exec);

/* Make `stream` of `kind` wait for what the instruction awaits, and where it finds what it signals; `events` are those of its
 * run or their twins. */
weir_status weir_waits_issue(const struct weir_exec *exec, const struct weir_device_kind *kind, weir_stream *stream,
                             weir_event *const *events);
static inline weir_event **weir_signal_of(const struct weir_exec *exec, weir_event **events)
{
    return &events[exec->rank->replica * exec->run->program->n_events + exec->instr->signal];
}

/* Issuing programs (issue.c): the threads that do it, once ranks have devices; the twins of a program's events, once it has
 * events; all instructions of a program: when it returns, all of them are enqueued. */
weir_status weir_issuers_open(weir_engine *engine);
void weir_issuers_close(weir_engine *engine);
weir_status weir_issued_open(weir_engine *engine, struct weir_run_program *run);
weir_status weir_run_issue(weir_engine *engine, const struct weir_run_program *run);

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

/* Elements [first, first + n) of a parameter of the rank have changed: round them into the copy that kernels read, if there
 * is one.  Call it wherever PARAMS is written, with the rank's device the current one. */
weir_status weir_param_round(struct weir_rank *rank, const struct weir_rank_param *held, int64_t first, int64_t n);

/* Initial values of the rank's parameters. */
weir_status weir_params_init(struct weir_rank *rank);

#endif
