/* The world of a run: which process is which rank, and what all processes agree on.
 *
 * Process w of the launcher, or of the communicator that the program gives, is world rank w, which placement.h turns into a replica
 * and a rank of its pipeline: one worker of the build.  With two copies of the weights it has two of the program's ranks (program.h).
 * With transport `local` all ranks live in this process: `transport` is NULL and every function here acts on it alone.
 *
 * Transports come in two sorts.  *Host-side* ones (mpi) move memory of the host: waiting and signalling happen on the rank's
 * thread.  *Device-side* ones (nccl; weir_transport_kind.device_side) move memory of devices: a call enqueues and the wait
 * happens on the GPU. */
#ifndef WEIR_ENGINE_RUN_WORLD_H
#define WEIR_ENGINE_RUN_WORLD_H

#include "base/arena.h"
#include "engine/device/placement/placement.h"
#include "include/weir/weir.h"
#include "engine/run/pulse.h"
#include "engine/transport/transport.h"

struct weir_world {
    struct weir_placement_grid grid; /* ranks of a pipeline, replicas, order of the processes */
    const struct weir_transport_kind *transport; /* to other processes; NULL: all ranks live here */
    weir_transport *handle;
    const struct weir_transport_info *info; /* NULL without a transport */
    int64_t communicator;     /* of the configuration */
    int n_copies;             /* of the weights */
    int first_here, end_here; /* workers of all replicas [first_here, end_here) live in this process */
    int64_t clock_ahead_ns;   /* of this host, compared to rank 0's */
    struct weir_pulse pulse;  /* flights and calls of all workers, replica by replica */
    char *own_flights;        /* without a transport: where the flights are */
    bool *told_out;           /* of the configuration */
};

/* The configuration's transport.  WEIR_ERR_USAGE: unknown, or not one for such a device. */
weir_status weir_world_transport(const struct weir_engine_config *config, const struct weir_device_kind *kind,
                                 const struct weir_transport_kind **transport_out);

/* The same and the order of processes.  WEIR_ERR_USAGE: unknown, or not one for such a device. */
weir_status weir_world_find(struct weir_world *world, const struct weir_engine_config *config,
                            const struct weir_device_kind *kind, int n_replicas);

/* Join the other processes, find out who is where, and begin to watch them: nobody may be silent or stuck for `timeout_ns`
 * (0: for ever).  Blocks until all have come. */
weir_status weir_world_join(struct weir_world *world, int n_threads, int64_t timeout_ns);

/* After everything else is closed. */
void weir_world_leave(struct weir_world *world);

static inline bool weir_world_is_device_side(const struct weir_world *world)
{
    return world->transport && world->transport->device_side;
}

/* The process of rank `index` of `replica`; copies of the weights are replicas. */
int weir_world_process(const struct weir_world *world, int replica, int index);

/* The process of a worker of all replicas. */
int weir_world_worker_process(const struct weir_world *world, int worker);

/* Which device of this host this process opens, so that neighbours in a pipeline are neighbours there: its place among the
 * processes of the host; -1: all ranks live here, or `device` names one by number. */
weir_status weir_world_device_index(const struct weir_world *world, const char *device, struct weir_arena *arena,
                                    int *index_out);

/* The process of rank `index` of `replica` has `data`: all get it. */
weir_status weir_world_share(const struct weir_world *world, int replica, int index, void *data, size_t bytes);

/* `bytes` of this host become those of all hosts together. */
weir_status weir_world_sum(const struct weir_world *world, size_t *bytes);

/* Every process gives `bytes` and gets those of all, by process; 0 bytes make a barrier.  Nothing without a transport. */
weir_status weir_world_exchange(const struct weir_world *world, const void *mine, size_t bytes, void *all_out);

/* `status` of this process becomes that of all: of the first process whose is not WEIR_OK, with its message. */
weir_status weir_world_agree(const struct weir_world *world, weir_status status);

/* How far this host's clock is ahead of rank 0's.  `readings`: room for one number of every process. */
weir_status weir_world_clock(struct weir_world *world, int64_t *readings);

/* This process has failed: tell the others, with the thread's last error. */
void weir_world_stop(const struct weir_world *world, weir_status status);

/* After that, on the thread that uses the engine: have the program know whether it is to tell the user. */
void weir_world_told(const struct weir_world *world);

#endif
