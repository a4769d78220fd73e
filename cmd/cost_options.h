/* What schedules cost, as the command line says it: the options that simulate and draw share.
 *
 *     struct values { struct cost_options costs; bool json; };
 *     static const struct option_row rows[] = {COST_OPTION_ROWS(struct values, costs) {"json", ...}, {0}};
 *     struct values values = {.costs = COST_OPTIONS_DEFAULT}; */
#ifndef WEIR_CMD_COST_OPTIONS_H
#define WEIR_CMD_COST_OPTIONS_H

#include "cmd/options.h"
#include "schedules/simulate/simulate.h"

struct cost_options {
    const char *time, *mem, *costs, *channels, *reduce_link, *stage_bytes; /* NULL: not given */
    double comm, overlap_gain;
    int64_t replicas, zero, bucket_bytes;
};

#define COST_OPTIONS_DEFAULT {.overlap_gain = 1, .replicas = 1}

/* The rows of a table whose values are a `type` with a struct cost_options called `field`. */
#define COST_OPTION_ROWS(type, field)                                                                                  \
    {"time", 0, OPTION_TEXT, offsetof(type, field.time), "F=1,I=1,W=1",                                                \
     "time of one action on one stage; B takes I + W", 0, 0},                                                          \
    {"comm", 0, OPTION_REAL, offsetof(type, field.comm), "T", "time of a transfer between ranks (default 0)", 0,       \
     1e300},                                                                                                           \
    {"costs", 0, OPTION_TEXT, offsetof(type, field.costs), "FILE",                                                     \
     "JSON with costs per stage and edge, instead of --time and --mem", 0, 0},                                         \
    {"mem", 0, OPTION_TEXT, offsetof(type, field.mem), "B=X,W=Y,IW=Y",                                                 \
     "held per micro-batch of a stage: from F to B or I, from I to W, and what of that I makes (default: counted)", 0, \
     0},                                                                                                               \
    {"replicas", 0, OPTION_INT, offsetof(type, field.replicas), "D",                                                   \
     "copies of the pipeline, whose gradients are added (default 1)", 1, 65536},                                       \
    {"zero", 0, OPTION_INT, offsetof(type, field.zero), "0|1",                                                         \
     "1: each replica holds and updates its share of the optimizer's state (default 0)", 0, 1},                        \
    {"reduce-link", 0, OPTION_TEXT, offsetof(type, field.reduce_link), "L=0,BW=0",                                     \
     "latency and bytes per unit of time between replicas; BW=0: latency alone", 0, 0},                                \
    {"stage-bytes", 0, OPTION_TEXT, offsetof(type, field.stage_bytes), "P=0,G=0,O=0",                                  \
     "bytes of a stage's parameters, gradients and optimizer state", 0, 0},                                            \
    {"bucket-bytes", 0, OPTION_BYTES, offsetof(type, field.bucket_bytes), "BYTES",                                     \
     "reduce gradients in parts of this size (default: a stage at once)", 0, 0},                                       \
    {"overlap-gain", 0, OPTION_REAL, offsetof(type, field.overlap_gain), "X",                                          \
     "an OVERLAP_F_B takes X times F + B (default 1)", 0, 1e6},                                                        \
    {"channels", 0, OPTION_TEXT, offsetof(type, field.channels), "MODEL",                                              \
     "edge, shared or blocking: how transfers use the ranks' channels (default edge)", 0, 0},

/* Times, bytes and links; the file of --costs is read.  WEIR_ERR_USAGE: file and options say the same thing, or too little. */
weir_status cost_options_read(const struct cost_options *options, struct weir_arena *arena,
                              struct weir_schedule_costs *costs_out);

/* Channels and replicas. */
weir_status cost_options_simulation(const struct cost_options *options, struct weir_simulation_options *out);

#endif
