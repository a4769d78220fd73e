/* Traces: what every rank did when, written and read; why ranks waited; and what they were at when a run failed.
 *
 * A trace is a file in the Chrome trace format (open it in ui.perfetto.dev or chrome://tracing):
 *
 *     process  rank 0                          one process per rank, one thread (row) per stream
 *     row        compute   [0F0][0F1]~~~~~~[0B0][0F2]...      [] work   ~ waiting
 *     row        to rank 1       [0SEND_F0]
 *     process  rank 1
 *     row        compute         ~~~~~~[1F0][1B0]...
 *
 * Writing.  An event is one instruction, with stage, micro-batch and step as arguments.  Waiting is an event too: its category is
 * "wait", its name starts with "wait " and its colour is grey, so that no viewer mistakes it for work; its arguments say
 * which cause it had, which rank and event it waited for, and how much of it was the way from there.  Events of one row
 * must nest: one ends before the next starts, or lies within it.  Times are written as microseconds with three decimals,
 * from the start of the earliest event on, so nanoseconds survive and neighbours stay neighbours.
 * A wait with a cause has an arrow: from the end of the event that was awaited to the event that had to wait for it.
 *
 *     weir_trace_open(path, rows, n_rows, n_steps * n_instructions, &trace);
 *     weir_trace_add(trace, events, n);         after each step: what weir_engine_events and weir_engine_waits say
 *     status = weir_trace_write(trace);         at the end
 *     weir_trace_close(trace);
 *
 * Memory for the most events is taken at the start, when `path` is also tried: a place that cannot be written is known
 * before any work is done.  weir_trace_write() replaces the file when it is whole: until then `path` is as it was, links and
 * permissions stay, nothing else is left.  One thread at a time.
 *
 * Reading.  Read are traces of a run (weir train, or written as above with the "otherData" of weir_trace_about) and of a simulation
 * (weir_simulation_trace):
 *
 *     {"otherData": {"schedule": "0F0,0B0\n1F0,1B0\n", "ranks": 2, "replicas": 1}, "traceEvents": [...
 *
 *     weir_traced_read("t.json", &arena, &trace);
 *     weir_traced_costs(trace, &arena, &costs);              what its stages took: for weir_schedule_simulate
 *     weir_explanation_load("t.json", &arena, &why);         who waited for whom, and why
 *
 * Reading is strict: an event with a rank, stage, micro-batch or step that the schedule has not, a name that contradicts its
 * arguments, or work that overlaps on one compute stream is refused with the place of the event.  Events of other phases (names of
 * rows, arrows) are passed over.  Times are milliseconds, or the simulation's unit, from the start of the file on; neighbours that
 * touch in the file do so here.  draw.h draws a trace.
 *
 * Flight records are files of another kind: what every rank of a host was at when a run failed, or when somebody asked
 * (weir_engine_flight_to writes them). */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"
#include "schedule.h"
#include "simulate.h"

typedef struct weir_trace weir_trace; /* that is written */
struct weir_traced;                   /* that was read */

enum weir_trace_category {
    WEIR_TRACE_FORWARD,
    WEIR_TRACE_BACKWARD, /* both gradients, or that of the input */
    WEIR_TRACE_WEIGHT,   /* gradient of the weights */
    WEIR_TRACE_COPY,     /* send, receive, reduce, pack */
    WEIR_TRACE_OPTIMIZER,
    WEIR_TRACE_WAIT,
    WEIR_TRACE_CATEGORIES
};

/* A row of the picture.  Rows are shown in the order given. */
struct weir_trace_row {
    int rank, stream;
    const char *name; /* "compute", "to rank 1" */
};

struct weir_trace_event {
    const char *name; /* "0F3"; must live as long as the trace */
    int rank, stream; /* of one of the rows */
    enum weir_trace_category category;
    int stage, mb;             /* -1: none */
    int64_t step;              /* -1: none */
    int64_t start_ns, end_ns;  /* start <= end, of any one clock */
    const char *cause;          /* of a wait: "input", "gradient slot"; lives as long as the trace; NULL: none */
    int peer;                   /* with a cause: the rank that was awaited */
    const char *awaited;        /* and the name of its event */
    int64_t way_ns;             /* the last part of the wait, from the end of that event on */
};

/* What a trace that was read holds. */
struct weir_traced_info {
    bool simulated;          /* else measured, in milliseconds */
    int n_replicas, n_ranks; /* n_ranks: of all replicas */
    size_t n_events;         /* at least 1 */
    size_t n_lost;           /* that the writer had no room for */
    int64_t first_step, last_step;
    int64_t typical_step;    /* of median length; the first one, which warms up, is left out where there are others */
};

enum weir_traced_kind {
    WEIR_TRACED_F,
    WEIR_TRACED_I,
    WEIR_TRACED_W,
    WEIR_TRACED_B,
    WEIR_TRACED_OVERLAP,   /* a forward and a backward as one */
    WEIR_TRACED_COPY,      /* transfers, and reductions beside the compute stream */
    WEIR_TRACED_OPTIMIZER, /* all that follows the actions */
    WEIR_TRACED_WAIT,      /* for what comes next on the compute stream */
};

struct weir_traced_event {
    enum weir_traced_kind kind;
    int rank, stream;               /* stream 0: compute */
    int stage, mb;                  /* -1: none */
    int partner_stage, partner_mb;  /* the backward of an overlap */
    int64_t step;                   /* from 1 */
    double start, end;
    const char *name;               /* "0F3", "0F3 (start)", "update", "wait 0F3"; printable */
    const char *cause, *awaited;    /* of a wait, printable; NULL: none */
    int peer;                       /* with a cause: the rank that was awaited; else -1 */
    double way;                     /* the last part of the wait, in which what was awaited was made */
    double held;                    /* and the part of that for which `held_by` was taken */
    const char *held_by;            /* printable; NULL: nothing */
};

/* Why the ranks of a traced run waited, and what the simulator says to the same schedule at the costs that were measured.  Times are
 * per step; the first step, which warms up, is left out where there are more.
 *
 *     cause      input, gradient, input slot, gradient slot, ...    whose end was awaited last
 *                fill                                               the same before the rank's first action: no schedule
 *                                                                   starts all ranks at once
 *                hand-over                                          nobody was awaited: taking up the next instruction
 *                step end                                           done, while other ranks were not */

/* One cause and peer of a rank. */
struct weir_wait_row {
    int rank; /* of all replicas */
    const char *cause;
    int peer; /* -1: none */
    double times;                /* a step */
    double wait_ms, way_ms;      /* a step: until the awaited instruction had ended, and the way from there */
    double simulated_ms;         /* a step, both together; negative: the simulator has no such cause */
};

struct weir_explanation {
    int n_ranks, n_replicas; /* n_ranks: of all replicas */
    int64_t first_step, n_steps;
    double step_ms, simulated_step_ms;
    const double *busy_ms; /* [n_ranks] */
    int n_rows;
    const struct weir_wait_row *rows; /* by rank, the longest first */
};

/* A flight record: what every rank of a host was at.  What a rank waits for, and the last instructions that it took up: */
struct weir_flight_wait {
    int rank;
    const char *instruction, *why; /* "1F3", "input" */
};

/* Times are seconds before the record was written, negative; NaN: not yet. */
struct weir_flight_line {
    const char *instruction;
    int64_t step;
    bool evaluates;
    double awaits_s, start_s, end_s;
};

struct weir_flight_rank {
    int rank;
    int64_t process;
    const char *host;
    const char *state;       /* "waits", "runs", "is between steps", "has not begun" */
    const char *instruction; /* NULL: it has not begun */
    int64_t step;
    double for_s;
    int n_waits, n_lines;
    const struct weir_flight_wait *waits; /* what it waits for and nobody has ended yet */
    const struct weir_flight_line *lines; /* the last one last */
};

struct weir_flight_record {
    const char *why;
    int n_ranks; /* of the host */
    const struct weir_flight_rank *ranks;
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* Row names are copied.  WEIR_ERR_IO names the file and the reason.  WEIR_ERR_INVALID: n_rows < 0, `rows` NULL with n_rows > 0, a row
 * without a name or with one that is no UTF-8.  WEIR_ERR_NOMEM. */
weir_status weir_trace_open(const char *path, const struct weir_trace_row *rows, int n_rows, size_t max_events,
                            weir_trace **trace_out);

/* What the run was, as JSON text that goes into the file's "otherData"; copied.  Readers need an object with "schedule", the text of
 * weir_schedule_csv_print, "ranks" of one replica and "replicas"; they pass over what else it has.  WEIR_ERR_INVALID: NULL,
 * or no JSON object; what was said before stays.  WEIR_ERR_NOMEM. */
weir_status weir_trace_about(weir_trace *trace, const char *json);

/* Keep `n` events; those beyond max_events are counted and left out.  They are looked at when the file is written. */
void weir_trace_add_sized(weir_trace *trace, const struct weir_trace_event *events, size_t event_bytes, size_t n);
static inline void weir_trace_add(weir_trace *trace, const struct weir_trace_event *events, size_t n)
{
    weir_trace_add_sized(trace, events, sizeof *events, n);
}

size_t weir_trace_lost(const weir_trace *trace); /* events that were left out */

/* Write the file, once.  WEIR_ERR_IO names the file and the reason.  WEIR_ERR_INVALID names the first event that ends before it
 * starts, has no name, is of no category, or of a row that was not given, has a cause and no `awaited`, a text that is no UTF-8, or
 * times 100 years apart.  After a failure `path` is as it was. */
weir_status weir_trace_write(weir_trace *trace);

/* Without a weir_trace_write() before it, nothing is left behind.  NULL is fine. */
void weir_trace_close(weir_trace *trace);

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* Is this JSON rather than a schedule's CSV?  By the first character that is not blank. */
bool weir_traced_is(const char *text, size_t bytes);

/* Read a trace, of a file or of text that is there, which messages call `name`.  All memory is the arena's.  WEIR_ERR_INVALID names the
 * file, the event and what is wrong; WEIR_ERR_IO; WEIR_ERR_NOMEM. */
weir_status weir_traced_read(const char *path, struct weir_arena *arena, const struct weir_traced **trace_out);
weir_status weir_traced_read_text(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                  const struct weir_traced **trace_out);

/* What it holds. */
void weir_traced_info_sized(const struct weir_traced *trace, struct weir_traced_info *info_out, size_t info_bytes);
static inline void weir_traced_info(const struct weir_traced *trace, struct weir_traced_info *info_out)
{
    weir_traced_info_sized(trace, info_out, sizeof *info_out);
}

/* The schedule that was run, of one replica; it lives as long as the trace. */
const struct weir_schedule *weir_traced_schedule(const struct weir_traced *trace);

/* Event `index`; they stand by step, rank, stream and time.  Its texts live as long as the trace.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_traced_event_get_sized(const struct weir_traced *trace, size_t index, struct weir_traced_event *event_out,
                                        size_t event_bytes);
static inline weir_status weir_traced_event_get(const struct weir_traced *trace, size_t index, struct weir_traced_event *event_out)
{
    return weir_traced_event_get_sized(trace, index, event_out, sizeof *event_out);
}

/* What the simulator needs to predict the schedule that was run, or another one of the same stages: the mean time of one action of
 * each stage and type, and of a rank's optimizer, over all steps but the first, which warms up, when there are others; in the unit
 * of the trace.  Of a B half counts as an I and half as a W.  Replaces the stages and the optimizer of *costs, the rest stays:
 * transfers are free unless they are said to cost something, for a trace shows when a message was there but not how long the
 * channel was busy.  WEIR_ERR_INVALID: a stage with an action that was never run.  WEIR_ERR_NOMEM. */
weir_status weir_traced_costs(const struct weir_traced *trace, struct weir_arena *arena, struct weir_schedule_costs *costs);

/* Why the ranks of the run in this trace waited.  All memory is the arena's.  WEIR_ERR_IO, WEIR_ERR_INVALID: no such file, or no
 * trace of a run. */
weir_status weir_explanation_load_sized(const char *path, struct weir_arena *arena, struct weir_explanation *out, size_t out_bytes);
static inline weir_status weir_explanation_load(const char *path, struct weir_arena *arena, struct weir_explanation *out)
{
    return weir_explanation_load_sized(path, arena, out, sizeof *out);
}

/* ---- flight records ------------------------------------------------------------------------------------------------- */

/* Read one; all memory is the arena's.  *is_record_out false, with WEIR_OK: a JSON file of another kind, and *out is untouched.  It is
 * true, too, when the record is damaged.  WEIR_ERR_IO, WEIR_ERR_INVALID. */
weir_status weir_flight_record_load_sized(const char *path, struct weir_arena *arena, struct weir_flight_record *out, size_t out_bytes,
                                          bool *is_record_out);
static inline weir_status weir_flight_record_load(const char *path, struct weir_arena *arena, struct weir_flight_record *out,
                                                  bool *is_record_out)
{
    return weir_flight_record_load_sized(path, arena, out, sizeof *out, is_record_out);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
