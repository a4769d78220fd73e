/* Bootstrap: how the processes of a run find each other before they share anything.
 *
 * A *round* is all there is: everybody puts a value, everybody passes the barrier, everybody gets the values of the others.
 *
 *     put(b, &mine, sizeof mine)
 *     barrier(b)                        nobody returns before all have called
 *     get(b, rank, &theirs, sizeof theirs)
 *
 * A value is there from its barrier to the next one.  Transports stand on this and nothing else: shared memory files, process
 * numbers and failures while opening all go through rounds.  Who implements it:
 *
 *     weir launch    a memory file that the launcher made and every process inherits (weir_launch.h)
 *     mpi            an all-gather (engine/transport/mpi)
 *
 * Threads: one at a time. */
#ifndef WEIR_ENGINE_TRANSPORT_BOOTSTRAP_BOOTSTRAP_H
#define WEIR_ENGINE_TRANSPORT_BOOTSTRAP_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { WEIR_BOOTSTRAP_MAX = 1152 }; /* bytes of a value */

struct weir_bootstrap {
    int rank, n_ranks;
    const int *host_of; /* [n_ranks]: numbered in the order of their first ranks; borrowed from the implementation */

    /* A barrier calls this every tenth of a second while it waits since `since_ns` (of weir_clock_ns); what is not WEIR_OK
     * ends it.  Set by whoever waits; NULL: nobody looks. */
    weir_status (*look)(void *context, int64_t since_ns);
    void *look_context;

    /* `bytes`: at most WEIR_BOOTSTRAP_MAX, the same number on every process. */
    weir_status (*put)(struct weir_bootstrap *bootstrap, const void *value, size_t bytes);
    weir_status (*barrier)(struct weir_bootstrap *bootstrap);
    void (*get)(const struct weir_bootstrap *bootstrap, int rank, void *value_out, size_t bytes);

    /* Does not wait for the others. */
    void (*close)(struct weir_bootstrap *bootstrap);
};

#endif
