/* The exact contiguous solver: a path search over downsets.
 *
 * The dynamic program is that of dnn-partitioning (Tarnawski et al., "Efficient algorithms for device placement of DNN
 * graph operators", NeurIPS 2020).  What differs is that no pair of downsets is ever stored and that hardly any is
 * visited: from a downset a search adds blocks one at a time, keeps the part's load up to date, and turns back as soon
 * as the settled load reaches the limit; downsets from which the rest cannot fit below the limit are not started from,
 * nor those that another one dominates. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_EXACT_H
#define WEIR_PARTITIONER_CONTIGUOUS_EXACT_H

#include "partitioner/blocks/split.h"
#include "partitioner/contiguous/downset.h"

/* Find the best split with a value below `limit` (ticks), where none is known to be below `bound`.  *split is set when
 * there is one and untouched otherwise; *complete_out is false when the deadline came first, and then *split may be
 * good but is not proven.  `table` is kept between calls for its memory. */
weir_status weir_exact_search(const struct weir_split_problem *problem, const struct weir_downsets *downsets,
                              int64_t bound, int64_t limit, struct weir_split_table *table, struct weir_split *split,
                              bool *complete_out);

#endif
