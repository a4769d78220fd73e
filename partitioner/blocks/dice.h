/* A stream of random words for the searches: Philox blocks of one key in order, so that a seed means one walk. */
#ifndef WEIR_PARTITIONER_BLOCKS_DICE_H
#define WEIR_PARTITIONER_BLOCKS_DICE_H

#include "base/rng.h"

struct weir_dice {
    uint64_t key, count;
    struct weir_rng_block block;
};

static inline uint32_t weir_dice_word(struct weir_dice *dice)
{
    if ((dice->count & 3) == 0)
        dice->block = weir_rng_philox(dice->key, (uint32_t)(dice->count >> 2), (uint32_t)(dice->count >> 34), 3, 0);
    return dice->block.v[dice->count++ & 3];
}

static inline int weir_dice_below(struct weir_dice *dice, int n)
{
    return (int)((uint64_t)weir_dice_word(dice) * (uint64_t)n >> 32);
}

#endif
