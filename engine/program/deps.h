/* Dependencies: which instruction awaits which one of another rank, why, and what travels with it.
 *
 * Within a rank instructions run in the order of its list.  Whatever an instruction awaits of another rank, or of the same
 * rank in another replica, is one record of the program's `deps`; everything else is a view of that list:
 *
 *     rank 0   F(0,k)                  B(0,k)                    F(0,k+2)'s last call
 *                │ input,                 ▲ gradient,               ▲ input slot: B(1,k) was the last
 *                ▼ with the slot          │ with the gradient slot  │ to read what that call overwrites
 *     rank 1   F(1,k)                  B(1,k) ────────────────────┘
 *
 *     waits, peer_waits, signal     of instructions: what the step reads
 *     regions                       become messages between ranks that do not see each other's memory
 *     why                           the text of --print-program, and of a program that waits in a circle
 *
 * A dependency holds within every replica, or between every two (REDUCE awaits the bucket of all other replicas).
 *
 * Regions.  The signaller has written a region, and the one who awaits it will read or use it.  It is the same place in the
 * address map of both: of the receiver's block (slots: the signaller writes an image of the receiver's memory), or of the
 * sender's (all else: the receiver reads an image of the sender's).  With no region only the fact travels. */
#ifndef WEIR_ENGINE_PROGRAM_DEPS_H
#define WEIR_ENGINE_PROGRAM_DEPS_H

#include "engine/program/program.h"

enum weir_dep_why {
    WEIR_DEP_INPUT,          /* F: what crosses a boundary into its stage is there */
    WEIR_DEP_GRADIENT,       /* I, B: so are the gradients of what crosses one out of it */
    WEIR_DEP_INPUT_SLOT,     /* F's last calls: the later stage has freed the slot which they write */
    WEIR_DEP_GRADIENT_SLOT,  /* I's or B's last calls: so has the earlier stage */
    WEIR_DEP_TIED_GRADIENT,  /* TIE_ADD: the gradient of a use on another rank is complete */
    WEIR_DEP_BUCKET,         /* REDUCE: the bucket's gradients are complete */
    WEIR_DEP_SUM,            /* GATHER: the pieces that others keep are sums */
    WEIR_DEP_NORM,           /* UPDATE: squares and losses are there, and nobody reads what UPDATE overwrites */
    WEIR_DEP_UPDATE,         /* PARAM_GATHER: the pieces that others keep are new */
    WEIR_DEP_TIED_PARAMETER, /* TIE_COPY: the owner's parameter is new */
    WEIR_DEP_WHYS
};

enum weir_dep_replicas {
    WEIR_DEP_OWN,    /* the instruction of the own replica */
    WEIR_DEP_OTHERS, /* that of every other replica */
};

enum { WEIR_REPLICA_ANY = -1 };

struct weir_dep_region {
    int from_replica, to_replica; /* WEIR_REPLICA_ANY; else only this one sends it, only this one gets it */
    bool receivers;               /* a place in the receiver's block, else in the sender's */
    enum weir_memory_kind kind;
    size_t offset, bytes;
};

struct weir_dep {
    int from_rank, from_instr; /* who is awaited */
    int to_rank, to_instr;     /* by whom: before its first call */
    enum weir_dep_why why;
    enum weir_dep_replicas replicas;
    int first_region, n_regions; /* in the program's regions */
    int post_after; /* regions: the awaiting rank's instruction after which they may be overwritten in this step, or -1 */
};

/* "input slot" */
const char *weir_dep_why_str(enum weir_dep_why why);

/* The k-th dependency that awaits what the instruction signals, 0 <= k < instr->n_leaving. */
static inline const struct weir_dep *weir_dep_leaving(const struct weir_program *program, const struct weir_instr *instr,
                                                      int k)
{
    return &program->deps[program->leaving[instr->first_leaving + k]];
}

#endif
