/* What a schedule costs: time, bubbles, memory and the chain of actions that decides, before anything runs.
 *
 * The model is that of weir_schedule_check with durations: one compute stream per rank; F, I, W and B last what the
 * stage's costs say (B = I + W); a transfer lasts latency + bytes / bandwidth of its edge; stages of one rank hand
 * over for free. An OVERLAP_F_B starts when the inputs of both parts are there, lasts (F + B) × overlap_gain and gives
 * both results at its end.  After its list a rank reduces its gradients; the optimizer starts on all ranks together
 * when the last rank has reduced.  With REDUCE_GRAD actions in the lists, each reduces its part beside the compute
 * stream instead.
 *
 *     bubble       1 - work of the busiest rank / makespan
 *     bubble_span  1 - work of the busiest rank / max over ranks of (its last end - its first start)
 *
 * The second is the zero-bubble paper's: it forgives ranks that start late and end early.  Work is F, I, W, B, reduction
 * and optimizer at their full cost, so that a gain by overlap shows as a smaller, even negative bubble; busy is the time
 * that they take.  A rank's last end is that of its own optimizer when nobody waits for the others.
 *
 *     struct weir_simulation result;
 *     struct weir_schedule_costs costs = {.forward = 1, .input = 1, .weight = 1, .mem_backward = 1, .mem_weight = 1,
 *                                         .overlap_gain = 1};
 *     status = weir_schedule_simulate(&schedule, &costs, &(struct weir_simulation_options){0}, &arena, &result);
 */
#ifndef WEIR_SCHEDULES_SIMULATE_H
#define WEIR_SCHEDULES_SIMULATE_H

#include "schedules/schedule.h"

struct weir_stage_costs {
    double forward, input, weight; /* of one action, any unit of time */
    double mem_backward;           /* held from F on, until the end of I or B; any unit */
    double mem_weight;             /* held after I, until the end of W */
};

struct weir_edge_costs {
    int from, to;                     /* ranks */
    double latency, bytes, bandwidth; /* a transfer lasts latency + bytes / bandwidth; bandwidth 0: latency alone */
};

/* Costs of every action and transfer.  The tables override the common values. */
struct weir_schedule_costs {
    double forward, input, weight, mem_backward, mem_weight; /* every stage */
    double transfer;                                         /* every edge */
    double reduce;                                           /* one rank's gradients */
    double optimizer;                                        /* one rank's */
    double overlap_gain;                                     /* 1: an overlapped pair lasts as long as its parts */
    const struct weir_stage_costs *stages;                   /* [n_stages], or NULL */
    int n_stages;
    const struct weir_edge_costs *edges; /* [n_edges]; pairs that are not listed cost `transfer` */
    int n_edges;
};

struct weir_simulation_options {
    enum weir_channels channels;
    bool keep_path;  /* fill in critical_path */
    bool keep_times; /* fill in start, end and transfers */
};

/* A step of the critical path. */
struct weir_path_step {
    struct weir_action action;  /* a compute action, or a SEND for a transfer */
    struct weir_action partner; /* the backward of an OVERLAP_F_B */
    int rank;                   /* whose list it stands in; of a transfer, the sender */
    double duration;
};

/* A transfer under the edge model. */
struct weir_transfer_time {
    struct weir_action receive;
    int from, to;
    double start, end;
};

struct weir_simulation {
    double makespan, bubble, bubble_span;
    size_t n_actions;               /* compute actions */
    const double *busy;             /* [n_ranks]: time at work */
    const double *idle;             /* [n_ranks]: makespan - busy */
    const double *exposed;          /* [n_ranks]: idle time in which what it waits for is made, but not there yet */
    const double *peak_memory;      /* [n_ranks]: in list order, after every action */
    const double *peak_activations; /* [n_ranks]: the same with the common mem_backward and mem_weight */
    const struct weir_path_step *critical_path; /* [n_path]: without gaps from 0 to the end of the last action */
    size_t n_path;
    const double *const *start, *const *end; /* [n_ranks][n_actions] of the lists in `lowered`, compute actions only */
    const struct weir_transfer_time *transfers;
    size_t n_transfers;
    struct weir_schedule lowered; /* the lists that were run: those given, or with communication added */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Run the schedule through the model.  The result lives in `arena`.  Compute-only schedules get their transfers as
 * weir_schedule_check says.  WEIR_ERR_INVALID: what check would say, or costs that do not fit the schedule. */
weir_status weir_schedule_simulate(const struct weir_schedule *schedule, const struct weir_schedule_costs *costs,
                                   const struct weir_simulation_options *options, struct weir_arena *arena,
                                   struct weir_simulation *result_out);

/* Read {stages: [{F, I, W, mem_B, mem_W}], edges: [{from, to, latency, bytes, bandwidth}], reduce, optimizer} over the
 * values that *costs has.  mem_B, mem_W, edges, reduce and optimizer may be missing.  WEIR_ERR_IO, WEIR_ERR_INVALID. */
weir_status weir_schedule_costs_load(const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs);

/* The number of steps when every rank does at most one action per step, transfers included (the rule of PyTorch's
 * simulator: sends are buffered, and a rank sees what lower ranks have done in the same step).  A compute-only
 * schedule is lowered as PyTorch does first.  WEIR_ERR_INVALID when the lists do not progress. */
weir_status weir_schedule_count_steps(const struct weir_schedule *schedule, size_t *steps_out);

/* A Chrome trace (chrome://tracing, Perfetto) of a simulation with keep_times: one track of compute and one per edge
 * for each rank; a unit of time is shown as a millisecond.  The text lives in `arena`. */
weir_status weir_simulation_trace(const struct weir_simulation *simulation, struct weir_arena *arena,
                                  const char **text_out);

#ifdef __cplusplus
}
#endif

#endif
