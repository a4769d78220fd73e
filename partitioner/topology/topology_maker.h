/* Making a topology: what its readers share. */
#ifndef WEIR_PARTITIONER_TOPOLOGY_TOPOLOGY_MAKER_H
#define WEIR_PARTITIONER_TOPOLOGY_TOPOLOGY_MAKER_H

#include "partitioner/topology/topology_tree.h"

/* Where a file has no figure.  docs/planning.md shows these. */
#define WEIR_TOPOLOGY_PCI 12e9          /* generation 3, 16 lanes */
#define WEIR_TOPOLOGY_NETWORK_RATE 12.5e9
#define WEIR_TOPOLOGY_CORE_RATE 12e9    /* between cores: copies through memory */
#define WEIR_TOPOLOGY_HOP 1e-6          /* s, a link inside a node */
#define WEIR_TOPOLOGY_NETWORK_HOP 5e-6  /* s, a card's link to the network */

struct weir_topology_maker {
    struct weir_arena *arena;
    struct weir_topology topology;
    size_t part_capacity, device_capacity, link_capacity;
};

/* Append a part; a device gets an entry in `devices` with `memory` and `speed` 1.  WEIR_ERR_INVALID: too many. */
weir_status weir_topology_add(struct weir_topology_maker *maker, const struct weir_topology_part *part, double memory,
                              int *index_out);

/* A direct link; one that is there already is made as fast as the faster of both. */
weir_status weir_topology_add_link(struct weir_topology_maker *maker, int a, int b, double bandwidth);

/* Root and node 0, on which the parts of one machine hang. */
weir_status weir_topology_begin_node(struct weir_topology_maker *maker, int *node_out);

/* Choose cards, sort links.  WEIR_ERR_INVALID: no device; `name` is what the message calls the source. */
weir_status weir_topology_finish(struct weir_topology_maker *maker, const char *name, const char *form,
                                 struct weir_topology *out);

/* Of a link between processors, bytes/s, by NCCL's names of architecture and vendor. */
double weir_topology_cpu_rate(const char *arch, const char *vendor, int family, int model);

weir_status weir_topology_machine_read(struct weir_arena *arena, struct weir_topology *out); /* "this" */

#endif
