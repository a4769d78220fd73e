/* The dynamic program along one topological order. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_ORDER_SPLIT_H
#define WEIR_PARTITIONER_CONTIGUOUS_ORDER_SPLIT_H

#include "partitioner/blocks/split.h"

/* The best split along `order` with a value below `limit`.  *split is set when there is one. */
weir_status weir_order_split(const struct weir_split_problem *problem, const int *order, int64_t limit,
                             struct weir_split_table *table, struct weir_split *split);

#endif
