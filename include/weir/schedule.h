/* Pipeline schedules as data.
 *
 * A schedule is one list of actions per rank: the whole order of work of one training step, fixed before it starts.
 * The alphabet is that of PyTorch's schedule CSV.  An action is <stage><TYPE><micro-batch>:
 *
 *     0F3   forward of stage 0 on micro-batch 3          2I1   input gradient           2W1  weight gradient
 *     2B1   input and weight gradient in one             2SEND_F1 / 3RECV_F1            2SEND_B1 / 1RECV_B1
 *     2WAIT_SEND_F1 / 2WAIT_SEND_B1                      the sender's wait for the end of its SEND
 *     0REDUCE_GRAD, 0WAIT_REDUCE_GRAD, 0UNSHARD, 0RESHARD                            no micro-batch
 *     (0F7;7B3)OVERLAP_F_B                               a forward and a backward that run as one
 *
 * Stages are numbered globally, 0..n_stages-1; a stage that a rank holds is one of its chunks.  The data flow that
 * every valid schedule respects:
 *
 *     F(s,k) needs F(s-1,k)         I(s,k), B(s,k) need F(s,k) and I or B of (s+1,k)         W(s,k) needs I(s,k)
 *
 * A model with skip connections hands values to other stages than the next: then `boundaries` says which F needs which.
 *
 * With k slices of every sequence "micro-batch" 5 of an action is slice 5 mod k of micro-batch 5 div k.  Slices of a micro-batch
 * look at what the earlier ones left on the rank, and backwards at what the later ones left:
 *
 *     F(s,u) needs F(s,u-1)         I(s,u), B(s,u) need I or B of (s,u+1)                    u-1, u, u+1 of one micro-batch
 *
 * An OVERLAP_F_B takes two neighbouring entries of the list: the forward, with `fused` set, then the backward.
 *
 *     All of this is pure: no device, no threads, no I/O but weir_schedule_csv_*; all memory comes from the caller's arena.
 */
#ifndef WEIR_SCHEDULE_H
#define WEIR_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

enum weir_action_type {
    WEIR_F,                /* forward */
    WEIR_I,                /* input-gradient backward */
    WEIR_W,                /* weight-gradient backward */
    WEIR_B,                /* both backwards at once */
    WEIR_SEND_F,           /* stage's output to the rank of stage + 1 */
    WEIR_RECV_F,           /* stage's input from the rank of stage - 1 */
    WEIR_SEND_B,           /* stage's input gradient to the rank of stage - 1 */
    WEIR_RECV_B,           /* stage's output gradient from the rank of stage + 1 */
    WEIR_REDUCE_GRAD,      /* add the stage's gradients over the replicas; no micro-batch */
    WEIR_UNSHARD,          /* read and kept, not run; no micro-batch */
    WEIR_RESHARD,          /* read and kept, not run; no micro-batch */
    WEIR_WAIT_REDUCE_GRAD, /* the end of the stage's REDUCE_GRAD; read and kept, not run; no micro-batch */
    WEIR_WAIT_SEND_F,      /* the end of the SEND_F of the same stage and micro-batch; read and kept, not run */
    WEIR_WAIT_SEND_B,      /* the same for a SEND_B */
    WEIR_ACTION_TYPES
};

struct weir_action { /* 8 bytes: large schedules have tens of millions */
    int32_t stage;
    int32_t mb : 24;    /* micro-batch, below 2^20; -1 where the type has none */
    uint32_t type : 7;  /* enum weir_action_type */
    uint32_t fused : 1; /* 1: this F and the next entry (a backward) are one OVERLAP_F_B */
};

struct weir_schedule_rank {
    const struct weir_action *actions; /* in order */
    size_t n_actions;
    const int32_t *cells; /* [n_actions]: where each stands in its row of the file; NULL: one after the other, from 1 */
};

/* What one stage hands to a later one, and what comes back: F(to,k) needs F(from,k), I and B of (from,k) need that of (to,k). */
struct weir_schedule_boundary {
    int from, to; /* from < to */
};

struct weir_schedule {
    int n_ranks;        /* p */
    int n_stages;       /* S = p · v */
    int n_microbatches; /* m */
    int n_copies;       /* 1; 2 when two ranks hold each stage (dualpipe, chimera) */
    int n_slices;       /* k: every sequence is cut into so many, and m counts slices; 0 and 1: whole */
    bool has_comms;     /* SEND and RECV actions stand in the lists */
    const struct weir_schedule_rank *ranks; /* [n_ranks] */
    const int *stage_rank;                  /* [n_stages]: the rank that holds the stage (the lowest with two copies) */
    const char *name; /* of the file it was read from, which messages about it name; NULL: none */
    const struct weir_schedule_boundary *boundaries; /* [n_boundaries] of a model with branches, by `to`, then by `from`; NULL:
                                                        every stage to the next */
    int n_boundaries;
};

/* What a generator is asked for. */
struct weir_schedule_params {
    int n_ranks;        /* p >= 1 */
    int n_chunks;       /* v, stages per rank; 0: weir_schedule_kind_chunks */
    int n_microbatches; /* m >= 1 */
    int group_size;     /* interleaved only: micro-batches per group (Megatron's parameter); 0: the schedule's default */
    int n_slices;       /* slices of every sequence, of kinds that take them; 0: one */
};

/* One row per published schedule. */
struct weir_schedule_kind {
    const char *name;    /* "1f1b" */
    const char *summary; /* one line for `weir schedule list` */
    int n_chunks;        /* the only v it works with, or 0 for any */
    int default_chunks;  /* v when it is not given and n_chunks is 0; 0 stands for 1 */
    int n_copies;        /* 2 when each stage stands on two ranks; else 0 or 1 */
    bool splits_backward; /* uses I and W instead of B */
    bool takes_group_size;
    bool takes_slices;

    /* Order the operations of one step.  Pure.  `out` and all it points to live in `arena`.
     * WEIR_ERR_INVALID names the parameter and the number to change; WEIR_ERR_NOMEM.  On failure `out` is untouched. */
    weir_status (*build)(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out);

    /* Closed forms, which the tests hold the lists to; NULL where none is known, a negative value where these parameters
     * have none.  n_chunks must be set.
     * Peak number of chunk activations in flight on `rank` (F adds one, the end of W or B takes one away). */
    int (*peak_in_flight)(const struct weir_schedule_params *params, int rank);
    /* Makespan at F = I = W = 1 per chunk and micro-batch, slices alike, and free transfers. */
    double (*makespan)(const struct weir_schedule_params *params);
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The built-in schedules by number, from 0 on; NULL beyond the last one. */
const struct weir_schedule_kind *weir_schedule_kind_at(int index);

/* The kind called `name`, in upper or lower case.  WEIR_ERR_USAGE, with a suggestion, when there is none. */
weir_status weir_schedule_kind_find(const char *name, const struct weir_schedule_kind **kind_out);

/* The stages per rank of a kind when no number is asked for. */
int weir_schedule_kind_chunks(const struct weir_schedule_kind *kind);

/* The slices of a schedule's sequences, at least 1. */
static inline int weir_schedule_slices(const struct weir_schedule *schedule)
{
    return schedule->n_slices > 1 ? schedule->n_slices : 1;
}

/* Check the common bounds of `params`, fill in n_chunks, and build.  See weir_schedule_kind.build. */
weir_status weir_schedule_build(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params,
                                struct weir_arena *arena, struct weir_schedule *out);

/* "F", "SEND_B", "REDUCE_GRAD". */
const char *weir_action_type_str(enum weir_action_type type);

/* "2F3", "0REDUCE_GRAD", into a buffer of WEIR_ACTION_TEXT bytes; returns the buffer. */
#define WEIR_ACTION_TEXT 48
const char *weir_action_str(const struct weir_action *action, char text[WEIR_ACTION_TEXT]);

/* Make an action, and read one: for languages without bit fields.  `mb` is -1 where the type has none. */
void weir_action_set(struct weir_action *action, int stage, enum weir_action_type type, int mb, bool fused);
void weir_action_get(const struct weir_action *action, int *stage_out, enum weir_action_type *type_out, int *mb_out, bool *fused_out);

/* true for F, I, W, B. */
bool weir_action_is_compute(enum weir_action_type type);

/* false for the types that concern a whole stage: REDUCE_GRAD, WAIT_REDUCE_GRAD, UNSHARD, RESHARD. */
bool weir_action_has_microbatch(enum weir_action_type type);

/* Name the schedule's file, when it has one, in the message of a failed call ("'s.csv': row 2 ...").  Returns
 * `status`. */
weir_status weir_schedule_error_name(const struct weir_schedule *schedule, weir_status status);

/* ---- files ------------------------------------------------------------------------------------------------------- */

enum weir_csv_dialect {
    WEIR_CSV_TORCH,      /* F, I, W, B as above; what PyTorch 2.15 reads and writes */
    WEIR_CSV_TORCH_2024, /* B = input gradient, BW = full backward */
    WEIR_CSV_TORCH_2025, /* read as WEIR_CSV_TORCH; written without WAIT actions */
};

/* The dialect called "torch" or "torch-2.15", "torch-2024", "torch-2025".  WEIR_ERR_USAGE, with a suggestion. */
weir_status weir_csv_dialect_find(const char *name, enum weir_csv_dialect *dialect_out);

/* Parse PyTorch's schedule CSV: one row per rank, blank cells dropped, an optional first line `# weir-schedule 1
 * [copies=2] [slices=K]`.  Ranks, stages and micro-batches follow from the content.  `name` stands for the file in messages.
 * WEIR_ERR_INVALID names row, cell and reason. */
weir_status weir_schedule_csv_parse(const char *text, size_t bytes, const char *name, enum weir_csv_dialect dialect,
                                    struct weir_arena *arena, struct weir_schedule *out);

/* The same of a text from malloc(), which is given back while it is read and freed in any case: a
 * large file then takes not much more memory than the schedule. */
weir_status weir_schedule_csv_take(char *text, size_t bytes, const char *name, enum weir_csv_dialect dialect,
                                   struct weir_arena *arena, struct weir_schedule *out);

/* The same of the file at `path`.  WEIR_ERR_IO. */
weir_status weir_schedule_csv_load(const char *path, enum weir_csv_dialect dialect, struct weir_arena *arena,
                                   struct weir_schedule *out);

/* The CSV text of a schedule, rows ended by a newline, in `arena`; the header line only when copies or slices need it. */
weir_status weir_schedule_csv_print(const struct weir_schedule *schedule, struct weir_arena *arena,
                                    const char **text_out);

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

/* Add SEND and RECV actions to a compute-only schedule: each F or backward whose result another rank needs is followed
 * by its send; receives of a directed edge are ordered as its sends are by the producer's list and stand right before
 * the first action that needs them allows.  A schedule that has communication already is copied. */
weir_status weir_schedule_lower(const struct weir_schedule *schedule, struct weir_arena *arena,
                                struct weir_schedule *out);

/* The lowering of PyTorch 2.15, cell by cell, which its runtime loads as compute_comms.  A REDUCE_GRAD and its
 * WAIT_REDUCE_GRAD follow the last W or B of every stage that has none.  A receive goes to the end of the receiver's list
 * as soon as its send is made.  A WAIT_SEND_F stands behind the backward of the same stage and micro-batch, every other
 * wait for a send at the end of the list.  SENDs, RECVs and the waits for them that the schedule has are dropped first;
 * REDUCE_GRAD, UNSHARD and RESHARD stay.  WEIR_ERR_INVALID when the lists wait in a circle. */
weir_status weir_schedule_lower_torch(const struct weir_schedule *schedule, struct weir_arena *arena,
                                      struct weir_schedule *out);

/* The lowering of PyTorch's tests of 2025, cell by cell: each I directly followed in its row by the W of the same stage
 * and micro-batch becomes a B, receives are placed as above, and nothing waits or reduces.  REDUCE_GRAD, UNSHARD and
 * RESHARD stay, WAIT actions do not.  WEIR_ERR_INVALID when the lists wait in a circle. */
weir_status weir_schedule_lower_torch_2025(const struct weir_schedule *schedule, struct weir_arena *arena,
                                           struct weir_schedule *out);

/* Add the waits that are missing: a WAIT_REDUCE_GRAD right after its REDUCE_GRAD, the waits for SENDs where
 * weir_schedule_lower_torch places them.  `schedule` is one that weir_schedule_check accepts, and so is what comes out. */
weir_status weir_schedule_add_waits(const struct weir_schedule *schedule, struct weir_arena *arena,
                                    struct weir_schedule *out);

/* Add a REDUCE_GRAD for every stage on every rank that holds it, where there is none yet, right after its last W or B
 * and the sends that follow it: from there on the gradients may be added over the replicas while the rank goes on.
 * `schedule` is one that weir_schedule_check accepts, and so is what comes out; without backwards nothing is added. */
weir_status weir_schedule_add_reductions(const struct weir_schedule *schedule, struct weir_arena *arena,
                                         struct weir_schedule *out);

/* Only the compute actions: no communication, no waits, no REDUCE_GRAD, UNSHARD or RESHARD. */
weir_status weir_schedule_compute_only(const struct weir_schedule *schedule, struct weir_arena *arena,
                                       struct weir_schedule *out);

/* Only the forwards, each rank's in their order: no two of them wait in a circle, because their order in the whole
 * schedule is one in which they can run. */
weir_status weir_schedule_forwards(const struct weir_schedule *schedule, struct weir_arena *arena,
                                   struct weir_schedule *out);

/* What one of two copies of the weights does: stage s on rank s, the first half of the micro-batches, compute actions alone.
 * The other copy does the same from the other end: its stage s is on rank p - 1 - s, its micro-batches are m/2 higher, and the
 * lists of ranks r and p - 1 - r are alike but for the copies.
 * WEIR_ERR_UNSUPPORTED: the copies do not mirror each other so; the message names row and action. */
weir_status weir_schedule_one_copy(const struct weir_schedule *schedule, struct weir_arena *arena,
                                   struct weir_schedule *out);

/* ---- boundaries -------------------------------------------------------------------------------------------------- */

/* Give `schedule` the boundaries of a model, in any order.  WEIR_ERR_INVALID: one that does not fit the schedule's stages, that
 * does not go to a later stage, or that is there twice. */
weir_status weir_schedule_boundaries_set(struct weir_schedule *schedule, const struct weir_schedule_boundary *boundaries, int n,
                                         struct weir_arena *arena);

/* WEIR_ERR_INVALID: a stage but the first that nobody feeds, or a stage but the last that feeds nobody. */
weir_status weir_schedule_boundaries_feed(const struct weir_schedule *schedule);

/* WEIR_ERR_INVALID: SEND and RECV actions could not name what goes over the schedule's boundaries, because one of them is not
 * between neighbours; and the same of a schedule that has such actions. */
weir_status weir_schedule_nameable(const struct weir_schedule *schedule);
weir_status weir_schedule_cells_check(const struct weir_schedule *schedule);

/* The first boundary between stages that are no neighbours, or NULL. */
const struct weir_schedule_boundary *weir_schedule_long_boundary(const struct weir_schedule *schedule);

/* ---- check ------------------------------------------------------------------------------------------------------- */

/* How transfers use the ranks' channels (docs/schedules.md). */
enum weir_channels {
    WEIR_CHANNELS_EDGE,     /* one FIFO per directed edge (rank a → rank b), beside the compute stream */
    WEIR_CHANNELS_SHARED,   /* one communication FIFO per rank for all its sends and receives */
    WEIR_CHANNELS_BLOCKING, /* every send and receive holds up the rank */
};

/* The model called "edge", "shared" or "blocking", and its name.  WEIR_ERR_USAGE, with a suggestion. */
weir_status weir_channels_find(const char *name, enum weir_channels *channels_out);
const char *weir_channels_str(enum weir_channels channels);

struct weir_schedule_report {
    bool wgrad_ascending;   /* every stage accumulates weight gradients in ascending micro-batch order, slices of one in descending */
    bool trainable;         /* has backwards; false: forward only (inference) */
    int n_reductions;       /* REDUCE_GRAD actions: n_stages · n_copies when every stage has its own */
    const int *peak_in_flight_rank;  /* [n_ranks]: chunk activations held at most, counted in list order */
    const int *peak_in_flight_stage; /* [n_stages]: the same per stage */
    const int *input_slots;          /* [n_stages]: boundary-input slots: peak + 1, or for an input from the same rank
                                        what the list needs; under edge more where a rank would wait for one though F, I and W
                                        took the same time everywhere */
    const int *gradient_slots;       /* [n_stages]: 2, or more in the same cases */
};

/* Prove that every stage does all of its work exactly once, on one rank (copies apart), that dependencies, slots and
 * transfers under `channels` never wait in a circle, and that each edge's receives match its sends in order.  A REDUCE_GRAD
 * stands after the last W or B of its stage on its rank, and once; a WAIT once, after what it waits for; where SENDs are
 * waited for, all of them are.
 * A compute-only schedule is lowered first: under edge as weir_schedule_lower does, where the place of a receive does
 * not matter; under shared and blocking, where it does, with receives placed as weir_schedule_lower_torch
 * does.  With boundaries between stages that are no neighbours channels must be edge.
 * WEIR_ERR_INVALID: the first problem, or the cycle ("rank 2 waits in 3RECV_F1 for rank 1, which waits in
 * ...").  The report lives in `arena`. */
weir_status weir_schedule_check(const struct weir_schedule *schedule, enum weir_channels channels,
                                struct weir_arena *arena, struct weir_schedule_report *report_out);

/* ---- by name or by file ------------------------------------------------------------------------------------------ */

/* Schedules that an engine can run, by name or by file, for a number of stages.
 *
 *     weir_pipeline_schedule("zbv", 4, 0, 8, &arena, &schedule);      4 stages on 2 ranks, 8 micro-batches
 *     weir_pipeline_schedule("./mine.csv", 0, 0, 0, &arena, &schedule);   as the file says */

/* A schedule for `n_stages` stages: kind name or the path of a CSV file (which then fixes ranks and stages).
 * n_chunks: stages per rank, 0: weir_schedule_kind_chunks.  WEIR_ERR_USAGE: unknown name, chunks that the schedule
 * does not take, or n_stages is not a multiple of the chunks.  A file's numbers that contradict n_stages (when > 0),
 * n_chunks (when > 0) or n_microbatches (when > 0) are WEIR_ERR_USAGE too. */
weir_status weir_pipeline_schedule(const char *name, int n_stages, int n_chunks, int n_microbatches,
                                   struct weir_arena *arena, struct weir_schedule *out);

/* The same with every sequence in `n_slices` slices (0: as the name or the file has it).  WEIR_ERR_INVALID: a schedule that does not
 * cut sequences; WEIR_ERR_USAGE: a file that cuts them into another number. */
weir_status weir_pipeline_schedule_slices(const char *name, int n_stages, int n_chunks, int n_microbatches, int n_slices,
                                          struct weir_arena *arena, struct weir_schedule *out);

/* A file in a dialect of its letters. */
weir_status weir_pipeline_schedule_file(const char *path, enum weir_csv_dialect dialect, int n_stages, int n_chunks,
                                        int n_microbatches, struct weir_arena *arena, struct weir_schedule *out);

/* true when weir_pipeline_schedule takes `name` for a file: it holds a '/' or a '.'. */
bool weir_pipeline_is_file(const char *name);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
