/* The planner: how these devices train this model fastest, and whether it fits.
 *
 *     candidates   ranks p, stages per rank v, replicas d, samples of a micro-batch B, recomputation, ZeRO, schedule
 *         │        each with the layers cut so that the busiest stage has least to do
 *         ├─ bounds: the work of the busiest rank, the bytes of its parameters and of one micro-batch      left out
 *         ├─ simulated with fill and drain, transfers, reductions and optimizer; what ranks hold by the list
 *         └─ compiled, the fastest first, until enough of them fit: their bytes are those of the memory table
 *
 * p · d may be below the number of devices: an idle device is better than one that slows the others down.  Times are those of
 * the analysis at given ceilings (model_costs.h).
 *
 *     struct weir_planner_request request = {.graph = graph, .config = config, .n_devices = 4, .global_batch = 32, ...};
 *     status = weir_planner_run(&request, &arena, &result);
 *     if (!status && !result.n_plans)
 *         result.least                                    what comes nearest, and what it needs
 *
 * A function of its arguments: no device is opened. */
#ifndef WEIR_ENGINE_PROGRAM_PLANNER_H
#define WEIR_ENGINE_PROGRAM_PLANNER_H

#include "engine/program/config.h"
#include "engine/program/layer_cut.h"
#include "engine/program/memory_report.h"
#include "engine/program/model_costs.h"

enum { WEIR_PLANNER_ANY = -1, WEIR_PLANNER_MOST_DEVICES = 4096 };

struct weir_planner_request {
    const struct weir_graph *graph;   /* f32; its micro-batch size does not matter */
    struct weir_engine_config config; /* device, dtype, optimizer, threads, device_memory: the cap; the rest is chosen */
    int n_devices;
    int64_t global_batch;             /* samples of a step */
    int64_t microbatch_size;          /* 0: chosen */
    int64_t n_microbatches;           /* of each replica; 0: chosen */
    const char *schedule;             /* NULL: any */
    const char *recompute;            /* NULL: "none" or "full" is chosen */
    int zero;                         /* 0, 1 or WEIR_PLANNER_ANY */
    int max_replicas;                 /* 0: as many as there can be */
    struct weir_ceilings ceilings;    /* of one device, and of the links between ranks and between replicas */
    int n_top;                        /* plans to return */
};

struct weir_planned {
    int n_ranks, n_chunks, n_replicas, zero;
    int64_t microbatch_size, n_microbatches;
    const struct weir_schedule_kind *kind;
    const char *recompute;
    struct weir_layer_cut cut;
    double step_ms, bubble;
    double exposed_ms;   /* of the rank that waits most for transfers and reductions */
    double optimizer_ms;
    int busiest;         /* the rank with most work, and its time */
    double busiest_ms;
    double estimate;     /* bytes of the rank that holds most, by the list: what candidates are left out by */
    struct weir_memory_report memory; /* of the compiled program */
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

/* Everything of the result lives in `arena`.  That nothing fits is no failure.  WEIR_ERR_USAGE: a number out of range, a
 * schedule that is not there or cannot train, a batch that nothing divides. */
weir_status weir_planner_run(const struct weir_planner_request *request, struct weir_arena *arena,
                             struct weir_planner_result *result_out);

#ifdef __cplusplus
}
#endif

#endif
