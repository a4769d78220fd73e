/* What an engine tells of itself: what its ranks did in the last step, where the time went, and what memory it takes. */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one rank did when, in the last step. */
struct weir_step_event {
    int rank;             /* of all replicas */
    const char *name;     /* "2F3", "update"; valid until the engine is closed */
    const char *category; /* "F", "I", "W", "B", "optimizer" */
    int stage, mb;        /* -1: none */
    int64_t start_ns, end_ns;
};

/* A stretch of the last step in which a rank did nothing: before an instruction, or (event -1) after its last one.
 *
 *     rank 0   [      0F3      ]
 *     rank 1   [1B0]            ├──────────┼──────┤[1F3]      cause "input", peer 0, peer_event that of 0F3
 *                               start      made   end         0F3 ends at `made`; from there the way to rank 1
 *
 * Of all that an instruction awaits, the cause is what was there last.  Without a cause nobody was awaited: the time went
 * into taking up the next instruction, or the rank was done and others were not. */
struct weir_step_wait {
    int rank, event;        /* of all replicas; index in weir_engine_events, -1: the end of the step */
    const char *cause;      /* "input", "gradient slot", "norm", ...; NULL: none */
    int peer, peer_event;   /* who was awaited: rank of all replicas, index of its event; -1: nobody */
    int64_t start_ns, made_ns, end_ns;
};

/* Time spent in one pass of one operation, all ranks together, since open: in steps and in evaluations.  Replays of
 * recomputed layers are forwards. */
struct weir_op_time {
    const char *op, *pass; /* "linear"; "forward", "backward_input" or "backward_weight" */
    int64_t calls, ns;
    double flops;          /* multiplications and additions of these calls, by the formulas of the operations' rows */
};

/* What a run takes, rank by rank, and whether it fits the cap: the memory table in one line per rank.
 *
 *     rank 0: parameters, gradients, optimizer state, activations, slots, and what lies beside
 *
 * The numbers are those of the compiled program (weir_engine_print_memory has every row), in bytes on the rank's device. */

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
