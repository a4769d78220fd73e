/* Why a rank stands still in a simulation: the same words as a run's (include/weir/report.h), so that both can stand side by
 * side.
 *
 *     rank 0   [      0F3      ]
 *     rank 1   [1B0]            ├─────────┼───────┼──────┤[1F3]      cause "input", peer 0
 *                               start     made     ╰ held ╯ end      until made for 0F3, then its way, and what it would have come
 *                                                                    earlier if the edge or a slot had been free (held_by) */
#ifndef WEIR_SCHEDULES_SIMULATE_SIMULATED_WAITS_H
#define WEIR_SCHEDULES_SIMULATE_SIMULATED_WAITS_H

#include "include/weir/simulate.h"

struct weir_simulated_wait {
    int rank;
    struct weir_action action; /* what comes after the wait, or hands its result over behind it; type WEIR_ACTION_TYPES: the optimizer,
                                  on all ranks together */
    const char *cause;         /* "input", "gradient"; "input slot", "gradient slot": of the peer, for the result; "norm" before the
                                  optimizer; under blocking "send" and "receive" of others */
    int peer;                  /* the rank that was awaited, or -1 */
    struct weir_action awaited; /* with an input or a gradient: the F, I or B that made it; with a slot of type WEIR_ACTION_TYPES */
    double start, made, end;
    double held;         /* the last part of it */
    const char *held_by; /* as of the transfer (simulate.h); NULL: nothing */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Of a simulation with keep_times; by rank and time, in `arena`. */
weir_status weir_simulation_waits(const struct weir_simulation *simulation, struct weir_arena *arena,
                                  const struct weir_simulated_wait **waits_out, size_t *n_out);

#ifdef __cplusplus
}
#endif

#endif
