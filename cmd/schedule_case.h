/* One schedule with the costs that it is simulated with: a name and a size, or a file. */
#ifndef WEIR_CMD_SCHEDULE_CASE_H
#define WEIR_CMD_SCHEDULE_CASE_H

#include "cmd/schedule_auto.h"
#include "cmd/schedule_boundaries.h"
#include "cmd/schedule_cost_options.h"
#include "cmd/schedule_input.h"

/* Rows of what a schedule is predicted with, for a table whose struct `type` has `cost` (schedule_cost_options.h), `made`
 * (schedule_auto.h), int64_t replicas and zero, and const char *channels. */
#define SCHEDULE_PREDICTION_ROWS(type)                                                                                 \
    SCHEDULE_COST_ROWS(type, ""),                                                                                      \
    {"per-rank", 0, OPTION_FLAG, offsetof(type, cost.per_rank), NULL,                                                  \
     "--time and --mem are of all stages of a rank: each of v takes a v-th", 0, 0},                                    \
    {"replicas", 0, OPTION_INT, offsetof(type, replicas), "D",                                                         \
     "copies of the pipeline, whose gradients are added (default 1)", 1, 65536},                                       \
    {"zero", 0, OPTION_INT, offsetof(type, zero), "0|1",                                                               \
     "1: each replica holds and updates its share of the optimizer's state (default 0)", 0, 1},                        \
    SCHEDULE_REPLICA_COST_ROWS(type), SCHEDULE_AUTO_ROWS(type),                                                        \
    {"channels", 0, OPTION_TEXT, offsetof(type, channels), "MODEL",                                                    \
     "edge, shared or blocking: how transfers use the ranks' channels (default edge)", 0, 0}

/* What makes a case, beside its name and size. */
struct schedule_case_options {
    const struct schedule_cost_options *cost;
    const struct weir_schedule_costs *given; /* schedule_costs_parse() of it */
    const struct schedule_auto_options *made;
    const char *dialect; /* NULL: torch */
    const struct schedule_boundary_options *handed; /* NULL: every stage hands to the next */
};

struct schedule_case {
    struct weir_schedule schedule;
    struct weir_schedule_costs costs;
    struct weir_auto_result made; /* of auto; else n_tried is 0 */
};

/* true when `what` is read from a file at this size: it is one, or no number of a name was given. */
bool schedule_case_is_file(const char *what, const struct schedule_size *size);

/* WEIR_ERR_USAGE: a file beside numbers, options of auto beside another name. */
weir_status schedule_case_open(const struct schedule_case_options *options, const char *what,
                               const struct schedule_size *size, struct weir_arena *arena, struct schedule_case *out);

#endif
