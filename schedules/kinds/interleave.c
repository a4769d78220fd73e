#include "schedules/kinds/interleave.h"

static weir_status group_given(const struct weir_schedule_params *params, int least, struct weir_interleave *table)
{
    int p = table->p, m = table->m, g = params->group_size;
    const char *half = least < p ? "half the " : "";
    if (g < least || g > m)
        return WEIR_FAIL(WEIR_ERR_INVALID, "group size is %d, it must be from %d (%sranks) to %d (micro-batches)", g,
                         least, half, m);
    if (m % g && m % g < least)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "%d micro-batches in groups of %d leave %d, fewer than %sthe %d ranks: use " WEIR_OPTION(
                             "microbatches=%d") " or another group size",
                         m, g, m % g, least < p ? "half " : "", p, m - m % g);
    table->group = g;
    return WEIR_OK;
}

weir_status weir_interleave_open(const struct weir_schedule_params *params, int least, struct weir_interleave *out)
{
    struct weir_interleave table = {.p = params->n_ranks, .v = params->n_chunks, .m = params->n_microbatches};
    weir_status status = WEIR_OK;
    int rounds = weir_int_max(1, table.m / table.p);
    table.group = table.m / rounds;
    if (params->group_size)
        status = group_given(params, least, &table);
    else if (table.m % rounds)
        status = WEIR_FAIL(WEIR_ERR_INVALID,
                           "%d micro-batches do not divide into %d rounds on %d ranks: use " WEIR_OPTION(
                               "microbatches=%d") " or " WEIR_OPTION("microbatches=%d"),
                           table.m, rounds, table.p, rounds * table.p, (rounds + 1) * table.p);
    if (!status)
        *out = table;
    return status;
}

struct weir_interleave_op weir_interleave_at(const struct weir_interleave *table, int rank, size_t index, bool backward)
{
    size_t per_group = (size_t)table->group * (size_t)table->v;
    int first = (int)(index / per_group) * table->group;
    int size = weir_int_min(table->group, table->m - first), within = (int)(index % per_group);
    int chunk = within / size;
    if (backward)
        chunk = table->v - 1 - chunk;
    return (struct weir_interleave_op){chunk * table->p + rank, first + within % size};
}
