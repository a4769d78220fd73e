/* Topology: which devices there are, and how fast bytes get from one to another.
 *
 * A tree with devices and network cards as leaves.  Every part has a link to the part above it; devices may have direct links
 * beside the tree (NVLink, xGMI), or hang on a switch of such links.
 *
 *     network                          2 nodes x 8, 400GB/s inside, 50GB/s between, 5us
 *       ├── node 0                       50 GB/s up
 *       │     ├── device 0              400 GB/s up
 *       │     ...
 *       └── node 1                     or, from a file that a machine wrote:
 *             ├── cpu 0                  the link between processors
 *             │     └── switch           PCI
 *             │           ├── device 8   PCI, and NVLink to others
 *             │           └── card 0     the speed of the network
 *             ...
 *
 * Bytes between two devices of a node take the fastest of three ways: a direct link, the switch of such links, the tree.  A way
 * is as fast as its slowest link; its latency is the sum.  Between nodes of the text form they go up and down the tree; nodes
 * with network cards go through the card that is best for the device at each end.  Nothing is forwarded by a third device.
 *
 *     const struct weir_topology *t;
 *     weir_topology_open("2 nodes x 8, 400GB/s inside, 50GB/s between, 5us", &arena, &t);
 *     weir_topology_way(t, 0, 8, &bytes_per_s, &latency_s);                 50e9, 5e-6
 *
 * A planner takes the same sources by name (plan.h: `topology` of a request).  Figures that a file does not have are assumed
 * (docs/planning.md has the table).  A topology lives in its arena and does not change: any number of threads may use it. */
#ifndef WEIR_TOPOLOGY_H
#define WEIR_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "common.h"

struct weir_topology;

struct weir_topology_info {
    const char *source; /* what it was read from */
    const char *form;   /* "text", "hwloc XML", "NCCL XML", "several files", "this machine" */
    bool has_gpus;      /* devices are GPUs, not cores */
    bool is_assumed;    /* some of the figures */
    int n_devices, n_nodes;
};

struct weir_topology_device_info {
    const char *name; /* "gpu 3" */
    const char *node; /* the host that it is in; NULL: none is said */
    const char *card; /* the network card that it takes to other nodes; NULL: none */
    double memory;    /* bytes; 0: not known */
    double speed;     /* of its work, against the device that times are given for */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Read `source` into `arena`:
 *
 *     2 nodes x 8 with 24GiB + 1 node x 4 speed 2, 400GB/s inside, 50GB/s between, 5us
 *                         groups of a count per level from the outermost, what a device has, one rate and perhaps one latency
 *                         per level from the innermost; words beside the numbers are for people
 *     this                this machine, by hwloc: its GPUs, or else its cores
 *     a.xml               hwloc's or NCCL's XML (NCCL_TOPO_DUMP_FILE), or a file with the text; which it is, its content says
 *     2*a.xml,b.xml       one file per node, each as often as said
 *
 * What begins with a digit and has no '*' is text.  WEIR_ERR_INVALID names source, place and reason, or what kind of file it is
 * instead.  WEIR_ERR_IO.  WEIR_ERR_UNSUPPORTED: `this` in a build without hwloc. */
weir_status weir_topology_open(const char *source, struct weir_arena *arena, const struct weir_topology **topology_out);

/* What it is; texts live as long as the topology. */
void weir_topology_info_sized(const struct weir_topology *topology, struct weir_topology_info *info_out, size_t info_bytes);
static inline void weir_topology_info(const struct weir_topology *topology, struct weir_topology_info *info_out)
{
    weir_topology_info_sized(topology, info_out, sizeof *info_out);
}

/* Device `index`, in the order of the tree.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_topology_device_get_sized(const struct weir_topology *topology, int index, struct weir_topology_device_info *device_out,
                                           size_t device_bytes);
static inline weir_status weir_topology_device_get(const struct weir_topology *topology, int index,
                                                   struct weir_topology_device_info *device_out)
{
    return weir_topology_device_get_sized(topology, index, device_out, sizeof *device_out);
}

/* How bytes get from a device to another: bytes/s, 0 where there is no way, and seconds.  WEIR_ERR_INVALID: there are fewer devices, or
 * both are the same one. */
weir_status weir_topology_way(const struct weir_topology *topology, int from, int to, double *bytes_per_s_out, double *latency_s_out);

/* For people: the tree, and what classes of ways there are between devices.  WEIR_ERR_NOMEM. */
weir_status weir_topology_describe(const struct weir_topology *topology, weir_text_fn say, void *context);

/* A drawing in SVG: parts inside each other, with their links.  WEIR_ERR_NOMEM. */
weir_status weir_topology_draw(const struct weir_topology *topology, weir_text_fn say, void *context);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
