/* The schedule called auto: its options, and what is said about it. */
#ifndef WEIR_CMD_SCHEDULE_AUTO_H
#define WEIR_CMD_SCHEDULE_AUTO_H

#include <stdio.h>

#include "cmd/schedule_input.h"
#include "schedules/auto/auto.h"

struct schedule_auto_options {
    double memory_cap;     /* 0: none */
    const char *objective; /* NULL: makespan */
};

/* true for "auto", in capitals too. */
bool schedule_is_auto(const char *name);

/* WEIR_ERR_USAGE when something is asked of `name` that only auto can do. */
weir_status schedule_auto_unused(const struct schedule_auto_options *options, const char *name);

/* Make it; chunks are those of the costs' stages when no number is given. */
weir_status schedule_auto_make(const struct schedule_size *size, const struct schedule_auto_options *options,
                               const struct weir_schedule_costs *costs, struct weir_arena *arena,
                               struct weir_auto_result *out);

/* Its time, the bound, and the best known schedule, which it has beaten or not. */
void schedule_auto_print(const struct weir_auto_result *result, const struct schedule_auto_options *options,
                         FILE *out);
json_t *schedule_auto_json(const struct weir_auto_result *result);

#endif
