/* Inside the compiler: what its steps share.
 *
 * compile.c calls the steps in order: moments.c (where actions stand), boundaries.c (what crosses between stages), layout.c
 * (parameters and data), template.c (per stage), places.c (slots and activation blocks), slice_caches.c (what slices share), pieces.c (who keeps which gradients), instrs.c (instructions), deps.c (what
 * they await of each other), signals.c (the events of that), workers.c (who runs them) and order.c (their order).  A step may use what is below it,
 * compile_base.c and program.c, but no other step. */
#ifndef WEIR_ENGINE_PROGRAM_COMPILE_H
#define WEIR_ENGINE_PROGRAM_COMPILE_H

#include "engine/program/moments.h"
#include "engine/program/program.h"

/* One slice of the sequences, or all of them. */
struct weir_compile_slice {
    const struct weir_graph *graph;
    struct weir_op_shapes *shapes; /* [n_nodes]: copies that kernel calls point into */
};

struct weir_compile {
    const struct weir_program_params *params;
    const struct weir_graph *graph;
    const struct weir_schedule *schedule; /* the parameters', or of two copies of the weights one */
    struct weir_arena *arena;
    struct weir_program *program;
    struct weir_compile_slice *slices; /* [n_slices] */
    bool *wants_grad;              /* [n_nodes]: the node's output depends on a parameter */
    size_t *cache_offsets;         /* [n_nodes]: in the part of one sequence, or of a micro-batch's slices on a stage */
    size_t *cache_gradient_offsets; /* [n_nodes], slices only */
    size_t *packed_offsets;        /* [n_nodes][2]: forward, backward_input; SIZE_MAX: not packed.  NULL: nothing is */
    struct weir_moments moments;
    struct weir_moments rows; /* two copies of the weights: where the parameters' schedule has their actions */
    bool forward_only;
    int n_replicas; /* at least 1 */
    bool circle;    /* the instructions wait in a circle: they have no order */
    size_t row_room;
};

/* Boundaries, with the bytes of their slots. */
weir_status weir_compile_boundaries(struct weir_compile *c);

/* Parameters, gradients, optimizer state and graph inputs of every rank. */
weir_status weir_compile_layout(struct weir_compile *c);

/* Templates of one stage, and its act_bytes; raises the rank's SCRATCH. */
weir_status weir_compile_template(struct weir_compile *c, int stage);

/* Slots and activation blocks of every (stage, micro-batch). */
weir_status weir_compile_places(struct weir_compile *c);

/* Slices: where nodes have what they share, and a part of CACHE for every (stage, micro-batch). */
weir_status weir_compile_cache_offsets(struct weir_compile *c);
weir_status weir_compile_caches(struct weir_compile *c);

/* Pieces and buckets of every rank, optimizer state, the STEP block. */
weir_status weir_compile_pieces(struct weir_compile *c);

/* Instructions of every rank. */
weir_status weir_compile_instrs(struct weir_compile *c);

/* What they await of each other, and the events that follow from that. */
weir_status weir_compile_deps(struct weir_compile *c);
weir_status weir_compile_signals(struct weir_compile *c);

/* What every worker runs. */
weir_status weir_compile_workers(struct weir_compile *c);

/* The global order.  WEIR_ERR_INVALID names ranks and actions that wait in a circle. */
weir_status weir_compile_order(struct weir_compile *c);

/* ---- what all steps use ------------------------------------------------------------------------------------------ */

/* Add a line to the memory table; one of no bytes is left out. */
weir_status weir_compile_row(struct weir_compile *c, struct weir_memory_row row);

/* The stage that has the node. */
int weir_compile_stage_of(const struct weir_compile *c, int node);

/* The use of `slot` of `node`. */
const struct weir_param_use *weir_compile_use(const struct weir_compile *c, int node, int slot);

/* Where `param` lies on `rank`, or NULL. */
const struct weir_rank_param *weir_compile_rank_param(const struct weir_compile *c, int rank, int param);

#endif
