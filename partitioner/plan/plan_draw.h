/* Plans for people: a drawing and a table. */
#ifndef WEIR_PARTITIONER_PLAN_PLAN_DRAW_H
#define WEIR_PARTITIONER_PLAN_PLAN_DRAW_H

#include "partitioner/plan/plan.h"

weir_status weir_plan_dot_write(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                struct weir_text *text);
weir_status weir_plan_explain_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                                    struct weir_text *text);

/* stage_out[node]: the part it is in, -1 for none; release with weir_free. */
weir_status weir_plan_stages_of_nodes(const struct weir_cost_graph *graph, const struct weir_plan *plan,
                                      int **stage_out);

#endif
