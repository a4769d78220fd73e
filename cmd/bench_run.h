/* A schedule run on this machine, for weir bench: what its steps and actions take. */
#ifndef WEIR_CMD_BENCH_RUN_H
#define WEIR_CMD_BENCH_RUN_H

#include "cmd/bench_trace.h"
#include "include/weir/simulate.h"

struct bench_settings {
    const struct weir_model_kind *model;
    const struct weir_graph *graph;
    enum weir_compute dtype;
    int n_steps, n_warm_up, threads;
    const char *recompute; /* NULL: none */
    const int *first_layer; /* NULL: balanced */
    int n_replicas, zero;   /* n_replicas 0: 1 */
    bool keeps_events;     /* fill in bench_outcome.median_step */
    bool keeps_ops;        /* fill in bench_outcome.ops */
};

struct bench_outcome {
    double median_ms, fastest_ms, slowest_ms;
    double bubble;     /* of the median step */
    double loss;       /* of the last step */
    size_t peak_bytes; /* of the rank that needs most */
    const struct weir_stage_costs *stages; /* [n_stages]: median F, I and W of each, in ms; B counts as I, with W 0 */
    double optimizer_ms, optimizer_mean_ms; /* of a step, all ranks together: in the median, in the mean */
    struct bench_step median_step;
    const struct weir_op_time *ops; /* [n_ops]: of the steps that were timed, all ranks together */
    size_t n_ops;
    double busy_ms; /* all ranks together, of a step, in the mean */
    double mean_ms; /* of a step */
};

/* Open an engine, run the steps on made-up data that are the same every time, and close it.  The result lives in `arena`.
 * The statuses of weir_engine_open and weir_engine_step. */
weir_status bench_run(const struct bench_settings *settings, const struct weir_schedule *schedule,
                      struct weir_arena *arena, struct bench_outcome *out);

#endif
