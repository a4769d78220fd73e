/* A step of a bench as the trace that it would be: what timelines are drawn from. */
#ifndef WEIR_CMD_BENCH_TRACE_H
#define WEIR_CMD_BENCH_TRACE_H

#include "include/weir/weir.h"
#include "schedules/io/trace_file.h"

/* What the ranks did in one step, and what they waited for; names are copied. */
struct bench_step {
    struct weir_step_event *events;
    struct weir_step_wait *waits;
    size_t n_events, n_waits;
};

/* Keep the last step of `engine`; all of it lives in `arena`. */
weir_status bench_step_keep(const weir_engine *engine, struct weir_arena *arena, struct bench_step *out);

/* A trace of that step alone, as step 1, in milliseconds.  It borrows `schedule` and the names of `step`. */
weir_status bench_step_trace(const struct bench_step *step, const struct weir_schedule *schedule,
                             struct weir_arena *arena, struct weir_traced *out);

#endif
