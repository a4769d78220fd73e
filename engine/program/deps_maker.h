/* Inside the maker of dependencies: deps.c has those between actions, deps_end.c those of what follows the last micro-batch;
 * deps_base.c below them finds the instructions, which are all made before, and keeps the list. */
#ifndef WEIR_ENGINE_PROGRAM_DEPS_MAKER_H
#define WEIR_ENGINE_PROGRAM_DEPS_MAKER_H

#include "engine/program/compile.h"
#include "engine/program/deps.h"

/* The instructions into which an action was cut. */
struct weir_action_instrs {
    int first, last;
    int slot; /* whose first call is the first one that writes into a slot of another stage, or -1 */
};

/* Instructions of one rank after its actions; -1: none. */
struct weir_end_instrs {
    int tie_add, norm, update, param_gather, tie_copy;
    int *complete, *reduce, *gather; /* [n_buckets]; `complete` ends the calls that complete the bucket */
};

struct weir_deps_maker {
    struct weir_compile *c;
    struct weir_program *program;
    struct weir_action_instrs *actions; /* [n_stages][WEIR_MOMENTS][n_microbatches] */
    struct weir_end_instrs *ends;       /* [n_ranks] */
    size_t dep_room, region_room;
    weir_status status;            /* first failure; then nothing more is added */
};

weir_status weir_deps_open(struct weir_deps_maker *m);

/* The instructions of the action of (stage, mb) at `moment`. */
static inline struct weir_action_instrs *weir_deps_action(const struct weir_deps_maker *m, int stage, int mb,
                                                          enum weir_moment moment)
{
    return &m->actions[(stage * WEIR_MOMENTS + (int)moment) * m->program->n_microbatches + mb];
}

/* A new dependency.  One like the one before it, for the same reason, is that one: their regions travel together. */
void weir_deps_add(struct weir_deps_maker *m, struct weir_dep dep);

/* What travels with the dependency that was added last; no bytes are no region. */
void weir_deps_region(struct weir_deps_maker *m, struct weir_dep_region region);

/* By who awaits, and by who is awaited. */
void weir_deps_close(struct weir_deps_maker *m);

/* What `rank` awaits after its last action. */
void weir_deps_end(struct weir_deps_maker *m, int rank);

#endif
