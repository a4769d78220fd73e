/* Ranks in other processes while a program runs: what an instruction awaits and passes on, collectives, and looking after
 * peers.  Without a transport every function here does nothing. */
#ifndef WEIR_ENGINE_RUN_LINK_H
#define WEIR_ENGINE_RUN_LINK_H

#include "engine/run/runner.h"

/* Open: memory, events and messages of all runs, shared with the other processes.  Place: once this rank has its blocks, those
 * of others have addresses.  Unlink: before devices are closed. */
weir_status weir_link_join(struct weir_runner *runner);
weir_status weir_link_place(struct weir_runner *runner);
void weir_link_leave(struct weir_runner *runner);
size_t weir_link_partial_bytes(const struct weir_runner *runner); /* of struct weir_rank.partial_sums; 0: none */

/* Blocks and events of a process as the transport numbers them: those of its rank, with two copies of the weights of both its
 * ranks (runner.h), copy by copy.  `replica` counts copies. */
static inline int weir_link_block(const struct weir_runner *runner, int replica, int kind)
{
    return replica % runner->build.program->n_copies * WEIR_MEMORY_KINDS + kind;
}

static inline int weir_link_event(const struct weir_run *run, int replica, int event)
{
    return replica % run->program->n_copies * run->program->n_events + event;
}

/* A run begins and ends.  Nobody begins the next run, of whichever program, before all have finished this one; `barrier`: this
 * call sees to that. */
weir_status weir_link_begin(struct weir_runner *runner, const struct weir_run *run);
weir_status weir_link_finish(struct weir_runner *runner, const struct weir_run *run, bool barrier);

/* Around an instruction, on the rank's own thread; progress between its kernels. */
weir_status weir_link_await(const struct weir_exec *exec); /* and before something is written that goes to others */
weir_status weir_link_passed(const struct weir_exec *exec);
static inline weir_status weir_link_progress(const struct weir_run *run)
{
    const struct weir_transport_kind *transport = run->runner->world.transport;
    return transport ? transport->progress(run->link) : WEIR_OK;
}

/* Device-side transports: collectives of the run that began last. */
weir_status weir_link_collect(const struct weir_runner *runner, enum weir_collective_scope scope, enum weir_collective what,
                              enum weir_dtype dtype, int n_spans, const struct weir_collective_span *spans);
weir_status weir_link_collected(const struct weir_runner *runner, enum weir_collective_scope scope);

/* Device-side transports: is all well?  Names what is awaited, when it is not.  `runner` is a struct weir_runner. */
weir_status weir_link_look(void *runner);

/* This process has failed: others are told, and what waits on the device is ended, or the runner is STUCK. */
void weir_link_stop(struct weir_runner *runner, weir_status status);

/* Raise the runner's state. */
void weir_runner_raise(struct weir_runner *runner, enum weir_runner_state state);

#endif
