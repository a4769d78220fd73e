/* When the ranks did what in the last run of a program, and how long operations took. */
#ifndef WEIR_ENGINE_RUN_TIMES_H
#define WEIR_ENGINE_RUN_TIMES_H

#include "include/weir/report.h"
#include "engine/run/runner.h"

/* From the first instruction of the ranks here to the end of their last one; fills compute_ns[r] of the ranks here: time in
 * instructions, waits excluded. */
struct weir_run_span {
    int64_t first_ns, last_ns;
};
struct weir_run_span weir_run_span(const struct weir_run *run, int64_t *compute_ns);

/* Collective: the times of all ranks' instructions and operations, on every process. */
weir_status weir_run_times_gather(const struct weir_run *run);

/* Fill at most `room` entries, return how many there are. */
size_t weir_run_events(const struct weir_run *run, struct weir_step_event *events_out, size_t room);
size_t weir_runner_op_times(const struct weir_runner *runner, struct weir_op_time *times_out, size_t room);

#endif
