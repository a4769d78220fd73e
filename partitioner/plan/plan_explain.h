/* Plans for people: a table of where the time of every part goes, and why its border is where it is. */
#ifndef WEIR_PARTITIONER_PLAN_PLAN_EXPLAIN_H
#define WEIR_PARTITIONER_PLAN_PLAN_EXPLAIN_H

#include "partitioner/plan/plan_solve.h"

weir_status weir_plan_explain_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                                    struct weir_text *text);

#endif
