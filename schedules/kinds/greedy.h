/* A list scheduler for schedules that are defined by a rule instead of a table.
 *
 * Time goes in ticks: a forward takes one, a backward two.  A rank that is free takes the ready backward of the oldest
 * micro-batch, else the ready forward of the latest chunk.  A new micro-batch is let in only while fewer than
 * `admitted` are between their first forward and their last backward.  Since nothing else is ever held back, it always
 * comes to an end. */
#ifndef WEIR_SCHEDULES_KINDS_GREEDY_H
#define WEIR_SCHEDULES_KINDS_GREEDY_H

#include "schedules/kinds/builder.h"

struct weir_greedy {
    int n_stages, n_microbatches;
    const int *rank; /* [n_stages]: who holds the stage */
    int admitted;
};

/* Append the lists of all ranks.  WEIR_ERR_NOMEM. */
weir_status weir_greedy_run(const struct weir_greedy *greedy, struct weir_builder *builder);

#endif
