/* A time that no schedule of a request can beat, by what each rank has to wait for (auto.h has the idea).
 *
 *     rank r   │ fills until its first I can be there │ busy without a pause │ what follows its last I elsewhere │
 *
 * Before its first I a rank runs nothing but forwards, all of which it holds; after its last I nothing but the W that it
 * has held back.  What its cap does not hold is time in which it waits. */
#ifndef WEIR_SCHEDULES_AUTO_BOUND_H
#define WEIR_SCHEDULES_AUTO_BOUND_H

#include "include/weir/auto.h"

/* The bound when stage s stands on rank stage_rank[s]. */
double weir_auto_bound(const struct weir_auto_request *request, const double *caps, const int *stage_rank,
                       int n_stages);

/* What a transfer from rank `from` to rank `to` takes. */
double weir_auto_transfer(const struct weir_schedule_costs *costs, int from, int to);

#endif
