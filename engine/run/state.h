/* The engine's own structs. */
#ifndef WEIR_ENGINE_RUN_STATE_H
#define WEIR_ENGINE_RUN_STATE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "engine/device/device.h"
#include "engine/program/program.h"
#include "engine/weir.h"

/* One instruction at run time: the argument of its task. */
struct weir_exec {
    struct weir_rank *rank;
    const struct weir_instr *instr;
    const char *name;
    int64_t start_ns, end_ns; /* of the last step, waits excluded */
};

struct weir_op_clock {
    int64_t calls, ns;
};

struct weir_rank {
    int index;
    weir_engine *engine;
    weir_device *device;
    weir_stream *stream;
    char *blocks[WEIR_MEMORY_KINDS];
    struct weir_kernel_context *context;
    struct weir_step_values values; /* read by kernels; written between steps */
    struct weir_exec *execs;        /* [n_instrs] */
    struct weir_op_clock *clocks;   /* [n_nodes * WEIR_PASSES] */
};

struct weir_engine {
    struct weir_engine_config config;
    const struct weir_graph *graph;
    struct weir_arena arena;
    struct weir_program *program;
    int *first_layer; /* [n_stages + 1] */
    const struct weir_device_kind *kind;
    struct weir_rank *ranks;
    weir_event **events; /* [n_events] */
    double *norm_blocks; /* [n_norm_blocks]: partial sums, written by the owners */
    struct weir_adamw update;
    float learning_rate;
    int64_t step;
    double grad_norm;        /* of the last step, written by rank 0's UPDATE */
    _Atomic int failed;      /* a kernel failed: nobody updates */
    bool broken;             /* only close is left */
    bool stepped;            /* there are gradients of a step */
    int64_t *compute_ns;     /* [n_ranks] */
    size_t *peak_bytes;      /* [n_ranks] */
};

/* Wait for all ranks; the first failure, with its message. */
weir_status weir_ranks_sync(weir_engine *engine);

/* The task of one instruction; `exec` is a struct weir_exec. */
weir_status weir_exec_run(void *exec);

/* Fill the addresses of one call of `stage` for micro-batch `mb`. */
void weir_call_bind(struct weir_rank *rank, int stage, int mb, const struct weir_step_call *step_call,
                    struct weir_op_call *call_out);

/* Tasks of the optimizer's instructions. */
weir_status weir_tie_add(struct weir_rank *rank);
weir_status weir_norm_blocks(struct weir_rank *rank);
weir_status weir_update(struct weir_rank *rank);
weir_status weir_tie_copy(struct weir_rank *rank);

/* The step's loss, once the last stage has run all micro-batches (every UPDATE comes after it). */
double weir_loss_mean(const struct weir_engine *engine);

/* Initial values of the rank's parameters. */
void weir_params_init(struct weir_rank *rank);

#endif
