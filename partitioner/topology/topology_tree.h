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
 *     struct weir_topology topology;
 *     status = weir_topology_read("2 nodes x 8, 400GB/s inside, 50GB/s between, 5us", &arena, &topology);
 *     struct weir_topology_path path = weir_topology_path(&topology, 0, 8);        50e9 bytes/s, 5e-6 s
 *
 * Figures that a file does not have are assumed (docs/planning.md has the table).  Pure but for files; any thread. */
#ifndef WEIR_PARTITIONER_TOPOLOGY_TOPOLOGY_H
#define WEIR_PARTITIONER_TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"

enum { WEIR_TOPOLOGY_MOST_DEVICES = 65536, WEIR_TOPOLOGY_MOST_PARTS = 1 << 18 };

enum weir_topology_kind {
    WEIR_TOPOLOGY_NETWORK, /* the root */
    WEIR_TOPOLOGY_GROUP,   /* of nodes: a rack */
    WEIR_TOPOLOGY_NODE,    /* a host */
    WEIR_TOPOLOGY_CPU,     /* a processor with its memory */
    WEIR_TOPOLOGY_SWITCH,  /* PCI */
    WEIR_TOPOLOGY_DEVICE,
    WEIR_TOPOLOGY_CARD,    /* to the network */
    WEIR_TOPOLOGY_KINDS
};

struct weir_topology_part {
    enum weir_topology_kind kind;
    const char *name;  /* "gpu 3", "mlx5_0"; never NULL */
    int above;         /* index of the part that it hangs on; -1: the root.  Parts come after the part above them */
    int node;          /* index of its node part; -1: none */
    double bandwidth;  /* bytes/s each way of the link to the part above; INFINITY: no limit of its own */
    double latency;    /* s, of that link */
    double network;    /* of a card: bytes/s */
    double fabric;     /* of a device: bytes/s to the switch of direct links; 0: it hangs on none */
};

struct weir_topology_link {
    int a, b;         /* parts: devices of one node */
    double bandwidth; /* bytes/s each way */
};

struct weir_topology_device {
    int part;
    double memory; /* bytes; 0: not known */
    double speed;  /* of its work, against the device that times are given for */
};

struct weir_topology {
    const char *source; /* what it was read from */
    const char *form;   /* "text", "hwloc XML", "NCCL XML", "several files", "this machine" */
    bool has_gpus;      /* devices are GPUs, not cores */
    bool is_assumed;    /* some of the figures */
    struct weir_topology_part *parts; /* [n_parts]; 0 is the root */
    int n_parts;
    struct weir_topology_device *devices; /* [n_devices], in the order of the tree */
    int n_devices, n_nodes;
    struct weir_topology_link *links; /* [n_links] */
    int n_links;
    const int *card_of; /* [n_devices]: the card part for other nodes; -1: none */
    const int *first_link; /* [n_parts + 1]: links of a part in `link_order` */
    const int *link_order;
};

struct weir_topology_path {
    double bandwidth; /* bytes/s; 0: there is none */
    double latency;   /* s */
    enum weir_topology_kind crosses; /* the highest part on the way; DEVICE: a direct link */
};

#ifdef __cplusplus
extern "C" {
#endif

extern const char *const weir_topology_kind_names[]; /* by kind, NULL-terminated */

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
weir_status weir_topology_read(const char *source, struct weir_arena *arena, struct weir_topology *out);

/* The same of text that is there; `name` is what messages call it. */
weir_status weir_topology_text_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out);
weir_status weir_topology_nccl_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out);
weir_status weir_topology_hwloc_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out);

/* How bytes get from a device to another (indices of `devices`, not equal). */
struct weir_topology_path weir_topology_path(const struct weir_topology *topology, int from, int to);

/* For people: the tree, and what classes of ways there are between devices. */
void weir_topology_print(const struct weir_topology *topology, struct weir_text *text);

/* A drawing: parts inside each other, with their links. */
void weir_topology_svg(const struct weir_topology *topology, struct weir_text *text);

#ifdef __cplusplus
}
#endif

#endif
