/* The runner: runs the programs of a build on a machine.
 *
 *     build (engine/program/build.h)     what runs: programs, memory, partition
 *     machine (machine.h)                where: devices, streams, blocks
 *     world (world.h)                    with whom: processes, and which rank is which
 *
 * A program bound to the ranks of this process is a *run*: for every instruction a struct weir_exec, and the events between
 * ranks.  One call of weir_runner_run() is one pass over program->order:
 *
 *     begin ─▶ values to STEP ─▶ issue all instructions (issue.c) ─▶ fetch results ─▶ sync ─▶ finish ─▶ times
 *                                   each runs on its rank's stream (exec.c); between processes it awaits
 *                                   and passes on by itself (link.c)
 *
 * The runner knows the instructions that are actions.  Those after the last micro-batch (sums, norm, update) belong to
 * whoever trains: it hands in a function for them.  A trainer (engine/train) and a decoder (engine/generate) each hold one
 * runner.
 *
 * State.  READY until something fails.  FAILED: a kernel, a peer or the enqueuing failed, in this process or another; what
 * is enqueued comes to its end, nobody updates, and only closing is left, or where all ranks live here a reset.  STUCK: FAILED,
 * and what is on the devices cannot be ended, so that nothing there may be touched any more.  It only rises, but for a reset; any
 * thread may raise it.
 *
 * Threads: open, run and close belong to one thread; exec.c and link.c run on the ranks' threads. */
#ifndef WEIR_ENGINE_RUN_RUNNER_H
#define WEIR_ENGINE_RUN_RUNNER_H

#include <stdatomic.h>

#include "engine/run/machine.h"
#include "engine/run/standing.h"
#include "engine/run/world.h"

struct weir_runner;
struct weir_run;
struct weir_binding;

/* Generation: what a micro-batch of the coming run is. */
struct weir_lane {
    struct weir_sequence rows;
    int sequence; /* whose cache it reads and extends */
    int end_node; /* calls of nodes from here on are left out; -1: the lane is idle */
};

struct weir_op_clock {
    int64_t calls, ns;
    _Atomic int64_t longest_ns;
};

/* One instruction at run time: the argument of its task. */
struct weir_exec {
    struct weir_rank *rank;
    const struct weir_run *run;
    const struct weir_instr *instr;
    struct weir_binding *bindings; /* bindings.h: of the first of its calls */
    int position;                 /* in the worker's list */
    int place;                    /* for records: in that of the step, or of an evaluation */
    struct weir_op_clock *clocks; /* the rank's */
    weir_task_fn fn;              /* what is performed: weir_exec_run, or weir_exec_enqueue */
    bool times_calls;             /* a call has run when its kernel returns: the clock is read around it */
    const char *name;
    struct weir_op_clock whole; /* of an instruction that is no action: no clock of the rank's has it */
    int64_t start_ns, end_ns; /* of the last run, waits excluded */
    int64_t *calls_end_ns;    /* [n_calls] likewise, by marks; NULL: calls are not timed so */
};

/* A program bound to the ranks here.  The runs of a runner share streams and blocks. */
struct weir_run {
    struct weir_runner *runner;
    const struct weir_program *program; /* NULL: there is none */
    enum weir_memory_kind scratch;      /* the block that holds its SCRATCH */
    struct weir_exec **execs;           /* [n_ranks][n_instrs], by the ranks' numbers */
    struct weir_binding ***bindings;    /* [n_ranks][n_stages · WEIR_LISTS][n_calls]: of the ranks here (bindings.h) */
    int n_events;                       /* of all replicas together */
    weir_event **events;                /* [n_events], replica by replica; when all ranks live here */
    weir_event **issued;                /* [n_events]: their twins on the host (issue.c); NULL: one thread issues */
    weir_link *link;                    /* to other processes, in place of events */
    int *signallers;                    /* [program's n_events]: rank of its pipeline; when there is a link */
    const int *fetch_of;                /* [n_nodes]: number of the node's value among the build's fetches, or -1; NULL: none is kept */
    struct weir_lane *lanes;            /* [n_microbatches], written between runs; NULL: training */
};

/* Position `position` of the list of a worker of all replicas. */
static inline struct weir_exec *weir_run_exec_at(const struct weir_run *run, int worker, int position)
{
    const struct weir_program *program = run->program;
    const struct weir_order_entry *entry = &program->workers[worker % program->n_ranks].entries[position];
    return &run->execs[worker * program->n_copies + entry->copy][entry->instr];
}

enum weir_runner_state { WEIR_RUNNER_READY, WEIR_RUNNER_FAILED, WEIR_RUNNER_STUCK };

/* Runs the instructions of a rank that are no actions, on the rank's thread or enqueuing for it. */
typedef weir_status (*weir_step_end_fn)(void *context, struct weir_rank *rank, const struct weir_instr *instr);

/* Where the first number that is not finite arose. */
struct weir_nonfinite {
    int rank, microbatch;      /* of all replicas; the rank's worker */
    const char *instruction;   /* "1F3" */
    const char *layer, *node, *op, *pass;
};

struct weir_runner {
    struct weir_arena arena;
    struct weir_build build;
    struct weir_extras extras; /* memory beside the blocks */
    struct weir_world world;
    struct weir_machine machine;
    struct weir_run main, guest; /* of build.program and build.guest */
    struct weir_run update;      /* of build.update */
    const struct weir_run *running; /* the last one that began; device-side transports look after it */
    int64_t issued_ns;              /* when it had been issued */
    struct weir_standing *standing; /* [n_workers] */
    _Atomic int state;           /* enum weir_runner_state */
    char cause[WEIR_ERROR_MAX];  /* the message of the failure that raised it first; "": none */
    _Atomic int call_failed;     /* an instruction before the update did: what is on the devices comes to its end */
    _Atomic int update_failed;   /* one of the update or behind it did: parameters may be new in part */
    struct {
        const char *path; /* NULL: no record is written */
        bool is_written;  /* by this process, after a failure */
    } flight;
    bool looks_for_nonfinite; /* the run is a replay: its results are looked at */
    bool gradients_only;      /* UPDATE finds norm and loss, and parameters stay as they are */
    struct weir_op_clock **clocks; /* [n_ranks][n_nodes * WEIR_PASSES] */
    size_t *peak_bytes;          /* [n_workers]: on the worker's device */
    weir_step_end_fn step_end;   /* NULL: no program has such instructions */
    void *step_end_context;
};

/* Devices, memory, threads and initial values for a build and a world that are there (weir_world_join has returned).  After a
 * failure, too, close takes everything back.  WEIR_ERR_NOFIT with what would fit. */
weir_status weir_runner_open(struct weir_runner *runner);

/* Also a runner of which only build or world is there, or that is all zero. */
void weir_runner_close(struct weir_runner *runner);

/* A thread of this process does not return from a call: whatever it may touch stays, the runner too. */
bool weir_runner_is_hung(const struct weir_runner *runner);

/* Run a program once: `values` go to every rank's STEP first, `fetch` enqueues copies of results to the host behind the last
 * instructions.  After a failure the others are told and the runner has FAILED. */
weir_status weir_runner_run(struct weir_runner *runner, struct weir_run *run, const struct weir_step_block *values,
                            weir_status (*fetch)(void *context), void *context);

/* The runner cannot go on: tell the others with the thread's last error, and return `status`. */
weir_status weir_runner_fail(struct weir_runner *runner, weir_status status);

/* READY again after a kernel failed, when all ranks live here: parameters, optimizer state and gradients that await an update are
 * as they were (reset.c).  WEIR_ERR_UNSUPPORTED: there are other processes.  WEIR_ERR_INVALID: something else failed. */
weir_status weir_runner_reset(struct weir_runner *runner);
bool weir_runner_can_reset(const struct weir_runner *runner);

/* WEIR_OK when the runner is READY; else WEIR_ERR_INVALID with what failed first, "the engine failed before: close it; earlier: .." */
weir_status weir_runner_check(const struct weir_runner *runner, const char *who, const char *way_out);

static inline enum weir_runner_state weir_runner_state(const struct weir_runner *runner)
{
    return (enum weir_runner_state)atomic_load(&((struct weir_runner *)(uintptr_t)runner)->state);
}

static inline bool weir_runner_is_ready(const struct weir_runner *runner)
{
    return weir_runner_state(runner) == WEIR_RUNNER_READY;
}

#endif
