/* What each layer of a model takes on this machine, measured.
 *
 * Every layer is a stage.  As many ranks as there are cores have the layers between them as in a pipeline, and run one step:
 *
 *     turns      as 1f1b, F and B        what caches have of a micro-batch when its backward comes is what they have in a run
 *     apart      as 1f1b, but with all I of a rank before its W
 *     together   all F, then all B, of 4 micro-batches or more; once more, and that is what counts
 *
 * F is that of the turns, I and W are those apart; at_once is B over I + W, and factor what all takes together over what it takes in
 * turns (struct weir_flight_costs).  Cores that share memory and caches slow each other down as they will in a run.  The first
 * backward of a step writes gradients to which later ones add.  What it takes more than these is counted with the optimizer, as what
 * a step does once.
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
    int n_ranks;                     /* that were busy: no more than there are layers */
    double optimizer_ms;             /* of all layers together */
    double hand_over_ms;             /* 0: not measured, with one rank or one layer */
    struct weir_flight_costs flight; /* factor 0: not measured, where nothing is kept */
    double spread;                   /* the largest of (90th - 10th percentile) / median of all times above 10 us */
};

/* The result lives in `arena`.  The statuses of weir_engine_open and weir_engine_step. */
weir_status profile_measure(const struct profile_request *request, struct weir_arena *arena, struct profile_result *result_out);

#endif
