/* A schedule run on this machine, for weir bench schedules: what its steps and actions take. */
#ifndef WEIR_CMD_BENCH_RUN_H
#define WEIR_CMD_BENCH_RUN_H

#include "engine/weir.h"
#include "schedules/simulate/simulate.h"

struct bench_settings {
    const struct weir_model_kind *model;
    const struct weir_graph *graph;
    int n_steps, n_warm_up, threads;
    const char *recompute; /* NULL: none */
};

struct bench_outcome {
    double median_ms, fastest_ms, slowest_ms;
    double bubble;     /* of the median step */
    double loss;       /* of the last step */
    size_t peak_bytes; /* of the rank that needs most */
    const struct weir_stage_costs *stages; /* [n_stages]: median F, I and W of each, in ms; B counts as I, with W 0 */
    double optimizer_ms;                   /* of a step, all ranks together */
};

/* Open an engine, run the steps on made-up data that are the same every time, and close it.  The result lives in `arena`.
 * The statuses of weir_engine_open and weir_engine_step. */
weir_status bench_run(const struct bench_settings *settings, const struct weir_schedule *schedule,
                      struct weir_arena *arena, struct bench_outcome *out);

#endif
