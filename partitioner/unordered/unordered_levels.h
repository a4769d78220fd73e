/* Coarser levels of a placement problem. */
#ifndef WEIR_PARTITIONER_UNORDERED_UNORDERED_LEVELS_H
#define WEIR_PARTITIONER_UNORDERED_UNORDERED_LEVELS_H

#include "partitioner/blocks/blocks.h"
#include "partitioner/blocks/dice.h"

/* Join the blocks of nets that no plan better than `limit` can cut: whoever touches one and does not hold it whole has
 * reached the limit already. */
weir_status weir_unordered_uncuttable_join(const struct weir_blocks *blocks, int64_t limit, struct weir_arena *arena,
                                      struct weir_blocks *out);

/* Join the blocks of dear nets with few blocks until about `target` groups are left; dice vary the order, groups stay
 * below `most` ticks. */
weir_status weir_unordered_dear_nets_join(const struct weir_blocks *blocks, int target, int64_t most,
                                          struct weir_dice *dice, struct weir_arena *arena, struct weir_blocks *out);

#endif
