#include "schedules/check/flow.h"

#include <math.h>

#include "base/integers.h"
#include "base/large.h"

static weir_status cells_open(struct weir_flow *flow, struct weir_arena *arena)
{
    size_t n = flow->scan->n_cells;
    for (int d = 0; d < 2; d++) {
        weir_status status = weir_large_alloc(arena, n, sizeof *flow->cells[d], &flow->cells[d]);
        if (status)
            return status;
        for (size_t i = 0; i < n; i++)
            flow->cells[d][i] = INFINITY;
    }
    return WEIR_OK;
}

static weir_status units_open(struct weir_flow *flow, struct weir_arena *arena)
{
    int n = flow->scan->n_rows * flow->scan->schedule->n_copies;
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *flow->units, &flow->units);
    for (int u = 0; !status && u < n; u++)
        for (int d = 0; !status && d < 2; d++) {
            struct weir_flow_unit *unit = &flow->units[u];
            unit->blocked[d] = -1;
            const struct weir_scan_unit *info = &flow->scan->units[u];
            unit->remote[d] = info->feeder[d] >= 0 && info->feeder[d] != info->rank;
            unit->slots[d] = unit->free[d] = info->slots[d];
            unit->newest[d] = info->slots[d] % weir_int_max(1, weir_flow_room(flow, info->slots[d]));
            status = weir_arena_alloc(arena, (size_t)weir_flow_room(flow, info->slots[d]), sizeof *unit->released[d], &unit->released[d]);
        }
    return status;
}

weir_status weir_flow_open(struct weir_flow *flow, enum weir_channels model, const struct weir_scan *scan,
                           const struct weir_schedule_edges *edges, bool grows, struct weir_arena *arena)
{
    size_t p = (size_t)scan->schedule->n_ranks;
    *flow = (struct weir_flow){.scan = scan, .edges = edges, .model = model, .costs = {.overlap_gain = 1}, .growth = grows ? arena : NULL};
    weir_status status = cells_open(flow, arena);
    if (!status)
        status = units_open(flow, arena);
    if (!status)
        status = weir_arena_alloc(arena, p, sizeof *flow->ranks, &flow->ranks);
    if (!status)
        status = weir_arena_alloc(arena, p, sizeof *flow->ready, &flow->ready);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)edges->n_edges, sizeof *flow->channels, &flow->channels);
    if (status)
        return status;
    for (size_t r = 0; r < p; r++)
        flow->ranks[r].first = -1;
    for (int e = 0; e < edges->n_edges; e++)
        flow->channels[e] = (struct weir_flow_edge){
            .messages = edges->edges[e].messages, .n_messages = edges->edges[e].n_messages, .to = edges->edges[e].to};
    return WEIR_OK;
}

/* When the ring is full it is laid out anew, those that are free first. */
weir_status weir_flow_slot_add(struct weir_flow *flow, struct weir_flow_unit *unit, enum weir_direction d)
{
    int room = weir_flow_room(flow, unit->slots[d]);
    double *released;
    if (unit->slots[d]++ < room)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(flow->growth, 2 * (size_t)room, sizeof *released, &released);
    for (int i = 0; i < unit->free[d] && !status; i++)
        released[i] = unit->released[d][(unit->oldest[d] + i) % room];
    if (status)
        return status;
    unit->released[d] = released;
    unit->oldest[d] = 0;
    unit->newest[d] = unit->free[d];
    return WEIR_OK;
}
