/* What each layer of a model takes on this machine, measured.
 *
 * Every layer is a stage, and one rank holds them all, so that the time of F, I and W of a stage is that of a layer:
 *
 *     0F0 1F0 .. nF0 nI0 nW0 .. 0I0 0W0  0F1 1F1 ..   3 micro-batches, one after the other
 *     0F3 1F3 .. nF3 0F4 .. nF6 nI3 nW3 .. 0I6 0W6     4 more, all in flight together
 *
 * As many replicas as there are cores run this together, each with its threads: cores that share memory and caches slow each
 * other down as they will in a run.  Times are those of the first three; how much longer the other four take, whose activations
 * have left the caches by the time their backward comes, becomes one factor (struct weir_flight_costs).  The first W of a step
 * writes gradients to which later ones add.  What it takes more than these is counted with the optimizer, as what a step does once.
 *
 * Then two ranks have every other layer each, so that every layer hands over to the other rank, which has waited:
 *
 *     rank 0  0F0 .   2F0 .   ..        from the end of 0F0 to the start of 1F0: a hand-over
 *     rank 1  .   1F0 .   3F0 ..
 *
 * Inputs are random; the learning rate is 0. */
#ifndef WEIR_CMD_PROFILE_MEASURE_H
#define WEIR_CMD_PROFILE_MEASURE_H

#include "include/weir/weir.h"
#include "include/weir/graph.h"
#include "include/weir/simulate.h"

struct profile_request {
    const struct weir_model_kind *model;
    const struct weir_graph *graph;
    const char *device, *recompute; /* recompute NULL: none */
    enum weir_compute dtype;
    enum weir_optimizer optimizer;
    int threads, n_ranks, n_rounds;
};

struct profile_result {
    struct weir_stage_costs *layers; /* [n_layers]: ms and bytes; `optimizer` has what a step does once */
    double optimizer_ms;             /* of all layers together */
    double hand_over_ms;             /* 0: not measured, with one rank or one layer */
    struct weir_flight_costs flight; /* factor 0: it makes no difference */
    double spread;                   /* the largest of (90th - 10th percentile) / median of all times above 10 us */
};

/* The result lives in `arena`.  The statuses of weir_engine_open and weir_engine_step. */
weir_status profile_measure(const struct profile_request *request, struct weir_arena *arena, struct profile_result *result_out);

#endif
