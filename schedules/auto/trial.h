/* Trial: time a schedule under a request, and keep the best one seen. */
#ifndef WEIR_SCHEDULES_AUTO_TRIAL_H
#define WEIR_SCHEDULES_AUTO_TRIAL_H

#include "include/weir/auto.h"

struct weir_trial {
    const struct weir_auto_request *request;
    const double *caps;          /* [n_ranks]; infinity: none */
    double bound;                /* a schedule that is as fast ends the search */
    struct weir_arena best_arena; /* of `best` */
    struct weir_schedule best;   /* n_ranks 0: none yet */
    double value;                /* of the best */
    double least_over;           /* the smallest part by which a schedule was over the cap */
    size_t n_tried;
};

/* Run `schedule` with the request's costs.  *value_out: its makespan or span, infinity when it cannot run or is over the
 * cap.  The simulation, with path and times, lives in `arena`.  WEIR_ERR_NOMEM, or costs that do not fit. */
weir_status weir_trial_time(struct weir_trial *trial, const struct weir_schedule *schedule, struct weir_arena *arena,
                            struct weir_simulation *simulation_out, double *value_out);

/* Time `schedule`, and keep a copy when it is the best so far. */
weir_status weir_trial_offer(struct weir_trial *trial, const struct weir_schedule *schedule, double *value_out);

/* A copy of `schedule` in `arena`; lists_out, if not NULL: its lists, [n_ranks], to be changed. */
weir_status weir_trial_copy(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_schedule *out,
                            struct weir_action *const **lists_out);

void weir_trial_release(struct weir_trial *trial);

#endif
