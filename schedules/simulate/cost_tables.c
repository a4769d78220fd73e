#include "schedules/simulate/cost_tables.h"

#include <math.h>

static bool is_cost(double value)
{
    return isfinite(value) && value >= 0;
}

weir_status weir_costs_check(const struct weir_schedule_costs *costs, const struct weir_schedule *schedule)
{
    if (costs->stages && costs->n_stages != schedule->n_stages)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the costs have %d stages, the schedule has %d", costs->n_stages,
                         schedule->n_stages);
    if (!is_cost(costs->forward) || !is_cost(costs->input) || !is_cost(costs->weight) || !is_cost(costs->transfer) ||
        !is_cost(costs->reduce) || !is_cost(costs->optimizer) || !is_cost(costs->overlap_gain) ||
        !is_cost(costs->reduce_latency) || !is_cost(costs->reduce_bandwidth) || !is_cost(costs->bucket_bytes) ||
        !is_cost(costs->param_bytes) || !is_cost(costs->grad_bytes) || !is_cost(costs->optimizer_bytes))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a cost is negative or not a number");
    for (int s = 0; costs->stages && s < costs->n_stages; s++) {
        const struct weir_stage_costs *c = &costs->stages[s];
        if (!is_cost(c->forward) || !is_cost(c->input) || !is_cost(c->weight) || !is_cost(c->param_bytes) ||
            !is_cost(c->grad_bytes) || !is_cost(c->optimizer_bytes))
            return WEIR_FAIL(WEIR_ERR_INVALID, "a cost of stage %d is negative or not a number", s);
    }
    for (int e = 0; e < costs->n_edges; e++) {
        const struct weir_edge_costs *c = &costs->edges[e];
        if (c->from < 0 || c->from >= schedule->n_ranks || c->to < 0 || c->to >= schedule->n_ranks)
            return WEIR_FAIL(WEIR_ERR_INVALID, "costs of the edge from rank %d to rank %d: ranks are 0 to %d", c->from,
                             c->to, schedule->n_ranks - 1);
        if (!is_cost(c->latency) || !is_cost(c->bytes) || !is_cost(c->bandwidth))
            return WEIR_FAIL(WEIR_ERR_INVALID, "a cost of the edge from rank %d to rank %d is negative or not a number",
                             c->from, c->to);
    }
    return WEIR_OK;
}

struct weir_stage_costs weir_costs_stage(const struct weir_schedule_costs *costs, int stage)
{
    if (costs->stages)
        return costs->stages[stage];
    return (struct weir_stage_costs){costs->forward,    costs->input,       costs->weight,     costs->mem_backward,
                                     costs->mem_weight, costs->param_bytes, costs->grad_bytes, costs->optimizer_bytes};
}

double weir_costs_phase_time(const struct weir_schedule_costs *costs, double bytes, int n_replicas)
{
    if (n_replicas < 2 || bytes <= 0)
        return 0;
    double n_buckets = costs->bucket_bytes > 0 ? ceil(bytes / costs->bucket_bytes) : 1;
    double others = (double)(n_replicas - 1) / n_replicas;
    return n_buckets * costs->reduce_latency +
           (costs->reduce_bandwidth > 0 ? others * bytes / costs->reduce_bandwidth : 0);
}

static weir_status type_table(const struct weir_schedule_costs *costs, int n_stages, struct weir_arena *arena,
                              const double **table_out)
{
    double *table;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, 4 * sizeof *table, &table);
    if (status)
        return status;
    for (int s = 0; s < n_stages; s++) {
        struct weir_stage_costs c = weir_costs_stage(costs, s);
        table[4 * s + WEIR_F] = c.forward;
        table[4 * s + WEIR_I] = c.input;
        table[4 * s + WEIR_W] = c.weight;
        table[4 * s + WEIR_B] = c.input + c.weight;
    }
    *table_out = table;
    return WEIR_OK;
}

static weir_status transfer_table(const struct weir_schedule_costs *costs, const struct weir_schedule_edges *edges,
                                  struct weir_arena *arena, const double **table_out)
{
    double *table;
    weir_status status = weir_arena_alloc(arena, (size_t)edges->n_edges, sizeof *table, &table);
    if (status)
        return status;
    for (int e = 0; e < edges->n_edges; e++)
        table[e] = costs->transfer;
    for (int i = 0; i < costs->n_edges; i++) {
        const struct weir_edge_costs *c = &costs->edges[i];
        int e = weir_schedule_edge_find(edges, c->from, c->to);
        if (e >= 0)
            table[e] = c->latency + (c->bandwidth > 0 ? c->bytes / c->bandwidth : 0);
    }
    *table_out = table;
    return WEIR_OK;
}

/* One REDUCE_GRAD per unit: what its bytes take, or its share of what reducing the rank's gradients takes. */
static weir_status reduce_table(const struct weir_schedule_costs *costs, const struct weir_simulation_options *options,
                                const struct weir_scan *scan, struct weir_arena *arena, const double **table_out)
{
    int n_copies = scan->schedule->n_copies, n_units = scan->schedule->n_stages * n_copies;
    int n_phases = options->shard_optimizer ? 1 : 2; /* without it the owners hand the gradients back */
    double *table;
    weir_status status = weir_arena_alloc(arena, (size_t)n_units, sizeof *table, &table);
    for (int u = 0; !status && u < n_units; u++) {
        int rank = scan->units[u].rank;
        double bytes = weir_costs_stage(costs, u / n_copies).grad_bytes;
        if (rank >= 0 && scan->rank_reduces[rank])
            table[u] = n_phases * weir_costs_phase_time(costs, bytes, options->n_replicas) +
                       costs->reduce / scan->rank_reduces[rank];
    }
    if (!status)
        *table_out = table;
    return status;
}

weir_status weir_costs_tables(const struct weir_schedule_costs *costs, const struct weir_simulation_options *options,
                              const struct weir_scan *scan, const struct weir_schedule_edges *edges,
                              struct weir_arena *arena, struct weir_flow_costs *out)
{
    struct weir_flow_costs tables = {.overlap_gain = costs->overlap_gain};
    weir_status status = type_table(costs, scan->schedule->n_stages, arena, &tables.type);
    if (!status)
        status = transfer_table(costs, edges, arena, &tables.transfer);
    if (!status)
        status = reduce_table(costs, options, scan, arena, &tables.reduce);
    if (!status)
        *out = tables;
    return status;
}
