/* Random valid schedules for tests.
 *
 * A schedule is made by letting data flow: at every moment one rank takes one action whose needs are met, so the order in
 * which actions were taken proves that the lists can run.  Slots count as needs too: a forward waits while the next
 * stage's slots are full, a backward while the previous stage's two gradient slots are (engine/program/program.h), so a
 * schedule made with `slots` must be accepted by check and compiler; one made without may wait in a circle. */
#ifndef WEIR_TESTS_RANDOM_SCHEDULE_H
#define WEIR_TESTS_RANDOM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "include/weir/schedule.h"

struct random_schedule_params {
    int n_ranks, n_stages, n_microbatches; /* n_ranks <= n_stages */
    bool slots;                            /* respect the slots of the engine */
    bool ascending;                        /* every pass of every stage takes its micro-batches in ascending order */
};

/* A number in [0, n) that depends on *state, which moves on. */
int random_below(uint64_t *state, int n);

/* Every rank holds a stage at least, placed at random; every backward is a B or an I and a W, at random. */
void random_schedule_build(const struct random_schedule_params *params, uint64_t seed, struct weir_arena *arena,
                           struct weir_schedule *out);

/* The same schedule with a REDUCE_GRAD of some stages, each at a random place after the stage's last W or B. */
void random_reductions_add(struct weir_schedule *schedule, uint64_t *random, struct weir_arena *arena);

#endif
