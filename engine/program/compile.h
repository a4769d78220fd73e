/* Inside the compiler: what its steps share.  Order of the steps: compile.c calls layout.c (parameters and data),
 * template.c (per stage), places.c (slots and activation blocks), pieces.c (who keeps which gradients), instrs.c with
 * instrs_end.c (instructions) and order.c (their order). */
#ifndef WEIR_ENGINE_PROGRAM_COMPILE_H
#define WEIR_ENGINE_PROGRAM_COMPILE_H

#include "engine/program/program.h"

/* Positions of the actions of one (stage, micro-batch) in its rank's list; -1: none. */
struct weir_span {
    int f, i, w; /* B stands at i and w */
};

struct weir_compile {
    const struct weir_program_params *params;
    const struct weir_graph *graph;
    const struct weir_schedule *schedule;
    struct weir_arena *arena;
    struct weir_program *program;
    struct weir_op_shapes *shapes; /* [n_nodes]: copies that kernel calls point into */
    bool *wants_grad;              /* [n_nodes]: the node's output depends on a parameter */
    size_t *cache_offsets;         /* [n_nodes]: in the part of one sequence */
    struct weir_span *spans; /* [n_stages * n_microbatches], made by places.c */
    bool forward_only;
    int n_replicas; /* at least 1 */
    bool circle;    /* the instructions wait in a circle: they have no order */
    int row_room;
};

/* Parameters, gradients, optimizer state and graph inputs of every rank. */
weir_status weir_compile_layout(struct weir_compile *c);

/* Templates of one stage, and its act_bytes, slot_bytes and grad_slot_bytes; raises the rank's SCRATCH. */
weir_status weir_compile_template(struct weir_compile *c, int stage);

/* Slots and activation blocks of every (stage, micro-batch). */
weir_status weir_compile_places(struct weir_compile *c);

/* Pieces and buckets of every rank, optimizer state, the STEP block. */
weir_status weir_compile_pieces(struct weir_compile *c);

/* Instructions and events. */
weir_status weir_compile_instrs(struct weir_compile *c);

/* The global order.  WEIR_ERR_INVALID names ranks and actions that wait in a circle. */
weir_status weir_compile_order(struct weir_compile *c);

/* Add a line to the memory table. */
weir_status weir_compile_row(struct weir_compile *c, struct weir_memory_row row);

/* The use of `slot` of `node`. */
const struct weir_param_use *weir_compile_use(const struct weir_compile *c, int node, int slot);

/* Where `param` lies on `rank`, or NULL. */
const struct weir_rank_param *weir_compile_rank_param(const struct weir_compile *c, int rank, int param);

#endif
