/* The configuration of a run: everything that decides what is compiled, and how it is trained.
 *
 *     struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
 *     config.graph = graph;
 *     config.schedule = &schedule;
 *     config.replicas = 2;
 *
 * engine/program/build.h compiles a configuration without a device; engine/weir.h opens an engine for it. */
#ifndef WEIR_ENGINE_PROGRAM_CONFIG_H
#define WEIR_ENGINE_PROGRAM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "models/graph.h"
#include "schedules/schedule.h"

/* How values are stored and products computed.  TF32 is for CUDA; docs/training.md says what bf16 rounds.
 * Parameters that are read, written, saved and updated, their gradients and the optimizer's state are f32 in all three. */
enum weir_compute {
    WEIR_COMPUTE_F32,
    WEIR_COMPUTE_TF32, /* f32 values; products round their factors to tf32 */
    WEIR_COMPUTE_BF16, /* bf16 values, and bf16 copies of the parameters; sums are f32 */
};

enum weir_optimizer { WEIR_OPTIMIZER_SGD, WEIR_OPTIMIZER_ADAMW };

struct weir_engine_config {
    size_t struct_bytes;                  /* sizeof(struct weir_engine_config) */
    const struct weir_graph *graph;       /* borrowed until close */
    const struct weir_schedule *schedule; /* borrowed until close; checked by open */
    const int *first_layer;               /* [n_stages + 1], or NULL: balanced by estimated cost */
    const char *device;                   /* "cpu", "cuda", "cuda:0,cuda:1": engine/device/device.h, weir_device_list */
    enum weir_compute dtype;
    const char *transport;                /* NULL: "local", all ranks in this process; weir_transport_launched() says what
                                             fits processes that a launcher starts */
    const char *placement;                /* of ranks on processes: NULL or "cluster", or "spread" (placement.h) */
    int threads_per_rank;                 /* >= 1 */
    enum weir_optimizer optimizer;
    double beta1, beta2, eps; /* adamw */
    double weight_decay;      /* decoupled, for parameters with decay */
    double grad_clip;         /* largest global gradient norm; 0: no clipping */
    uint64_t seed;            /* of initial values and dropout */
    bool evaluates;           /* weir_engine_evaluate will be called: compiled and given memory by open */
    int64_t device_memory;    /* bytes each rank may use; 0: what the device has */
    const char *recompute;    /* layers whose activations are made again in the backward: "none" or NULL, "full", or
                                 names and shell patterns such as "h.*.mlp,head" */
    int replicas;             /* copies of the pipeline that train on different micro-batches; 0: one */
    int zero;                 /* 1: ZeRO-1, optimizer state is sharded over the replicas; 0: each has all */
    int64_t bucket_bytes;     /* gradients reduced together; 0: derived from the stage's size */
    bool snapshots;           /* checkpoints are written in the background, out of a copy of the state, which has a row in the
                                 memory table; messages say checkpoint_sync for its absence */
    double timeout;           /* seconds after which a silent process or a call that does not return ends the run; 0: never */
    bool *told_out;           /* set when the run fails: true, a process was lost, and another process of its host, or of one that was
                                 heard first, has taken it on to say so; NULL: not asked.  Written by the thread that uses the engine */
    bool profiles;            /* weir_engine_op_times will be called: where the host only enqueues kernels, each call is
                                 timed by an event of the device before and after it; cpu times them anyway */
};

#define WEIR_ENGINE_CONFIG_DEFAULT                                                                                     \
    {                                                                                                                  \
        .struct_bytes = sizeof(struct weir_engine_config), .device = "cpu", .threads_per_rank = 1,                     \
        .optimizer = WEIR_OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .grad_clip = 1.0, .seed = 1,      \
        .timeout = 60                                                                                                  \
    }

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* What can be said of a configuration by itself; nothing is compiled and no device asked.  WEIR_ERR_USAGE: a number out of
 * range.  WEIR_ERR_INVALID: something is missing, or the struct is not this library's. */
weir_status weir_engine_config_check(const struct weir_engine_config *config);

/* Resident memory of a process that is not in the memory table, when `n_threads` of its threads compute (threads per rank,
 * times the ranks that live in it): threads, libc, the code and primitives of oneDNN where it is built in, and what that
 * packs factors into on processors without AVX-512.  An allowance from measurements (tests/engine/run/test_engine_steady.c),
 * not a measurement of this process. */
size_t weir_library_bytes(int n_threads);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
