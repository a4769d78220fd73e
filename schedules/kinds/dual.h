/* The eight steps that dualpipe and dualpipev share.
 *
 * A rank has two chunks: 0 near the entry of its micro-batches and 1 near their loss.  `half` is the length of the run
 * from the entry to the turning point and `depth` the rank's place on it, 0 at the entry.
 *
 *     1  2(half-depth-1) × F0          5  (half-depth-1) × [B1, F1&B0]
 *     2  (depth+1) × [F0 F1]           6  (depth+1) × [B1 B0], the second half as I
 *     3  (half-depth-1) × [I1 W F1]    7  (half-depth-1) × [W I0]
 *     4  (n-2half+depth+1) × [F0&B1, F1&B0]   8  (depth+1) × W
 *
 * & is an OVERLAP_F_B; W takes the oldest I whose W is missing. */
#ifndef WEIR_SCHEDULES_KINDS_DUAL_H
#define WEIR_SCHEDULES_KINDS_DUAL_H

#include "schedules/kinds/builder.h"

struct weir_dual_rank {
    struct weir_builder *builder;
    int rank, half, depth;
    int n;        /* micro-batches per direction */
    int stage[2]; /* of chunk 0 and 1 */
    int first[2]; /* first micro-batch of chunk 0 and 1 */
};

/* Append the list of one rank.  `queue` has room for 2n entries. */
void weir_dual_rank_build(const struct weir_dual_rank *rank, struct weir_action *queue);

#endif
