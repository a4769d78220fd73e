/* Sizes of schedules, many at once: -p 4,8 -m 8..64:8 stands for 16 of them.
 *
 *     8       8,16,32       8..12 (8, 9, 10, 11, 12)       8..64:8 (8, 16, ... 64) */
#ifndef WEIR_CMD_SCHEDULE_SWEEP_H
#define WEIR_CMD_SCHEDULE_SWEEP_H

#include <stddef.h>

#include "cmd/schedule_input.h"

/* As given; NULL and 0 where not. */
struct schedule_sweep {
    const char *ranks, *microbatches, *chunks;
    int64_t group_size, slices;
};

/* Rows for a table whose struct `type` has a struct schedule_sweep `sweep`. */
#define SCHEDULE_SWEEP_ROWS(type)                                                                                      \
    {"ranks", 'p', OPTION_TEXT, offsetof(type, sweep.ranks), "P", "ranks of the pipeline: 8, or several: 4,8", 0, 0},  \
    {"microbatches", 'm', OPTION_TEXT, offsetof(type, sweep.microbatches), "M",                                        \
     "micro-batches of a step: 32, or several: 8,16,32, 8..12, 8..64:8", 0, 0},                                        \
    {"chunks", 'v', OPTION_TEXT, offsetof(type, sweep.chunks), "V",                                                    \
     "stages per rank, or several numbers (default: each schedule's own)", 0, 0},                                      \
    {"group-size", 0, OPTION_INT, offsetof(type, sweep.group_size), "G",                                               \
     "of schedules that have groups: micro-batches per group", 1, 1048576},                                            \
    {"slices", 0, OPTION_INT, offsetof(type, sweep.slices), "K",                                                       \
     "of schedules that cut sequences (seq1f1b): slices of each (default 1)", 1, 1048576}

/* Every size, by ranks, then micro-batches, then chunks; in `arena`.  What is not given is 0.  WEIR_ERR_USAGE. */
weir_status schedule_sweep_expand(const struct schedule_sweep *sweep, struct weir_arena *arena,
                                  const struct schedule_size **sizes_out, size_t *n_out);

#endif
