/* Inside the instruction maker: instrs.c makes the actions, instrs_end.c below it what follows the last micro-batch, pushes.c
 * what travels; all of them out of what instrs_base.c has. */
#ifndef WEIR_ENGINE_PROGRAM_INSTRS_H
#define WEIR_ENGINE_PROGRAM_INSTRS_H

#include "engine/program/compile.h"

enum { WEIR_NO_EVENT = -1 };

struct weir_instr_rank {
    int *event_of;     /* [n_actions]: the event at the action's end; made when somebody awaits it */
    int *position_of;  /* [n_instrs]: action that the instruction ends, or -1 */
    int *bucket_event; /* [n_buckets]: the bucket's gradients are complete */
    int *reduce_event; /* [n_buckets]: its kept pieces are sums */
    int n_complete, n_reduced; /* buckets complete so far, and those whose REDUCE is in the list */
    int norm_event, update_event; /* update_event: the rank's parameters are whole */
    int shard_event;              /* ZeRO-1: the end of UPDATE, its kept pieces are new */
};

struct weir_instr_work {
    struct weir_compile *c;
    struct weir_instr_rank *ranks;
    size_t push_room;
    weir_status status; /* first failure */
};

/* Micro-batches of the stage in the order of the moment. */
const int *weir_work_order(const struct weir_instr_work *w, int stage, enum weir_moment moment);

int weir_work_event(struct weir_instr_work *w); /* a new one */

/* The event at the end of the action of (stage, mb) at `moment`. */
int weir_work_event_after(struct weir_instr_work *w, int stage, int mb, enum weir_moment moment);

/* A new instruction at the end of the rank's list, and a lasting copy of a list of events. */
struct weir_instr *weir_work_instr(struct weir_instr_work *w, int r, int position, enum weir_instr_kind kind);
const int *weir_work_events(struct weir_instr_work *w, int n, const int *events);

/* REDUCE for the buckets that are complete so far; the first `n_complete` ones. */
void weir_work_reduce(struct weir_instr_work *w, int r, int n_complete);

/* TIE_ADD and all that comes after it, on all ranks. */
weir_status weir_work_end(struct weir_instr_work *w);

/* What travels with the events; after all instructions are made and have their signals. */
void weir_work_pushes(struct weir_instr_work *w);

#endif
