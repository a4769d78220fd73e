/* Which process plays which part: the two orders of counting. */
#include "engine/device/placement/placement.h"

#include <string.h>

#include "base/text.h"

static const char *const order_names[] = {"cluster", "spread", NULL};

weir_status weir_placement_order_find(const char *name, enum weir_placement_order *order_out)
{
    for (int i = 0; order_names[i]; i++)
        if (!strcmp(name, order_names[i])) {
            *order_out = (enum weir_placement_order)i;
            return WEIR_OK;
        }
    return weir_unknown("placement", name, order_names);
}

const char *weir_placement_order_str(enum weir_placement_order order)
{
    return order_names[order];
}

weir_status weir_placement_grid_check(const struct weir_placement_grid *grid, int n_processes)
{
    if (grid->n_ranks < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "a pipeline of %d ranks was asked for, it has at least 1", grid->n_ranks);
    if (grid->n_replicas < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "replica count is %d, it must be at least 1", grid->n_replicas);
    int64_t wanted = (int64_t)grid->n_ranks * grid->n_replicas;
    if (wanted != n_processes)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "%d replica%s of %d rank%s need%s %lld processes, %d were started: start %lld, or change "
                         WEIR_OPTION("replicas") " or " WEIR_OPTION("stages"),
                         grid->n_replicas, grid->n_replicas == 1 ? "" : "s", grid->n_ranks, grid->n_ranks == 1 ? "" : "s",
                         grid->n_replicas == 1 ? "s" : "", (long long)wanted, n_processes, (long long)wanted);
    return WEIR_OK;
}

struct weir_seat weir_placement_place(const struct weir_placement_grid *grid, int world_rank)
{
    if (grid->order == WEIR_PLACEMENT_CLUSTER)
        return (struct weir_seat){.replica = world_rank / grid->n_ranks, .rank = world_rank % grid->n_ranks};
    return (struct weir_seat){.replica = world_rank % grid->n_replicas, .rank = world_rank / grid->n_replicas};
}

int weir_placement_world_rank(const struct weir_placement_grid *grid, struct weir_seat place)
{
    if (grid->order == WEIR_PLACEMENT_CLUSTER)
        return place.replica * grid->n_ranks + place.rank;
    return place.rank * grid->n_replicas + place.replica;
}
