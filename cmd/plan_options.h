/* weir plan: what its options say. */
#ifndef WEIR_CMD_PLAN_OPTIONS_H
#define WEIR_CMD_PLAN_OPTIONS_H

#include "cmd/options.h"

struct plan_options {
    const char *graph, *model, *format, *objective, *curve, *output, *draw, *save_graph, *plan, *recompute, *dtype;
    const char *out, *costs, *schedule, *optimizer, *device, *zero, *topology;
    int64_t devices, cpus, memory, seed, microbatch_size, microbatches, seq_len, global_batch, max_replicas, top;
    int64_t ranks, chunks;
    double bandwidth, seconds, flops, traffic;
    bool contiguous, any, json, explain;
    struct options given;
};

#endif
