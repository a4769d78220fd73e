/* A small model of which a layer fails on demand: what happens to a run when a rank, or a number, dies.
 *
 * FAULTY_LAYERS layers; layer k's first node is 'fault k' and does, in the forward of step `step` (from 0), what the plan says.
 * As many ranks as layers put each fault on a rank of its own. */
#ifndef WEIR_FAULTY_GRAPH_H
#define WEIR_FAULTY_GRAPH_H

#include <stdatomic.h>

#include "include/weir/weir.h"

enum { FAULTY_LAYERS = 3, FAULTY_BATCH = 2, FAULTY_MICROBATCHES = 4 };

enum faulty_kind {
    FAULTY_NONE,
    FAULTY_STUCK, /* does not return */
    FAULTY_SLOW,  /* takes as long as `slow_ns` */
    FAULTY_STOP,  /* SIGSTOP */
    FAULTY_KILL,  /* SIGKILL */
    FAULTY_CRASH, /* SIGSEGV */
    FAULTY_EXIT,  /* exit(0) */
    FAULTY_NAN,   /* its output is not finite */
    FAULTY_NAN_ONCE, /* the first time */
    FAULTY_ERROR, /* returns an error */
    FAULTY_LOST,  /* its thread gets lost behind the step, in no call: the next step's work is never taken up */
    FAULTY_KINDS,
};

struct faulty_plan {
    enum faulty_kind kind;
    int layer, microbatch;
    uint32_t step;
    int64_t slow_ns;
    int data; /* which numbers are fed */
};

extern struct faulty_plan faulty_plan;

const char *faulty_str(enum faulty_kind kind); /* "stuck" */
enum faulty_kind faulty_find(const char *name);

/* The default configuration with the graph on `n_ranks` ranks (2 or FAULTY_LAYERS), 1f1b. */
weir_status faulty_config(int n_ranks, struct weir_engine_config *config_out);

/* An engine of FAULTY_LAYERS ranks over `transport` (NULL: local). */
weir_status faulty_open(const char *transport, double timeout, weir_engine **engine_out);

/* Feed, step; the first failure. */
weir_status faulty_step(weir_engine *engine, struct weir_step_report *report_out);

#endif
