/* What an action holds while it runs and leaves behind, of the memory of its stage (simulate.h has the picture). */
#ifndef WEIR_SCHEDULES_SIMULATE_HELD_H
#define WEIR_SCHEDULES_SIMULATE_HELD_H

#include "include/weir/simulate.h"

struct weir_held {
    double during; /* beyond what was held before */
    double after;  /* change that stays */
};

/* `trainable`: the schedule has backwards, so that an F keeps something. */
struct weir_held weir_held_step(const struct weir_stage_costs *costs, unsigned type, bool trainable);

#endif
