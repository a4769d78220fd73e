/* Cost graph: what a partitioner needs to know about a model.
 *
 * Nodes are operations or layers with their times and bytes, edges say who reads whose output.  The partitioner puts
 * every node on a device; this page defines what such a placement costs.
 *
 *     time of a node   forward + input_grad + weight_grad, or cpu on a CPU          (one unit per graph, normally ms)
 *     memory of a node parameter_bytes + activation_bytes
 *     net              one output tensor: its producer and all its consumers.  Edges with one producer and one `tensor`
 *                      are one net; its `cost` is the time of one transfer.
 *     part             the nodes of one device
 *
 *     load of a part on an accelerator = times of its nodes
 *                                      + cost of every net that touches the part and has a node outside it
 *     load of a part on a CPU          = CPU times of its nodes, no transfers
 *
 * A consumer on the producer's device costs nothing; a part pays once for a net, however many consumers it has.
 *
 *          ┌─▶ b ─┐        part {a} pays cost(a's output), part {b, c} pays cost(a) once and cost(b, c → d),
 *        a ┤      ├─▶ d    part {d} pays for the outputs of b and of c
 *          └─▶ c ─┘
 *
 * Which nodes must share a part: equal `color` (tied weights, the forward and the backward of a layer), equal `device`
 * (pinned), both ends of an edge with `no_cut`.  A node with `backward` set follows its color; contiguity (a device's
 * part is an interval of the data flow) is a matter of the forward nodes.
 *
 *     struct weir_cost_graph graph;
 *     weir_cost_graph_init(&graph);
 *     struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
 *     node.id = "layer0", node.forward = 1.5, node.input_grad = 1.5, node.weight_grad = 1.4, node.parameter_bytes = 4e6;
 *     weir_cost_graph_add_node(&graph, &node, &a);
 *     ...
 *     weir_cost_graph_add_edge(&graph, &(struct weir_cost_edge){.from = a, .to = b, .bytes = 1e6, .cost = 0.1});
 *     status = weir_cost_graph_finish(&graph);
 *     ...
 *     weir_cost_graph_release(&graph);
 *
 * Reading and writing files: partitioner/costs/cost_graph_file.h.  Solving: partitioner/plan/plan_solve.h.  A finished graph
 * is never changed by Weir and may be used by many threads. */
#ifndef WEIR_PARTITIONER_COSTS_COST_GRAPH_H
#define WEIR_PARTITIONER_COSTS_COST_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "include/weir/partition.h"

/* One way to run a node in Piper's model: with `y` micro-batches in flight it keeps memory_a · y + memory_b bytes. */
struct weir_cost_variant {
    const char *id; /* "vanilla", "activation recomp" */
    double time;    /* per sample */
    double parameter_bytes, memory_a, memory_b;
};

struct weir_cost_node {
    const char *id;                          /* unique; an integer in text form where the file has integers */
    const char *name;                        /* shown to people; NULL: the id */
    double forward, input_grad, weight_grad; /* time on an accelerator, ≥ 0 */
    double cpu;                              /* time on a CPU, ≥ 0; NaN: cannot run on a CPU */
    double parameter_bytes, activation_bytes;
    int64_t color;       /* ≥ 0: shares a part with all nodes of this color; -1: free */
    int device;          /* ≥ 0: pinned to this accelerator; -1: free */
    bool backward;       /* a node of the backward pass */
    bool no_accelerator; /* runs on a CPU only */
    const char *line;    /* of a pipedream file, without a stage, to be written again; else NULL */
    int n_variants;      /* Piper: 0, 1 or 2 */
    struct weir_cost_variant variants[2];
};

#define WEIR_COST_NODE_DEFAULT                                                                                         \
    {                                                                                                                  \
        .color = -1, .device = -1                                                                                      \
    }

struct weir_cost_edge {
    int from, to; /* node indices */
    int tensor;   /* which output of `from`; edges of one output are one net */
    double bytes; /* ≥ 0 */
    double cost;  /* time of a transfer, ≥ 0; the same for all edges of a net */
    bool no_cut;  /* both ends share a part */
};

/* A node that the file has but the problem leaves out (PipeDream's Input and __getitem__ nodes): written again with the
 * stage of its neighbour. */
struct weir_cost_passenger {
    const char *line; /* as read, without a stage */
    int anchor;       /* index of the node whose stage it joins, -1: the first stage */
};

struct weir_cost_graph {
    struct weir_arena arena; /* holds all strings */
    struct weir_cost_node *nodes;
    struct weir_cost_edge *edges;
    int n_nodes, n_edges;
    size_t node_capacity, edge_capacity;
    bool integer_ids;        /* ids are written as JSON integers */
    double units_per_second; /* of all times; 1000 for ms (the default) */

    /* what the file says about the machine; options override it */
    int devices, cpus;    /* 0: not said */
    double memory;        /* bytes per accelerator, ≥ 1; INFINITY: no cap */
    double bandwidth;     /* bytes/s; 0: not said */
    double micro_batches; /* Piper's N: micro-batches per step; 0: not said */

    struct weir_cost_passenger *passengers;
    int n_passengers;
    size_t passenger_capacity;
    const char **passenger_edges; /* "a -- b" */
    int n_passenger_edges;
    size_t passenger_edge_capacity;
};

#ifdef __cplusplus
extern "C" {
#endif

void weir_cost_graph_init(struct weir_cost_graph *graph);
void weir_cost_graph_release(struct weir_cost_graph *graph);

/* Copy a node or an edge into the graph; strings are copied too.  index_out may be NULL.
 * WEIR_ERR_INVALID names the node and the number that is negative, not finite or (for bytes) above 2^60. */
weir_status weir_cost_graph_add_node(struct weir_cost_graph *graph, const struct weir_cost_node *node, int *index_out);
weir_status weir_cost_graph_add_edge(struct weir_cost_graph *graph, const struct weir_cost_edge *edge);

/* Check the whole graph: at least one node, ids unique, no duplicate edge, one cost per net, no cycle, a memory cap of at
 * least one byte, sizes that add up to 2^61 bytes at most.  WEIR_ERR_INVALID names the nodes or the number.  Call once,
 * after the last addition. */
weir_status weir_cost_graph_finish(const struct weir_cost_graph *graph);

/* forward + input_grad + weight_grad */
double weir_cost_node_time(const struct weir_cost_node *node);

/* Index of the node with this id, or -1.  Linear; build your own index for many look-ups. */
int weir_cost_graph_find(const struct weir_cost_graph *graph, const char *id);

#ifdef __cplusplus
}
#endif

#endif
