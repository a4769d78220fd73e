#include "schedules/kinds/both_ends.h"

static weir_status bounds_check(const char *name, int p, int m)
{
    if (p % 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s needs an even number of ranks, not %d: use " WEIR_OPTION("ranks=%d"), name, p, p + 1);
    if (m % 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s needs an even number of micro-batches, not %d: use " WEIR_OPTION("microbatches=%d"),
                         name, m, m + 1);
    return WEIR_OK;
}

weir_status weir_both_ends_build(const char *name, const struct weir_schedule_params *params, weir_both_ends_fn rank_build,
                                 struct weir_arena *arena, struct weir_schedule *schedule_out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    struct weir_builder builder;
    weir_status status = bounds_check(name, p, m);
    if (!status)
        status = weir_builder_open(&builder, params, p, 2, 2 * (size_t)m, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++)
        rank_build(&builder, p, m / 2, r);
    weir_builder_close(&builder, schedule_out);
    return WEIR_OK;
}
