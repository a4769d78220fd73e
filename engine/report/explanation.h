/* Why the ranks of a traced run waited, and what the simulator says to the same schedule at the costs that were measured.
 *
 * The file is a trace (trace.h) of weir train: its waits carry cause and peer, its other data the schedule.  Times are per
 * step; the first step, which warms up, is left out where there are more.
 *
 *     cause      input, gradient, input slot, gradient slot, ...    whose end was awaited last (engine/program/deps.h)
 *                fill                                               the same before the rank's first action: no schedule
 *                                                                   starts all ranks at once
 *                hand-over                                          nobody was awaited: taking up the next instruction
 *                step end                                           done, while other ranks were not */
#ifndef WEIR_ENGINE_REPORT_EXPLANATION_H
#define WEIR_ENGINE_REPORT_EXPLANATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* One cause and peer of a rank. */
struct weir_wait_row {
    int rank; /* of all replicas */
    const char *cause;
    int peer; /* -1: none */
    double times;                /* a step */
    double wait_ms, way_ms;      /* a step: until the awaited instruction had ended, and the way from there */
    double simulated_ms;         /* a step, both together; negative: the simulator has no such cause */
};

struct weir_explanation {
    int n_ranks, n_replicas; /* n_ranks: of all replicas */
    int64_t first_step, n_steps;
    double step_ms, simulated_step_ms;
    const double *busy_ms; /* [n_ranks] */
    int n_rows;
    const struct weir_wait_row *rows; /* by rank, the longest first */
};

#ifdef __cplusplus
extern "C" {
#endif

/* All memory is the arena's.  WEIR_ERR_IO, WEIR_ERR_INVALID: no such file, or no trace of weir train (schedules/io/trace_file.h). */
weir_status weir_explanation_load(const char *path, struct weir_arena *arena, struct weir_explanation *out);

#ifdef __cplusplus
}
#endif

#endif
