/* The schedule called auto: its options, and what is said about it. */
#ifndef WEIR_CMD_SCHEDULE_AUTO_H
#define WEIR_CMD_SCHEDULE_AUTO_H

#include <stddef.h>
#include <stdio.h>

#include "cmd/schedule_boundaries.h"
#include "cmd/schedule_cost_options.h"
#include "cmd/schedule_input.h"
#include "include/weir/auto.h"

struct schedule_auto_options {
    double memory_cap;     /* 0: none */
    const char *objective; /* NULL: makespan */
};

/* true for "auto", in capitals too. */
bool schedule_is_auto(const char *name);

/* "auto" or the name of a kind, in any case.  WEIR_ERR_USAGE, with a suggestion or all of them, when it is none. */
weir_status schedule_name_check(const char *name);

/* WEIR_ERR_USAGE when something is asked of `name` that only auto can do. */
weir_status schedule_auto_unused(const struct schedule_auto_options *options, const char *name);

/* Rows for a table whose struct `type` has a struct schedule_auto_options `made`. */
#define SCHEDULE_AUTO_ROWS(type)                                                                                       \
    {"memory-cap", 0, OPTION_REAL, offsetof(type, made.memory_cap), "X",                                               \
     "auto: what a rank may hold, in the unit of --mem (default 0: no cap)", 0, 1e300},                                \
    {"objective", 0, OPTION_TEXT, offsetof(type, made.objective), "NAME",                                              \
     "auto: makespan (default) or span, from a rank's first start to its last end", 0, 0}

/* Make it for `given`, fitted to its size, and for what stages hand to each other (NULL: each to the next); chunks are those of the
 * costs' stages when no number is given. */
weir_status schedule_auto_make(const struct schedule_size *size, const struct schedule_auto_options *options,
                               const struct schedule_cost_options *cost, const struct weir_schedule_costs *given,
                               const struct schedule_boundary_options *handed, struct weir_arena *arena,
                               struct weir_auto_result *out);

/* Its time, the bound, and the best known schedule, which it has beaten or not. */
void schedule_auto_print(const struct weir_auto_result *result, const struct schedule_auto_options *options,
                         FILE *out);
json_t *schedule_auto_json(const struct weir_auto_result *result);

#endif
