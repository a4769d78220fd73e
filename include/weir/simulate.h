/* What a schedule costs: time, bubbles, memory and the chain of actions that decides, before anything runs.
 *
 * The model is that of weir_schedule_check with durations: one compute stream per rank; F, I, W and B last what the
 * stage's costs say (B = I + W, or the part of it that was measured); a transfer lasts latency + bytes / bandwidth of its edge; stages of one rank hand
 * over for free. An OVERLAP_F_B starts when the inputs of both parts are there, lasts (F + B) × overlap_gain and gives
 * both results at its end.  After its list a rank reduces its gradients; the optimizer starts on all ranks together
 * when the last rank has reduced.  With REDUCE_GRAD actions in the lists, each reduces its part beside the compute
 * stream instead, one after the other on the rank's one reduce stream.
 *
 * With D replicas every stage is reduced (a REDUCE_GRAD is added right after its last W or B, where it has none).  The owner of a share adds the contributions of the others, so that each replica receives and sends D - 1 shares
 * of bytes / D over its link, and hands the sum back the same way.  A bucket of b bytes takes, per phase,
 *
 *     latency + (D - 1) / D · b / bandwidth        two phases: as long as a ring takes, but for the ring's latencies
 *
 * With the optimizer sharded over the replicas (ZeRO-1) the first phase is enough, the optimizer takes 1 / D of its time
 * and its state 1 / D of its memory, and the parameters are handed round in a phase of their own behind it.
 *
 * Memory is counted in list order.  F adds mem_backward; I needs mem_made beside that, and leaves mem_weight; B and W
 * give back what there is:
 *
 *     F to I ├───────────┤            mem_backward = F to I + F to W
 *     F to W ├───────────────────┤    mem_weight   = F to W + I to W
 *     I to W         ├───────────┤    mem_made     = I to W
 *             F       I       W
 *
 *     bubble       1 - work of the busiest rank / makespan
 *     bubble_span  1 - work of the busiest rank / max over ranks of (its last end - its first start)
 *
 * The second is the zero-bubble paper's: it forgives ranks that start late and end early.  Work is F, I, W, B and
 * optimizer at their full cost, so that a gain by overlap shows as a smaller, even negative bubble, and what is left of
 * the reduction when a rank's compute is done; busy is the time that they take.  A rank's last end is that of its own optimizer when nobody waits for the others.
 *
 *     struct weir_simulation result;
 *     struct weir_schedule_costs costs = {.forward = 1, .input = 1, .weight = 1, .mem_backward = 1, .mem_weight = 1,
 *                                         .overlap_gain = 1};
 *     status = weir_schedule_simulate(&schedule, &costs, &(struct weir_simulation_options){0}, &arena, &result);
 */
#ifndef WEIR_SIMULATE_H
#define WEIR_SIMULATE_H

#include "schedule.h"

struct weir_stage_costs {
    double forward, input, weight; /* of one action, any unit of time; as all here of a whole micro-batch, of whose k slices each has
                                      1 / k */
    double mem_backward;           /* held from F on, until the end of I or B; any unit */
    double mem_weight;             /* held after I, until the end of W */
    double param_bytes, grad_bytes, optimizer_bytes; /* of the stage's parameters, gradients and optimizer state */
    double mem_made;               /* the part of mem_weight that I makes; the rest F has kept */
    double optimizer;              /* once in a step, after the last micro-batch: of its parameters */
};

struct weir_edge_costs {
    int from, to;                     /* ranks */
    double latency, bytes, bandwidth; /* a transfer lasts latency + bytes / bandwidth; bandwidth 0: latency alone.
                                         Of k slices each has 1 / k of the bytes */
};

/* What is kept from forwards to backwards, and does not fit into caches, makes a rank slower: with `high` bytes in flight at most,
 * counted as peak_memory is, its actions take `factor` times as long as with `low`; between the two as the logarithm goes.  B finds
 * in caches for W what it had there for I, and takes `at_once` times as long as I and W apart. */
struct weir_flight_costs {
    double low, high, factor; /* 0 < low < high, 1 <= factor <= 100; factor 0: times do not depend on it */
    double at_once;           /* 0.01 to 100; 0: 1 */
};

/* Costs of every action and transfer.  The tables override the common values. */
struct weir_schedule_costs {
    double forward, input, weight, mem_backward, mem_weight; /* every stage */
    double transfer;                                         /* every edge; a slice's part of it */
    double reduce;                                           /* one rank's gradients */
    double optimizer;                                        /* one rank's, beside those of its stages */
    double overlap_gain;                                     /* 1: an overlapped pair lasts as long as its parts; 0: 1 */
    const struct weir_stage_costs *stages;                   /* [n_stages], or NULL; one stands for every stage */
    int n_stages;
    const struct weir_edge_costs *edges; /* [n_edges]; pairs that are not listed cost `transfer` */
    int n_edges;
    double param_bytes, grad_bytes, optimizer_bytes; /* every stage */
    double reduce_latency, reduce_bandwidth;         /* of the link between replicas; bandwidth 0: latency alone */
    double bucket_bytes;                             /* gradients are reduced in parts of so many bytes; 0: per stage */
    double mem_made;                                 /* every stage */
    const char *name; /* of the file it was read from, which messages about it name; NULL: none */
    const struct weir_stage_costs *layers; /* [n_layers], or NULL: what the caller puts together to `stages` first */
    int n_layers;
    struct weir_flight_costs flight;
    bool halved; /* input and weight are halves of what was given for both */
    const char *unit; /* of its times, "ms"; NULL: not known */
};

struct weir_simulation_options {
    enum weir_channels channels;
    bool keep_path;  /* fill in critical_path */
    bool keep_times; /* fill in start, end and transfers */
    int n_replicas;       /* D; 0 and 1: gradients are not reduced over replicas */
    bool shard_optimizer; /* ZeRO-1 */
};

/* A step of the critical path. */
struct weir_path_step {
    struct weir_action action;  /* a compute action, a REDUCE_GRAD, or a SEND for a transfer */
    struct weir_action partner; /* the backward of an OVERLAP_F_B */
    int rank;                   /* whose list it stands in; of a transfer, the sender */
    double duration;
};

/* A transfer. */
struct weir_transfer_time {
    struct weir_action receive;
    int source;   /* the stage whose result it is */
    int from, to; /* ranks */
    double start, end;
    const char *held_by; /* what it waited for when it was made: "channel", "input slot", "gradient slot"; under blocking that its
                            "sender" or "receiver" comes to it; NULL: nothing */
};

struct weir_simulation {
    double makespan, bubble, bubble_span;
    size_t n_actions;               /* compute actions */
    size_t n_messages;              /* transfers between ranks */
    const int *peak_in_flight;      /* [n_ranks]: chunk activations held at most, counted in list order */
    const double *busy;             /* [n_ranks]: time at work */
    const double *idle;             /* [n_ranks]: makespan - busy */
    double optimizer_start;         /* when the last rank has reduced */
    double optimizer;               /* how long it takes on the rank that has most of it */
    const double *exposed;          /* [n_ranks]: idle time in which what it waits for is made, but not there yet */
    const double *peak_memory;      /* [n_ranks]: in list order, after every action */
    const double *peak_activations; /* [n_ranks]: the same with the common mem_backward and mem_weight */
    const double *reduction;         /* [n_ranks]: time of its reductions */
    const double *reduction_exposed; /* [n_ranks]: the part of it after the rank's last action */
    const double *gather;            /* [n_ranks]: ZeRO-1: time in which its parameters are handed round */
    const double *state;             /* [n_ranks]: bytes of parameters, gradients and optimizer state */
    const double *state_sharded;     /* [n_ranks]: the same under ZeRO-1 with as many replicas */
    const struct weir_path_step *critical_path; /* [n_path]: without gaps from 0 to the end of the last action or
                                                   reduction */
    size_t n_path;
    size_t n_looked; /* entries of lists and edges that were looked at to find it: a few times as many as there are */
    const double *const *start, *const *end; /* [n_ranks][n_actions] of the lists in `lowered`, compute actions and
                                              REDUCE_GRAD only */
    const struct weir_transfer_time *transfers; /* by edge and time */
    size_t n_transfers;
    enum weir_channels channels;  /* that it was run with */
    struct weir_schedule lowered; /* the lists that were run: those given, or with communication and reductions added */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Run the schedule through the model.  The result lives in `arena`.  Compute-only schedules get their transfers as
 * weir_schedule_check says.  WEIR_ERR_INVALID: what check would say, or costs that do not fit the schedule. */
weir_status weir_schedule_simulate(const struct weir_schedule *schedule, const struct weir_schedule_costs *costs,
                                   const struct weir_simulation_options *options, struct weir_arena *arena,
                                   struct weir_simulation *result_out);

/* Read {stages: [{F, I, W, mem_B, mem_W, mem_IW, param_bytes, grad_bytes, optimizer_bytes, optimizer}], edges: [{from, to,
 * latency, bytes, bandwidth}], transfer, reduce, reduce_link: {latency, bandwidth}, bucket_bytes, optimizer,
 * in_flight: {low, high, factor, at_once}} over the values that
 * *costs has; `layers` of the same form may stand in place of `stages`.  F, I and W of a stage must be there, or F and B,
 * which is halved; mem_B and mem_W go together, on all stages or on none; mem_IW (mem_made) is mem_W where it is left out.
 * A trace is read too, as weir_traced_costs() does.  WEIR_ERR_IO; WEIR_ERR_INVALID, also for a file without any cost. */
weir_status weir_schedule_costs_load(const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs);

/* The same of text that is there, `name` being what messages call it; but no trace.  A CSV is read too: a row of names (stage, F and
 * B, or F, I and W; perhaps mem_B and mem_W), then a row per stage.  WEIR_ERR_INVALID, also for text that is empty. */
weir_status weir_schedule_costs_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                      struct weir_schedule_costs *costs);

/* The number of steps when every rank does at most one action per step, transfers included (the rule of PyTorch's
 * simulator: sends are buffered, and a rank sees what lower ranks have done in the same step).  A compute-only
 * schedule is lowered as PyTorch does first.  WEIR_ERR_INVALID when the lists do not progress. */
weir_status weir_schedule_count_steps(const struct weir_schedule *schedule, size_t *steps_out);

/* A Chrome trace (chrome://tracing, Perfetto) of a simulation with keep_times: one track of compute, one per edge and
 * one of reductions for each rank; a unit of time is shown as a millisecond.  The text lives in `arena`. */
weir_status weir_simulation_trace(const struct weir_simulation *simulation, struct weir_arena *arena,
                                  const char **text_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
