/* One instruction of a run: what its task does, on the rank's thread or enqueuing for it. */
#ifndef WEIR_ENGINE_RUN_EXEC_H
#define WEIR_ENGINE_RUN_EXEC_H

#include "engine/run/runner.h"

/* What is performed for one instruction; `exec` is a struct weir_exec.  Between processes it awaits first, then runs the body
 * between two readings of the clock, or enqueues it between two marks, then passes on. */
weir_status weir_exec_run(void *exec);
weir_status weir_exec_enqueue(void *exec);

/* Only the kernels. */
weir_status weir_exec_body(struct weir_exec *exec);

/* The instruction has failed: names it in the message, nobody updates, others are told.  Returns `status`. */
weir_status weir_exec_fail(const struct weir_exec *exec, weir_status status);

/* After a run: what the marks of its calls say goes to the clocks of the ranks here. */
void weir_run_clock(const struct weir_run *run);

#endif
