#include "partitioner/piper.h"

weir_status weir_piper_solve(const struct weir_cost_graph *graph, const struct weir_plan_options *options, int first, int last,
                             struct weir_arena *arena, struct weir_plan *plans_out)
{
    (void)graph, (void)options, (void)first, (void)last, (void)arena, (void)plans_out;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "x");
}
