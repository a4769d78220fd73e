/* Plans drawn: a graph of nodes for Graphviz, coloured by part, with the cut edges in red. */
#ifndef WEIR_PARTITIONER_PLAN_PLAN_DRAW_H
#define WEIR_PARTITIONER_PLAN_PLAN_DRAW_H

#include "partitioner/plan/plan_solve.h"

weir_status weir_plan_dot_write(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                struct weir_text *text);

#endif
