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
 *                       ├─ ACT_IW ───────┤                gradients and replayed values that W needs (not with B)
 *     ├─ SLOT ───────────────────────────┤                what crosses a boundary into s; owned by s
 *                  ├─ GRAD_SLOT ─┤                        gradients of what crosses a boundary out of s; owned by s
 *     SCRATCH: within one action only
 *
 * A *boundary* is what crosses from one stage to a later one, the next or any other: a list of values, their gradients going
 * back.  Its forward end writes into a SLOT of the later stage, its backward end into a GRAD_SLOT of the earlier one.  No value
 * enters a stage over two boundaries, or leaves it over two (trips.h).
 *
 * Layers that are recomputed (keeps.h) have no ACT_FI and ACT_FW but for the value that the next layer starts from.  The
 * lists of I and B replay their forwards, each right before the layer's backward; what W needs of it is in ACT_IW.
 *
 * The ACT blocks of all (stage, micro-batch) pairs of a rank are packed into one block by their lifetimes in the rank's
 * action list.  A boundary of neighbours has one SLOT more than the later stage's peak in-flight count and two GRAD_SLOTs; one of
 * other stages has of both one more than the larger of the two stages' peaks.  When writer and reader are on the same rank there
 * are as many as its list needs at once, and no events.
 *
 * Order.  Each rank has one compute stream, which runs its instructions in order.  Between ranks (deps.h lists all of it):
 *
 *     for every boundary q ─▶ s
 *         F(s,k)     after F(q,k)                     its input is there
 *         F(q,k)'s   last kernels after the W or B of (s,k') that freed the slot they write
 *     for every boundary s ─▶ t
 *         I,B(s,k)   after I,B(t,k)                   its gradient is there
 *         I,B(t,k)'s last kernels after the I or B of (s,k') that freed the gradient slot they write
 *
 * weir_program.order lists all instructions of all ranks such that every event is signalled before it is awaited; that it
 * exists proves that the program cannot deadlock, and that one thread, or several that keep to it, can issue it to any kind
 * of device.
 *
 * After the last micro-batch each rank runs: TIE_ADD (add the gradients of tied uses in graph order, on the rank of the
 * first use), NORM (squares of owned gradients), UPDATE (optimizer on owned parameters), TIE_COPY (fetch updated tied
 * parameters).
 *
 * Replicas.  Every replica runs this program on its own micro-batches; rank r of one replica talks to the neighbours in
 * its replica and to rank r of the others.  A stage's gradients are cut into buckets in the order in which its last W (or
 * B) completes them, that action is cut into instructions at the buckets' ends, and a bucket is reduced where the schedule
 * has the stage's REDUCE_GRAD, else after the rank's next action (at the end, when there is none): by then the others have
 * mostly completed theirs.
 *
 *     replica 0  .. 0B6 | 0B7 bucket 0 | bucket 1 | reduce 0 | reduce 1 | gather 0 | gather 1 | norm | update
 *     replica 1  ..  0B6 | 0B7 bucket 0 | bucket 1 | reduce 0 ...
 *
 * REDUCE adds the pieces that this replica keeps in replica order ((g0 + g1) + g2 ...), GATHER fetches the others; with
 * ZeRO-1 nobody gathers gradients, each replica updates its pieces and PARAM_GATHER fetches the parameters.
 *
 * Two copies of the weights (dualpipe, chimera).  Copy c of replica r is a replica of its own, with number 2r + c and half of the
 * micro-batches.  Both run this program, from opposite ends: what a device and its stream do, the *worker*, is rank w of copy 0
 * and rank p - 1 - w of copy 1, their instructions in the order of the schedule, whatever follows the last micro-batch kind by
 * kind.  With one copy a worker is a rank.
 *
 *     chimera, 2 workers     worker 0   copy 0's 0F0   copy 1's 1F0   1B0   copy 0's 0B0   reduce (copy 0)   reduce (copy 1) ..
 *                            worker 1   copy 1's 0F0   copy 0's 1F0   1B0   copy 1's 0B0   reduce (copy 1)   reduce (copy 0) ..
 *
 * The sums of a stage over its copies wait for the last action of the worker: earlier the two could wait in a circle.
 *
 * A graph cast to bf16 (include/weir/graph.h) has bf16 values in every place but GRAD and what rows save.  Its parameters are
 * there twice: in f32 in PARAMS, which is initialised, updated, gathered, read and written, and rounded in COPIES, which
 * kernels read; whoever changes a part of PARAMS rounds it into COPIES in the same instruction.
 *
 * Slices of sequences (weir_schedule.n_slices = k).  "Micro-batch" u is slice u mod k of micro-batch u div k.  Slices differ in
 * shapes and places: the calls of a list are there once per slice, as many each time.  What slices of a micro-batch hand on to each
 * other lies in CACHE (slice_caches.c); they follow each other on the rank's stream, so nobody waits for it.
 *
 * All memory of the program lives in the caller's arena. */
#ifndef WEIR_ENGINE_PROGRAM_PROGRAM_H
#define WEIR_ENGINE_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/status.h"
#include "include/weir/op.h"
#include "kernels/kernel_table.h"
#include "kernels/vector.h"
#include "include/weir/graph.h"
#include "include/weir/schedule.h"

/* One block of memory per rank and kind. */
enum weir_memory_kind {
    WEIR_MEMORY_PARAMS,
    WEIR_MEMORY_COPIES,     /* of parameters in the graph's storage type; none when that is f32 */
    WEIR_MEMORY_GRADS,      /* one buffer per use of a parameter */
    WEIR_MEMORY_OPTIMIZER,
    WEIR_MEMORY_ACTIVATIONS,
    WEIR_MEMORY_SLOTS,      /* values that cross boundaries into the rank's stages */
    WEIR_MEMORY_GRAD_SLOTS, /* gradients of those that cross boundaries out of them */
    WEIR_MEMORY_SCRATCH,
    WEIR_MEMORY_DATA,       /* inputs of the graph and losses or results, for all micro-batches of a step */
    WEIR_MEMORY_STEP,       /* struct weir_step_block, parts of the gradient norm, losses of all replicas */
    WEIR_MEMORY_CACHE,      /* generation: what each sequence keeps, one sequence after the other; slices: what those of a
                               micro-batch share */
    WEIR_MEMORY_PACKED,     /* parameters in a form that kernels made for themselves, for the micro-batches of a run */
    WEIR_MEMORY_KINDS
};

enum weir_place {
    WEIR_PLACE_NONE,
    WEIR_PLACE_PARAM,     /* offset into the rank's block */
    WEIR_PLACE_COPY,      /* offset into the rank's block */
    WEIR_PLACE_GRAD,      /* offset into the rank's block */
    WEIR_PLACE_ACT_FI,    /* offset into the (stage, micro-batch) part of ACTIVATIONS */
    WEIR_PLACE_ACT_FW,
    WEIR_PLACE_ACT_IW,
    WEIR_PLACE_SCRATCH,   /* offset into the rank's block */
    WEIR_PLACE_SLOT,      /* offset into the boundary's slot of the micro-batch, on the rank of its later stage */
    WEIR_PLACE_GRAD_SLOT, /* the same for gradients, on the rank of its earlier stage */
    WEIR_PLACE_DATA,      /* offset into DATA, plus the micro-batch times `stride` */
    WEIR_PLACE_CACHE,     /* offset into the part of the micro-batch's sequence, or of the slice's micro-batch, in CACHE */
    WEIR_PLACE_CACHE_GRAD, /* the same of its gradients */
    WEIR_PLACE_PACKED,    /* offset into the rank's block */
};

struct weir_where {
    enum weir_place place;
    size_t offset;
    size_t stride; /* DATA only: from one micro-batch, with all of its slices, to the next */
    int boundary;  /* SLOT, GRAD_SLOT: index in the program */
};

/* One kernel call of a template, or a copy. */
struct weir_step_call {
    weir_kernel_fn fn; /* NULL: copy `copy_bytes` from inputs[0] to outputs[0] */
    enum weir_pass pass;
    int node;
    size_t copy_bytes;
    const struct weir_op_kernels *kernels; /* the device's for this call, of which `fn` is one; NULL: a copy */
    struct weir_op_call call; /* all but the addresses */
    struct weir_where inputs[WEIR_OP_INPUTS], outputs[WEIR_OP_OUTPUTS], params[WEIR_OP_PARAMS], d_outputs[WEIR_OP_OUTPUTS],
        d_inputs[WEIR_OP_INPUTS], addends[WEIR_OP_INPUTS], d_params[WEIR_OP_PARAMS], saved, scratch, cache, cache_gradient, packed;
};

enum weir_list { WEIR_LIST_F, WEIR_LIST_I, WEIR_LIST_W, WEIR_LIST_B, WEIR_LISTS };

struct weir_call_list {
    struct weir_step_call *calls; /* [n_slices][n_calls] */
    int n_calls;
    int slot_call; /* the first call that writes into a slot of another stage; n_calls when none does */
};

/* ---- boundaries -------------------------------------------------------------------------------------------------- */

/* A value that crosses; its gradient has the same place in a gradient slot. */
struct weir_crossing {
    int value;     /* the node that makes it */
    size_t offset; /* in a slot */
    size_t bytes;  /* a multiple of 64 */
};

/* Equal pieces of a rank's SLOTS or GRAD_SLOTS. */
struct weir_slots {
    int n;
    size_t bytes, offset; /* of one; of the first in its block */
    int *of_mb;           /* [n_microbatches]: whose turn is when */
};

/* The micro-batch's slot, in the block. */
static inline size_t weir_slot_offset(const struct weir_slots *slots, int mb)
{
    return slots->offset + slots->bytes * (size_t)slots->of_mb[mb];
}

struct weir_boundary {
    int from, to; /* stages, from < to */
    int n_values;
    const struct weir_crossing *values;  /* by value, ascending */
    struct weir_slots inputs, gradients; /* on the rank of `to`; on the rank of `from` */
};

/* Where one micro-batch of one stage lives. */
struct weir_mb_places {
    size_t act_offset[3]; /* FI, FW, IW parts in the rank's ACTIVATIONS */
    size_t cache_offset[2]; /* slices: in CACHE, of keys and values and of their gradients */
    bool accumulates_w; /* not the first W or B of its stage: weight gradients are added to */
    bool accumulates_i; /* not the first I or B: the same for NO_SPLIT operations, which write them there */
};

struct weir_stage_program {
    int rank;
    int first_layer, n_layers, first_node, n_nodes;
    struct weir_call_list lists[WEIR_LISTS];
    int n_ins, n_outs;
    int *ins, *outs;            /* boundaries into and out of the stage, by their other stage, ascending */
    size_t act_bytes[3];        /* per micro-batch, of slices the largest: FI, FW, IW */
    size_t (*slice_act_bytes)[3]; /* [n_slices] */
    size_t cache_bytes[2];      /* slices: of a micro-batch, keys and values and their gradients */
    struct weir_mb_places *mbs; /* [n_microbatches] */
};

/* A parameter as a rank holds it. */
struct weir_rank_param {
    int param;           /* index in the graph */
    size_t offset;       /* in PARAMS */
    size_t copy_offset;  /* in COPIES, when the graph's storage type is not f32 */
    bool owned;          /* this rank has the first use: it updates the parameter */
    size_t grad_offset;  /* owned: where the whole gradient ends up, in GRADS */
    int64_t norm_block;  /* first of its blocks in the program's norm array */
};

/* A run of an owned parameter's elements that one replica keeps: it adds up their gradients and, with ZeRO-1, has their
 * optimizer state and updates them.  With one replica there is one piece per owned parameter. */
struct weir_piece {
    int held;            /* index in the rank's params */
    int replica;         /* who keeps it */
    int64_t first, n;    /* elements; `first` is a multiple of WEIR_NORM_BLOCK */
    size_t state_offset; /* in OPTIMIZER: state_floats arrays of n floats */
};

/* Gradients that are reduced over the replicas together, as soon as all of them are complete. */
struct weir_bucket {
    int stage; /* -1: tied parameters, complete after TIE_ADD */
    int first_piece, n_pieces;
    size_t bytes;
    int end_call; /* in the list of the stage's last W or B: the calls before it complete the bucket */
};

/* One use of a parameter by a node. */
struct weir_param_use {
    int param, node, slot, rank;
    size_t grad_offset; /* in GRADS of the rank */
};

enum weir_instr_kind {
    WEIR_INSTR_ACTION,
    WEIR_INSTR_TIE_ADD,
    WEIR_INSTR_REDUCE, /* add up the pieces of a bucket that this replica keeps */
    WEIR_INSTR_GATHER, /* fetch the sums of the bucket's other pieces */
    WEIR_INSTR_NORM,
    WEIR_INSTR_UPDATE,
    WEIR_INSTR_PARAM_GATHER, /* ZeRO-1: fetch the parameters that other replicas updated */
    WEIR_INSTR_TIE_COPY,
};

struct weir_instr {
    enum weir_instr_kind kind;
    int stage, mb;          /* ACTION */
    enum weir_list list;    /* ACTION */
    int first_call, n_calls; /* ACTION: part of the list */
    int bucket;              /* REDUCE, GATHER */
    int n_waits, n_peer_waits;
    const int *waits;      /* events of the own replica */
    const int *peer_waits; /* events of every other replica */
    int signal;            /* event, or -1 */
    int first_dep, n_deps;          /* deps.h: what the instruction awaits, in the program's deps */
    int first_leaving, n_leaving;   /* those that await it, in the program's leaving */
};

struct weir_rank_program {
    size_t bytes[WEIR_MEMORY_KINDS];
    int n_instrs;
    struct weir_instr *instrs;
    int n_params;
    struct weir_rank_param *params; /* in graph order */
    int n_pieces, n_buckets;
    struct weir_piece *pieces;      /* bucket by bucket; one replica: in graph order */
    struct weir_bucket *buckets;    /* in the order in which they complete; none with one replica */
    size_t loss_offset;             /* DATA: n_microbatches losses (float64) or results, on the rank of the last stage */
    size_t sequence_bytes;          /* CACHE: of one sequence */
    size_t *input_offsets;          /* [n_inputs] in DATA; SIZE_MAX when the rank does not use the input */
};

struct weir_order_entry {
    int rank, instr;
    int copy; /* of the weights: of every replica, the one with that copy runs it */
};

enum { WEIR_COPIES_MOST = 2 }; /* of the weights */

/* What one stream runs, in order. */
struct weir_worker {
    int n;
    struct weir_order_entry *entries;
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
    const struct weir_schedule *schedule; /* of one copy of the weights */
    int n_stages, n_ranks, n_microbatches, n_events;
    int n_slices;                /* at least 1; n_microbatches counts slices */
    size_t result_stride;        /* from one micro-batch's loss or result to the next */
    int n_replicas;   /* of the whole pipeline: n_replicas * n_ranks ranks, all with this program; copies of the weights count */
    int n_copies;     /* of the weights: 1 or 2 */
    struct weir_worker *workers; /* [n_ranks] */
    int **positions;  /* [n_copies * n_ranks][n_instrs], copy by copy: places in the worker's list */
    bool zero;        /* ZeRO-1: a piece's optimizer state is kept and its parameters are updated by one replica */
    struct weir_stage_program *stages;
    int n_boundaries;
    struct weir_boundary *boundaries; /* by `to`, then by `from` */
    struct weir_rank_program *ranks;
    int n_uses;
    struct weir_param_use *uses; /* in graph order */
    int64_t n_norm_blocks;       /* of all parameters, tied ones once */
    size_t norm_offset, losses_offset; /* in STEP, of every rank: n_norm_blocks, n_replicas * n_microbatches float64 */
    int n_order;
    struct weir_order_entry *order;
    int n_deps, n_regions;
    struct weir_dep *deps;           /* deps.h: by the instruction that awaits */
    struct weir_dep_region *regions; /* of all of them, one's beside each other */
    int *leaving;                    /* [n_deps]: their numbers, by the instruction that is awaited */
    int n_rows;
    struct weir_memory_row *rows;
};

/* The beginning of every rank's STEP block: all that changes from step to step. */
struct weir_step_block {
    struct weir_step_values values;
    struct weir_update update;
    struct weir_update_gate gate;
};

struct weir_program_params {
    const struct weir_graph *graph;
    const struct weir_graph *const *slices; /* [n_slices of the schedule]: the graph in parts; NULL: sequences are whole */
    const struct weir_schedule *schedule; /* checked; compute actions are bound, SEND and RECV follow from them */
    const int *input_slots, *gradient_slots; /* [n_stages], from the check's report: between neighbours */
    const int *peak_in_flight;            /* [n_stages], from there too; NULL where values go to neighbours alone */
    const int *first_layer;               /* [n_stages + 1]: the partition */
    int n_threads;                        /* per rank; decides the kernels' scratch */
    weir_kernels_fn kernels;              /* the device's; NULL: the cpu's */
    weir_packed_fn packed_bytes;          /* the device's; NULL: nothing is packed */
    size_t state_floats;                  /* optimizer state per element: 0 sgd, 2 adamw */
    const bool *recompute;                /* [n_layers]: layers whose forward I and B replay; NULL: none */
    int n_sequences;                      /* generation: sequences that have a cache; else 0 */
    int n_replicas;                       /* each with all copies of the weights; 0: one */
    bool zero;
    size_t bucket_bytes;                  /* of gradients reduced together; 0: weir_bucket_bytes() of the stage */
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

/* What its stages hand to each other, as a schedule has it. */
weir_status weir_program_boundaries(const struct weir_program *program, struct weir_arena *arena,
                                    const struct weir_schedule_boundary **boundaries_out, int *n_out);

/* The end of a training step by itself, on the same memory: norm, update, and what fetches updated parameters.  It runs after
 * the step, whose own update then leaves the parameters as they are; it calls no kernels of the graph.  `step` must outlive it. */
weir_status weir_program_update_alone(const struct weir_program *step, struct weir_arena *arena, struct weir_program **alone_out);

/* Default bytes of a bucket for a stage with so many bytes of gradients: an eighth, between 1 and 32 MiB. */
size_t weir_bucket_bytes(size_t stage_bytes);

/* Bytes that all ranks of a copy of the weights keep packed. */
size_t weir_program_packed_bytes(const struct weir_program *program);

/* Bytes of all blocks of a rank. */
size_t weir_program_rank_bytes(const struct weir_program *program, int rank);

/* The worker that runs `rank` of `copy`; the other way round it is the same: the rank of `copy` that the worker runs. */
static inline int weir_program_worker(const struct weir_program *program, int copy, int rank)
{
    return copy ? program->n_ranks - 1 - rank : rank;
}

/* The calls of an action that `instr` runs. */
static inline const struct weir_step_call *weir_instr_calls(const struct weir_program *program, const struct weir_instr *instr)
{
    const struct weir_call_list *list = &program->stages[instr->stage].lists[instr->list];
    return list->calls + instr->mb % program->n_slices * list->n_calls + instr->first_call;
}

/* Micro-batches with all of their slices. */
static inline int weir_program_whole_microbatches(const struct weir_program *program)
{
    return program->n_microbatches / program->n_slices;
}

/* The ranks of a worker, whose instructions follow each other, have these blocks together. */
static inline bool weir_memory_is_workers(enum weir_memory_kind kind)
{
    return kind == WEIR_MEMORY_ACTIVATIONS || kind == WEIR_MEMORY_SCRATCH;
}

/* Bytes of one kind, and of all blocks, of the ranks that `worker` runs. */
size_t weir_program_worker_block(const struct weir_program *program, int worker, enum weir_memory_kind kind);
size_t weir_program_worker_bytes(const struct weir_program *program, int worker);

/* "activations" */
const char *weir_memory_kind_str(enum weir_memory_kind kind);

/* The memory table and the instruction lists as text.  A line of an instruction has rank, number, name, kernel calls, whom
 * it awaits and who awaits it, with the reason (weir_dep_why_str()); of another replica's rank it says so.
 *
 *     1    6  1B2 (end)          calls   2  after 0B0 of rank 0 (gradient slot)  before 0B2 of rank 0 (gradient)
 *     1   11  update             calls   0  after gradient norm of rank 0,2 (norm), gradient norm of rank 0,1,2 of the
 *                                           other replicas (norm)                      (one line) */
void weir_program_dump_memory(const struct weir_program *program, FILE *out);
void weir_program_dump(const struct weir_program *program, FILE *out);
weir_status weir_program_say(const struct weir_program *program, weir_text_fn say, void *context);

/* "2F3", "rank 1 update": for messages and traces; `text` has WEIR_ACTION_TEXT bytes.  The micro-batch is the schedule's: those of
 * copy 1 of the weights come after those of copy 0. */
const char *weir_instr_str(const struct weir_program *program, const struct weir_instr *instr, int copy, char *text);

#endif
