/* Values that an evaluation keeps, so that the program can fetch them: outputs of nodes, of every micro-batch.
 *
 *     DATA of the rank that has the node   .. inputs, losses │ h.0.mlp of mb 0 │ of mb 1 │ .. │ ln_f of mb 0 │ ..
 *
 * They lie behind what the step and the evaluation have there, with lines in the memory table. */
#ifndef WEIR_ENGINE_PROGRAM_FETCHES_H
#define WEIR_ENGINE_PROGRAM_FETCHES_H

#include "engine/program/build.h"

struct weir_fetch {
    int node, rank;
    size_t offset; /* in DATA: of micro-batch 0 */
    size_t bytes;  /* of one micro-batch's value */
    size_t stride; /* from one to the next: a multiple of 64 */
};

/* Those of the configuration, once program and guest are there; raises the ranks' DATA.  WEIR_ERR_USAGE: there is no such node, it
 * is named twice, or no evaluation.  WEIR_ERR_UNSUPPORTED: sequences are cut into slices. */
weir_status weir_fetches_make(struct weir_build *build, struct weir_arena *arena);

#endif
