/* weir launch, going on without hosts that are gone: which are left, and the same command on fewer ranks.
 *
 *     h1:2,h2:2  --stages 4                  h2 is gone   h1:2  --stages 2
 *     h1:2,h2:2  --stages 2 --replicas 2     h2 is gone   h1:2  --stages 2 --replicas 1
 *
 * Whole replicas go first; when not even one is left its pipeline becomes shorter.  Whether the model fits there is the command's
 * to find. */
#ifndef WEIR_CMD_LAUNCH_SHRINK_H
#define WEIR_CMD_LAUNCH_SHRINK_H

#include "base/text.h"
#include "cmd/launch.h"

/* What a smaller run needs. */
struct launch_smaller {
    struct weir_text hosts; /* its list; the caller releases it */
    int n_ranks;
    char words[3][32]; /* options with other values */
};

/* After a run: the hosts of its list that still answered, appended to `left`, and how many ranks they hold; 0 when none is gone, or
 * all are, which is mpirun's end and not theirs. */
weir_status launch_hosts_left(const struct launch_run *run, struct weir_text *left, int *n_out);

/* Change --stages, --ranks and --replicas among `words` (NULL at the end) to smaller->n_ranks ranks, of which some may be left
 * over: n_ranks becomes what is used.  WEIR_ERR_UNSUPPORTED: a layout that says nothing of these. */
weir_status launch_words_shrink(char **words, int n_before, struct launch_smaller *smaller);

#endif
