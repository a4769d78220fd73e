/* Merge: the forwards and input gradients of one schedule, put together anew by the clock.
 *
 * Every rank keeps two queues, its forwards and its backwards in the order of a given schedule, and a third one of the
 * weight gradients whose input gradient is done.  Or it is free to choose: of its chunks it takes the forward that is
 * there of the last one, and the gradient of the oldest micro-batch, and lets a new micro-batch in only while fewer than
 * `admitted` have not come back.  A rank that is idle at time t takes
 *
 *     I    when it is there, or comes within `patience` of it
 *     F    when it is there, memory holds it and no more than `hold` W are waiting
 *     W    when neither can run, and all but `overrun` of it fits before the next arrival that is known
 *
 *        t ──▶ │ F │ I │ F │ I │  gap: W fits  │ I │
 *
 * The times are the costs', with transfers that wait for nothing; what comes out is lists, and the simulator says what
 * they really take. */
#ifndef WEIR_SCHEDULES_AUTO_MERGE_H
#define WEIR_SCHEDULES_AUTO_MERGE_H

#include "include/weir/auto.h"

struct weir_merge_rule {
    double patience;    /* in forwards: how long a rank waits for an I instead of starting an F */
    double first;       /* the same for its first I, which all ranks below wait for */
    double overrun;     /* the part of a W that may stick out of a gap */
    double hold, slope; /* while it has an F left, rank r lets hold + slope · r W wait */
    bool follow;        /* up to its last F a rank does what the given order says; the rest decides as above */
    int admitted;       /* 0: the order of the given schedule; else chunks are chosen by what is there */
    double ahead;       /* forwards without their I beyond what the given order has at most */
};

struct weir_merge {
    const struct weir_schedule *order; /* whose forwards and backwards */
    const struct weir_auto_request *request;
    const double *caps; /* [n_ranks] */
    struct weir_merge_rule rule;
};

/* The merged lists, in `arena`.  *done_out is false when they do not come to an end under the cap.  WEIR_ERR_NOMEM. */
weir_status weir_merge_run(const struct weir_merge *merge, struct weir_arena *arena, struct weir_schedule *out,
                           bool *done_out);

#endif
