/* Plans: how these devices train this model fastest, and whether it fits; found without a device.
 *
 *     struct weir_plan_request request;
 *     struct weir_plan_info best;
 *     weir_plans *plans;
 *
 *     weir_plan_request_init(&request, sizeof request);
 *     request.graph = graph;
 *     request.n_devices = 4;
 *     request.global_batch = 32;
 *     weir_plans_find(&request, &plans);                or weir_plans_read("plan.json", &plans)
 *     weir_plans_info(plans, 0, &best);                 the fastest: best.step_ms, best.schedule, best.n_ranks
 *     weir_plans_write(plans, 0, "plan.json");          for weir train --plan
 *     weir_plans_configure(plans, 0, &config);          for an engine of this program: all that the plan decides
 *     weir_engine_open(&config, &engine);
 *     ...
 *     weir_plans_close(plans);                          after the engine
 *
 * The planner weighs ranks, stages per rank, replicas, sizes of micro-batches, recomputation, ZeRO and schedules, each with the
 * layers cut so that the busiest stage, or the busiest rank, has least to do (docs/planning.md).  It takes from milliseconds to seconds, on the calling
 * thread.  Times are by analysis, for devices of given or assumed speed, unless measured ones are given.
 *
 * What a plan points to lives until its plans are closed.  Plans are used by one thread at a time.
 *
 * What a plan is made of is here, too (at the end of this page): cuts of a model as people write them, and what the stages of a cut
 * cost and hand to each other, for weir_schedule_simulate and weir_schedule_auto. */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include "partition.h"
#include "simulate.h"
#include "weir.h"

enum { WEIR_PLAN_ANY = -1 };

/* What is to be trained on what.  Nothing that it points to is kept. */
struct weir_plan_request {
    size_t struct_bytes;                     /* sizeof(struct weir_plan_request) of the program */
    const struct weir_graph *graph;          /* f32; its micro-batch size does not matter */
    const char *model;                       /* what plan files call it: a name or path that weir_model_open takes; NULL: the graph's name */
    const struct weir_engine_config *config; /* of which device (a kind, "cuda"), dtype, optimizer, threads_per_rank and device_memory are
                                                read; NULL: the defaults */
    int n_devices;                           /* 0: those of the topology */
    int64_t global_batch;                    /* samples of a step */
    int64_t microbatch_size;                 /* 0: chosen */
    int64_t n_microbatches;                  /* of each replica; 0: chosen */
    const char *schedule;                    /* NULL: any; "auto": any, and then an order made for the plan, where that is faster */
    const char *recompute;                   /* layers, as weir_engine_config has them; NULL: chosen */
    int zero;                                /* 0, 1 or WEIR_PLAN_ANY */
    int max_replicas;                        /* 0: as many as an engine can have */
    const char *topology;                    /* devices and links: "2 nodes x 8, 400GB/s, 50GB/s", a file, or "this" (docs/planning.md);
                                                NULL: alike, with links of link_bytes_per_s between all of them */
    double flops_per_s;                      /* of a device, and bytes of its memory, and of the links; 0: weir_plan_request_assume's */
    double bytes_per_s, link_bytes_per_s;
    double link_speed;                       /* factor of the rates of all links, to see what faster ones would change; 0: 1 */
    const struct weir_schedule_costs *costs; /* measured: `layers` of micro-batches of microbatch_size, and with them `transfer` and
                                                `flight`; NULL: by analysis */
    int n_top;                               /* plans to find; 0: 1 */
};

/* What one stage hands to a later one with every micro-batch, and gets back as gradients. */
struct weir_plan_boundary {
    int from, to; /* stages */
    int n_values;
    double bytes; /* each way */
};

/* A plan.  What a file does not say is 0 or NULL. */
struct weir_plan_info {
    int n_ranks, n_chunks, n_stages; /* stages = ranks x chunks */
    int n_replicas, zero;
    int64_t microbatch_size, n_microbatches;
    int64_t seq_len;                 /* 0: the model has none */
    const char *schedule, *dtype, *optimizer, *recompute;
    const int *first_layer;          /* [n_stages + 1] */
    int n_recomputed;                /* layers; of a file 0 */
    const char *model, *device;      /* as they were given; the device is a kind */
    const char *library;             /* the version that found it */
    double step_ms, bubble;          /* predicted; of a file 0, as the next three */
    double exposed_ms;               /* of the rank that waits most for transfers and reductions */
    double optimizer_ms;
    int busiest;                     /* the rank with most work, and its time */
    double busiest_ms;
    const double *rank_ms;           /* [n_ranks]: the work of each */
    const struct weir_memory_report *memory; /* of the compiled program */
    const int *device_of;            /* [n_replicas x n_ranks]: number of the topology's device, replica by replica; NULL: no topology */
    double link_bytes_per_s;         /* with a topology: of the slowest link between neighbouring ranks; one rank: 0 */
    double reduce_bytes_per_s;       /* of the slowest reduction; one replica: 0 */
    bool replicas_together;          /* replicas of a rank, not ranks of a replica, have the near links */
    const struct weir_plan_boundary *boundaries; /* [n_boundaries]: of the compiled program, by `to`, then by `from` */
    int n_boundaries;
    const struct weir_schedule *order; /* of the schedule "auto": the one that was made for the plan; NULL: there is none */
};

/* What a device can do: times by analysis are the longer of flops and of traffic. */
struct weir_ceilings {
    double flops_per_s;      /* of one device */
    double bytes_per_s;      /* of its memory */
    double link_bytes_per_s; /* between devices */
};

/* Where a model is cut into stages.
 *
 *     first layers    0,5,9,13             the first layer of each stage; layers are those of the graph
 *     a layout        Et*3|(tt|)*2tL       what Megatron-LM writes: E the embedding, t a transformer block (attention half and
 *                                          MLP half), L head and loss, | the border between two stages; *n repeats the last
 *                                          letter or group n times in all; commas and spaces say nothing
 *
 * Stages are in the order of their global number; on which rank one lies is the schedule's. */
struct weir_layer_cut {
    int n_stages;
    const int *first_layer; /* [n_stages + 1], the last entry being the number of layers, as struct weir_engine_config has it */
};

typedef struct weir_plans weir_plans;

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Fill in the defaults: `bytes` is sizeof *request. */
void weir_plan_request_init(struct weir_plan_request *request, size_t bytes);

/* Set the rates that are 0: 150 Gflop/s and 15 GB/s of memory, a core with AVX-512; of "cuda" 20 Tflop/s (tf32: 35, bf16: 70) and
 * 900 GB/s, a GPU such as the RTX 3090; links of 12 GB/s.  WEIR_ERR_INVALID. */
weir_status weir_plan_request_assume(struct weir_plan_request *request);

/* Find the fastest plans; that none fits is no failure.  WEIR_ERR_USAGE: a number out of range, a schedule that is not there or
 * cannot train, a batch that nothing divides, the device "null", which computes nothing.  WEIR_ERR_INVALID: something is missing, or
 * a topology or costs that cannot be read.  WEIR_ERR_IO. */
weir_status weir_plans_find(const struct weir_plan_request *request, weir_plans **plans_out);

/* The plan of a file, which weir_plans_write or `weir plan -o` wrote.  WEIR_ERR_IO; WEIR_ERR_INVALID names key and reason. */
weir_status weir_plans_read(const char *path, weir_plans **plans_out);

void weir_plans_close(weir_plans *plans); /* NULL is fine */

/* How many there are, the fastest first; 0: nothing fits. */
int weir_plans_count(const weir_plans *plans);

/* How many candidates were weighed, how many of these simulated, how many compiled; of a file 0. */
void weir_plans_effort(const weir_plans *plans, int64_t *candidates_out, int64_t *simulated_out, int64_t *compiled_out);

/* Plan `index`.  WEIR_ERR_NOFIT: nothing fits; the message says what comes nearest.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_plans_info_sized(const weir_plans *plans, int index, struct weir_plan_info *info_out, size_t info_bytes);
static inline weir_status weir_plans_info(const weir_plans *plans, int index, struct weir_plan_info *info_out)
{
    return weir_plans_info_sized(plans, index, info_out, sizeof *info_out);
}

/* Where nothing fits, what holds least.  WEIR_ERR_INVALID: there is a plan, or not even a candidate. */
weir_status weir_plans_least_sized(const weir_plans *plans, struct weir_plan_info *info_out, size_t info_bytes);
static inline weir_status weir_plans_least(const weir_plans *plans, struct weir_plan_info *info_out)
{
    return weir_plans_least_sized(plans, info_out, sizeof *info_out);
}

/* WEIR_ERR_INVALID: plan `index` is one for another graph than this; says in what they differ. */
weir_status weir_plans_check(const weir_plans *plans, int index, const struct weir_graph *graph);

/* Set in a configuration whose `graph` is set all that plan `index` decides: the graph with its size of micro-batches, schedule,
 * layers, replicas, dtype, optimizer, recomputation and ZeRO.  The rest stays.  What is set lives until the plans are closed.
 * WEIR_ERR_INVALID: as weir_plans_check. */
weir_status weir_plans_configure(weir_plans *plans, int index, struct weir_engine_config *config);

/* Write plan `index` to a file.  WEIR_ERR_IO.  WEIR_ERR_UNSUPPORTED: it has more replicas than an engine can have. */
weir_status weir_plans_write(const weir_plans *plans, int index, const char *path);

/* ---- cuts ------------------------------------------------------------------------------------------------------------ */

/* A cut from "0,5,9"; in `arena`.  WEIR_ERR_USAGE: a word that is no number, a first layer other than 0, layers that do not ascend (a
 * stage would be empty) or that the model does not have; the message names it. */
weir_status weir_layer_cut_numbers(const char *text, const struct weir_graph *graph, struct weir_arena *arena,
                                   struct weir_layer_cut *cut_out);

/* A cut from a layout; in `arena`.  WEIR_ERR_USAGE: an unknown letter, an empty stage, an unclosed group, other blocks than the model
 * has; `m` (multi-token prediction) is refused by name.  WEIR_ERR_UNSUPPORTED: a model that does not consist of embedding, blocks
 * and head. */
weir_status weir_layer_cut_layout(const char *text, const struct weir_graph *graph, struct weir_arena *arena,
                                  struct weir_layer_cut *cut_out);

/* "0,5,9", given to `say`.  WEIR_ERR_NOMEM. */
weir_status weir_layer_cut_print(const struct weir_layer_cut *cut, weir_text_fn say, void *context);

/* The layout, given to `say`.  WEIR_ERR_UNSUPPORTED: a stage begins inside a block, whose layer is named; or the model has none.
 * WEIR_ERR_NOMEM. */
weir_status weir_layer_cut_layout_print(const struct weir_layer_cut *cut, const struct weir_graph *graph, weir_text_fn say,
                                        void *context);

/* ---- what stages cost ------------------------------------------------------------------------------------------------ */

/* The costs of the stages of a model, without a run:
 *
 *     F, I, W      by analysis, in ms, as the planner has them
 *     memory       of the compiled program: what a micro-batch of a stage keeps from F to I, from F to W and from I to W,
 *                  and the bytes of its parameters, gradients and optimizer state
 *
 *     struct weir_ceilings core = {150e9, 15e9, 12e9};
 *     struct weir_schedule_costs costs = {.overlap_gain = 1, .n_stages = 4};
 *     status = weir_stage_costs_find(&config, 4, &core, &arena, &costs.stages);
 *     if (!status)
 *         status = weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation);
 *
 * Neither depends on the schedule, only on how layers are dealt out to stages. */

/* The costs of `n_stages` stages of the model that `config` describes; its schedule is not read, and its device is asked
 * nothing.  *stages_out, [n_stages], lives in `arena`.  WEIR_ERR_NOFIT: more stages than layers.  WEIR_ERR_USAGE,
 * WEIR_ERR_INVALID as weir_engine_open; also for fewer stages than one, and a ceiling that is not above 0. */
weir_status weir_stage_costs_find(const struct weir_engine_config *config, int n_stages,
                                  const struct weir_ceilings *ceilings, struct weir_arena *arena,
                                  const struct weir_stage_costs **stages_out);

/* What those stages hand to each other, for weir_schedule_boundaries_set().  [*n_out] in `arena`; statuses as above. */
weir_status weir_stage_boundaries_find(const struct weir_engine_config *config, int n_stages, struct weir_arena *arena,
                                       const struct weir_schedule_boundary **boundaries_out, int *n_out);

/* A model as a cost graph, for weir_split_find: nodes are layers, because an engine cuts between layers only, with times in ms of one
 * micro-batch by analysis.  A tied parameter counts on every layer that uses it: each stage holds a copy; in a bf16 graph a parameter
 * is f32 with a bf16 copy.  Activation bytes are those kept from forward to weight gradient.  `recompute` is a list of layers as in
 * struct weir_engine_config, or NULL: their replay is part of the input gradient's time, and of their activations only the layer's
 * input is kept.  WEIR_ERR_INVALID: a ceiling that is not above 0.  WEIR_ERR_USAGE: a list that names no layer.  WEIR_ERR_NOMEM. */
weir_status weir_cost_graph_of_model(const struct weir_graph *graph, const char *recompute, const struct weir_ceilings *ceilings,
                                     weir_cost_graph **graph_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
