/* One schedule with the costs that it is simulated with: a name and a size, or a file. */
#ifndef WEIR_CMD_SCHEDULE_CASE_H
#define WEIR_CMD_SCHEDULE_CASE_H

#include "cmd/schedule_auto.h"
#include "cmd/schedule_cost_options.h"
#include "cmd/schedule_input.h"

/* What makes a case, beside its name and size. */
struct schedule_case_options {
    const struct schedule_cost_options *cost;
    const struct weir_schedule_costs *given; /* schedule_costs_parse() of it */
    const struct schedule_auto_options *made;
    const char *dialect; /* NULL: torch */
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
