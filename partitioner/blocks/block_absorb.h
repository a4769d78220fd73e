/* Joins that cannot make a plan worse.
 *
 * Let block v have no time (and no memory that could bind), let B be the cost of the nets that v shares with block u
 * alone and O the cost of its other nets.  If O ≤ B, some best plan has v in u's part: move it there, and both parts
 * concerned stop paying B and begin to pay at most O.  The move keeps a plan contiguous when u is v's only predecessor
 * or its only successor.  In profiles such blocks are additions, reshapes and views; without them there are far fewer
 * downsets. */
#ifndef WEIR_PARTITIONER_BLOCKS_BLOCK_ABSORB_H
#define WEIR_PARTITIONER_BLOCKS_BLOCK_ABSORB_H

#include "partitioner/blocks/blocks.h"

/* Choose joins that do not touch each other's nets and fill group_out[blocks] with new numbers 0..n-1, ascending in the
 * smallest block.  Returns n; blocks->n when there is nothing to join, -1 when memory is short. */
int weir_blocks_absorb(const struct weir_blocks *blocks, const struct weir_blocks_purpose *purpose, int *group_out);

#endif
