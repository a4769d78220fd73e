/* Enqueue all instructions of a run (issue.c has the design). */
#ifndef WEIR_ENGINE_RUN_ISSUE_H
#define WEIR_ENGINE_RUN_ISSUE_H

#include "engine/run/runner.h"

/* All instructions of the ranks here: when it returns, all of them are enqueued. */
weir_status weir_run_issue(const struct weir_run *run);

/* The twins of a run's events, once it has events and the machine has its issuing threads. */
weir_status weir_run_twins_open(struct weir_run *run);

/* The issuing threads end, before streams and events are closed. */
void weir_issuers_close(struct weir_machine *machine);

/* Where an instruction finds the event that it signals; `events` are those of its run or their twins. */
static inline weir_event **weir_signal_of(const struct weir_exec *exec, weir_event **events)
{
    return &events[exec->rank->replica * exec->run->program->n_events + exec->instr->signal];
}

#endif
