/* The last step of an engine, kept when the engine is gone: what timelines are drawn from. */
#ifndef WEIR_CMD_BENCH_TRACE_H
#define WEIR_CMD_BENCH_TRACE_H

#include "include/weir/weir.h"

/* What the ranks did in one step, and what they waited for; names are copied. */
struct bench_step {
    struct weir_step_event *events;
    struct weir_step_wait *waits;
    size_t n_events, n_waits;
};

/* Keep the last step of `engine`; all of it lives in `arena`. */
weir_status bench_step_keep(const weir_engine *engine, struct weir_arena *arena, struct bench_step *out);

#endif
