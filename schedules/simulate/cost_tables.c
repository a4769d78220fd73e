#include "schedules/simulate/cost_tables.h"

#include "base/arena.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static bool is_cost(double value)
{
    return isfinite(value) && value >= 0;
}

static weir_status stage_check(const struct weir_stage_costs *c, const char *whose)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {{"F", c->forward},
                {"I", c->input},
                {"W", c->weight},
                {"mem_B", c->mem_backward},
                {"mem_W", c->mem_weight},
                {"mem_IW", c->mem_made},
                {"param_bytes", c->param_bytes},
                {"grad_bytes", c->grad_bytes},
                {"optimizer_bytes", c->optimizer_bytes},
                {"optimizer", c->optimizer}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!is_cost(rows[i].value))
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s of %s is %g: it must be a finite number, not negative", rows[i].name,
                             whose, rows[i].value);
    if (c->mem_made > c->mem_weight || c->mem_weight - c->mem_made > c->mem_backward)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "mem_IW of %s is %g, of mem_W %g: it must be from mem_W - mem_B, %g, to mem_W", whose,
                         c->mem_made, c->mem_weight, fmax(c->mem_weight - c->mem_backward, 0));
    return WEIR_OK;
}

static struct weir_stage_costs common_stage(const struct weir_schedule_costs *costs)
{
    return (struct weir_stage_costs){
        .forward = costs->forward,
        .input = costs->input,
        .weight = costs->weight,
        .mem_backward = costs->mem_backward,
        .mem_weight = costs->mem_weight,
        .param_bytes = costs->param_bytes,
        .grad_bytes = costs->grad_bytes,
        .optimizer_bytes = costs->optimizer_bytes,
        .mem_made = costs->mem_made,
    };
}

static weir_status common_check(const struct weir_schedule_costs *costs)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {{"the time of a transfer", costs->transfer},
                {"the time of a reduction", costs->reduce},
                {"the time of the optimizer", costs->optimizer},
                {"the overlap gain", costs->overlap_gain},
                {"the latency between replicas", costs->reduce_latency},
                {"the bandwidth between replicas", costs->reduce_bandwidth},
                {"the size of a bucket", costs->bucket_bytes}};
    struct weir_stage_costs stage = common_stage(costs);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!is_cost(rows[i].value))
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s is %g: it must be a finite number, not negative", rows[i].name,
                             rows[i].value);
    return stage_check(&stage, "every stage");
}

static weir_status edge_check(const struct weir_edge_costs *c, const struct weir_schedule *schedule)
{
    if (c->from < 0 || c->from >= schedule->n_ranks || c->to < 0 || c->to >= schedule->n_ranks)
        return WEIR_FAIL(WEIR_ERR_INVALID, "costs of the edge from rank %d to rank %d: ranks are 0 to %d", c->from,
                         c->to, schedule->n_ranks - 1);
    if (!is_cost(c->latency) || !is_cost(c->bytes) || !is_cost(c->bandwidth))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a cost of the edge from rank %d to rank %d is negative or not a number",
                         c->from, c->to);
    return WEIR_OK;
}

/* Name the file of the costs in the message. */
static weir_status error_name(const struct weir_schedule_costs *costs, weir_status status)
{
    return status == WEIR_ERR_INVALID && costs->name ? weir_error_prefix(status, "'%s': ", costs->name) : status;
}

static weir_status stages_check(const struct weir_schedule_costs *costs, const struct weir_schedule *schedule)
{
    char whose[32];
    weir_status status = WEIR_OK;
    if (costs->layers && !costs->stages)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the costs are those of %d layers, which have not been put together to stages",
                         costs->n_layers);
    if (costs->stages && costs->n_stages != schedule->n_stages && costs->n_stages != 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the costs have %d stages, the schedule has %d", costs->n_stages,
                         schedule->n_stages);
    for (int s = 0; !status && costs->stages && s < costs->n_stages; s++) {
        snprintf(whose, sizeof whose, "stage %d", s);
        status = stage_check(&costs->stages[s], whose);
    }
    return status;
}

static weir_status at_once_check(const struct weir_flight_costs *f)
{
    if (f->at_once == 0 || (f->at_once >= 0.01 && f->at_once <= 100))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "in flight, I and W at once take %g of what they take apart: it must be from 0.01 to 100", f->at_once);
}

double weir_costs_at_once(const struct weir_flight_costs *f)
{
    return f->at_once > 0 ? f->at_once : 1;
}

weir_status weir_flight_costs_check(const struct weir_flight_costs *f)
{
    weir_status status = at_once_check(f);
    if (status)
        return status;
    if (f->factor == 0 || (isfinite(f->high) && f->low > 0 && f->low < f->high && f->factor >= 1 && f->factor <= 100))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "in flight, a factor of %g from %g to %g bytes: the factor must be from 1 to 100, and the bytes ascend from above 0",
                     f->factor, f->low, f->high);
}

weir_status weir_costs_check(const struct weir_schedule_costs *costs, const struct weir_schedule *schedule)
{
    weir_status status = common_check(costs);
    if (!status)
        status = weir_flight_costs_check(&costs->flight);
    if (!status)
        status = stages_check(costs, schedule);
    for (int e = 0; !status && e < costs->n_edges; e++)
        status = edge_check(&costs->edges[e], schedule);
    return error_name(costs, status);
}

struct weir_stage_costs weir_costs_stage(const struct weir_schedule_costs *costs, int stage)
{
    if (costs->stages)
        return costs->stages[costs->n_stages == 1 ? 0 : stage];
    return common_stage(costs);
}

struct weir_stage_costs weir_costs_slice(const struct weir_schedule_costs *costs, int stage, int n_slices)
{
    struct weir_stage_costs c = weir_costs_stage(costs, stage);
    double *parts[] = {&c.forward, &c.input, &c.weight, &c.mem_backward, &c.mem_weight, &c.mem_made};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        *parts[i] /= n_slices;
    return c;
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

static weir_status type_table(const struct weir_schedule_costs *costs, const struct weir_schedule *schedule,
                              struct weir_arena *arena, const double **table_out)
{
    double *table;
    int n_stages = schedule->n_stages;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, 4 * sizeof *table, &table);
    if (status)
        return status;
    for (int s = 0; s < n_stages; s++) {
        struct weir_stage_costs c = weir_costs_slice(costs, s, weir_schedule_slices(schedule));
        table[4 * s + WEIR_F] = c.forward;
        table[4 * s + WEIR_I] = c.input;
        table[4 * s + WEIR_W] = c.weight;
        table[4 * s + WEIR_B] = weir_costs_at_once(&costs->flight) * (c.input + c.weight);
    }
    *table_out = table;
    return WEIR_OK;
}

static weir_status transfer_table(const struct weir_schedule_costs *costs, const struct weir_schedule_edges *edges,
                                  int n_slices, struct weir_arena *arena, const double **table_out)
{
    double *table;
    weir_status status = weir_arena_alloc(arena, (size_t)edges->n_edges, sizeof *table, &table);
    if (status)
        return status;
    for (int e = 0; e < edges->n_edges; e++)
        table[e] = costs->transfer / n_slices;
    for (int i = 0; i < costs->n_edges; i++) {
        const struct weir_edge_costs *c = &costs->edges[i];
        int e = weir_schedule_edge_find(edges, c->from, c->to);
        if (e >= 0)
            table[e] = c->latency + (c->bandwidth > 0 ? c->bytes / n_slices / c->bandwidth : 0);
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

/* Every time of a simulation is a sum of some of the durations, every number of bytes one of some of the sizes: when the
 * sums of all of them are numbers, so is whatever is computed. */
struct sums {
    double time, memory;
};

static weir_status sums_check(const struct sums *sums, const char *where)
{
    if (!isfinite(sums->time))
        return WEIR_FAIL(WEIR_ERR_INVALID, "with %s the times of all actions add up to more than %g: use a larger unit",
                         where, DBL_MAX);
    if (!isfinite(sums->memory))
        return WEIR_FAIL(WEIR_ERR_INVALID, "with %s the bytes of all actions add up to more than %g: use a larger unit",
                         where, DBL_MAX);
    return WEIR_OK;
}

static weir_status stages_add(const struct weir_schedule_costs *costs, const struct weir_flow_costs *tables,
                              const struct weir_simulation_options *options, const struct weir_scan *scan,
                              struct sums *sums)
{
    double m = scan->schedule->n_microbatches, gain = fmax(costs->overlap_gain, 1) * fmax(costs->flight.factor, 1) * fmax(costs->flight.at_once, 1);
    int n_copies = scan->schedule->n_copies;
    weir_status status = WEIR_OK;
    for (int s = 0; !status && s < scan->schedule->n_stages; s++) {
        char where[32];
        struct weir_stage_costs c = weir_costs_stage(costs, s);
        snprintf(where, sizeof where, "stage %d", s);
        sums->time += m * gain * (c.forward + c.input + c.weight) + n_copies * c.optimizer;
        sums->memory += m * (c.mem_backward + 2 * c.mem_weight) + c.param_bytes + c.grad_bytes + c.optimizer_bytes;
        for (int u = s * n_copies; u < (s + 1) * n_copies; u++)
            sums->time += tables->reduce[u] + weir_costs_phase_time(costs, c.param_bytes, options->n_replicas);
        sums->memory += m * (costs->mem_backward + 2 * costs->mem_weight);
        status = sums_check(sums, where);
    }
    return status;
}

static weir_status sums_find(const struct weir_schedule_costs *costs, const struct weir_flow_costs *tables,
                             const struct weir_simulation_options *options, const struct weir_scan *scan,
                             const struct weir_schedule_edges *edges)
{
    struct sums sums = {costs->optimizer + costs->reduce, 0};
    weir_status status = sums_check(&sums, "the optimizer");
    if (!status)
        status = stages_add(costs, tables, options, scan, &sums);
    for (int e = 0; !status && e < edges->n_edges; e++) {
        char where[64];
        const struct weir_schedule_edge *edge = &edges->edges[e];
        snprintf(where, sizeof where, "the edge from rank %d to rank %d", edge->from, edge->to);
        sums.time += (double)edge->n_messages * tables->transfer[e];
        status = sums_check(&sums, where);
    }
    return status;
}

weir_status weir_costs_tables(const struct weir_schedule_costs *costs, const struct weir_simulation_options *options,
                              const struct weir_scan *scan, const struct weir_schedule_edges *edges,
                              struct weir_arena *arena, struct weir_flow_costs *out)
{
    struct weir_flow_costs tables = {.overlap_gain = costs->overlap_gain > 0 ? costs->overlap_gain : 1};
    weir_status status = type_table(costs, scan->schedule, arena, &tables.type);
    if (!status)
        status = transfer_table(costs, edges, weir_schedule_slices(scan->schedule), arena, &tables.transfer);
    if (!status)
        status = reduce_table(costs, options, scan, arena, &tables.reduce);
    if (!status)
        status = error_name(costs, sums_find(costs, &tables, options, scan, edges));
    if (!status)
        *out = tables;
    return status;
}
