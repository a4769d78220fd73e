/* The planner: how these devices train this model fastest, and whether it fits.
 *
 *     candidates   ranks p, stages per rank v, replicas d, samples of a micro-batch B, recomputation, ZeRO, schedule
 *         │        each with the layers cut so that the busiest stage has least to do; also, where it differs, so that the busiest
 *         │        rank has, and with branches so that all that crosses is weighed too (planner_cuts.h)
 *         ├─ bounds: no rank is done before its own work, fill and drain; bytes of state and of what is in flight
 *         ├─ simulated, the smallest bound first, with fill and drain, transfers, reductions and optimizer; what ranks hold
 *         │        by the list, and the layers to recompute so that it fits (recompute_choice.h)
 *         └─ compiled, as soon as no bound that is left is below its time: bytes are those of the memory table
 *
 * So the plans are the fastest of all candidates, though few are simulated.  p · d may be below the number of devices: an idle
 * device is better than one that slows the others down.  Times are those of the analysis at given ceilings (model_costs.h).
 * With a topology, ranks are arranged on it first (arrange.h): transfers and reductions take as long as there, and devices may
 * differ in speed and memory.
 *
 *     struct weir_planner_request request = {.graph = graph, .config = config, .n_devices = 4, .global_batch = 32, ...};
 *     status = weir_planner_run(&request, &arena, &result);
 *     if (!status && !result.n_plans)
 *         result.least                                    what comes nearest, and what it needs
 *
 * A function of its arguments: no device is opened. */
#ifndef WEIR_ENGINE_PROGRAM_PLANNER_H
#define WEIR_ENGINE_PROGRAM_PLANNER_H

#include "include/weir/weir.h"
#include "include/weir/report.h"
#include "engine/program/model_costs.h"
#include "engine/program/planner_cuts.h"
#include "partitioner/topology/arrange.h"
#include "include/weir/simulate.h"

enum { WEIR_PLANNER_ANY = -1, WEIR_PLANNER_MOST_DEVICES = WEIR_TOPOLOGY_MOST_DEVICES, WEIR_PLANNER_MOST_REPLICAS = 1024 };

struct weir_planner_request {
    const struct weir_graph *graph;   /* f32; its micro-batch size does not matter */
    struct weir_engine_config config; /* device, dtype, optimizer, threads, device_memory: the cap; the rest is chosen */
    int n_devices;
    int64_t global_batch;             /* samples of a step */
    int64_t microbatch_size;          /* 0: chosen */
    int64_t n_microbatches;           /* of each replica; 0: chosen */
    const char *schedule;             /* NULL: any; "auto": any, and for the plans that are returned an order of their own (auto.h),
                                         where that is faster */
    const char *recompute;            /* NULL: chosen, layer by layer */
    int zero;                         /* 0, 1 or WEIR_PLANNER_ANY */
    int max_replicas;                 /* 0: as many as a run can have.  Of a plan with more the memory is that of as many as a run
                                         can have: with ZeRO-1 it takes less */
    const struct weir_topology *topology; /* NULL: devices alike, links of the ceilings' rate between all of them */
    struct weir_ceilings ceilings;    /* of one device, and of the links between ranks and between replicas */
    const struct weir_stage_costs *layers; /* [n_layers], or NULL: measured times in ms, of micro-batches of microbatch_size, in
                                              place of those by analysis; without replays, which add F to I.  Where no layer has a
                                              time of the optimizer, that is by analysis, too */
    int n_layers;
    struct weir_flight_costs flight;  /* measured with them; factor 0: not */
    double hand_over_ms;              /* measured: of a micro-batch from one rank to another, without a topology; 0: bytes over rate */
    int n_top;                        /* plans to return */
};

struct weir_planned {
    int n_ranks, n_chunks, n_replicas, zero;
    int64_t microbatch_size, n_microbatches;
    const struct weir_schedule_kind *kind;
    const struct weir_schedule *order; /* of auto, which was faster than the kind's; NULL: the kind's */
    const char *recompute;
    struct weir_layer_cut cut;
    double step_ms, bubble;
    double exposed_ms;   /* of the rank that waits most for transfers and reductions */
    double optimizer_ms;
    int busiest;         /* the rank with most work, and its time */
    double busiest_ms;
    const double *rank_ms; /* [n_ranks]: the work of each; NULL for what holds least */
    double estimate;     /* bytes of the rank that holds most, by the list: what candidates are left out by */
    struct weir_memory_report memory; /* of the compiled program */
    int n_recomputed;                 /* layers */
    const struct weir_arrangement *arrangement; /* NULL: no topology */
    const struct weir_plan_boundary *boundaries; /* [n_boundaries]: of the compiled program, whose messages have these bytes */
    int n_boundaries;
};

struct weir_planner_result {
    const struct weir_planned *plans; /* [n_plans], the fastest first; each fits */
    int n_plans;
    bool has_least;
    struct weir_planned least;        /* where nothing fits: what holds least, compiled */
    long n_candidates, n_simulated, n_compiled;
};

#ifdef __cplusplus
extern "C" {
#endif

/* What is taken for a device of the kind where nothing is said: a core with AVX-512; a GPU such as the RTX 3090. */
struct weir_ceilings weir_planner_ceilings(const char *device, enum weir_compute dtype);

/* Everything of the result lives in `arena`.  That nothing fits is no failure.  WEIR_ERR_USAGE: a number out of range, a
 * schedule that is not there or cannot train, a batch that nothing divides. */
weir_status weir_planner_run(const struct weir_planner_request *request, struct weir_arena *arena,
                             struct weir_planner_result *result_out);

#ifdef __cplusplus
}
#endif

#endif
