/* Cores and GPUs: which of a host's cores and GPUs each of its ranks gets.
 *
 * A machine is a list of cores in the order of its tree (package, NUMA node, cache, core) with one number between
 * neighbours: how deep the smallest part of the machine is that holds both.  That is all that dealing out needs:
 *
 *     two packages of two caches with three cores each       core  0  1  2  3  4  5  6  7  8  9 10 11
 *                                                            near     2  2  1  2  2  0  2  2  1  2  2
 *     two threads per rank                                   rank  0  0  2  1  1  2  3  3  5  4  4  5
 *
 * A rank's cores share the smallest part that has room for them: whole ranks are cut from each part first, what is left
 * of its parts is put together one level up.  Ranks go by replica and then by rank of the pipeline, whatever the order of
 * the launcher's numbers, so that neighbours in a pipeline are neighbours in the machine.  No core has two ranks while
 * there are enough; then the least used are next.
 *
 * GPUs are put in a row in which each is followed by the one that it has the fastest link to (NVLink where the topology
 * says so, then the nearest by PCI); rank after rank gets the next, and cores beside it.
 *
 * Reading a machine needs hwloc; the rest is pure.  Any thread may call all of it. */
#ifndef WEIR_ENGINE_DEVICE_PLACEMENT_PLACEMENT_CORES_H
#define WEIR_ENGINE_DEVICE_PLACEMENT_PLACEMENT_CORES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/device/placement/placement.h"

struct weir_machine_core {
    int number;        /* in the order of the tree, 0 first, cores that may not be used counted too */
    int near;          /* depth of the smallest part that holds this core and the one before it in the list */
    int numa, package; /* -1: not said; NUMA nodes as the operating system numbers them */
    int n_cpus;
    const int *cpus; /* [n_cpus]: its hardware threads, as the operating system numbers them */
};

struct weir_machine_gpu {
    const char *address;     /* on the PCI bus: "0000:3b:00.0" */
    const char *name;        /* "cuda0", "nvml0", or "" */
    int first_core, n_cores; /* those beside it, as indices of `cores` */
};

struct weir_machine {
    int n_cores, n_gpus;
    const struct weir_machine_core *cores;
    const struct weir_machine_gpu *gpus;
    const int64_t *gpu_links; /* [n_gpus × n_gpus]: a larger number is a faster link */
};

/* What a rank gets. */
struct weir_spot {
    int n_cores, gpu; /* gpu -1: none */
    const int *cores; /* [n_cores]: indices of the machine's, the next ones first */
};

struct weir_spots {
    int n;
    const struct weir_spot *spots; /* [n] */
    bool cores_shared, gpus_shared; /* by several ranks: there are too few */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Read a machine into `arena`: this one (`source` NULL; only cores that this process may use), a file of hwloc's XML, or
 * hwloc's synthetic form, which has a ':' and no '/' ("pack:2 numa:1 core:4 pu:2").
 *
 * WEIR_ERR_IO: the file cannot be opened.  WEIR_ERR_INVALID: it, or the text, is no topology.  WEIR_ERR_UNSUPPORTED: a build
 * without hwloc. */
weir_status weir_machine_read(const char *source, struct weir_arena *arena, struct weir_machine *out);

/* An order of cores: the first n_threads of it are for one rank, the next n_threads for the next, and so on.  near[i] is
 * as in struct weir_machine_core; near[0] is not looked at.  `scratch` has room for n_cores. */
void weir_placement_cores_order(const int *near, int n_cores, int n_threads, int *order_out, int *scratch);

/* Deal a machine out to `n_ranks` ranks of `n_threads` each, in the order of their slots; with `gpus` also its GPUs, when
 * it has some.  A rank never gets more cores than there are.  WEIR_ERR_INVALID: a number below 1. */
weir_status weir_placement_spots(const struct weir_machine *machine, int n_ranks, int n_threads, bool gpus,
                                 struct weir_arena *arena, struct weir_spots *out);

/* The slot of one of the processes of a host, 0..n_local-1: how many others come before it by replica and rank.
 * `world_ranks` are all processes of the host, world_ranks[local] is the one that asks. */
int weir_placement_slot(const struct weir_placement_grid *grid, const int *world_ranks, int n_local, int local);

#ifdef __cplusplus
}
#endif

#endif
