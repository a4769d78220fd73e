/* The order in which interleaved schedules visit chunks: groups of micro-batches go through the chunks in turn.
 *
 *     2 chunks, group of 3, 6 micro-batches:   chunk 0: 0 1 2, chunk 1: 0 1 2, chunk 0: 3 4 5, chunk 1: 3 4 5
 *
 * Backwards use the same table with the chunks the other way round. */
#ifndef WEIR_SCHEDULES_KINDS_INTERLEAVE_H
#define WEIR_SCHEDULES_KINDS_INTERLEAVE_H

#include "schedules/kinds/builder.h"

struct weir_interleave_op {
    int stage, mb;
};

struct weir_interleave {
    int p, v, m, group; /* micro-batches per group; the last one may be smaller */
};

/* The group of `params`: group_size when it is set, which no group may go below `least`, the last one neither (with
 * least = p Megatron's rules), else PyTorch's (rounds = max(1, m div p), m mod rounds = 0).  WEIR_ERR_INVALID names the
 * number to change. */
weir_status weir_interleave_open(const struct weir_schedule_params *params, int least, struct weir_interleave *out);

/* Entry `index` of the forward or backward table of `rank`. */
struct weir_interleave_op weir_interleave_at(const struct weir_interleave *table, int rank, size_t index,
                                             bool backward);

#endif
