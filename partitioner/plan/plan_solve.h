/* Plans: which node runs on which device, how good that is, and how good it could be at most.
 *
 *     struct weir_arena arena = {0};
 *     struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
 *     struct weir_plan_result result;
 *     options.devices = 8;
 *     status = weir_plan_solve(&graph, &options, &arena, &result);
 *     if (!status && result.plan.n_parts)
 *         printf("%g, at least %g\n", result.plan.objective, result.plan.lower_bound);
 *
 * Contiguous plans are intervals of the data flow: no device gets data back from a later one.  They are exact whenever
 * the downsets of the graph can be counted (partitioner/contiguous/exact.h), chains of any length included; else they
 * come from a search over orders, with a lower bound.  Unordered plans (`unordered`) drop that demand, start
 * from the contiguous plan and never returns a worse one.  docs/planning.md has the model and the algorithms. */
#ifndef WEIR_PARTITIONER_PLAN_SOLVE_H
#define WEIR_PARTITIONER_PLAN_SOLVE_H

#include <math.h>

#include "base/text.h"
#include "partitioner/costs/cost_graph.h"
#include "partitioner/costs/cost_graph_file.h"

enum weir_plan_objective {
    WEIR_PLAN_MAX_LOAD, /* the largest load of a part */
    WEIR_PLAN_PIPER, /* Piper's time per sample: stages replicated over devices, recomputation, micro-batches in flight
                      */
};

struct weir_plan_options {
    enum weir_plan_objective objective;
    int devices; /* accelerators, 0: none */
    int cpus;
    double memory;       /* bytes per accelerator, ≥ 1; INFINITY: no cap */
    bool unordered; /* parts need not be contiguous */
    double seconds;      /* wall time; 0: a default that lets exact solvers finish */
    bool unhurried;      /* the same work, but the clock ends nothing: the same plan on a machine that has no time, too.  Max-load only */
    uint64_t seed;
    int curve_first, curve_last; /* also solve for these device counts; 0: no curve */
};

#define WEIR_PLAN_OPTIONS_DEFAULT                                                                                      \
    {                                                                                                                  \
        .memory = INFINITY                                                                                             \
    }

struct weir_plan_part {
    int device; /* 0..devices-1 accelerators, from `devices` on CPUs; Piper: the first of `replicas` devices */
    bool cpu;
    double load; /* time + transfer */
    double time, transfer;
    double memory;    /* bytes */
    int replicas;     /* devices that share the part's work (1 unless Piper) */
    int in_flight;    /* micro-batches kept (Piper), else 0 */
    int recomputed;   /* nodes that run their second configuration (Piper) */
    const int *nodes; /* indices, ascending */
    int n_nodes;
};

struct weir_plan {
    double objective;                   /* INFINITY: no plan */
    double lower_bound;                 /* no plan of the asked kind is below */
    const struct weir_plan_part *parts; /* contiguous: along the data flow; unused devices are left out */
    int n_parts;
};

struct weir_plan_point {
    int devices;
    double objective, lower_bound;
};

struct weir_plan_result {
    struct weir_plan plan; /* for options.devices; with a curve only, for its last feasible entry */
    int devices, cpus;     /* what plan is for */
    double seconds;        /* taken */
    int64_t downsets;      /* states of the exact solver; 0 when they were not counted */
    const struct weir_plan_point *curve;
    int n_curve;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Solve.  Everything in the result lives in `arena`.  That no plan exists is not a failure: objective is INFINITY and
 * n_parts 0 (weir_plan_refuse has the reason), and lower_bound is INFINITY, too, unless the search ended before it could
 * tell.  However early it ends, everything on one device is found where it fits.  WEIR_ERR_INVALID: no device and no
 * curve; a memory cap below one byte; a Piper objective for a graph without configurations.
 * WEIR_ERR_NOFIT: contradictory pins.  WEIR_ERR_TIMEOUT: the Piper objective needs more seconds.  WEIR_ERR_UNSUPPORTED:
 * the Piper objective with CPUs, unordered plans or too many nodes.  WEIR_ERR_NOMEM. */
weir_status weir_plan_solve(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                            struct weir_arena *arena, struct weir_plan_result *result_out);

/* Why a result has no parts, as a failure: WEIR_ERR_NOFIT names the node whose bytes no device holds, the node that runs
 * nowhere, what all nodes need together, or says that no plan meets all demands; WEIR_ERR_TIMEOUT: the search ended
 * before it found a plan or could tell that there is none.  WEIR_ERR_NOMEM. */
weir_status weir_plan_refuse(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                             const struct weir_plan_result *result);

/* Score anybody's split for the max-load objective: device_of[node] < options->devices is an accelerator, the next
 * options->cpus are CPUs.  Checks colors, pins, forbidden cuts, memory and what can run where; *contiguous_out says
 * whether the parts are intervals of the data flow.  The plan's lower_bound is 0.  WEIR_ERR_INVALID or WEIR_ERR_NOFIT
 * names node, part and reason. */
weir_status weir_plan_evaluate(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                               const int *device_of, struct weir_arena *arena, struct weir_plan *plan_out,
                               bool *contiguous_out);

/* Read a split for `graph`: Weir's plan JSON ("stages", whose unknown keys are errors), the msr output ("fpgas", "cpus") or a graph.txt with stage
 * ids. devices_out and cpus_out are the numbers of parts it names.  The array (one entry per node) lives in `arena`. */
weir_status weir_plan_read(const struct weir_cost_graph *graph, const char *path, struct weir_arena *arena,
                           const int **device_of_out, int *devices_out, int *cpus_out);
weir_status weir_plan_parse(const struct weir_cost_graph *graph, const char *text, size_t bytes, const char *name,
                            struct weir_arena *arena, const int **device_of_out, int *devices_out, int *cpus_out);

enum weir_plan_format {
    WEIR_PLAN_JSON,      /* objective, lower_bound, gap, seconds, ideals, stages, curve */
    WEIR_PLAN_MSR,       /* {"maxLoad", "fpgas", "cpus"} */
    WEIR_PLAN_PIPEDREAM, /* graph.txt with stage ids */
    WEIR_PLAN_LAYERS,    /* one line of node ids per stage */
    WEIR_PLAN_DOT,       /* Graphviz, coloured by stage */
    WEIR_PLAN_EXPLAIN,   /* a table for people: time, transfer, memory, slack, the cuts */
    WEIR_PLAN_FORMATS
};

/* Names of the forms, indexed by the enum and NULL-terminated. */
extern const char *const weir_plan_format_names[];

/* Append the result; without a plan the last four forms have nothing to show, or a line that says so.
 * WEIR_ERR_UNSUPPORTED: PIPEDREAM for a graph that was not read from a graph.txt. */
weir_status weir_plan_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                            enum weir_plan_format format, struct weir_text *text);

#ifdef __cplusplus
}
#endif

#endif
