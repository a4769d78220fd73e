/* Why a rank stood still in the last run: the dependencies of the program, with the times of the instructions. */
#ifndef WEIR_ENGINE_RUN_WAITS_H
#define WEIR_ENGINE_RUN_WAITS_H

#include "include/weir/report.h"
#include "engine/run/runner.h"

/* Fill at most `room` entries, by rank and time, and return how many there are: at most one before every instruction and one
 * after the last of every rank.  Times of all ranks must be there (weir_run_times_gather). */
size_t weir_run_waits(const struct weir_run *run, struct weir_step_wait *waits_out, size_t room);

#endif
