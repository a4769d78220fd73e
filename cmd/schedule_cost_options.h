/* What options say about costs: their rows, and the costs that follow.
 *
 *     --time --mem --costs ──parse──▶ costs as given ──fit──▶ costs of one schedule
 *                                     a rank's work or         divided by its chunks, layers put
 *                                     a stage's, or layers     together to as many stages as it has */
#ifndef WEIR_CMD_SCHEDULE_COST_OPTIONS_H
#define WEIR_CMD_SCHEDULE_COST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/weir/schedule.h"
#include "include/weir/simulate.h"

/* What the options of a simulation say about costs; NULL, 0 where they do not. */
struct schedule_cost_options {
    const char *time, *mem, *costs, *reduce_link, *stage_bytes;
    double comm, overlap_gain;
    int64_t bucket_bytes;
    bool per_rank; /* times and memory are of all stages of a rank together */
};

/* Rows for a table whose struct `type` has a struct schedule_cost_options `cost`; `only` stands before each help. */
#define SCHEDULE_COST_ROWS(type, only)                                                                                 \
    {"time", 0, OPTION_TEXT, offsetof(type, cost.time), "F=1,I=1,W=1",                                                 \
     only "time of one action on one stage; B is I and W in one, and B alone is cut into halves", 0, 0},               \
    {"comm", 0, OPTION_REAL, offsetof(type, cost.comm), "T", only "time of a transfer between ranks (default 0)", 0,   \
     1e300},                                                                                                           \
    {"costs", 0, OPTION_TEXT, offsetof(type, cost.costs), "FILE",                                                      \
     only "JSON with costs per stage or layer and per edge, or a trace, instead of --time and --mem", 0, 0},                       \
    {"mem", 0, OPTION_TEXT, offsetof(type, cost.mem), "B=X,W=Y,IW=Y",                                                  \
     only "held per micro-batch of a stage: from F to B or I, from I to W, and what of that I makes (default: "        \
          "counted)", 0, 0}

/* Rows of what replicas and overlaps cost, for the same. */
#define SCHEDULE_REPLICA_COST_ROWS(type)                                                                               \
    {"reduce-link", 0, OPTION_TEXT, offsetof(type, cost.reduce_link), "L=0,BW=0",                                      \
     "latency and bytes per unit of time between replicas; BW=0: latency alone", 0, 0},                                \
    {"stage-bytes", 0, OPTION_TEXT, offsetof(type, cost.stage_bytes), "P=0,G=0,O=0",                                   \
     "bytes of a stage's parameters, gradients and optimizer state", 0, 0},                                            \
    {"bucket-bytes", 0, OPTION_BYTES, offsetof(type, cost.bucket_bytes), "BYTES",                                      \
     "reduce gradients in parts of this size (default: a stage at once)", 0, 0},                                       \
    {"overlap-gain", 0, OPTION_REAL, offsetof(type, cost.overlap_gain), "X",                                           \
     "an OVERLAP_F_B takes X times F + B (default 1)", 0, 1e6}

/* weir_schedule_costs_load, of standard input where `path` is "-". */
weir_status costs_file_read(const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs);

/* The costs that `values` ask for: F = I = W = 1 where they ask for nothing. */
weir_status schedule_costs_parse(const struct schedule_cost_options *values, struct weir_arena *arena,
                                 struct weir_schedule_costs *costs);

/* The costs of a schedule with `n_stages` stages on `n_ranks` ranks.  Layers become stages whose busiest has least to do.
 * WEIR_ERR_USAGE: --per-rank beside a file that has them per stage; WEIR_ERR_INVALID: fewer layers than stages. */
weir_status schedule_costs_fit(const struct schedule_cost_options *values, const struct weir_schedule_costs *given,
                               int n_stages, int n_ranks, struct weir_arena *arena, struct weir_schedule_costs *out);

/* Say on standard error how B was cut, when it was and `schedule` runs I and W apart. */
void schedule_costs_explain(const char *command, const struct weir_schedule_costs *costs,
                            const struct weir_schedule *schedule);

#endif
