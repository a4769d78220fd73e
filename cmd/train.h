/* weir train: its options, and what one run holds. */
#ifndef WEIR_CMD_TRAIN_H
#define WEIR_CMD_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/progress.h"
#include "engine/run/data.h"
#include "engine/run/learning_rate.h"
#include "engine/run/metrics.h"
#include "engine/run/trace.h"
#include "engine/weir.h"

struct train_options {
    const char *model, *data, *schedule, *dialect, *lr_schedule, *optimizer, *device, *transport;
    const char *metrics, *trace, *config;
    int64_t stages, chunks, replicas, zero, bucket_bytes, microbatches, microbatch_size, seq_len, steps, warmup, seed, threads, device_memory;
    double lr, weight_decay, grad_clip, dropout;
    bool print_memory, print_program, json, quiet;
};

struct train_run {
    const struct train_options *options;
    const struct weir_model_kind *model;
    enum weir_lr_schedule lr_schedule;
    enum weir_optimizer optimizer;
    struct weir_arena arena;
    struct weir_schedule schedule;
    const struct weir_graph *graph;
    weir_data *data;
    weir_engine *engine;   /* NULL: memory table or step program were asked for, and printed */
    weir_metrics *metrics; /* NULL: not asked for */
    weir_trace *trace;     /* NULL: not asked for */
    struct weir_step_event *events; /* of one step, for the trace */
    size_t n_events;
    int64_t n_trace_steps; /* the first ones are kept, as many whole steps as there is room for */
    int64_t *peaks;        /* [n_ranks] */
    char *inputs, *targets; /* one micro-batch */
    size_t input_bytes, target_bytes;
    int n_microbatches, n_ranks; /* of all replicas */
    bool leads; /* of several processes, the one that prints and writes files */
    double first_loss, last_loss, best_rate;
    int64_t n_done;
};

/* The launcher calls this process the first one, or there is no launcher. */
bool train_leads(const struct train_options *options);

/* Open everything that can fail before the first step; on failure all is closed again.  With --print-memory or
 * --print-program, print what was asked for instead of opening an engine. */
weir_status train_open(const struct train_options *options, struct train_run *run);
void train_close(struct train_run *run);

/* Run the steps.  *signal_out: the signal that ended the run early, or 0. */
weir_status train_steps(struct train_run *run, int *signal_out);

#endif
