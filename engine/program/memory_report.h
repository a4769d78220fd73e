/* What a run takes, rank by rank, and whether it fits the cap: the memory table in one line per rank.
 *
 *     rank 0: parameters, gradients, optimizer state, activations, slots, and what lies beside
 *
 * The numbers are those of the compiled program (weir_memory_print has every row), in bytes on the rank's device. */
#ifndef WEIR_ENGINE_PROGRAM_MEMORY_REPORT_H
#define WEIR_ENGINE_PROGRAM_MEMORY_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct weir_rank_memory {
    size_t parameters;  /* with the copies that kernels read in another type */
    size_t gradients, optimizer, activations;
    size_t slots;       /* what crosses stages, and its gradients */
    size_t beside;      /* scratch of kernels, a step's data, workspaces, a copy of the state where that lies on the device */
    size_t cache;       /* generation: keys and values */
    size_t all;
};

struct weir_memory_report {
    int n_ranks;      /* of a pipeline; replicas are alike, but for the copy of the state, which the first of them has */
    int n_replicas;
    const struct weir_rank_memory *ranks; /* [n_ranks] */
    bool generates;   /* no gradients and no optimizer, but caches */
    bool is_measured; /* a device has more, which is measured when a run starts */
    size_t cap;       /* of each rank; 0: none */
    int largest;      /* the rank that takes most */
    bool fits;
};

#endif
