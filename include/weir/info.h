/* What this build has and what this machine is: what `weir info` shows.
 *
 *     char machine[256];
 *     if (!weir_info_machine(machine, sizeof machine))
 *         printf("%s, %d cores, %s\n", machine, weir_info_cores(), weir_info_instructions());
 *     for (int i = 0; weir_info_device(i); i++) {
 *         int n = 0;
 *         if (weir_info_device_count(i, &n))
 *             printf("%s: %s\n", weir_info_device(i), weir_last_error());       why there is none
 *         else
 *             printf("%s: %d\n", weir_info_device(i), n);
 *     }
 *
 * Lists are by number, from 0 on, and end where the name is NULL; of a number beyond the end all is NULL.  Texts live as long as
 * the program.  Any thread may ask.
 *
 * Who runs where is here, too: which replica and which rank each process of a run will be, and which cores and GPU of its host it gets
 * (weir_placement_find). */
#ifndef WEIR_INFO_H
#define WEIR_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "common.h"

/* A run of D replicas with P ranks each has P·D processes.  A launcher numbers them and fills one host after the other:
 *
 *     cluster   replica = number / P, rank = number mod P      neighbours in a pipeline are neighbours on a host
 *     spread    rank = number / D, replica = number mod D      the replicas of a stage are neighbours on a host
 *
 *     P = 2, D = 4, two hosts of 4     host 0              host 1
 *       cluster (replica.rank)         0.0 0.1 1.0 1.1     2.0 2.1 3.0 3.1
 *       spread                         0.0 1.0 2.0 3.0     0.1 1.1 2.1 3.1
 *
 * A rank's cores share the smallest part of the machine that has room for them, and no core has two ranks while there are enough. */
struct weir_placement_request {
    size_t struct_bytes;      /* sizeof(struct weir_placement_request) of the program */
    const char *order;        /* "cluster" or "spread"; NULL: "cluster" */
    int n_ranks, n_replicas;  /* P and D */
    int per_host;             /* processes of a host; 0: all of them */
    int threads_per_rank;
    const char *machine;      /* each host: NULL: as this one, of which only cores count that this process may use; a file of hwloc's XML;
                                 or hwloc's synthetic form, "pack:2 numa:1 core:4 pu:2" */
};

typedef struct weir_placement weir_placement;

struct weir_placement_info {
    const char *order;
    int n_processes, per_host;
    int host_cores, host_gpus;      /* that a host has */
    bool cores_shared, gpus_shared; /* by several ranks: there are too few */
};

/* What one process plays, and what it gets of its host.  Lists have each number once, the cores' own order first. */
struct weir_placement_process {
    int replica, rank, host;
    const int *cores;      /* [n_cores]: in the order of the machine's tree, 0 first, cores that may not be used counted too */
    const int *cpus;       /* [n_cpus]: their hardware threads, as the operating system numbers them */
    const int *numa_nodes; /* [n_numa_nodes] */
    const int *packages;   /* [n_packages] */
    int n_cores, n_cpus, n_numa_nodes, n_packages;
    int gpu;                 /* of the host; -1: none */
    const char *gpu_address; /* on the PCI bus, "0000:3b:00.0"; NULL: none */
    const char *gpu_name;    /* "cuda0", "nvml0", or "" */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The machine: processor, packages, cores, memory, in one line that is cut at `room` bytes. */
weir_status weir_info_machine(char *text, size_t room);

/* Cores that this process may use. */
int weir_info_cores(void);

/* "avx512_bf16", "avx512", "avx2", "sse2", "other": the largest set of vector instructions of this processor that kernels and
 * libraries make use of. */
const char *weir_info_instructions(void);

/* Kinds of devices that can be had here: "cpu", with one line about each.  Those of plugins that load come last. */
const char *weir_info_device(int index);
const char *weir_info_device_summary(int index);

/* Does a run on these devices (a list as in the configuration of an engine: "null") compute nothing?  false: also of a list that cannot be
 * read. */
bool weir_info_device_is_dry(const char *devices);

/* How many devices of a kind there are.  Fails where the kind cannot be used here, and the message says why: WEIR_ERR_DEVICE,
 * WEIR_ERR_UNSUPPORTED.  WEIR_ERR_INVALID: no such kind. */
weir_status weir_info_device_count(int index, int *n_out);

/* Is there a kind called `name`, as "cuda"?  A plugin that brings it is loaded for that; the message says why there is none. */
weir_status weir_info_device_find(const char *name);

/* Transports of this build: "local", "shm", with one line about each. */
const char *weir_info_transport(int index);
const char *weir_info_transport_summary(int index);

/* Libraries that a build may have: "oneDNN".  The version is NULL where this build lacks it; the option is the one of CMake that
 * decides. */
const char *weir_info_library(int index);
const char *weir_info_library_version(int index);
const char *weir_info_library_option(int index);

/* Does anything in this version use it? */
bool weir_info_library_is_used(int index);

/* Fill in the defaults: `bytes` is sizeof *request. */
void weir_placement_request_init(struct weir_placement_request *request, size_t bytes);

/* Deal out hosts to the processes of a run.  WEIR_ERR_USAGE: another order.  WEIR_ERR_INVALID: a number below 1, more than 2^31 - 1
 * processes or 4096 on a host, or no topology where one should be.  WEIR_ERR_IO: the file cannot be opened.  WEIR_ERR_UNSUPPORTED: a
 * build without hwloc.  WEIR_ERR_NOMEM. */
weir_status weir_placement_find(const struct weir_placement_request *request, weir_placement **placement_out);
void weir_placement_close(weir_placement *placement); /* NULL is fine */

/* How many there are, and whether they share. */
void weir_placement_info_sized(const weir_placement *placement, struct weir_placement_info *info_out, size_t info_bytes);
static inline void weir_placement_info(const weir_placement *placement, struct weir_placement_info *info_out)
{
    weir_placement_info_sized(placement, info_out, sizeof *info_out);
}

/* Process `number`, from 0; what it points to lives until the placement is closed.  WEIR_ERR_INVALID: there are fewer. */
weir_status weir_placement_process_get_sized(const weir_placement *placement, int number, struct weir_placement_process *process_out,
                                             size_t process_bytes);
static inline weir_status weir_placement_process_get(const weir_placement *placement, int number,
                                                     struct weir_placement_process *process_out)
{
    return weir_placement_process_get_sized(placement, number, process_out, sizeof *process_out);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
