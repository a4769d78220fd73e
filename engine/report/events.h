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

/* A stretch of the last step in which a rank did nothing: before an instruction, or (event -1) after its last one.
 *
 *     rank 0   [      0F3      ]
 *     rank 1   [1B0]            ├──────────┼──────┤[1F3]      cause "input", peer 0, peer_event that of 0F3
 *                               start      made   end         0F3 ends at `made`; from there the way to rank 1
 *
 * Of all that an instruction awaits, the cause is what was there last.  Without a cause nobody was awaited: the time went
 * into taking up the next instruction, or the rank was done and others were not. */
struct weir_step_wait {
    int rank, event;        /* of all replicas; index in weir_engine_events, -1: the end of the step */
    const char *cause;      /* "input", "gradient slot", "norm", ... (engine/program/deps.h); NULL: none */
    int peer, peer_event;   /* who was awaited: rank of all replicas, index of its event; -1: nobody */
    int64_t start_ns, made_ns, end_ns;
};

/* Time spent in one pass of one operation, all ranks together, since open: in steps and in evaluations.  Replays of
 * recomputed layers are forwards. */
struct weir_op_time {
    const char *op, *pass; /* "linear"; "forward", "backward_input" or "backward_weight" */
    int64_t calls, ns;
    double flops;          /* multiplications and additions of these calls, by the formulas of the operations' rows */
};

#endif
