#include "schedules/simulate.h"

#include <math.h>

#include "schedules/cost_tables.h"
#include "schedules/critical_path.h"
#include "schedules/flow.h"
#include "base/large.h"
#include "schedules/lower_torch.h"

/* Everything of one simulation but its result. */
struct run {
    const struct weir_schedule_costs *costs;
    const struct weir_simulation_options *options;
    struct weir_arena work;
    struct weir_schedule schedule; /* the lists that run */
    struct weir_scan scan;
    struct weir_edges edges;
    struct weir_flow flow;
};

static weir_status times_keep(struct run *run, struct weir_arena *arena)
{
    const struct weir_schedule *s = &run->schedule;
    struct weir_flow_record *record = &run->flow.record;
    weir_status status = weir_arena_alloc(arena, (size_t)s->n_ranks, sizeof *record->start, &record->start);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s->n_ranks, sizeof *record->end, &record->end);
    for (int r = 0; !status && r < s->n_ranks; r++) {
        status = weir_arena_alloc(arena, s->ranks[r].n_actions, sizeof **record->start, &record->start[r]);
        if (!status)
            status = weir_arena_alloc(arena, s->ranks[r].n_actions, sizeof **record->end, &record->end[r]);
    }
    if (!status)
        status =
            weir_arena_alloc(arena, (size_t)run->edges.n_edges, sizeof *record->transfer_end, &record->transfer_end);
    for (int e = 0; !status && e < run->edges.n_edges; e++)
        status = weir_arena_alloc(arena, run->edges.edges[e].n_messages, sizeof **record->transfer_end,
                                  &record->transfer_end[e]);
    return status;
}

static weir_status causes_keep(struct run *run)
{
    const struct weir_schedule *s = &run->schedule;
    struct weir_flow_record *record = &run->flow.record;
    weir_status status = weir_arena_alloc(&run->work, (size_t)s->n_ranks, sizeof *record->cause, &record->cause);
    for (int r = 0; !status && r < s->n_ranks; r++)
        status = weir_arena_alloc(&run->work, s->ranks[r].n_actions, 1, &record->cause[r]);
    if (!status)
        status = weir_arena_alloc(&run->work, (size_t)run->edges.n_edges, sizeof *record->transfer_cause,
                                  &record->transfer_cause);
    for (int e = 0; !status && e < run->edges.n_edges; e++)
        status = weir_arena_alloc(&run->work, run->edges.edges[e].n_messages, 1, &record->transfer_cause[e]);
    return status;
}

/* How long each message took, so that waiting for a transfer can be told from waiting for work. */
static weir_status delay_keep(struct run *run)
{
    weir_status status = WEIR_OK;
    for (int d = 0; !status && d < 2; d++)
        status = weir_large_alloc(&run->work, run->scan.n_cells, sizeof *run->flow.delay[d], &run->flow.delay[d]);
    return status;
}

static weir_status flow_prepare(struct run *run, struct weir_arena *arena)
{
    weir_status status = weir_edges_build(&run->scan, &run->work, &run->edges);
    if (!status && run->schedule.has_comms)
        status = weir_edges_match(&run->scan, &run->edges, &run->work);
    if (!status)
        status = weir_flow_open(&run->flow, run->options->channels, &run->scan, &run->edges, &run->work);
    if (!status)
        status = weir_costs_tables(run->costs, &run->scan, &run->edges, &run->work, &run->flow.costs);
    if (!status && run->options->keep_times)
        status = times_keep(run, arena);
    if (!status && run->options->keep_path)
        status = causes_keep(run);
    if (!status)
        status = delay_keep(run);
    return status;
}

static void memory_peak(const struct run *run, int rank, double *memory_out, double *activations_out)
{
    const struct weir_schedule_rank *list = &run->schedule.ranks[rank];
    const struct weir_schedule_costs *costs = run->costs;
    bool trainable = run->scan.trainable;
    double memory = 0, units = 0;
    if (!costs->stages && costs->mem_backward == costs->mem_weight) { /* I changes nothing: the scan has counted */
        memory_out[rank] = activations_out[rank] = run->scan.rank_peak[rank] * costs->mem_weight;
        return;
    }
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        struct weir_stage_costs c = weir_costs_stage(costs, a->stage);
        double b = 0, w = 0; /* how many of each this action takes or gives back */
        if (a->type == WEIR_F)
            b = 1;
        else if (a->type == WEIR_B || a->type == WEIR_I)
            b = -1;
        if (a->type == WEIR_I)
            w = 1;
        else if (a->type == WEIR_W)
            w = -1;
        memory += b * c.mem_backward + w * c.mem_weight;
        units += b * costs->mem_backward + w * costs->mem_weight;
        memory_out[rank] = memory > memory_out[rank] ? memory : memory_out[rank];
        activations_out[rank] = units > activations_out[rank] ? units : activations_out[rank];
        if (b > 0 && !trainable) {
            memory -= c.mem_backward;
            units -= costs->mem_backward;
        }
    }
}

struct ends {
    double makespan, busiest, longest;
};

/* The end of the step: every rank's reduction, then the optimizer on all. */
static struct ends ends_find(const struct run *run, double *busy)
{
    struct ends ends = {0};
    for (int r = 0; r < run->schedule.n_ranks; r++) {
        const struct weir_flow_rank *rank = &run->flow.ranks[r];
        double tail = rank->reduce_work > 0 ? 0 : run->scan.trainable ? run->costs->reduce : 0;
        double optimizer = run->scan.trainable ? run->costs->optimizer : 0;
        double end = fmax(rank->time + tail, rank->reduced) + optimizer;
        busy[r] = rank->busy + rank->reduce_work + tail + optimizer;
        ends.makespan = fmax(ends.makespan, end);
        ends.busiest = fmax(ends.busiest, busy[r] + rank->gained);
        ends.longest = fmax(ends.longest, end - rank->first);
    }
    return ends;
}

static weir_status transfers_list(const struct run *run, struct weir_arena *arena, struct weir_simulation *result)
{
    struct weir_transfer_time *list;
    size_t n = 0;
    for (int e = 0; e < run->edges.n_edges; e++)
        n += run->edges.edges[e].n_messages;
    weir_status status = weir_arena_alloc(arena, n, sizeof *list, &list);
    if (status)
        return status;
    result->transfers = list;
    for (int e = 0; e < run->edges.n_edges; e++)
        for (size_t i = 0; i < run->edges.edges[e].n_messages; i++) {
            double end = run->flow.record.transfer_end[e][i];
            *list++ = (struct weir_transfer_time){run->edges.edges[e].messages[i], run->edges.edges[e].from,
                                                  run->edges.edges[e].to, end - run->flow.costs.transfer[e], end};
        }
    result->n_transfers = n;
    return WEIR_OK;
}

static weir_status result_build(const struct run *run, struct weir_arena *arena, struct weir_simulation *result)
{
    size_t p = (size_t)run->schedule.n_ranks;
    double *table;
    weir_status status = weir_arena_alloc(arena, 5 * p, sizeof *table, &table);
    if (status)
        return status;
    struct ends ends = ends_find(run, table);
    for (size_t r = 0; r < p; r++) {
        table[p + r] = ends.makespan - table[r];
        table[2 * p + r] = run->flow.ranks[r].exposed;
        memory_peak(run, (int)r, table + 3 * p, table + 4 * p);
    }
    *result = (struct weir_simulation){
        .makespan = ends.makespan,
        .bubble = ends.makespan > 0 ? 1 - ends.busiest / ends.makespan : 0,
        .bubble_span = ends.longest > 0 ? 1 - ends.busiest / ends.longest : 0,
        .n_actions = run->scan.n_compute,
        .busy = table,
        .idle = table + p,
        .exposed = table + 2 * p,
        .peak_memory = table + 3 * p,
        .peak_activations = table + 4 * p,
        .start = (const double *const *)run->flow.record.start,
        .end = (const double *const *)run->flow.record.end,
    };
    if (run->options->keep_times && run->options->channels == WEIR_CHANNELS_EDGE)
        status = transfers_list(run, arena, result);
    if (!status && run->options->keep_path)
        status = weir_critical_path(&run->flow, run->costs->reduce, arena, result);
    return status;
}

/* The lists that run: under shared and blocking they need communication. */
static weir_status schedule_prepare(struct run *run, const struct weir_schedule *schedule, struct weir_arena *arena)
{
    weir_status status = weir_scan(schedule, NULL, &run->work, &run->scan);
    run->schedule = *schedule;
    if (!status && run->options->channels != WEIR_CHANNELS_EDGE && !schedule->has_comms) {
        status = weir_lower_rounds(schedule, false, arena, &run->schedule);
        if (!status)
            status = weir_scan(&run->schedule, NULL, &run->work, &run->scan);
    }
    run->scan.schedule = &run->schedule;
    return status;
}

weir_status weir_schedule_simulate(const struct weir_schedule *schedule, const struct weir_schedule_costs *costs,
                                   const struct weir_simulation_options *options, struct weir_arena *arena,
                                   struct weir_simulation *result_out)
{
    struct run run = {.costs = costs, .options = options};
    struct weir_simulation result;
    weir_status status = weir_costs_check(costs, schedule);
    if (!status)
        status = schedule_prepare(&run, schedule, arena);
    if (!status)
        status = flow_prepare(&run, arena);
    if (!status)
        status = weir_flow_run(&run.flow);
    if (!status)
        status = result_build(&run, arena, &result);
    if (!status) {
        result.lowered = run.schedule;
        *result_out = result;
    }
    weir_arena_release(&run.work);
    return status;
}
