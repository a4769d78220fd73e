#include "include/weir/simulate.h"

#include <math.h>
#include <string.h>

#include "base/large.h"
#include "schedules/check/flow.h"
#include "schedules/io/lower_torch.h"
#include "schedules/simulate/cost_tables.h"
#include "schedules/simulate/critical_path.h"
#include "schedules/simulate/held.h"

/* Everything of one simulation but its result. */
struct run {
    const struct weir_schedule_costs *costs;
    const struct weir_simulation_options *options;
    struct weir_arena work, *arena; /* `arena` is the result's */
    struct weir_schedule schedule; /* the lists that run */
    struct weir_scan scan;
    struct weir_schedule_edges edges;
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
    if (!status)
        status = weir_arena_alloc(&run->work, (size_t)s->n_ranks, sizeof *record->holder, &record->holder);
    for (int r = 0; !status && r < s->n_ranks; r++) {
        status = weir_arena_alloc(&run->work, s->ranks[r].n_actions, 1, &record->cause[r]);
        if (!status)
            status = weir_arena_alloc(&run->work, s->ranks[r].n_actions, sizeof **record->holder, &record->holder[r]);
    }
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

struct memory {
    double held, peak;
};

static void memory_count(struct memory *memory, const struct weir_stage_costs *costs, unsigned type, bool trainable)
{
    struct weir_held step = weir_held_step(costs, type, trainable);
    memory->peak = fmax(memory->peak, memory->held + step.during);
    memory->held += step.after;
}

static void memory_peak(const struct run *run, int rank, double *memory_out, double *activations_out)
{
    const struct weir_schedule_rank *list = &run->schedule.ranks[rank];
    const struct weir_schedule_costs *costs = run->costs;
    struct weir_schedule_costs common = *costs;
    common.stages = NULL;
    int slices = weir_schedule_slices(&run->schedule);
    struct weir_stage_costs unit = weir_costs_slice(&common, 0, slices);
    if (!costs->stages && unit.mem_backward == unit.mem_weight && !unit.mem_made) { /* the scan has counted */
        *memory_out = *activations_out = run->scan.rank_peak[rank] * unit.mem_weight;
        return;
    }
    struct memory memory = {0}, units = {0};
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        struct weir_stage_costs c = weir_costs_slice(costs, a->stage, slices);
        memory_count(&memory, &c, a->type, run->scan.trainable);
        memory_count(&units, &unit, a->type, run->scan.trainable);
    }
    *memory_out = memory.peak;
    *activations_out = units.peak;
}

/* How much longer actions of a rank take. */
static double flight_factor(const struct run *run, int rank)
{
    const struct weir_flight_costs *f = &run->costs->flight;
    double peak, units;
    memory_peak(run, rank, &peak, &units);
    double way = peak > f->low ? fmin(log(peak / f->low) / log(f->high / f->low), 1) : 0;
    return 1 + way * (f->factor - 1);
}

/* A stage of two copies takes the longer of its ranks' times. */
static weir_status flight_weigh(struct run *run)
{
    int n_stages = run->schedule.n_stages, n_copies = run->schedule.n_copies;
    double *types, *factors;
    if (run->costs->flight.factor <= 1 || !run->scan.trainable)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&run->work, (size_t)n_stages, 4 * sizeof *types, &types);
    if (!status)
        status = weir_arena_alloc(&run->work, (size_t)run->schedule.n_ranks, sizeof *factors, &factors);
    for (int r = 0; r < run->schedule.n_ranks && !status; r++)
        factors[r] = flight_factor(run, r);
    for (int s = 0; s < n_stages && !status; s++) {
        double factor = 1;
        for (int copy = 0; copy < n_copies; copy++)
            if (run->scan.units[s * n_copies + copy].rank >= 0)
                factor = fmax(factor, factors[run->scan.units[s * n_copies + copy].rank]);
        for (int t = 0; t < 4; t++)
            types[4 * s + t] = factor * run->flow.costs.type[4 * s + t];
    }
    if (!status)
        run->flow.costs.type = types;
    return status;
}

static weir_status flow_prepare(struct run *run, struct weir_arena *arena)
{
    weir_status status = weir_schedule_edges_build(&run->scan, &run->work, &run->edges);
    if (!status && run->schedule.has_comms)
        status = weir_schedule_edges_match(&run->scan, &run->edges, &run->work);
    if (!status)
        status = weir_flow_open(&run->flow, run->options->channels, &run->scan, &run->edges, false, &run->work);
    if (!status)
        status = weir_costs_tables(run->costs, run->options, &run->scan, &run->edges, &run->work, &run->flow.costs);
    if (!status)
        status = flight_weigh(run);
    if (!status && run->options->keep_times)
        status = times_keep(run, arena);
    if (!status && (run->options->keep_path || run->options->keep_times))
        status = causes_keep(run);
    if (!status)
        status = delay_keep(run);
    return status;
}

struct ends {
    double makespan, busiest, longest, reduced, optimizer;
};

/* Bytes of a rank's stages that stay, what handing round its parameters takes, and its optimizer, of which ZeRO-1 leaves a part. */
static void state_count(const struct run *run, struct weir_simulation *result, double *table, double *optimizer)
{
    size_t p = (size_t)run->schedule.n_ranks;
    int n_copies = run->schedule.n_copies, replicas = run->options->n_replicas;
    int shares = run->options->shard_optimizer && replicas > 1 ? replicas : 1;
    double *gather = table, *state = table + p, *sharded = table + 2 * p;
    for (size_t r = 0; r < p; r++)
        optimizer[r] = run->scan.trainable ? run->costs->optimizer / shares : 0;
    for (int u = 0; u < run->schedule.n_stages * n_copies; u++) {
        int rank = run->scan.units[u].rank;
        struct weir_stage_costs c = weir_costs_stage(run->costs, u / n_copies);
        if (rank < 0 || !run->scan.trainable)
            continue;
        optimizer[rank] += c.optimizer / shares;
        state[rank] += c.param_bytes + c.grad_bytes + c.optimizer_bytes;
        sharded[rank] += c.param_bytes + c.grad_bytes + c.optimizer_bytes / (replicas > 1 ? replicas : 1);
        if (run->options->shard_optimizer)
            gather[rank] += weir_costs_phase_time(run->costs, c.param_bytes, replicas);
    }
    result->gather = gather;
    result->state = state;
    result->state_sharded = sharded;
}

/* What a rank still does when its list is done: reductions, those of the list or all at once. */
static double tail(const struct run *run, int rank)
{
    const struct weir_flow_rank *r = &run->flow.ranks[rank];
    if (run->scan.rank_reduces[rank])
        return fmax(r->reduced - r->time, 0);
    return run->scan.trainable ? run->costs->reduce : 0;
}

/* The end of the step: the optimizer on all ranks when the last one has reduced, then the parameters are handed round. */
static struct ends ends_find(const struct run *run, const double *optimizer, const double *gather, double *busy)
{
    struct ends ends = {0};
    for (int r = 0; r < run->schedule.n_ranks; r++)
        ends.reduced = fmax(ends.reduced, run->flow.ranks[r].time + tail(run, r));
    for (int r = 0; r < run->schedule.n_ranks; r++) {
        const struct weir_flow_rank *rank = &run->flow.ranks[r];
        double after = optimizer[r] + gather[r];
        ends.optimizer = fmax(ends.optimizer, optimizer[r]);
        busy[r] = rank->busy + tail(run, r) + after;
        ends.makespan = fmax(ends.makespan, ends.reduced + after);
        ends.busiest = fmax(ends.busiest, busy[r] + rank->gained);
        ends.longest = fmax(ends.longest, rank->time + tail(run, r) + after - rank->first);
    }
    return ends;
}

/* What a message that was made still waited for. */
static const char *holder_str(const struct run *run, unsigned cause, bool forward)
{
    bool blocking = run->options->channels == WEIR_CHANNELS_BLOCKING;
    switch (cause) {
    case WEIR_CAUSE_SLOT:
        return forward ? "input slot" : "gradient slot";
    case WEIR_CAUSE_CHANNEL:
        return "channel";
    case WEIR_CAUSE_PEER:
        return blocking ? "receiver" : "channel";
    default:
        return blocking ? "sender" : NULL;
    }
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
            const struct weir_action *message = &run->edges.edges[e].messages[i];
            double end = run->flow.record.transfer_end[e][i];
            struct weir_action receive = *message;
            receive.stage = weir_scan_receiver(&run->scan, message);
            *list++ = (struct weir_transfer_time){
                receive, weir_scan_sender(&run->scan, message), run->edges.edges[e].from, run->edges.edges[e].to, end - run->flow.costs.transfer[e], end,
                holder_str(run, run->flow.record.transfer_cause[e][i], message->type == WEIR_RECV_F)};
        }
    result->n_transfers = n;
    return WEIR_OK;
}

/* What the result has of the scan and of the edges. */
static weir_status counts_take(const struct run *run, struct weir_arena *arena, struct weir_simulation *result)
{
    size_t p = (size_t)run->schedule.n_ranks;
    int *in_flight;
    weir_status status = weir_arena_alloc(arena, p, sizeof *in_flight, &in_flight);
    if (status)
        return status;
    memcpy(in_flight, run->scan.rank_peak, p * sizeof *in_flight);
    result->peak_in_flight = in_flight;
    for (int e = 0; e < run->edges.n_edges; e++)
        result->n_messages += run->edges.edges[e].n_messages;
    return WEIR_OK;
}

static weir_status result_build(const struct run *run, struct weir_arena *arena, struct weir_simulation *result)
{
    size_t p = (size_t)run->schedule.n_ranks;
    double *table;
    weir_status status = weir_arena_alloc(arena, 11 * p, sizeof *table, &table);
    if (status)
        return status;
    *result = (struct weir_simulation){0};
    state_count(run, result, table + 7 * p, table + 10 * p);
    struct ends ends = ends_find(run, table + 10 * p, result->gather, table);
    for (size_t r = 0; r < p; r++) {
        table[p + r] = ends.makespan - table[r];
        table[2 * p + r] = run->flow.ranks[r].exposed;
        memory_peak(run, (int)r, &table[3 * p + r], &table[4 * p + r]);
        table[6 * p + r] = tail(run, (int)r);
        table[5 * p + r] = run->scan.rank_reduces[r] ? run->flow.ranks[r].reduce_work : table[6 * p + r];
    }
    *result = (struct weir_simulation){
        .gather = result->gather,
        .state = result->state,
        .state_sharded = result->state_sharded,
        .reduction = table + 5 * p,
        .reduction_exposed = table + 6 * p,
        .optimizer_start = ends.reduced,
        .optimizer = ends.optimizer,
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
    status = counts_take(run, arena, result);
    if (!status && run->options->keep_times)
        status = transfers_list(run, arena, result);
    if (!status && run->options->keep_path)
        status = weir_critical_path_find(&run->flow, run->costs->reduce, arena, result);
    return status;
}

/* The lists that run: under shared and blocking they need communication, with replicas reductions, which come second
 * because the first would give them time of their own. */
static weir_status schedule_prepare(struct run *run, const struct weir_schedule *schedule, struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    run->schedule = *schedule;
    if (run->options->channels != WEIR_CHANNELS_EDGE && !schedule->has_comms) {
        status = weir_scan_build(schedule, &run->work, &run->scan);
        if (!status)
            status = weir_schedule_lower_rounds(schedule, false, arena, &run->schedule);
    }
    if (!status && run->options->n_replicas > 1)
        status = weir_schedule_add_reductions(&run->schedule, arena, &run->schedule);
    if (!status)
        status = weir_scan_build(&run->schedule, &run->work, &run->scan);
    run->scan.file = run->schedule.ranks == schedule->ranks ? NULL : schedule;
    return status;
}

static weir_status attempt(void *context)
{
    struct run *run = context;
    weir_status status = flow_prepare(run, run->arena);
    return status ? status : weir_flow_run(&run->flow);
}

weir_status weir_schedule_simulate(const struct weir_schedule *schedule, const struct weir_schedule_costs *costs,
                                   const struct weir_simulation_options *options, struct weir_arena *arena,
                                   struct weir_simulation *result_out)
{
    struct run run = {.costs = costs, .options = options, .arena = arena};
    struct weir_simulation result;
    weir_status status = weir_costs_check(costs, schedule);
    if (!status)
        status = weir_channels_take(options->channels, schedule);
    if (!status)
        status = schedule_prepare(&run, schedule, arena);
    if (!status)
        status = weir_flow_try(&run.flow, &run.scan, attempt, &run);
    if (!status)
        status = result_build(&run, arena, &result);
    if (!status) {
        result.lowered = run.schedule;
        result.channels = options->channels;
        *result_out = result;
    }
    weir_arena_release(&run.work);
    return status;
}
