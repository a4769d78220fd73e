/* Ranks that stand still though nothing keeps them.
 *
 * The pulse watches calls.  A thread may also get lost between them: in a wait whose end has come, in a library.  Then no call is
 * under way, its process lives, and the others wait for ever.
 *
 *     rank 3 has ended 3B0, what 3F1 awaits has been there for --timeout, and 3F1 has not begun     rank 3 is stuck
 *     rank 2 waits in 2B1 for 3B1                                                                   rank 2 is not
 *
 * What a rank awaits, and whether it is there, is known from the program and the flights of the others (deps.h, flight.h).
 * Evaluations are not looked at: several may have the same step, so that a flight does not tell them apart.
 *
 * Threads: the one that waits for the ranks. */
#ifndef WEIR_ENGINE_RUN_STANDING_H
#define WEIR_ENGINE_RUN_STANDING_H

#include <stdint.h>

#include "base/status.h"

struct weir_runner;

/* Of a worker of this process. */
struct weir_standing {
    uint32_t n;        /* entries of its flight, when they were seen to change */
    int64_t since_ns;  /* since when it is seen to stand, and nothing to keep it */
};

/* For weir_runner_open(). WEIR_ERR_NOMEM. */
weir_status weir_standing_open(struct weir_runner *runner);

/* Now and then while a run is waited for, which was issued by then.  The pulse has the verdict. */
void weir_standing_look(struct weir_runner *runner);

#endif
