/* The annealing walk behind partitioner/free/free_search.h, on one level of blocks. */
#ifndef WEIR_PARTITIONER_FREE_FREE_WALK_H
#define WEIR_PARTITIONER_FREE_FREE_WALK_H

#include "partitioner/free/dice.h"
#include "partitioner/contiguous/split.h"

/* Anneal on `small` (the problem's own blocks are not used), from `part` when given, else from chance, for `moves`
 * tries at a heat that falls from `hot`; loads are measured against `known`.  The best placement goes to
 * part_out[blocks of small], its value, WEIR_NEVER when none was valid, to value_out. */
weir_status weir_free_walk(const struct weir_split_problem *problem, const struct weir_blocks *small, const int *part,
                           int64_t known, int64_t moves, double hot, struct weir_dice *dice, int64_t bound,
                           int *part_out, int64_t *value_out);

#endif
