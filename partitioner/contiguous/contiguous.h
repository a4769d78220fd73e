/* Contiguous plans for one or many device counts: bounds, first answers, then proof.
 *
 * Device counts are taken from the largest down, because an optimum for k + 1 devices is a lower bound for k.  For
 * each, the order-based search gives a plan; when it does not meet the bound, the exact search looks for a better one
 * below a limit that starts near the bound and rises to the plan's value, since a small limit makes it quick. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_CONTIGUOUS_H
#define WEIR_PARTITIONER_CONTIGUOUS_CONTIGUOUS_H

#include "partitioner/blocks/split.h"

struct weir_contiguous_job {
    const struct weir_blocks *blocks; /* built for contiguous plans */
    int first, last;                  /* device counts, ascending */
    int cpus;
    int64_t memory;
    uint64_t seed;
    int64_t start_ns;
    double seconds; /* 0: a default */
    bool unhurried; /* seconds say how much work there is; no clock ends it */
};

struct weir_contiguous_answer {
    struct weir_split split;
    int64_t bound; /* ticks; no plan is below.  WEIR_NEVER: there is none at all */
};

/* answers_out[i] is for job->first + i devices; splits live in `arena`.  *downsets_out: how many there are, 0 when they
 * were not counted. */
weir_status weir_contiguous_solve(const struct weir_contiguous_job *job, struct weir_arena *arena,
                                  struct weir_contiguous_answer *answers_out, int64_t *downsets_out);

#endif
