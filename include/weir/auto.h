/* A schedule made for given costs, under a bound on memory.
 *
 * A published schedule fits the costs that its authors had in mind.  Here the costs are given, and the order follows:
 *
 *     pool      every single-copy schedule of the size that fits the cap
 *     merge     the forwards and input gradients of each, put together anew by the clock of the costs
 *     improve   the best of these, changed where its critical path leads, as long as that pays
 *
 *     struct weir_auto_request request = {.n_ranks = 4, .n_microbatches = 16, .costs = &costs, .memory_cap = 4};
 *     struct weir_auto_result made;
 *     status = weir_schedule_auto(&request, &arena, &made);         made.schedule; made.value, at least made.bound
 *
 * What comes out is never worse than the pool, because the pool takes part.  It is the same on every machine: work is
 * counted, time is not measured.  Weight gradients of a stage are added up in ascending order, as in every other kind.
 *
 * Boundaries past a stage are part of every schedule that is timed; orders come from the hand-over to the next stage, which each must
 * have.  The lower bound holds for every schedule with the pool's ways to deal out stages (rank = stage mod p, and a V):
 *
 *     filling   a rank starts when its first input can be there, and works without a pause from then on
 *     memory    before its first input gradient can be there, a rank runs no more forwards than its cap holds
 *
 * Pure: no device, no threads; all memory comes from the arena. */
#ifndef WEIR_AUTO_H
#define WEIR_AUTO_H

#include <stddef.h>

#include "simulate.h"

enum weir_auto_objective {
    WEIR_AUTO_MAKESPAN, /* the optimizer starts on all ranks together */
    WEIR_AUTO_SPAN,     /* the longest time from a rank's first start to its last end */
};

struct weir_auto_request {
    int n_ranks, n_chunks, n_microbatches;   /* n_chunks 0: 1 */
    const struct weir_schedule_costs *costs; /* mem_backward and mem_weight are what the cap counts */
    enum weir_auto_objective objective;
    double memory_cap;        /* of each rank, in the unit of the costs' memory; 0: none */
    const double *memory_caps; /* [n_ranks], or NULL: memory_cap */
    const struct weir_schedule_boundary *boundaries; /* [n_boundaries] of a model with branches, as a schedule has them; NULL: every stage
                                                        to the next */
    int n_boundaries;
};

struct weir_auto_result {
    struct weir_schedule schedule;
    double value;                         /* makespan, or span as a time */
    double bound;                         /* no schedule is faster */
    const struct weir_schedule_kind *best; /* of the pool; NULL: none fits the cap */
    double best_value;                    /* what it takes */
    int best_group;                       /* its group size, 0: its default */
    size_t n_tried;                       /* schedules that were timed */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The objective called "makespan" or "span".  WEIR_ERR_USAGE, with a suggestion. */
weir_status weir_auto_objective_find(const char *name, enum weir_auto_objective *objective_out);

/* Make a schedule for the request; everything of the result lives in `arena`, but the boundaries it has, which are the request's.
 * WEIR_ERR_INVALID: numbers out of range, costs that do not fit the size, or a cap under which no schedule was found; the message says
 * how many times as much the leanest holds.  WEIR_ERR_UNSUPPORTED: a stage that does not hand to the next, for which the bound would
 * not hold. */
weir_status weir_schedule_auto_sized(const struct weir_auto_request *request, size_t request_bytes, struct weir_arena *arena,
                                     struct weir_auto_result *result_out, size_t result_bytes);
static inline weir_status weir_schedule_auto(const struct weir_auto_request *request, struct weir_arena *arena,
                                             struct weir_auto_result *result_out)
{
    return weir_schedule_auto_sized(request, sizeof *request, arena, result_out, sizeof *result_out);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
