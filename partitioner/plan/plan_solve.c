/* From a graph and options to a result: which solver, which share of the time, and back from blocks and ticks to nodes
 * and the units of the graph.
 *
 * Unordered plans start from the contiguous ones and get the rest of the time, so both are solved; a curve is solved
 * in one go, from the largest number of devices down.  Reported loads are sums of the graph's own numbers
 * (plan_parts.c), not of ticks; a bound in ticks that comes out above such a sum by rounding is cut to it. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "partitioner/contiguous/contiguous.h"
#include "partitioner/piper/piper.h"
#include "partitioner/plan/plan_solve.h"
#include "partitioner/plan/plan_parts.h"
#include "partitioner/unordered/unordered_search.h"

enum { MOST_DEVICES = 65536, MOST_CPUS = 64 };

static const double unordered_seconds = 10, contiguous_share = 0.3;

struct solver {
    const struct weir_cost_graph *graph;
    const struct weir_plan_options *options;
    struct weir_arena *arena; /* of the result */
    struct weir_arena scratch;
    int64_t start_ns;
    int first, last;                /* device counts */
    struct weir_blocks blocks;      /* contiguous */
    struct weir_blocks unordered_blocks; /* without the order */
    struct weir_contiguous_answer *answers;
    struct weir_plan *plans; /* [last - first + 1] */
    int64_t downsets;
};

static weir_status options_check(const struct weir_cost_graph *graph, const struct weir_plan_options *options)
{
    bool curve = options->curve_first > 0 || options->curve_last > 0;
    if (options->devices < 0 || options->devices > MOST_DEVICES || options->cpus < 0 || options->cpus > MOST_CPUS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d devices and %d CPUs: at most %d and %d are handled", options->devices,
                         options->cpus, MOST_DEVICES, MOST_CPUS);
    if (curve &&
        (options->curve_first < 1 || options->curve_last < options->curve_first || options->curve_last > MOST_DEVICES))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the curve %d..%d must ascend from at least 1 to at most %d",
                         options->curve_first, options->curve_last, MOST_DEVICES);
    if (!curve && options->devices + options->cpus < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no device: give the number of accelerators, " WEIR_OPTION("devices"));
    if (!(options->seconds >= 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%g seconds: the time must not be negative", options->seconds);
    weir_status status = weir_plan_cap_check(options->memory);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        if (graph->nodes[v].device >= (curve ? options->curve_last : options->devices) &&
            graph->nodes[v].device >= options->devices)
            return WEIR_FAIL(WEIR_ERR_NOFIT, "node '%s' is pinned to device %d: use at least %d devices",
                             graph->nodes[v].id, graph->nodes[v].device, graph->nodes[v].device + 1);
    return WEIR_OK;
}

static int64_t memory_cap(const struct weir_plan_options *options)
{
    return options->memory >= 0x1p61 ? INT64_C(1) << 61 : (int64_t)options->memory;
}

static int most_pin(const struct weir_blocks *blocks)
{
    int most = -1;
    for (int b = 0; b < blocks->n; b++)
        most = blocks->pin[b] > most ? blocks->pin[b] : most;
    return most;
}

/* Give parts their devices: pinned parts theirs, the others what is left, ascending; CPU parts behind them. */
static weir_status devices_assign(struct solver *s, const struct weir_blocks *blocks, const struct weir_split *split,
                                  int devices, int **device_of_out)
{
    int *device_of, *device, *taken;
    weir_status status = weir_arena_alloc(&s->scratch, (size_t)s->graph->n_nodes, sizeof *device_of, &device_of);
    if (!status)
        status = weir_arena_alloc(&s->scratch, (size_t)split->n_parts + 1, sizeof *device, &device);
    if (!status)
        status = weir_arena_alloc(&s->scratch, (size_t)devices + 1, sizeof *taken, &taken);
    if (status)
        return status;
    for (int p = 0; p < split->n_parts; p++)
        device[p] = -1;
    for (int b = 0; b < blocks->n; b++)
        if (blocks->pin[b] >= 0) {
            device[split->part[b]] = blocks->pin[b];
            taken[blocks->pin[b]] = 1;
        }
    for (int p = 0, next = 0, cpu = devices; p < split->n_parts; p++) {
        if (split->on_cpu[p])
            device[p] = cpu++;
        while (device[p] < 0 && next < devices && taken[next])
            next++;
        if (device[p] < 0)
            device[p] = next++;
    }
    for (int v = 0; v < s->graph->n_nodes; v++)
        device_of[v] = device[split->part[blocks->of_node[v]]];
    *device_of_out = device_of;
    return WEIR_OK;
}

static weir_status plan_make(struct solver *s, const struct weir_blocks *blocks, const struct weir_split *split,
                             int64_t bound, int devices, struct weir_plan *plan)
{
    *plan = (struct weir_plan){.objective = INFINITY,
                               .lower_bound = bound >= WEIR_NEVER ? INFINITY : (double)bound * blocks->tick};
    if (split->value >= WEIR_NEVER)
        return WEIR_OK;
    int *device_of;
    struct weir_plan_part *parts;
    weir_status status = devices_assign(s, blocks, split, devices, &device_of);
    if (!status)
        status =
            weir_plan_parts_build(s->graph, device_of, devices, s->options->cpus, s->arena, &parts, &plan->n_parts);
    if (status)
        return status;
    plan->parts = parts;
    plan->objective = weir_plan_parts_objective(parts, plan->n_parts);
    if (bound >= split->value || plan->lower_bound > plan->objective)
        plan->lower_bound = plan->objective;
    return WEIR_OK;
}

static weir_status contiguous_run(struct solver *s)
{
    struct weir_blocks_purpose purpose = {true, s->options->cpus > 0, s->options->memory};
    weir_status status = weir_blocks_build(s->graph, &purpose, &s->scratch, &s->blocks);
    if (status)
        return status;
    double seconds = s->options->seconds;
    if (s->options->unordered)
        seconds = (seconds > 0 ? seconds : unordered_seconds) * contiguous_share;
    struct weir_contiguous_job job = {&s->blocks,       s->first,    s->last, s->options->cpus, memory_cap(s->options),
                                      s->options->seed, s->start_ns, seconds, s->options->unhurried};
    return weir_contiguous_solve(&job, &s->scratch, s->answers, &s->downsets);
}

/* The contiguous plan as a start for the unordered search: the same nodes on the same devices, in the other blocks. */
static weir_status start_convert(struct solver *s, const struct weir_split *from, int devices, struct weir_split *to)
{
    int *device_of;
    if (from->value >= WEIR_NEVER)
        return WEIR_OK;
    weir_status status = devices_assign(s, &s->blocks, from, devices, &device_of);
    if (status)
        return status;
    for (int v = 0; v < s->graph->n_nodes; v++)
        to->part[s->unordered_blocks.of_node[v]] = device_of[v];
    to->n_parts = devices + s->options->cpus;
    to->value = 0; /* its blocks are no larger: the search computes the value */
    return WEIR_OK;
}

/* Devices that an unordered plan can use: as many as blocks, and those that pins name. */
static int useful_devices(const struct solver *s, int devices)
{
    int most = most_pin(&s->unordered_blocks) + 1 > s->unordered_blocks.n ? most_pin(&s->unordered_blocks) + 1
                                                                          : s->unordered_blocks.n;
    return devices < most ? devices : most;
}

static weir_status unordered_run(struct solver *s, int all_devices, struct weir_plan *plan)
{
    int devices = useful_devices(s, all_devices);
    struct weir_split split;
    weir_status status = weir_split_init(&s->unordered_blocks, &s->scratch, &split);
    if (!status)
        status = start_convert(s, &s->answers[all_devices - s->first].split, devices, &split);
    if (status)
        return status;
    double total = s->options->seconds > 0 ? s->options->seconds : unordered_seconds;
    double left = total - (double)(weir_clock_ns() - s->start_ns) * 1e-9;
    struct weir_split_problem problem = {
        .blocks = &s->unordered_blocks, .devices = devices, .cpus = s->options->cpus, .memory = memory_cap(s->options)};
    double share = (left > 0 ? left : 0) / (all_devices - s->first + 1);
    problem.deadline_ns = s->options->unhurried ? 0 : weir_clock_ns() + (int64_t)(share * 1e9);
    int64_t bound = weir_split_bound(&problem, devices);
    if (bound < WEIR_NEVER)
        status = weir_unordered_search(&problem, bound, total * (1 - contiguous_share) / (s->last - s->first + 1),
                                  s->options->seed, &split);
    for (int p = 0; p < devices + s->options->cpus && !status; p++)
        split.on_cpu[p] = p >= devices;
    return status ? status : plan_make(s, &s->unordered_blocks, &split, bound, all_devices, plan);
}

static weir_status max_load_solve(struct solver *s)
{
    weir_status status =
        weir_arena_alloc(&s->scratch, (size_t)(s->last - s->first + 1), sizeof *s->answers, &s->answers);
    if (!status)
        status = contiguous_run(s);
    struct weir_blocks_purpose purpose = {false, s->options->cpus > 0, s->options->memory};
    if (!status && s->options->unordered)
        status = weir_blocks_build(s->graph, &purpose, &s->scratch, &s->unordered_blocks);
    for (int devices = s->last; !status && devices >= s->first; devices--) {
        const struct weir_contiguous_answer *answer = &s->answers[devices - s->first];
        struct weir_plan *plan = &s->plans[devices - s->first];
        if (devices <= most_pin(&s->blocks) || devices + s->options->cpus < 1)
            *plan = (struct weir_plan){.objective = INFINITY, .lower_bound = INFINITY};
        else if (s->options->unordered)
            status = unordered_run(s, devices, plan);
        else
            status = plan_make(s, &s->blocks, &answer->split, answer->bound, devices, plan);
    }
    return status;
}

static weir_status result_fill(struct solver *s, struct weir_plan_result *result)
{
    const struct weir_plan_options *options = s->options;
    int chosen = options->devices;
    if (options->curve_first) {
        struct weir_plan_point *curve;
        int n = options->curve_last - options->curve_first + 1;
        weir_status status = weir_arena_alloc(s->arena, (size_t)n, sizeof *curve, &curve);
        if (status)
            return status;
        for (int i = 0; i < n; i++) {
            const struct weir_plan *plan = &s->plans[options->curve_first + i - s->first];
            curve[i] = (struct weir_plan_point){options->curve_first + i, plan->objective, plan->lower_bound};
            if (!options->devices && isfinite(plan->objective))
                chosen = options->curve_first + i;
        }
        result->curve = curve;
        result->n_curve = n;
        chosen = chosen ? chosen : options->curve_last;
    }
    result->plan = s->plans[chosen - s->first];
    result->devices = chosen;
    result->cpus = options->cpus;
    result->downsets = s->downsets;
    result->seconds = (double)(weir_clock_ns() - s->start_ns) * 1e-9;
    return WEIR_OK;
}

weir_status weir_plan_solve(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                            struct weir_arena *arena, struct weir_plan_result *result_out)
{
    struct solver s = {.graph = graph, .options = options, .arena = arena, .start_ns = weir_clock_ns()};
    struct weir_plan_result result = {0};
    weir_status status = options_check(graph, options);
    if (status)
        return status;
    s.first = options->curve_first ? options->curve_first : options->devices;
    s.last = options->curve_last ? options->curve_last : options->devices;
    if (options->curve_first && options->devices) {
        s.first = options->devices < s.first ? options->devices : s.first;
        s.last = options->devices > s.last ? options->devices : s.last;
    }
    status = weir_arena_alloc(&s.scratch, (size_t)(s.last - s.first + 1), sizeof *s.plans, &s.plans);
    if (!status && options->objective == WEIR_PLAN_PIPER)
        status = weir_piper_solve(graph, options, s.first, s.last, arena, s.plans);
    else if (!status)
        status = max_load_solve(&s);
    if (!status)
        status = result_fill(&s, &result);
    weir_arena_release(&s.scratch);
    if (!status)
        *result_out = result;
    return status;
}
