/* Kinds with two copies of the weights whose micro-batches enter at both ends of the pipeline, half of them at each. */
#ifndef WEIR_SCHEDULES_KINDS_BOTH_ENDS_H
#define WEIR_SCHEDULES_KINDS_BOTH_ENDS_H

#include "schedules/kinds/builder.h"

/* Adds the actions of rank r of p; n micro-batches enter at each end. */
typedef void (*weir_both_ends_fn)(struct weir_builder *builder, int p, int n, int r);

/* Every rank in turn.  WEIR_ERR_INVALID with the number to change where ranks or micro-batches are odd; `name` is the kind's. */
weir_status weir_both_ends_build(const char *name, const struct weir_schedule_params *params, weir_both_ends_fn rank_build,
                                 struct weir_arena *arena, struct weir_schedule *schedule_out);

#endif
