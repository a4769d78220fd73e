/* What a run tells about its last step: one event per instruction, one row per operation. */
#ifndef WEIR_ENGINE_REPORT_EVENTS_H
#define WEIR_ENGINE_REPORT_EVENTS_H

#include <stdint.h>

/* What one rank did when, in the last step. */
struct weir_step_event {
    int rank;             /* of all replicas */
    const char *name;     /* "2F3", "update"; valid until the engine is closed */
    const char *category; /* "F", "I", "W", "B", "optimizer" */
    int stage, mb;        /* -1: none */
    int64_t start_ns, end_ns;
};

/* Time spent in one pass of one operation, all ranks together, since open: in steps and in evaluations.  Replays of
 * recomputed layers are forwards. */
struct weir_op_time {
    const char *op, *pass; /* "linear"; "forward", "backward_input" or "backward_weight" */
    int64_t calls, ns;
    double flops;          /* multiplications and additions of these calls, by the formulas of the operations' rows */
};

#endif
