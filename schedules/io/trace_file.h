/* Traces, read back: what `weir train` measured, or a simulation predicted, as a Chrome trace.
 *
 *     {"otherData": {"schedule": "0F0,0B0\n1F0,1B0\n", "ranks": 2, "replicas": 1}, "traceEvents": [
 *      {"ph": "X", "pid": 1, "tid": 0, "name": "wait 1F0", "cat": "wait", "ts": 0, "dur": 40,
 *       "args": {"stage": 1, "mb": 0, "step": 1, "cause": "input", "peer": 0, "awaited": "0F0", "way_us": 3}},
 *      {"ph": "X", "pid": 1, "tid": 0, "name": "1F0", "cat": "forward", "ts": 40, "dur": 25,
 *       "args": {"stage": 1, "mb": 0, "step": 1}}, ...
 *
 * pid is the rank, of all replicas; tid 0 its compute stream.  A simulation has its own unit of time, which it writes as a
 * millisecond ("unit" in otherData).  Only these two writers' traces are read, and strictly: an event with a rank, stage,
 * micro-batch or step that the schedule has not, a name that contradicts its arguments, or work that overlaps on one compute
 * stream is refused with the place of the event.  Events of other phases (names of rows, arrows) are passed over.  Times are
 * milliseconds, or the simulation's unit, from the start of the file on; neighbours that touch in the file do so here. */
#ifndef WEIR_SCHEDULES_IO_TRACE_FILE_H
#define WEIR_SCHEDULES_IO_TRACE_FILE_H

#include "include/weir/trace.h"

struct weir_traced {
    const char *name;     /* of the file */
    bool simulated;       /* else measured, in milliseconds */
    struct weir_schedule schedule;
    int n_replicas, n_ranks; /* n_ranks: of all replicas */
    const struct weir_traced_event *events; /* by step, rank, stream and time */
    size_t n_events;      /* at least 1 */
    size_t n_lost;        /* that the writer had no room for */
    int64_t first_step, last_step;
    int64_t typical_step; /* of median length; the first one, which warms up, is left out where there are others */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Read a trace; `name` stands for the file in messages.  All memory is the arena's.  WEIR_ERR_INVALID names the file, the event
 * and what is wrong; WEIR_ERR_IO; WEIR_ERR_NOMEM. */
weir_status weir_traced_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                              struct weir_traced *out);
weir_status weir_traced_load(const char *path, struct weir_arena *arena, struct weir_traced *out);

/* The events of one step; 0 for a step that has none. */
size_t weir_traced_step(const struct weir_traced *trace, int64_t step, const struct weir_traced_event **events_out);

/* The length of a step: from its first start to its last end. */
double weir_traced_length(const struct weir_traced *trace, int64_t step);

#ifdef __cplusplus
}
#endif

#endif
