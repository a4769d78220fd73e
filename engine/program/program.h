/* The step program: a schedule bound to a partitioned graph.
 *
 * Compilation turns one training step into data.  Per stage it makes *templates*: for forward, input-gradient,
 * weight-gradient and full backward the list of kernel calls, with a symbolic place for every tensor.  Per rank it makes a
 * list of *instructions*: which template runs on which micro-batch, which events it awaits and whether somebody awaits
 * it.  Nothing is decided while a step runs.
 *
 * Places (enum weir_place) and how long they hold a tensor of micro-batch k of stage s:
 *
 *     F(s,k) ───────── I(s,k) ───────── W(s,k)          B stands for I directly followed by W
 *     ├─ ACT_FI ────────┤                                 kept for the input gradient only
 *     ├─ ACT_FW ─────────────────────────┤                kept for the weight gradient too
 *                       ├─ ACT_IW ───────┤                gradients that W needs (none when B is used)
 *     ├─ SLOT ───────────────────────────┤                the stage's input; written by stage s-1, owned by s
 *                  ├─ GRAD_SLOT ─┤                        gradient of the stage's output; written by stage s+1
 *     SCRATCH: within one action only
 *
 * The ACT blocks of all (stage, micro-batch) pairs of a rank are packed into one block by their lifetimes in the rank's
 * action list.  A stage has one SLOT more than its peak in-flight count and two GRAD_SLOTs; when writer and reader are on
 * the same rank there are as many as its list needs at once, and no events.
 *
 * Order.  Each rank has one compute stream, which runs its instructions in order.  Between ranks:
 *
 *     F(s,k)      after F(s-1,k)                      its input is there
 *     F(s-1,k)'s  last kernel after the W or B of (s,k') that freed the slot it writes
 *     I,B(s,k)    after I,B(s+1,k)                    its gradient is there
 *     I,B(s+1,k)'s last kernel after the I or B of (s,k') that freed the gradient slot it writes
 *
 * weir_program.order lists all instructions of all ranks such that every event is signalled before it is awaited; that it
 * exists proves that the program cannot deadlock, and one thread can issue it to any kind of device.
 *
 * After the last micro-batch each rank runs: TIE_ADD (add the gradients of tied uses in graph order, on the rank of the
 * first use), NORM (squares of owned gradients), UPDATE (optimizer on owned parameters), TIE_COPY (fetch updated tied
 * parameters).  All memory of the program lives in the caller's arena. */
#ifndef WEIR_ENGINE_PROGRAM_PROGRAM_H
#define WEIR_ENGINE_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/status.h"
#include "kernels/op.h"
#include "models/graph.h"
#include "schedules/schedule.h"

/* One block of memory per rank and kind. */
enum weir_memory_kind {
    WEIR_MEMORY_PARAMS,
    WEIR_MEMORY_GRADS,      /* one buffer per use of a parameter */
    WEIR_MEMORY_OPTIMIZER,
    WEIR_MEMORY_ACTIVATIONS,
    WEIR_MEMORY_SLOTS,      /* stage inputs */
    WEIR_MEMORY_GRAD_SLOTS, /* gradients of stage outputs */
    WEIR_MEMORY_SCRATCH,
    WEIR_MEMORY_DATA,       /* inputs of the graph and losses or results, for all micro-batches of a step */
    WEIR_MEMORY_CACHE,      /* generation: what each sequence keeps, one sequence after the other */
    WEIR_MEMORY_KINDS
};

enum weir_place {
    WEIR_PLACE_NONE,
    WEIR_PLACE_PARAM,     /* offset into the rank's block */
    WEIR_PLACE_GRAD,      /* offset into the rank's block */
    WEIR_PLACE_ACT_FI,    /* offset into the (stage, micro-batch) part of ACTIVATIONS */
    WEIR_PLACE_ACT_FW,
    WEIR_PLACE_ACT_IW,
    WEIR_PLACE_SCRATCH,   /* offset into the rank's block */
    WEIR_PLACE_SLOT,      /* the stage's own input slot */
    WEIR_PLACE_SLOT_NEXT, /* the next stage's input slot */
    WEIR_PLACE_GRAD_SLOT, /* the stage's own gradient slot */
    WEIR_PLACE_GRAD_SLOT_PREV, /* the previous stage's gradient slot */
    WEIR_PLACE_DATA,      /* offset into DATA, plus the micro-batch times `stride` */
    WEIR_PLACE_CACHE,     /* offset into the part of the micro-batch's sequence in CACHE */
};

struct weir_where {
    enum weir_place place;
    size_t offset;
    size_t stride; /* DATA only */
};

/* One kernel call of a template, or a copy. */
struct weir_step_call {
    weir_kernel_fn fn; /* NULL: copy `copy_bytes` from inputs[0] to output */
    enum weir_pass pass;
    int node;
    size_t copy_bytes;
    struct weir_op_call call; /* all but the addresses */
    struct weir_where inputs[WEIR_OP_INPUTS], output, params[WEIR_OP_PARAMS], d_output, d_inputs[WEIR_OP_INPUTS],
        addends[WEIR_OP_INPUTS], d_params[WEIR_OP_PARAMS], saved, scratch, cache;
};

enum weir_list { WEIR_LIST_F, WEIR_LIST_I, WEIR_LIST_W, WEIR_LIST_B, WEIR_LISTS };

struct weir_call_list {
    struct weir_step_call *calls;
    int n_calls;
    int slot_call; /* the first call that writes into a neighbour's slot; n_calls when none does */
};

/* Where one micro-batch of one stage lives. */
struct weir_mb_places {
    size_t act_offset[3]; /* FI, FW, IW parts in the rank's ACTIVATIONS */
    int slot, grad_slot;
    bool accumulates_w; /* not the first W or B of its stage: weight gradients are added to */
    bool accumulates_i; /* not the first I or B: the same for NO_SPLIT operations, which write them there */
};

struct weir_stage_program {
    int rank;
    int first_layer, n_layers, first_node, n_nodes;
    struct weir_call_list lists[WEIR_LISTS];
    size_t act_bytes[3];        /* per micro-batch: FI, FW, IW */
    size_t slot_bytes, slots_offset; /* input slots in the rank's SLOTS */
    int n_slots, n_grad_slots;
    size_t grad_slot_bytes, grad_slots_offset;
    struct weir_mb_places *mbs; /* [n_microbatches] */
};

/* A parameter as a rank holds it. */
struct weir_rank_param {
    int param;           /* index in the graph */
    size_t offset;       /* in PARAMS */
    bool owned;          /* this rank has the first use: it updates the parameter */
    size_t grad_offset;  /* owned: where the whole gradient ends up, in GRADS */
    size_t state_offset; /* owned: optimizer state, in OPTIMIZER */
    int64_t norm_block;  /* owned: first of its blocks in the program's norm array */
};

/* One use of a parameter by a node. */
struct weir_param_use {
    int param, node, slot, rank;
    size_t grad_offset; /* in GRADS of the rank */
};

enum weir_instr_kind { WEIR_INSTR_ACTION, WEIR_INSTR_TIE_ADD, WEIR_INSTR_NORM, WEIR_INSTR_UPDATE, WEIR_INSTR_TIE_COPY };

struct weir_instr {
    enum weir_instr_kind kind;
    int stage, mb;          /* ACTION */
    enum weir_list list;    /* ACTION */
    int first_call, n_calls; /* ACTION: part of the list */
    int n_waits;
    const int *waits; /* events */
    int signal;       /* event, or -1 */
};

struct weir_rank_program {
    size_t bytes[WEIR_MEMORY_KINDS];
    int n_instrs;
    struct weir_instr *instrs;
    int n_params;
    struct weir_rank_param *params; /* in graph order */
    size_t loss_offset;             /* DATA: n_microbatches losses (float64) or results, on the rank of the last stage */
    size_t sequence_bytes;          /* CACHE: of one sequence */
    size_t *input_offsets;          /* [n_inputs] in DATA; SIZE_MAX when the rank does not use the input */
};

struct weir_order_entry {
    int rank, instr;
};

/* One line of the memory table. */
struct weir_memory_row {
    int rank;
    enum weir_memory_kind kind;
    const char *name; /* "stage 2 mb 3 saved until I" */
    size_t offset, bytes;
    int first, last; /* lifetime: positions in the rank's action list; 0 and -1: the whole run */
};

struct weir_program {
    const struct weir_graph *graph;
    const struct weir_schedule *schedule;
    int n_stages, n_ranks, n_microbatches, n_events;
    size_t result_stride;        /* from one micro-batch's loss or result to the next */
    struct weir_stage_program *stages;
    struct weir_rank_program *ranks;
    int n_uses;
    struct weir_param_use *uses; /* in graph order */
    int64_t n_norm_blocks;       /* of all parameters, tied ones once */
    int n_order;
    struct weir_order_entry *order;
    int n_rows;
    struct weir_memory_row *rows;
};

enum { WEIR_NORM_BLOCK = 65536 }; /* elements per partial sum of the gradient norm */

struct weir_program_params {
    const struct weir_graph *graph;
    const struct weir_schedule *schedule; /* checked; compute actions are bound, SEND and RECV follow from them */
    const int *input_slots, *gradient_slots; /* [n_stages], from the check's report */
    const int *first_layer;               /* [n_stages + 1]: the partition */
    int n_threads;                        /* per rank; decides the kernels' scratch */
    size_t state_floats;                  /* optimizer state per element: 0 sgd, 2 adamw */
    int n_sequences;                      /* generation: sequences that have a cache; else 0 */
};

/* Compile.  WEIR_ERR_INVALID: the partition does not fit the graph, or the slots make the schedule wait in a circle (the
 * message names ranks and actions).  WEIR_ERR_UNSUPPORTED: an operation has no kernels for the device. */
weir_status weir_program_build(const struct weir_program_params *params, struct weir_arena *arena,
                               struct weir_program **program_out);

/* Let `guest`, a forward-only program over the same parameters, partition and caches, run between the steps of `program`
 * in its memory: SCRATCH at the start of *scratch_out, which is ACTIVATIONS where there are any, all else in place.  What
 * is too small for the guest grows.  Adds lines to the memory table, called `name`. */
weir_status weir_program_share(struct weir_program *program, const struct weir_program *guest, const char *name,
                               struct weir_arena *arena, enum weir_memory_kind *scratch_out);

/* Bytes of all blocks of a rank. */
size_t weir_program_rank_bytes(const struct weir_program *program, int rank);

/* "activations" */
const char *weir_memory_kind_str(enum weir_memory_kind kind);

/* The memory table and the instruction lists as text. */
void weir_program_dump_memory(const struct weir_program *program, FILE *out);
void weir_program_dump(const struct weir_program *program, FILE *out);

/* "2F3", "rank 1 update": for messages and traces; `text` has WEIR_ACTION_TEXT bytes. */
const char *weir_instr_str(const struct weir_program *program, const struct weir_instr *instr, char *text);

#endif
