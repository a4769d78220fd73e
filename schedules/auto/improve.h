/* Improve: change a schedule where its critical path leads.
 *
 * Only a change on the critical path can shorten a schedule.  Two kinds are tried, at a place drawn by a counter-based
 * generator: an action on the path changes places with the one before it on its rank, or a W moves to another place of
 * the list, out of the way of what others wait for or into a gap.
 *
 *     r0   F5 W1 I2 .. F6            W1 stands in the way of I2, whose gradient rank 1 needs
 *     r0   F5 I2 W1 .. F6
 *
 * A change is kept when the schedule is no worse than it was a number of changes ago (late acceptance), so that the
 * search leaves a plateau; the best one ever seen is what comes out. */
#ifndef WEIR_SCHEDULES_AUTO_IMPROVE_H
#define WEIR_SCHEDULES_AUTO_IMPROVE_H

#include "schedules/auto/trial.h"

/* Improve `trial` with at most `n_steps` timed changes; ends early at its bound.  WEIR_ERR_NOMEM. */
weir_status weir_improve_run(struct weir_trial *trial, size_t n_steps);

#endif
