/* Splitting a model: which of its operations or layers run on which device, how good that is, and how good it could be at most.
 *
 *     weir_cost_graph *graph;
 *     weir_split *split;
 *     struct weir_split_request request;
 *     struct weir_split_info info;
 *
 *     weir_cost_graph_open("model.json", NULL, 0, &graph);          or of a model: weir_cost_graph_of_model (plan.h)
 *     weir_split_request_init(&request, sizeof request);
 *     request.n_devices = 8;
 *     weir_split_find(graph, &request, &split);
 *     weir_split_info(split, &info);                                info.objective, at least info.lower_bound
 *     weir_split_write(split, "explain", say, context);             a table
 *     weir_split_close(split);
 *     weir_cost_graph_close(graph);
 *
 * A cost graph has nodes, operations or layers with their times and bytes, and edges that say who reads whose output.  What a split
 * of it costs:
 *
 *     time of a node   forward + input_grad + weight_grad, or cpu on a CPU          (one unit per graph, normally ms)
 *     net              one output: its producer and all its consumers; its cost is the time of one transfer
 *     part             the nodes of one device
 *
 *     load of a part on an accelerator = times of its nodes
 *                                      + cost of every net that touches the part and has a node outside it
 *     load of a part on a CPU          = CPU times of its nodes, no transfers
 *
 *          ┌─▶ b ─┐        part {a} pays cost(a's output), part {b, c} pays cost(a) once and cost(b, c → d),
 *        a ┤      ├─▶ d    part {d} pays for the outputs of b and of c
 *          └─▶ c ─┘
 *
 * Contiguous splits are intervals of the data flow: no device gets data back from a later one.  They are exact whenever the graph is
 * small or narrow enough, chains of any length included; else they come from a search, with a lower bound.  Unordered splits drop that
 * demand, start from the contiguous one and are never worse.  docs/planning.md has the model, the algorithms and the forms of files.
 *
 * Graphs do not change once they are open: any number of threads may split them. */
#ifndef WEIR_PARTITION_H
#define WEIR_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

typedef struct weir_cost_graph weir_cost_graph;
typedef struct weir_split weir_split;

struct weir_cost_graph_info {
    int n_nodes, n_edges;
    int n_devices;           /* that the file speaks of; 0: of none */
    double memory;           /* bytes per accelerator that the file has; INFINITY: no cap */
    double units_per_second; /* of all times; 1000 for ms */
};

/* Node `index`, as its file has it. */
struct weir_cost_node_info {
    const char *id, *name;                   /* the name is shown to people; NULL: the id */
    double forward, input_grad, weight_grad; /* time on an accelerator */
    double cpu;                              /* time on a CPU; NaN: cannot run on a CPU */
    double parameter_bytes, activation_bytes;
};

enum weir_split_objective {
    WEIR_SPLIT_MAX_LOAD, /* the largest load of a part */
    WEIR_SPLIT_PIPER,    /* Piper's time per sample: stages replicated over devices, recomputation, micro-batches in flight */
};

struct weir_split_request {
    size_t struct_bytes;         /* sizeof(struct weir_split_request) of the program */
    enum weir_split_objective objective;
    int n_devices, n_cpus;       /* accelerators, 0: none; CPUs beside them */
    double memory;               /* bytes per accelerator, at least 1; 0: as the graph has it */
    bool unordered;              /* parts need not be contiguous */
    double seconds;              /* wall time; 0: what lets exact solvers finish */
    uint64_t seed;               /* of the searches */
    int curve_first, curve_last; /* also for these numbers of devices; 0: no curve */
};

struct weir_split_info {
    double objective;      /* INFINITY: there is none */
    double lower_bound;    /* no split of the asked kind is below; of one that was scored 0 */
    int n_parts;           /* unused devices have none */
    int n_devices, n_cpus; /* what it is for */
    double seconds;        /* taken */
    int n_points;          /* of the curve */
    bool contiguous;       /* of one that was scored */
};

struct weir_split_part {
    int device;            /* 0..n_devices-1 accelerators, from n_devices on CPUs; Piper: the first of `replicas` devices */
    bool is_cpu;
    double load;           /* time + transfer */
    double time, transfer;
    double memory;         /* bytes */
    int replicas;          /* devices that share the part's work (1 unless Piper) */
    int in_flight;         /* micro-batches kept (Piper), else 0 */
    int recomputed;        /* nodes that run their second configuration (Piper) */
    const int *nodes;      /* [n_nodes]: indices, ascending */
    int n_nodes;
};

/* Of a curve. */
struct weir_split_point {
    int n_devices;
    double objective, lower_bound;
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* ---- cost graphs ----------------------------------------------------------------------------------------------------- */

/* Forms of files: "auto", which looks into the file, "weir", "pipedream", "msr", "piper"; NULL at the end. */
const char *weir_cost_graph_form(int index);

/* Read a graph.  `form`: NULL stands for "auto".  `bandwidth` (bytes/s) prices the edges of pipedream and Piper files: 2 · bytes /
 * bandwidth; 0 takes 12e9, or what a Piper file says.  Readers are strict: an error names the file, the line or node, and the reason.
 * WEIR_ERR_USAGE: no such form.  WEIR_ERR_IO, WEIR_ERR_INVALID, WEIR_ERR_UNSUPPORTED, WEIR_ERR_NOMEM. */
weir_status weir_cost_graph_open(const char *path, const char *form, double bandwidth, weir_cost_graph **graph_out);

/* The same of text that is there, which messages call `name`: of a program's own graph, for example, in the form "weir". */
weir_status weir_cost_graph_open_text(const char *text, size_t bytes, const char *name, const char *form, double bandwidth,
                                      weir_cost_graph **graph_out);

void weir_cost_graph_close(weir_cost_graph *graph); /* NULL is fine */

/* What it has. */
void weir_cost_graph_info_sized(const weir_cost_graph *graph, struct weir_cost_graph_info *info_out, size_t info_bytes);
static inline void weir_cost_graph_info(const weir_cost_graph *graph, struct weir_cost_graph_info *info_out)
{
    weir_cost_graph_info_sized(graph, info_out, sizeof *info_out);
}

/* Node `index`; texts live as long as the graph.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_cost_graph_node_get_sized(const weir_cost_graph *graph, int index, struct weir_cost_node_info *node_out,
                                           size_t node_bytes);
static inline weir_status weir_cost_graph_node_get(const weir_cost_graph *graph, int index, struct weir_cost_node_info *node_out)
{
    return weir_cost_graph_node_get_sized(graph, index, node_out, sizeof *node_out);
}

/* Published inputs have slips of 1000: transfers in seconds beside times in milliseconds.  Returns a sentence when an
 * edge would need more than 10^12 bytes/s, or when all transfers together are out of proportion to the compute time;
 * else NULL.  The text lives in `arena`; on lack of memory NULL. */
const char *weir_cost_graph_suspicion(const weir_cost_graph *graph, struct weir_arena *arena);

/* The graph in the form "weir" or "msr", given to `say`.  WEIR_ERR_USAGE: another form.  WEIR_ERR_UNSUPPORTED: msr cannot say it: outputs
 * with different costs on one node, pinned devices, forbidden cuts.  WEIR_ERR_NOMEM. */
weir_status weir_cost_graph_print(const weir_cost_graph *graph, const char *form, weir_text_fn say, void *context);

/* ---- splits ---------------------------------------------------------------------------------------------------------- */

/* Fill in the defaults: `bytes` is sizeof *request. */
void weir_split_request_init(struct weir_split_request *request, size_t bytes);

/* Split a graph, which stays as it is until the split is closed.  That there is no split is not a failure: info.objective is INFINITY,
 * and weir_split_refuse has the reason.  However early the search ends, everything on one device is found where it fits.
 * WEIR_ERR_INVALID: no device and no curve, a number out of range, the Piper objective for a graph without configurations.
 * WEIR_ERR_NOFIT: contradictory pins.  WEIR_ERR_TIMEOUT: the Piper objective needs more seconds.  WEIR_ERR_UNSUPPORTED: the Piper
 * objective with CPUs, unordered or too many nodes.  WEIR_ERR_NOMEM. */
weir_status weir_split_find(const weir_cost_graph *graph, const struct weir_split_request *request, weir_split **split_out);

/* Score anybody's split for the max-load objective: a file with Weir's own JSON ("stages"), the msr output ("fpgas", "cpus") or a
 * graph.txt with stage ids.  `memory` as in a request.  WEIR_ERR_IO; WEIR_ERR_INVALID or WEIR_ERR_NOFIT names node, part and reason. */
weir_status weir_split_score(const weir_cost_graph *graph, const char *path, double memory, weir_split **split_out);

void weir_split_close(weir_split *split); /* NULL is fine */

/* How good it is. */
void weir_split_info_sized(const weir_split *split, struct weir_split_info *info_out, size_t info_bytes);
static inline void weir_split_info(const weir_split *split, struct weir_split_info *info_out)
{
    weir_split_info_sized(split, info_out, sizeof *info_out);
}

/* Part `index`; of contiguous splits they stand along the data flow.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_split_part_get_sized(const weir_split *split, int index, struct weir_split_part *part_out, size_t part_bytes);
static inline weir_status weir_split_part_get(const weir_split *split, int index, struct weir_split_part *part_out)
{
    return weir_split_part_get_sized(split, index, part_out, sizeof *part_out);
}

/* Point `index` of the curve.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_split_point_get_sized(const weir_split *split, int index, struct weir_split_point *point_out, size_t point_bytes);
static inline weir_status weir_split_point_get(const weir_split *split, int index, struct weir_split_point *point_out)
{
    return weir_split_point_get_sized(split, index, point_out, sizeof *point_out);
}

/* Why there is no split, as a failure: WEIR_ERR_NOFIT names the node whose bytes no device holds, the node that runs nowhere, what all
 * nodes need together, or says that no split meets all demands; WEIR_ERR_TIMEOUT: the search ended before it found one or could tell
 * that there is none.  WEIR_ERR_NOMEM.  WEIR_ERR_INVALID: there is one. */
weir_status weir_split_refuse(const weir_split *split);

/* Forms in which a split is written: "json", "msr", "pipedream" (graph.txt with stage ids), "layers" (one line of node ids per stage),
 * "dot" (Graphviz, coloured by stage), "explain" (a table for people: time, transfer, memory, slack, the cuts); NULL at the end. */
const char *weir_split_form(int index);

/* The split in one of them, given to `say`; the last four have nothing to show without a split, or a line that says so.
 * WEIR_ERR_USAGE: no such form.  WEIR_ERR_UNSUPPORTED: "pipedream" for a graph that was not read from a graph.txt.  WEIR_ERR_NOMEM. */
weir_status weir_split_write(const weir_split *split, const char *form, weir_text_fn say, void *context);

/* ---- chains ---------------------------------------------------------------------------------------------------------- */

/* The simplest case: layers in a row, without costs of transfers.  Split `n_layers` layers with costs `cost` (finite, ≥ 0) into
 * `n_stages` stages, none empty, so that the most expensive stage is as cheap as possible; exact.  Stage s gets the layers
 * first_layer_out[s] .. first_layer_out[s + 1] - 1; the array has n_stages + 1 entries, the last is n_layers.
 *
 *     double cost[] = {4, 1, 1, 3, 2};
 *     int first[4];
 *     weir_chain_split(cost, 5, 3, first);      first = {0, 1, 3, 5}: stages {4} {1 1} {3 2}
 *
 * Of several such splits the one whose early stages are as short as the rest allows.  Allocates nothing.
 *
 * WEIR_ERR_INVALID: n_layers < 1, n_stages < 1, a cost (or their sum) that is negative or not finite.  WEIR_ERR_NOFIT:
 * more stages than layers.  On failure the output is untouched. */
weir_status weir_chain_split(const double *cost, int n_layers, int n_stages, int *first_layer_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
