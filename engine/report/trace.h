/* Trace: what every rank did when, in the Chrome trace format (open the file in ui.perfetto.dev or chrome://tracing).
 *
 *     process  rank 0                          one process per rank, one thread (row) per stream
 *     row        compute   [0F0][0F1]~~~~~~[0B0][0F2]...      [] work   ~ waiting
 *     row        to rank 1       [0SEND_F0]
 *     process  rank 1
 *     row        compute         ~~~~~~[1F0][1B0]...
 *
 * An event is one instruction, with stage, micro-batch and step as arguments.  Waiting is an event too: its category is
 * "wait", its name starts with "wait " and its colour is grey, so that no viewer mistakes it for work; its arguments say
 * which cause it had, which rank and event it waited for, and how much of it was the way from there.  Events of one row
 * must nest: one ends before the next starts, or lies within it.  Times are written as microseconds with three decimals,
 * from the start of the earliest event on, so nanoseconds survive and neighbours stay neighbours.
 *
 * A wait with a cause has an arrow: from the end of the event that was awaited to the event that had to wait for it.
 *
 *     weir_trace_open(path, rows, n_rows, n_steps * n_instructions, &trace);
 *     weir_trace_add(trace, events, n);         after each step
 *     status = weir_trace_write(trace);         at the end
 *     weir_trace_close(trace);
 *
 * Memory for the most events is taken at the start, when `path` is also tried: a place that cannot be written is known
 * before any work is done.  weir_trace_write() replaces the file as base/replace.h has it: `path` is whole or as it was,
 * links and permissions stay, nothing else is left.  Threads: one at a time. */
#ifndef WEIR_ENGINE_REPORT_TRACE_H
#define WEIR_ENGINE_REPORT_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct weir_trace weir_trace;

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

#ifdef __cplusplus
extern "C" {
#endif

/* Row names are copied.  WEIR_ERR_IO names the file and the reason.  WEIR_ERR_NOMEM. */
weir_status weir_trace_open(const char *path, const struct weir_trace_row *rows, int n_rows, size_t max_events,
                            weir_trace **trace_out);

/* What the run was, as JSON text that goes into the file's "otherData"; copied.  WEIR_ERR_NOMEM. */
weir_status weir_trace_about(weir_trace *trace, const char *json);

/* Keep `n` events; those beyond max_events are counted and left out. */
void weir_trace_add(weir_trace *trace, const struct weir_trace_event *events, size_t n);

size_t weir_trace_lost(const weir_trace *trace); /* events that were left out */

/* Write the file, once.  WEIR_ERR_IO names the file and the reason; `path` is then as it was. */
weir_status weir_trace_write(weir_trace *trace);

/* Without a weir_trace_write() before it, nothing is left behind.  NULL is fine. */
void weir_trace_close(weir_trace *trace);

#ifdef __cplusplus
}
#endif

#endif
