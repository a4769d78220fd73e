/* Piper's dynamic program over downsets (partitioner/piper/piper.h), from the back: value[downset][s] is the best
 * largest stage for what is outside the downset on exactly s devices, since the number of devices behind a stage
 * decides how many micro-batches it keeps.  From each downset a stage grows block by block; for every end all numbers
 * of replicas and devices are entered.
 *
 * Graphs with more than MOST_DOWNSETS of them are planned along one order, as a chain; then the bound is only the work
 * shared by all devices. */
#include "partitioner/piper/piper.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/blocks/part_sum.h"
#include "partitioner/contiguous/downset.h"
#include "partitioner/contiguous/order_make.h"
#include "partitioner/piper/piper_recompute.h"

enum { MOST_DOWNSETS = 3000, MOST_CELLS = 40000000, MOST_BLOCKS = 10000 };

/* value[downset][s]: the best largest stage time for the nodes outside the downset on exactly s devices. */
struct planner {
    const struct weir_cost_graph *graph;
    const struct weir_plan_options *options;
    struct weir_blocks blocks;
    struct weir_downsets downsets;
    bool exact; /* all downsets, not those of one order */
    int devices;
    int *replicas, n_replicas; /* divisors of N up to the number of devices, ascending */
    double *value;
    int *next, *share;          /* [downset][s]: where the stage ends and how many devices it has */
    double *time, *parameters;  /* [in flight] of the stage that grows: configurations chosen; time < 0: does not fit */
    int *nodes, n_nodes;        /* of the stage */
    int *member_first, *member; /* nodes of a block */
    struct weir_piper_offer *offers;
    struct weir_part_sum sum;
    unsigned *seen;
    unsigned round;
    int64_t deadline_ns;
    bool stopped;
};

static weir_status graph_check(const struct weir_cost_graph *graph)
{
    for (int v = 0; v < graph->n_nodes; v++) {
        if (!graph->nodes[v].n_variants)
            return WEIR_FAIL(WEIR_ERR_INVALID,
                             "node '%s' has no configurations: the piper objective needs a Piper file or "
                             "'variants'",
                             graph->nodes[v].id);
        if (graph->nodes[v].device >= 0 || graph->nodes[v].backward)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED,
                             "node '%s' is pinned or a backward node: the piper objective has no word "
                             "for that",
                             graph->nodes[v].id);
    }
    if (!(graph->micro_batches >= 1))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the number of micro-batches is not in the file: add 'mbsInBatch'");
    if (!(graph->bandwidth > 0))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the bandwidth is not in the file: give " WEIR_OPTION("bandwidth"));
    return WEIR_OK;
}

/* Instead of all downsets those of one topological order: the blocks in a row. */
static weir_status order_chain(struct planner *p, struct weir_arena *arena)
{
    struct weir_blocks *b = &p->blocks;
    int *order, n = b->n;
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *order, &order);
    if (!status)
        status = weir_order_make(b, NULL, WEIR_ORDER_CUT, 0, order);
    int **lists[] = {&b->succ_first, &b->succ, &b->pred_first, &b->pred};
    for (int i = 0; !status && i < 4; i++)
        status = weir_arena_alloc(arena, (size_t)n + 2, sizeof(int), lists[i]);
    for (int v = 0, i = 0; !status && v <= n; v++) { /* every block but the last has one successor */
        b->succ_first[v] = i;
        i += v < n && v != order[n - 1];
    }
    for (int v = 0, i = 0; !status && v <= n; v++) {
        b->pred_first[v] = i;
        i += v < n && v != order[0];
    }
    for (int i = 0; !status && i + 1 < n; i++) {
        b->succ[b->succ_first[order[i]]] = order[i + 1];
        b->pred[b->pred_first[order[i + 1]]] = order[i];
    }
    return status;
}

static weir_status downsets_find(struct planner *p, struct weir_arena *arena)
{
    weir_status status = weir_downsets_build(&p->blocks, MOST_DOWNSETS, p->deadline_ns, &p->downsets, &p->exact);
    if (status || p->exact)
        return status;
    if (p->blocks.n > MOST_BLOCKS)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%d nodes are too many for the piper objective, at most %d are handled",
                         p->blocks.n, MOST_BLOCKS);
    bool complete;
    status = order_chain(p, arena);
    if (!status)
        status = weir_downsets_build(&p->blocks, p->blocks.n + 1, 0, &p->downsets, &complete);
    return status;
}

static weir_status members_list(struct planner *p, struct weir_arena *arena)
{
    int n = p->blocks.n;
    weir_status status = weir_arena_alloc(arena, (size_t)n + 2, sizeof *p->member_first, &p->member_first);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)p->graph->n_nodes, sizeof *p->member, &p->member);
    for (int v = 0; !status && v < p->graph->n_nodes; v++)
        p->member_first[p->blocks.of_node[v] + 2]++;
    for (int b = 0; !status && b <= n; b++)
        p->member_first[b + 1] += p->member_first[b];
    for (int v = 0; !status && v < p->graph->n_nodes; v++)
        p->member[p->member_first[p->blocks.of_node[v] + 1]++] = v;
    return status;
}

static weir_status replicas_list(struct planner *p, struct weir_arena *arena)
{
    int64_t n = (int64_t)p->graph->micro_batches;
    weir_status status = weir_arena_alloc(arena, (size_t)p->devices, sizeof *p->replicas, &p->replicas);
    for (int d = 1; !status && d <= p->devices; d++)
        if (n % d == 0)
            p->replicas[p->n_replicas++] = d;
    return status;
}

static weir_status tables_allocate(struct planner *p, struct weir_arena *arena)
{
    size_t nodes = (size_t)p->graph->n_nodes, width = (size_t)p->devices + 1, cells = (size_t)p->downsets.n * width;
    if (cells > MOST_CELLS)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%d states for %d devices are too many: use fewer devices",
                         p->downsets.n, p->devices);
    weir_status status = weir_arena_alloc(arena, cells, sizeof *p->value, &p->value);
    if (!status)
        status = weir_arena_alloc(arena, cells, sizeof *p->next, &p->next);
    if (!status)
        status = weir_arena_alloc(arena, cells, sizeof *p->share, &p->share);
    if (!status)
        status = weir_arena_alloc(arena, width, sizeof *p->time, &p->time);
    if (!status)
        status = weir_arena_alloc(arena, width, sizeof *p->parameters, &p->parameters);
    if (!status)
        status = weir_arena_alloc(arena, nodes, sizeof *p->nodes, &p->nodes);
    if (!status)
        status = weir_arena_alloc(arena, nodes, sizeof *p->offers, &p->offers);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)p->downsets.n, sizeof *p->seen, &p->seen);
    for (size_t i = 0; !status && i < cells; i++)
        p->value[i] = INFINITY;
    return status;
}

/* The best configurations of the stage for every number of micro-batches in flight; memory grows with it. */
static void stage_configure(struct planner *p)
{
    bool fits = true;
    for (int y = 1; y <= p->devices; y++) {
        struct weir_piper_choice choice;
        fits = fits && weir_piper_recompute(p->graph, p->nodes, p->n_nodes, y, p->options->memory, p->offers, &choice);
        p->time[y] = fits ? choice.time : -1;
        p->parameters[y] = fits ? choice.parameters : 0;
    }
}

static double stage_time(const struct planner *p, double time, double parameters, double transfer, int d)
{
    double sync = 4 * (d - 1) * parameters / (d * p->graph->micro_batches) / p->graph->bandwidth;
    return time / d + transfer / d + sync;
}

/* The stage from `start` to `end` on every number of devices. */
static void stage_enter(struct planner *p, int start, int end)
{
    size_t width = (size_t)p->devices + 1, from = (size_t)start * width, to = (size_t)end * width;
    double transfer = (double)(p->sum.settled + p->sum.open) * p->blocks.tick;
    for (int i = 0; i < p->n_nodes; i++)
        transfer -= weir_cost_node_time(&p->graph->nodes[p->nodes[i]]);
    transfer = transfer > 0 ? transfer : 0;
    stage_configure(p);
    for (int i = 0; i < p->n_replicas; i++)
        for (int d = p->replicas[i], s = d; s <= p->devices; s++) {
            double rest = p->value[to + (size_t)(s - d)];
            int y = (s + d - 1) / d;
            if (p->time[y] < 0)
                break;
            if (rest >= p->value[from + (size_t)s])
                continue;
            double value = fmax(rest, stage_time(p, p->time[y], p->parameters[y], transfer, d));
            if (value < p->value[from + (size_t)s]) {
                p->value[from + (size_t)s] = value;
                p->next[from + (size_t)s] = end;
                p->share[from + (size_t)s] = d;
            }
        }
}

static void block_push(struct planner *p, int block)
{
    weir_part_sum_push(&p->sum, block);
    for (int i = p->member_first[block]; i < p->member_first[block + 1]; i++)
        p->nodes[p->n_nodes++] = p->member[i];
}

static void stages_grow(struct planner *p, int start, int at)
{
    const struct weir_downsets *d = &p->downsets;
    for (size_t i = d->first[at]; i < d->first[at + 1] && !p->stopped; i++) {
        int block = d->step[i].block, next = d->step[i].next;
        if (p->seen[next] == p->round)
            continue;
        p->seen[next] = p->round;
        block_push(p, block);
        stage_enter(p, start, next);
        stages_grow(p, start, next);
        weir_part_sum_pop(&p->sum, block);
        p->n_nodes -= p->member_first[block + 1] - p->member_first[block];
    }
    p->stopped = p->stopped || (p->deadline_ns && weir_clock_ns() > p->deadline_ns);
}

static void stages_walk(struct planner *p)
{
    int last = p->downsets.n - 1;
    p->value[(size_t)last * ((size_t)p->devices + 1)] = 0;
    for (int start = last - 1; start >= 0 && !p->stopped; start--) {
        p->round++;
        stages_grow(p, start, start);
    }
}

/* When the time ran out: all nodes in one stage, so that there is a plan if that fits. */
static void whole_enter(struct planner *p)
{
    for (int b = 0; b < p->blocks.n; b++)
        block_push(p, b);
    stage_enter(p, 0, p->downsets.n - 1);
    for (int b = 0; b < p->blocks.n; b++)
        weir_part_sum_pop(&p->sum, b);
    p->n_nodes = 0;
}

static bool any_plan(const struct planner *p)
{
    for (int s = 1; s <= p->devices; s++)
        if (isfinite(p->value[s]))
            return true;
    return false;
}

/* Write the parts of the best plan with at most `devices` devices. */
static weir_status plan_read(struct planner *p, int devices, struct weir_arena *arena, struct weir_plan *plan)
{
    size_t width = (size_t)p->devices + 1;
    int s = 0, n = 0;
    for (int k = 1; k <= devices; k++)
        if (p->value[k] < p->value[s])
            s = k;
    *plan = (struct weir_plan){.objective = p->value[s], .lower_bound = p->value[s]};
    if (!isfinite(plan->objective))
        return WEIR_OK;
    struct weir_plan_part *parts;
    weir_status status = weir_arena_alloc(arena, (size_t)p->blocks.n, sizeof *parts, &parts);
    for (int at = 0, device = 0; !status && at != p->downsets.n - 1;) {
        size_t cell = (size_t)at * width + (size_t)s;
        int end = p->next[cell], d = p->share[cell], *nodes;
        status = weir_arena_alloc(arena, (size_t)p->graph->n_nodes, sizeof *nodes, &nodes);
        if (status)
            break;
        struct weir_plan_part part = {.device = device, .replicas = d, .in_flight = (s + d - 1) / d, .nodes = nodes};
        for (int v = 0; v < p->graph->n_nodes; v++)
            if (weir_downset_has(&p->downsets, end, p->blocks.of_node[v]) &&
                !weir_downset_has(&p->downsets, at, p->blocks.of_node[v]))
                nodes[part.n_nodes++] = v;
        struct weir_piper_choice choice = {0};
        (void)weir_piper_recompute(p->graph, nodes, part.n_nodes, part.in_flight, p->options->memory, p->offers,
                                    &choice);
        part.recomputed = choice.recomputed;
        part.memory = choice.memory;
        part.time = choice.time / d;
        double transfer = 0;
        for (int e = 0; e < p->blocks.n_nets; e++) {
            int inside = 0, size = p->blocks.net_first[e + 1] - p->blocks.net_first[e];
            for (int i = p->blocks.net_first[e]; i < p->blocks.net_first[e + 1]; i++)
                inside += weir_downset_has(&p->downsets, end, p->blocks.net_block[i]) &&
                          !weir_downset_has(&p->downsets, at, p->blocks.net_block[i]);
            if (inside && inside < size)
                transfer += (double)p->blocks.net_cost[e] * p->blocks.tick;
        }
        part.load = stage_time(p, choice.time, choice.parameters, transfer, d);
        part.transfer = part.load - part.time;
        parts[n++] = part;
        device += d;
        s -= d;
        at = end;
    }
    plan->parts = parts;
    plan->n_parts = n;
    return status;
}

/* What no plan can beat: the least time of all nodes, shared by all devices. */
static double bound_of(const struct planner *p, int devices)
{
    double total = 0;
    for (int v = 0; v < p->graph->n_nodes; v++) {
        const struct weir_cost_node *node = &p->graph->nodes[v];
        total += fmin(node->variants[0].time, node->variants[node->n_variants - 1].time);
    }
    return total / devices;
}

weir_status weir_piper_solve(const struct weir_cost_graph *graph, const struct weir_plan_options *options, int first,
                             int last, struct weir_arena *arena, struct weir_plan *plans_out)
{
    struct planner p = {.graph = graph, .options = options, .devices = last};
    struct weir_arena scratch = {0};
    struct weir_blocks_purpose purpose = {true, false, 0};
    weir_status status = graph_check(graph);
    if (status)
        return status;
    if (options->cpus || options->unordered || last < 1)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the piper objective takes accelerators and contiguous stages only");
    if (options->seconds > 0)
        p.deadline_ns = weir_clock_ns() + (int64_t)(options->seconds * 1e9);
    status = weir_blocks_build(graph, &purpose, &scratch, &p.blocks);
    if (!status)
        status = downsets_find(&p, &scratch);
    if (!status)
        status = members_list(&p, &scratch);
    if (!status)
        status = replicas_list(&p, &scratch);
    if (!status)
        status = tables_allocate(&p, &scratch);
    if (!status)
        status = weir_part_sum_init(&p.blocks, &p.sum);
    if (!status) {
        stages_walk(&p);
        if (p.stopped) {
            whole_enter(&p);
            p.exact = false;
        }
        if (p.stopped && !any_plan(&p))
            status =
                WEIR_FAIL(WEIR_ERR_TIMEOUT, "no plan within %g seconds: give more " WEIR_OPTION("seconds"), options->seconds);
    }
    for (int devices = first; !status && devices <= last; devices++) {
        struct weir_plan *plan = &plans_out[devices - first];
        status = plan_read(&p, devices, arena, plan);
        if (!p.exact && plan->lower_bound > bound_of(&p, devices))
            plan->lower_bound = bound_of(&p, devices);
    }
    weir_part_sum_release(&p.sum);
    weir_downsets_release(&p.downsets);
    weir_arena_release(&scratch);
    return status;
}
