/* Simulated annealing of a split, block by block, with exact loads.
 *
 * A walk starts from a placement and tries one change after the other: a block goes to another part, or two blocks
 * change places.  Changes for the better are taken; changes for the worse are taken with a probability that falls with
 * the heat, which itself falls from `hot` to `cold`.  The best placement ever seen is the result.
 *
 * The same moves for the same seed give the same walk: the clock only stops a machine that is far too slow. */
#ifndef WEIR_PARTITIONER_BLOCKS_ANNEAL_H
#define WEIR_PARTITIONER_BLOCKS_ANNEAL_H

#include "partitioner/blocks/dice.h"
#include "partitioner/blocks/split.h"

struct weir_anneal {
    const struct weir_split_problem *problem; /* blocks, parts, memory cap, deadline */
    bool ordered;    /* blocks move between neighbouring parts only, never past a predecessor or a successor */
    int64_t scale;   /* ticks: the load that counts as 1 in the energy */
    int64_t moves;   /* tries */
    double hot, cold; /* heat of the first and of the last try, in the unit of the energy */
    int64_t bound;   /* ticks: a value as small ends the walk */
};

/* From `part` (one entry per block; NULL: from chance) to the best placement found, best_part_out, which may be `part`.
 * *value_out is its value in ticks, WEIR_NEVER when no valid one was met.  An ordered walk needs a contiguous `part`
 * and a problem without CPUs.  WEIR_ERR_NOMEM. */
weir_status weir_anneal(const struct weir_anneal *walk, const int *part, struct weir_dice *dice, int *best_part_out,
                        int64_t *value_out);

#endif
