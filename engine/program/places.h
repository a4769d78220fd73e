/* The order in which a stage's micro-batches pass a moment of their lives. */
#ifndef WEIR_ENGINE_PROGRAM_PLACES_H
#define WEIR_ENGINE_PROGRAM_PLACES_H

#include "engine/program/compile.h"

enum weir_moment {
    WEIR_MOMENT_F, /* the forward */
    WEIR_MOMENT_I, /* I or B: the input gradient is there */
    WEIR_MOMENT_W, /* W or B: all of the micro-batch's work is done */
};

/* Micro-batches of `stage` in list order at that moment; returns their number. */
int weir_stage_order(const struct weir_compile *c, int stage, enum weir_moment moment, int *mbs_out);

#endif
