/* Stragglers: a rank that is slow, while the others are not.
 *
 * Every rank is compared with itself: its compute time in a step, waits excluded, over the median of its steps so far that were not slow.  A
 * schedule gives ranks different work, so comparing them with each other says nothing.  Where somebody has said how long each
 * rank should take, it is compared with that too: a rank that is slow from its first step on has no better past.  When the whole
 * machine is busy, or what was said is another machine's, all are slower: what counts is how much slower than the others.  A rank
 * straggles when that is more than 1.5 in 20 steps in a row, which together take 5 seconds or more: on a shared machine the
 * scheduler takes a core away for as long as some dozen short steps.
 *
 *     factor = (time / own median) / max(1, the same of the other ranks, in the middle)          and with the plan's time
 *                                                                                                 in place of the median
 *
 * One report for a rank, until it has been as fast as before for as many steps.  A rank alone is never over its plan: nobody waits
 * for it, and nobody says whether the machine is busy.  Memory is made once; a look allocates nothing. */
#ifndef WEIR_ENGINE_REPORT_STRAGGLER_H
#define WEIR_ENGINE_REPORT_STRAGGLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { WEIR_STRAGGLER_STEPS = 20 };

struct weir_stragglers; /* of all ranks */

struct weir_straggler {
    int rank;
    double factor;  /* the mean of those steps */
    bool over_plan; /* it is slower than planned; else than it was */
};

/* `planned_ns`, [n_ranks]: compute time of a step, by plan; NULL: not known.  WEIR_ERR_NOMEM. */
weir_status weir_stragglers_open(int n_ranks, const int64_t *planned_ns, struct weir_stragglers **stragglers_out);
void weir_stragglers_close(struct weir_stragglers *stragglers); /* NULL is fine */

/* Take the compute times [n_ranks] of a step that took `step_ns`.  true: the first of the ranks found now. */
bool weir_stragglers_look(struct weir_stragglers *stragglers, const int64_t *compute_ns, int64_t step_ns,
                          struct weir_straggler *found_out);

#endif
