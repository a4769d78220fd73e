/* The search.  All candidates are listed with a bound on their time first, which needs only the times of layers; then the list is
 * walked from the smallest bound on.  What is simulated waits until no bound that is left is below its time, and is compiled.
 * Costs of stages are made when the first candidate asks for them, and kept. */
#include "engine/program/planner.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/program/memory_report_make.h"
#include "engine/program/planner_costs.h"
#include "engine/program/recomputed.h"
#include "include/weir/auto.h"
#include "kernels/vector.h"
#include "partitioner/contiguous/climb.h"
#include "schedules/schedule_kinds.h"
#include "schedules/simulate/cost_tables.h"

enum { MOST_SIZES = 24, MOST_KINDS = 64, MOST_ACTIONS = 1 << 18, MOST_LEAN = 64, MOST_TURNS = 6 };

/* As many plans are looked at, at least, however few are asked for.  Borders are moved for plans within CLIMB_MARGIN of the fastest, for so
 * many (CLIMBS) for each of those.  Simulated meanwhile are so many actions at most, for one and for all: about half a second. */
enum {
    LEAST_WANTED = 5,
    CLIMBS = 4,
    CLIMB_CALLS = 800,
    CLIMB_ACTIONS = 1000000,
    ALL_CLIMBS_ACTIONS = 5000000,
};
#define CLIMB_MARGIN 1.02
#define ORDER_GAIN 1e-3 /* for which a plan has an order of its own in place of a schedule that everybody knows */

struct candidate {
    double bound;  /* ms */
    double bytes;  /* of the mean rank, at least */
    int n_ranks, n_chunks, n_replicas, n_microbatches;
    short size, way, by, zero, kind;
};

/* What is simulated, and what it was made of. */
struct waiting {
    struct weir_planned plan;
    struct candidate candidate;
    double *held;         /* [n_ranks]: bytes by the list */
    const double *activations; /* [n_ranks]: those of them that its order decides */
    const double *beside; /* [n_ranks]: bytes that the list does not know; NULL: not known yet */
    int attempt;
    bool climbed; /* its borders have been moved, or no move is better */
};

/* An arrangement, and whom it is for. */
struct arranged {
    int n_ranks, n_replicas, n_microbatches, size;
    bool wraps;
    const struct weir_arrangement *arrangement;
};

struct search {
    const struct weir_planner_request *request;
    struct weir_arena *arena;
    struct weir_arena work;
    const struct weir_device_kind *kind;
    struct weir_planner_costs *sizes[MOST_SIZES];
    int n_sizes;
    struct candidate *candidates;
    size_t candidate_capacity, waiting_capacity;
    int n_candidates;
    struct waiting *waiting; /* ascending by time */
    int n_waiting, n_climbs;
    long climb_actions; /* that may yet be simulated */
    struct weir_planned least;
    bool has_least;
    struct weir_planned *plans;
    struct waiting *returned; /* what the plans were, in their order */
    bool refines;             /* auto: whatever schedule is the fastest, and then an order of its own */
    struct weir_planner_result *result;
    double fastest, slowest, largest_cap; /* of all devices */
    enum weir_planner_order orders[MOST_KINDS]; /* of the schedules */
    struct arranged *arranged;
    size_t arranged_capacity;
    int n_arranged;
};

/* ---- what can be chosen --------------------------------------------------------------------------------------------- */

/* Powers of two that divide the batch, or the one that is asked for. */
static int sizes_list(const struct weir_planner_request *r, int64_t sizes[MOST_SIZES])
{
    int n = 0;
    for (int64_t b = 1; b <= r->global_batch && n < MOST_SIZES; b *= 2)
        if (r->microbatch_size ? b == 1 : r->global_batch % b == 0)
            sizes[n++] = r->microbatch_size ? r->microbatch_size : b;
    return n;
}

/* Every number up to 16, then doubled: more devices never have fewer candidates. */
static int next_count(int n)
{
    return n < 16 ? n + 1 : 2 * n;
}

static bool is_trainable(const struct weir_schedule_kind *kind)
{
    return kind->n_copies < 2 && strcmp(kind->name, "inference") != 0;
}

static bool takes(const struct search *s, const struct weir_schedule_kind *kind, int n_ranks, int v)
{
    bool fits = kind->n_chunks ? v == kind->n_chunks : v == 1 || kind->default_chunks > 1 || !strcmp(kind->name, "bfs");
    const char *wanted = s->refines ? NULL : s->request->schedule;
    bool asked = !wanted || !strcmp(kind->name, wanted);
    bool plain = n_ranks > 1 || wanted || !strcmp(kind->name, "1f1b") || !strcmp(kind->name, "gpipe");
    return asked && fits && is_trainable(kind) && (plain || v > 1);
}

/* Asked of a small schedule; a large one is held to it. */
static bool is_order(const struct weir_schedule *schedule, enum weir_planner_order order)
{
    const struct weir_planner_shape shape = {schedule->n_ranks, schedule->n_stages / schedule->n_ranks, order};
    for (int i = 0; i < schedule->n_stages; i++)
        if (schedule->stage_rank[i] != weir_planner_rank_of(&shape, i))
            return false;
    return true;
}

static weir_status orders_find(struct search *s)
{
    weir_status status = WEIR_OK;
    for (int k = 0; weir_schedule_kinds[k] && k < MOST_KINDS && !status; k++) {
        const struct weir_schedule_kind *kind = weir_schedule_kinds[k];
        struct weir_arena arena = {0};
        struct weir_schedule schedule;
        struct weir_schedule_params params = {.n_ranks = 2, .n_chunks = kind->n_chunks ? kind->n_chunks : 4, .n_microbatches = 8};
        weir_status built = is_trainable(kind) ? weir_schedule_build(kind, &params, &arena, &schedule) : WEIR_ERR_INVALID;
        s->orders[k] = WEIR_PLANNER_OTHER;
        for (int o = WEIR_PLANNER_WAVES; o >= WEIR_PLANNER_LOOPS && !built; o--)
            s->orders[k] = is_order(&schedule, (enum weir_planner_order)o) ? (enum weir_planner_order)o : s->orders[k];
        status = built == WEIR_ERR_INVALID ? WEIR_OK : built;
        weir_arena_release(&arena);
    }
    return status;
}

static void speeds_find(struct search *s)
{
    const struct weir_topology *topology = s->request->topology;
    s->fastest = topology ? 0 : 1;
    s->slowest = topology ? INFINITY : 1;
    for (int i = 0; topology && i < topology->n_devices; i++) {
        s->fastest = fmax(s->fastest, topology->devices[i].speed);
        s->slowest = fmin(s->slowest, topology->devices[i].speed);
    }
}

/* Of a rank's bytes; 0: none. */
static double cap_of(const struct search *s, const struct weir_planned *plan, int rank)
{
    double cap = (double)s->request->config.device_memory, own = plan->arrangement ? plan->arrangement->memory[rank] : 0;
    return cap > 0 && own > 0 ? fmin(cap, own) : fmax(cap, own);
}

static double largest_cap(const struct weir_planner_request *r)
{
    double most = 0, cap = (double)r->config.device_memory;
    for (int i = 0; r->topology && i < r->topology->n_devices; i++) {
        if (r->topology->devices[i].memory <= 0)
            return cap;
        most = fmax(most, r->topology->devices[i].memory);
    }
    return cap > 0 && most > 0 ? fmin(cap, most) : fmax(cap, most);
}

static struct weir_planner_shape shape_of(const struct search *s, const struct candidate *c)
{
    return (struct weir_planner_shape){c->n_ranks, c->n_chunks, s->orders[c->kind]};
}

/* ---- bounds ----------------------------------------------------------------------------------------------------------- */

/* Rank r cannot start before micro-batch 0 has passed the stages before its first, which is stage r under every schedule, and is
 * not the last to end where those stages' backwards follow.  The mean over ranks is no more than the largest of them; nor is the
 * busiest stage with one stage per rank, or the busiest rank where devices are alike: on others the cut is another. */
static double time_bound(const struct search *s, const struct candidate *c, const struct weir_stage_costs *stages)
{
    bool splits = weir_schedule_kinds[c->kind]->splits_backward;
    const struct weir_planner_shape shape = shape_of(s, c);
    int n_stages = c->n_ranks * c->n_chunks;
    double load[WEIR_PLANNER_MOST_RANKS] = {0}, before = 0, after = 0, mean = 0, all = 0, most = 0;
    double at_once = fmin(1, weir_costs_at_once(&s->request->flight));
    for (int i = 0; i < n_stages; i++) {
        double backward = at_once * (stages[i].input + stages[i].weight), work = stages[i].forward + backward;
        mean += i < c->n_ranks ? before + after : 0;
        most = fmax(most, c->n_chunks == 1 ? before + after + c->n_microbatches * work : c->n_microbatches * work);
        before += stages[i].forward;
        after += splits ? 0 : backward;
        all += work;
        load[weir_planner_rank_of(&shape, i)] += work;
    }
    for (int r = 0; r < c->n_ranks && shape.order != WEIR_PLANNER_OTHER && s->fastest == s->slowest; r++)
        most = fmax(most, c->n_microbatches * load[r]);
    return fmax(most, mean / c->n_ranks + all * c->n_microbatches / c->n_ranks) / s->fastest;
}

static double bytes_bound(const struct candidate *c, const struct weir_planner_costs *costs)
{
    const struct weir_schedule_kind *kind = weir_schedule_kinds[c->kind];
    struct weir_schedule_params params = {.n_ranks = c->n_ranks, .n_chunks = c->n_chunks, .n_microbatches = c->n_microbatches};
    const struct weir_stage_costs *all = &costs->all;
    double state = all->param_bytes + all->grad_bytes + all->optimizer_bytes / (c->zero ? c->n_replicas : 1);
    double act = costs->least_activations / (c->n_ranks * c->n_chunks), held = 0;
    for (int r = 0; kind->peak_in_flight && r < c->n_ranks; r++)
        held += act * kind->peak_in_flight(&params, r);
    return (state + held) / c->n_ranks;
}

static weir_status candidate_add(struct search *s, struct candidate c)
{
    const struct weir_planner_shape shape = shape_of(s, &c);
    const struct weir_stage_costs *stages;
    weir_status status = weir_planner_times(s->sizes[c.size], c.way, (enum weir_planner_by)c.by, &shape, &stages);
    if (!status && !stages)
        return WEIR_OK;
    if (!status)
        status = weir_arena_grow(&s->work, &s->candidates, &s->candidate_capacity, (size_t)s->n_candidates + 1, sizeof c);
    if (status)
        return status;
    c.bound = time_bound(s, &c, stages);
    c.bytes = bytes_bound(&c, s->sizes[c.size]);
    s->candidates[s->n_candidates++] = c;
    return WEIR_OK;
}

static weir_status ways_list(struct search *s, struct candidate c)
{
    weir_status status = WEIR_OK;
    int most_zero = c.n_replicas > 1 && s->request->zero ? 1 : 0, least_zero = s->request->zero == 1 ? 1 : 0;
    for (c.way = 0; c.way < weir_planner_n_ways(s->request) && !status; c.way++)
        for (c.by = 0; c.by < WEIR_PLANNER_CUTS && !status; c.by++)
            for (c.zero = (short)least_zero; c.zero <= most_zero && !status; c.zero++)
                status = candidate_add(s, c);
    return status;
}

static weir_status kinds_list(struct search *s, struct candidate c)
{
    weir_status status = WEIR_OK;
    for (c.kind = 0; weir_schedule_kinds[c.kind] && !status; c.kind++)
        if (takes(s, weir_schedule_kinds[c.kind], c.n_ranks, c.n_chunks))
            status = ways_list(s, c);
    return status;
}

static weir_status replicas_list(struct search *s, struct candidate c)
{
    const struct weir_planner_request *r = s->request;
    int64_t size = s->sizes[c.size]->microbatch_size;
    int most = r->n_devices / c.n_ranks, limit = r->max_replicas ? r->max_replicas : WEIR_REDUCE_TERMS;
    weir_status status = WEIR_OK;
    for (c.n_replicas = 1; c.n_replicas <= most && c.n_replicas <= limit && !status; c.n_replicas = next_count(c.n_replicas)) {
        int64_t m = r->global_batch / (c.n_replicas * size);
        if (r->global_batch % (c.n_replicas * size) || (r->n_microbatches && m != r->n_microbatches))
            continue;
        c.n_microbatches = (int)m;
        if (m * c.n_ranks * c.n_chunks <= MOST_ACTIONS)
            status = kinds_list(s, c);
    }
    return status;
}

static weir_status ranks_list(struct search *s, int size)
{
    int n_layers = s->request->graph->n_layers;
    int most = s->request->n_devices < n_layers ? s->request->n_devices : n_layers;
    weir_status status = WEIR_OK;
    for (int p = 1; p <= most && p <= WEIR_PLANNER_MOST_RANKS && !status; p = next_count(p))
        for (int v = 1; v <= WEIR_PLANNER_MOST_CHUNKS && p * v <= n_layers && p * v <= WEIR_PLANNER_MOST_STAGES && !status; v *= 2)
            if (p > 1 || v == 1)
                status = replicas_list(s, (struct candidate){.n_ranks = p, .n_chunks = v, .size = (short)size});
    return status;
}

/* ---- keeping -------------------------------------------------------------------------------------------------------- */

/* Of equal times the one that holds less. */
static bool is_before(const struct weir_planned *a, const struct weir_planned *b)
{
    double slack = 1e-9 * (a->step_ms + b->step_ms);
    if (fabs(a->step_ms - b->step_ms) > slack)
        return a->step_ms < b->step_ms;
    return a->estimate < b->estimate;
}

static weir_status keep(struct search *s, const struct waiting *w)
{
    int at = s->n_waiting;
    weir_status status = weir_arena_grow(&s->work, &s->waiting, &s->waiting_capacity, (size_t)s->n_waiting + 1, sizeof *s->waiting);
    if (status)
        return status;
    while (at > 0 && is_before(&w->plan, &s->waiting[at - 1].plan))
        at--;
    memmove(&s->waiting[at + 1], &s->waiting[at], (size_t)(s->n_waiting - at) * sizeof *s->waiting);
    s->waiting[at] = *w;
    s->n_waiting++;
    return WEIR_OK;
}

/* ---- timing --------------------------------------------------------------------------------------------------------- */

struct trial {
    struct weir_planner_costs *costs;
    struct weir_schedule schedule;
    struct weir_planned plan;
    struct weir_planner_stages stages, whole; /* with what is recomputed, and without */
    const double *beside; /* [n_ranks], as of what waits */
    double *held;         /* [n_ranks]: those that the list knows */
    double *activations;  /* [n_ranks] */
    double *busy;         /* [n_ranks]: their work, in ms */
    const struct weir_plan_boundary *boundaries; /* [n_boundaries]; of a plain chain none */
    int n_boundaries;
    int attempt;
};

static weir_status arrange_new(struct search *s, struct trial *t, const struct arranged *key)
{
    const struct weir_traffic traffic = {.transfer_bytes = 2 * t->costs->border_bytes * key->n_microbatches,
                                         .n_transfers = 2.0 * key->n_microbatches,
                                         .reduce_bytes = t->costs->all.grad_bytes / key->n_ranks, .wraps = key->wraps};
    struct weir_arrangement *arrangement;
    weir_status status = weir_arena_alloc(s->arena, 1, sizeof *arrangement, &arrangement);
    if (!status)
        status = weir_arrange(s->request->topology, &traffic, key->n_ranks, key->n_replicas, s->arena, arrangement);
    if (!status)
        status = weir_arena_grow(&s->work, &s->arranged, &s->arranged_capacity, (size_t)s->n_arranged + 1, sizeof *s->arranged);
    if (status)
        return status;
    s->arranged[s->n_arranged] = *key;
    s->arranged[s->n_arranged++].arrangement = t->plan.arrangement = arrangement;
    return WEIR_OK;
}

static weir_status arrange(struct search *s, struct trial *t, const struct candidate *c)
{
    const struct arranged key = {c->n_ranks, c->n_replicas, c->n_microbatches, c->size, c->n_chunks > 1, NULL};
    if (!s->request->topology)
        return WEIR_OK;
    for (int i = 0; i < s->n_arranged; i++) {
        const struct arranged *a = &s->arranged[i];
        if (a->n_ranks == key.n_ranks && a->n_replicas == key.n_replicas && a->n_microbatches == key.n_microbatches && a->size == key.size &&
            a->wraps == key.wraps) {
            t->plan.arrangement = a->arrangement;
            return WEIR_OK;
        }
    }
    return arrange_new(s, t, &key);
}

/* Bytes of the mean hand-over between two ranks, to and fro: [p × p], 0 where there is none; NULL for a plain chain. */
static weir_status pairs_find(const struct trial *t, struct weir_arena *arena, double **pairs_out)
{
    size_t p = (size_t)t->plan.n_ranks;
    int *counts;
    *pairs_out = NULL;
    if (!t->n_boundaries)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, p * p, sizeof **pairs_out, pairs_out);
    if (!status)
        status = weir_arena_alloc(arena, p * p, sizeof *counts, &counts);
    for (int b = 0; b < t->n_boundaries && !status; b++) {
        size_t from = (size_t)t->schedule.stage_rank[t->boundaries[b].from], to = (size_t)t->schedule.stage_rank[t->boundaries[b].to];
        size_t pair = from < to ? from * p + to : to * p + from;
        (*pairs_out)[pair] += (t->boundaries[b].bytes - (*pairs_out)[pair]) / ++counts[pair];
    }
    return status;
}

/* What a list has no bytes for counts as the widest border. */
static struct weir_edge_costs *edge_both(struct weir_edge_costs *edge, const struct trial *t, const double *pairs, int rank, int other,
                                         double latency_ms, double rate)
{
    int low = rank < other ? rank : other, high = rank < other ? other : rank;
    double mean = pairs ? pairs[low * t->plan.n_ranks + high] : 0, bytes = mean > 0 ? mean : t->costs->border_bytes;
    *edge++ = (struct weir_edge_costs){rank, other, latency_ms, bytes, rate / 1e3};
    *edge++ = (struct weir_edge_costs){other, rank, latency_ms, bytes, rate / 1e3};
    return edge;
}

/* All pairs of ranks that hand over at the ceilings' rate; a plain chain's all cost the same. */
static weir_status links_alike(const struct search *s, const struct trial *t, const double *pairs, struct weir_arena *arena,
                               struct weir_schedule_costs *costs)
{
    int p = t->plan.n_ranks;
    struct weir_edge_costs *edges, *end;
    if (!pairs || s->request->hand_over_ms > 0)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, (size_t)p * (size_t)p, sizeof *edges, &edges);
    end = status ? NULL : edges;
    for (int pair = 0; pair < p * p && !status; pair++)
        if (pairs[pair] > 0 && pair / p != pair % p)
            end = edge_both(end, t, pairs, pair / p, pair % p, 0, s->request->ceilings.link_bytes_per_s);
    if (status)
        return status;
    costs->edges = edges;
    costs->n_edges = (int)(end - edges);
    return WEIR_OK;
}

/* The links of the arrangement, both ways; without one all are the ceilings'. */
static weir_status links_find(const struct search *s, const struct trial *t, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    const struct weir_arrangement *a = t->plan.arrangement;
    int p = t->plan.n_ranks;
    struct weir_edge_costs *edges, *end;
    double *pairs;
    weir_status status = pairs_find(t, arena, &pairs);
    if (status)
        return status;
    costs->transfer = s->request->hand_over_ms > 0 ? s->request->hand_over_ms
                                                   : 1e3 * t->costs->border_bytes / s->request->ceilings.link_bytes_per_s;
    costs->reduce_bandwidth = s->request->ceilings.link_bytes_per_s / 1e3;
    if (!a)
        return links_alike(s, t, pairs, arena, costs);
    costs->transfer = 0;
    costs->reduce_bandwidth = isinf(a->ring.bandwidth) ? 0 : a->ring.bandwidth / 1e3;
    costs->reduce_latency = 1e3 * a->ring.latency;
    status = weir_arena_alloc(arena, 2 * (size_t)p, sizeof *edges, &edges);
    end = status ? NULL : edges;
    for (int r = 0; r < p && !status && p > 1; r++)
        if (isfinite(a->to_next[r].bandwidth) && (p > 2 || r == 0))
            end = edge_both(end, t, pairs, r, (r + 1) % p, 1e3 * a->to_next[r].latency, a->to_next[r].bandwidth);
    if (status)
        return status;
    for (const struct weir_edge_costs *e = edges; e < end; e++)
        costs->transfer = fmax(costs->transfer, e->latency + t->costs->border_bytes / e->bandwidth);
    costs->edges = edges;
    costs->n_edges = (int)(end - edges);
    return WEIR_OK;
}

static void measured(const struct weir_simulation *simulation, struct trial *t)
{
    struct weir_planned *plan = &t->plan;
    plan->step_ms = simulation->makespan;
    plan->bubble = simulation->bubble;
    plan->optimizer_ms = simulation->optimizer;
    plan->exposed_ms = plan->estimate = 0;
    for (int r = 0; r < plan->n_ranks; r++) {
        double state = plan->zero ? simulation->state_sharded[r] : simulation->state[r];
        plan->exposed_ms = fmax(plan->exposed_ms, simulation->exposed[r] + simulation->reduction_exposed[r]);
        plan->estimate = fmax(plan->estimate, state + simulation->peak_memory[r]);
        if (r == 0 || simulation->busy[r] > plan->busiest_ms) {
            plan->busiest_ms = simulation->busy[r];
            plan->busiest = r;
        }
    }
}

/* `over_out`, [n_ranks]: bytes above the cap. */
static weir_status simulate(struct search *s, struct trial *t, struct weir_arena *arena, double *over_out, int *in_flight_out)
{
    struct weir_simulation simulation;
    struct weir_schedule_costs costs = {.overlap_gain = 1, .stages = t->stages.costs, .n_stages = t->schedule.n_stages,
                                        .flight = s->request->flight};
    const struct weir_simulation_options options = {.n_replicas = t->plan.n_replicas, .shard_optimizer = t->plan.zero == 1};
    weir_status status = links_find(s, t, arena, &costs);
    if (!status)
        status = weir_schedule_simulate(&t->schedule, &costs, &options, arena, &simulation);
    if (status)
        return status;
    measured(&simulation, t);
    for (int r = 0; r < t->plan.n_ranks; r++) {
        double state = t->plan.zero ? simulation.state_sharded[r] : simulation.state[r], cap = cap_of(s, &t->plan, r);
        t->busy[r] = simulation.busy[r];
        t->held[r] = state + simulation.peak_memory[r];
        t->activations[r] = simulation.peak_memory[r];
        over_out[r] = cap > 0 ? t->held[r] + (t->beside ? t->beside[r] : 0) - cap : -1;
        in_flight_out[r] = simulation.peak_in_flight[r];
    }
    return WEIR_OK;
}

static bool fits(const double *over, int n)
{
    for (int r = 0; r < n; r++)
        if (over[r] > 0)
            return false;
    return true;
}

/* Of each rank that holds too much, the layers that save it in the least time.  false: no choice does. */
static weir_status layers_choose(struct trial *t, const double *over, const int *in_flight, double *extra, bool *layers, bool *found_out)
{
    double saved[WEIR_PLANNER_MOST_LAYERS], time[WEIR_PLANNER_MOST_LAYERS];
    int which[WEIR_PLANNER_MOST_LAYERS];
    bool chosen[WEIR_PLANNER_MOST_LAYERS];
    *found_out = true;
    for (int r = 0; r < t->plan.n_ranks && *found_out; r++) {
        int n = 0;
        extra[r] += fmax(0, over[r]);
        for (int i = 0; i < t->schedule.n_stages && extra[r] > 0; i++)
            for (int l = t->stages.first_layer[i]; t->schedule.stage_rank[i] == r && l < t->stages.first_layer[i + 1]; l++) {
                saved[n] = (t->costs->kept[l] - t->costs->kept_full[l]) * in_flight[r] / t->plan.n_chunks;
                time[n] = t->costs->replay[l];
                which[n++] = l;
            }
        if (extra[r] > 0)
            *found_out = weir_recompute_choose(time, saved, n, extra[r], chosen);
        for (int i = 0; i < n && *found_out; i++)
            layers[which[i]] = chosen[i];
    }
    return WEIR_OK;
}

/* As few layers as fit; what packing makes of them is seen when it is done, so it may take turns. */
static weir_status recompute_fit(struct search *s, struct trial *t, struct weir_arena *arena, double *over, int *in_flight)
{
    double *extra;
    bool *layers, found = true;
    int n_layers = s->request->graph->n_layers;
    weir_status status = weir_arena_alloc(arena, (size_t)t->plan.n_ranks, sizeof *extra, &extra);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_layers, sizeof *layers, &layers);
    for (int turn = 0; turn < MOST_TURNS && found && !status && !fits(over, t->plan.n_ranks); turn++) {
        struct weir_planner_stages stages = t->whole;
        status = layers_choose(t, over, in_flight, extra, layers, &found);
        if (!status && found)
            status = weir_planner_recompute(t->costs, layers, s->arena, &stages, t->schedule.n_stages, &t->plan.recompute);
        if (!status && found)
            t->stages.costs = stages.costs;
        if (!status && found)
            status = simulate(s, t, arena, over, in_flight);
    }
    t->plan.n_recomputed = 0;
    for (int l = 0; l < n_layers && !status; l++)
        t->plan.n_recomputed += layers[l];
    return status;
}

/* What the stages of a model with branches hand to each other; a chain's hand to the next. */
static weir_status boundaries_take(struct trial *t, struct weir_arena *arena)
{
    struct weir_schedule_boundary *list;
    if (t->costs->is_plain)
        return WEIR_OK;
    weir_status status =
        weir_planner_boundaries(t->costs->graph, t->stages.first_layer, t->schedule.n_stages, arena, &t->boundaries, &t->n_boundaries);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)t->n_boundaries, sizeof *list, &list);
    for (int b = 0; b < t->n_boundaries && !status; b++)
        list[b] = (struct weir_schedule_boundary){t->boundaries[b].from, t->boundaries[b].to};
    return status ? status : weir_schedule_boundaries_set(&t->schedule, list, t->n_boundaries, arena);
}

static weir_status by_rank_alloc(struct search *s, struct trial *t)
{
    size_t n = (size_t)t->plan.n_ranks;
    weir_status status = weir_arena_alloc(&s->work, n, sizeof *t->held, &t->held);
    if (!status)
        status = weir_arena_alloc(&s->work, n, sizeof *t->activations, &t->activations);
    return status ? status : weir_arena_alloc(&s->work, n, sizeof *t->busy, &t->busy);
}

static weir_status trial_time(struct search *s, struct trial *t, const struct candidate *c, struct weir_arena *arena)
{
    double *over;
    int *in_flight;
    weir_status status = arrange(s, t, c);
    if (!status && c->by && !weir_planner_are_alike(t->plan.arrangement))
        return WEIR_OK; /* devices that differ have one cut */
    if (!status && c->by == WEIR_PLANNER_BY_RANKS && !is_order(&t->schedule, s->orders[c->kind]))
        return WEIR_OK;
    if (!status)
        status = weir_planner_stages(s->sizes[c->size], c->way, (enum weir_planner_by)c->by, s->orders[c->kind], &t->schedule,
                                     t->plan.arrangement, s->arena, &t->stages);
    if (!status)
        status = boundaries_take(t, arena);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)c->n_ranks, sizeof *over, &over);
    if (!status)
        status = by_rank_alloc(s, t);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)c->n_ranks, sizeof *in_flight, &in_flight);
    if (status)
        return status;
    t->whole = t->stages;
    t->plan.rank_ms = t->busy;
    t->plan.recompute = weir_planner_way_name(s->request, c->way);
    t->plan.n_recomputed = t->stages.n_recomputed;
    t->plan.cut = (struct weir_layer_cut){t->schedule.n_stages, t->stages.first_layer};
    status = simulate(s, t, arena, over, in_flight);
    if (!status && !s->request->recompute && !c->way && !fits(over, c->n_ranks))
        status = recompute_fit(s, t, arena, over, in_flight);
    if (status)
        return status;
    if (!s->has_least || t->plan.estimate < s->least.estimate)
        s->least = t->plan;
    s->has_least = true;
    return fits(over, c->n_ranks) ? keep(s, &(struct waiting){t->plan, *c, t->held, t->activations, t->beside, t->attempt, false}) : WEIR_OK;
}

/* A kind refuses sizes that it has no schedule for; those are no candidates. */
static weir_status candidate_try(struct search *s, const struct candidate *c, const double *beside, int attempt)
{
    struct weir_arena arena = {0};
    struct weir_schedule_params params = {.n_ranks = c->n_ranks, .n_chunks = c->n_chunks, .n_microbatches = c->n_microbatches};
    const struct weir_schedule_kind *kind = weir_schedule_kinds[c->kind];
    struct trial t = {.costs = s->sizes[c->size], .beside = beside, .attempt = attempt,
                      .plan = {.n_ranks = c->n_ranks, .n_chunks = c->n_chunks, .n_replicas = c->n_replicas, .zero = c->zero,
                               .microbatch_size = s->sizes[c->size]->microbatch_size, .n_microbatches = c->n_microbatches, .kind = kind}};
    weir_status status = weir_schedule_build(kind, &params, &arena, &t.schedule);
    s->result->n_simulated += !status;
    status = !status ? trial_time(s, &t, c, &arena) : status == WEIR_ERR_INVALID ? WEIR_OK : status;
    weir_arena_release(&arena);
    return status;
}

/* ---- moving borders --------------------------------------------------------------------------------------------------- */

struct climb {
    struct search *search;
    struct trial *trial;
    const struct weir_stage_costs *layers; /* [n_layers] */
    struct weir_stage_costs *stages;       /* [n_stages] */
    double *over;                          /* [n_ranks] */
    int *in_flight;                        /* [n_ranks] */
};

/* How long the step is with a cut; INFINITY: it does not fit. */
static weir_status climb_value(void *context, const int *first_layer, double *ms_out)
{
    struct climb *climb = context;
    struct trial *t = climb->trial;
    struct weir_arena arena = {0};
    weir_planner_stages_sum(climb->layers, first_layer, t->schedule.n_stages, t->stages.speed, climb->stages);
    t->stages.first_layer = first_layer;
    t->stages.costs = climb->stages;
    weir_status status = boundaries_take(t, &arena);
    if (!status)
        status = simulate(climb->search, t, &arena, climb->over, climb->in_flight);
    if (!status)
        *ms_out = fits(climb->over, t->plan.n_ranks) ? t->plan.step_ms : INFINITY;
    weir_arena_release(&arena);
    return status;
}

static long smaller(long a, long b)
{
    return a < b ? a : b;
}

/* The trial of a plan as it waits, to be changed. */
static weir_status trial_again(struct search *s, const struct waiting *w, struct weir_arena *arena, struct trial *t)
{
    const struct candidate *c = &w->candidate;
    const struct weir_planned *plan = &w->plan;
    struct weir_schedule_params params = {.n_ranks = c->n_ranks, .n_chunks = c->n_chunks, .n_microbatches = c->n_microbatches};
    *t = (struct trial){.costs = s->sizes[c->size], .plan = *plan, .beside = w->beside, .attempt = w->attempt};
    bool *recompute;
    weir_status status = weir_schedule_build(plan->kind, &params, arena, &t->schedule);
    if (!status)
        status = by_rank_alloc(s, t);
    if (!status)
        status = weir_planner_stages(t->costs, c->way, (enum weir_planner_by)c->by, s->orders[c->kind], &t->schedule, plan->arrangement,
                                     s->arena, &t->stages);
    if (status || s->request->recompute || c->way || !plan->n_recomputed)
        return status;
    status = weir_recomputed_layers(t->costs->graph, plan->recompute, arena, &recompute);
    return status ? status : weir_planner_recompute(t->costs, recompute, s->arena, &t->stages, t->schedule.n_stages, &t->plan.recompute);
}

/* The trial of a plan again, with the costs of single layers. */
static weir_status climb_open(struct search *s, const struct waiting *w, struct weir_arena *arena, struct climb *climb)
{
    struct trial *t = climb->trial;
    struct weir_stage_costs *layers;
    int n = w->plan.cut.n_stages;
    weir_status status = trial_again(s, w, arena, t);
    if (!status)
        status = weir_planner_layers(t->costs, w->candidate.way, t->plan.recompute, &t->stages, n, arena, &layers);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof *climb->stages, &climb->stages);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)w->plan.n_ranks, sizeof *climb->over, &climb->over);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)w->plan.n_ranks, sizeof *climb->in_flight, &climb->in_flight);
    if (!status)
        climb->layers = layers;
    return status;
}

/* The stages of a cut, with the bytes of a compiled program. */
static weir_status cut_take(struct search *s, struct climb *climb, const int *cut, struct weir_arena *arena)
{
    struct trial *t = climb->trial;
    t->stages.first_layer = cut;
    weir_status status = weir_planner_stages_cut(t->costs, t->plan.recompute, climb->layers, t->schedule.n_stages, s->arena, &t->stages);
    return status ? status : boundaries_take(t, arena);
}

static weir_status climbed_keep(struct search *s, struct climb *climb, const struct waiting *w, int *cut, struct weir_arena *arena)
{
    struct trial *t = climb->trial;
    weir_status status = cut_take(s, climb, cut, arena);
    if (!status)
        status = simulate(s, t, arena, climb->over, climb->in_flight);
    if (status || !fits(climb->over, t->plan.n_ranks) || !(t->plan.step_ms < w->plan.step_ms * (1 - 1e-6)))
        return status;
    t->plan.rank_ms = t->busy;
    t->plan.cut.first_layer = cut;
    return keep(s, &(struct waiting){t->plan, w->candidate, t->held, t->activations, t->beside, t->attempt, true});
}

/* Cut and schedule together: borders are moved while the simulated step gets shorter.  The plan stays among those that wait, for the
 * case that what is found does not fit when it is compiled. */
static weir_status climb_run(struct search *s, const struct waiting *w)
{
    struct weir_arena arena = {0};
    struct trial t;
    struct climb climb = {.search = s, .trial = &t};
    int *cut, n = w->plan.cut.n_stages;
    double ms = INFINITY;
    long actions = 3 * w->plan.n_microbatches * n, left = smaller(CLIMB_ACTIONS, s->climb_actions);
    long calls = smaller(CLIMB_CALLS, left / actions);
    if (calls < 2)
        return WEIR_OK;
    weir_status status = climb_open(s, w, &arena, &climb);
    if (!status)
        status = weir_arena_alloc(s->arena, (size_t)n + 1, sizeof *cut, &cut);
    if (!status) {
        memcpy(cut, w->plan.cut.first_layer, ((size_t)n + 1) * sizeof *cut);
        status = weir_cut_climb(n, &calls, climb_value, &climb, cut, &ms);
        s->climb_actions -= calls * actions;
    }
    if (!status && ms < w->plan.step_ms * (1 - 1e-6))
        status = climbed_keep(s, &climb, w, cut, &arena);
    weir_arena_release(&arena);
    return status;
}

/* Those that come next may pass the first when their borders have been moved, so that no fewer are looked at than are usually asked for. */
static int n_wanted(const struct search *s)
{
    return s->request->n_top > LEAST_WANTED ? s->request->n_top : LEAST_WANTED;
}

/* Of the plans that are nearly the fastest of those that wait. */
static weir_status climb_near(struct search *s)
{
    weir_status status = WEIR_OK;
    int most = CLIMBS * n_wanted(s);
    for (int i = 0; i < s->n_waiting && s->waiting[i].plan.step_ms <= CLIMB_MARGIN * s->waiting[0].plan.step_ms && !status; i++) {
        struct waiting w = s->waiting[i];
        if (w.climbed || w.plan.cut.n_stages == 1 || s->n_climbs >= most)
            continue;
        s->n_climbs++;
        s->waiting[i].climbed = true;
        status = climb_run(s, &w);
        i = -1; /* what it has found is among them */
    }
    return status;
}

/* ---- compiling ------------------------------------------------------------------------------------------------------ */

static weir_status config_of(struct search *s, const struct weir_planned *plan, struct weir_arena *arena,
                             struct weir_schedule *schedule, struct weir_engine_config *config)
{
    struct weir_schedule_params params = {.n_ranks = plan->n_ranks, .n_chunks = plan->n_chunks,
                                          .n_microbatches = (int)plan->n_microbatches};
    *config = s->request->config;
    config->schedule = schedule;
    config->first_layer = plan->cut.first_layer;
    config->recompute = plan->recompute;
    config->device_memory = (int64_t)s->largest_cap;
    config->replicas = plan->n_replicas < WEIR_REDUCE_TERMS ? plan->n_replicas : WEIR_REDUCE_TERMS;
    config->zero = plan->zero;
    weir_status status = plan->order ? WEIR_OK : weir_schedule_build(plan->kind, &params, arena, schedule);
    if (plan->order)
        *schedule = *plan->order;
    return status ? status : weir_graph_resize(s->request->graph, plan->microbatch_size, arena, &config->graph);
}

/* As they are in the program, whose messages have these bytes. */
static weir_status boundaries_report(const struct weir_program *program, struct weir_arena *arena, struct weir_planned *plan)
{
    struct weir_plan_boundary *list;
    weir_status status = weir_arena_alloc(arena, (size_t)program->n_boundaries, sizeof *list, &list);
    if (status)
        return status;
    for (int b = 0; b < program->n_boundaries; b++) {
        const struct weir_boundary *of = &program->boundaries[b];
        list[b] = (struct weir_plan_boundary){of->from, of->to, of->n_values, (double)of->inputs.bytes};
    }
    plan->boundaries = list;
    plan->n_boundaries = program->n_boundaries;
    return WEIR_OK;
}

/* The figures of weir_engine_memory, each rank in a place of its own. */
static weir_status compile(struct search *s, struct weir_planned *plan)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_build build;
    struct weir_extras extras;
    int *device_of, n = 0;
    weir_status status = config_of(s, plan, &arena, &schedule, &config);
    if (!status)
        status = weir_build_training(&config, s->kind, &arena, &build);
    if (!status)
        n = plan->n_ranks * config.replicas;
    if (!status)
        status = weir_arena_alloc(&arena, (size_t)n, sizeof *device_of, &device_of);
    for (int r = 0; r < n && !status; r++)
        device_of[r] = r;
    if (!status)
        status = weir_extras_make(&build, &(struct weir_resources){.device_of = device_of, .host_free = SIZE_MAX}, &arena, &extras);
    if (!status)
        status = weir_memory_report_make(&build, &extras, s->arena, &plan->memory);
    if (!status)
        status = boundaries_report(build.program, s->arena, plan);
    weir_arena_release(&arena);
    s->result->n_compiled++;
    return status;
}

static bool is_within(const struct search *s, const struct weir_planned *plan)
{
    for (int r = 0; r < plan->n_ranks; r++)
        if (cap_of(s, plan, r) > 0 && (double)plan->memory.ranks[r].all > cap_of(s, plan, r))
            return false;
    return plan->memory.fits;
}

/* The program has slots and scratch beside what the list knows: now they are known, too. */
static weir_status leaner_try(struct search *s, const struct waiting *w)
{
    double *beside;
    if (s->request->recompute || w->candidate.way || w->attempt == MOST_TURNS)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&s->work, (size_t)w->plan.n_ranks, sizeof *beside, &beside);
    for (int r = 0; r < w->plan.n_ranks && !status; r++)
        beside[r] = 1.001 * (double)w->plan.memory.ranks[r].all - w->held[r];
    return status ? status : candidate_try(s, &w->candidate, beside, w->attempt + 1);
}

/* What the search made for itself goes with it. */
static weir_status plan_return(struct search *s, const struct waiting *w)
{
    const struct weir_planned *plan = &w->plan;
    double *rank_ms;
    weir_status status = weir_arena_alloc(s->arena, (size_t)plan->n_ranks, sizeof *rank_ms, &rank_ms);
    if (status)
        return status;
    memcpy(rank_ms, plan->rank_ms, (size_t)plan->n_ranks * sizeof *rank_ms);
    s->returned[s->result->n_plans] = *w;
    s->plans[s->result->n_plans] = *plan;
    s->plans[s->result->n_plans++].rank_ms = rank_ms;
    return WEIR_OK;
}

/* The same but for its cut. */
static bool is_returned(const struct search *s, const struct weir_planned *plan)
{
    for (int i = 0; i < s->result->n_plans; i++) {
        const struct weir_planned *p = &s->plans[i];
        if (p->n_ranks == plan->n_ranks && p->n_chunks == plan->n_chunks && p->n_replicas == plan->n_replicas && p->zero == plan->zero &&
            p->microbatch_size == plan->microbatch_size && p->kind == plan->kind && !strcmp(p->recompute, plan->recompute))
            return true;
    }
    return false;
}

/* Those that nothing that is left can be faster than. */
static weir_status waiting_compile(struct search *s, double bound)
{
    weir_status status = WEIR_OK;
    while (s->n_waiting > 0 && s->waiting[0].plan.step_ms <= bound && s->result->n_plans < n_wanted(s) && !status) {
        status = climb_near(s);
        struct waiting first = s->waiting[0];
        memmove(s->waiting, s->waiting + 1, (size_t)(--s->n_waiting) * sizeof *s->waiting);
        if (status || is_returned(s, &first.plan))
            continue;
        status = compile(s, &first.plan);
        if (!status && is_within(s, &first.plan))
            status = plan_return(s, &first);
        else if (!status)
            status = leaner_try(s, &first);
    }
    return status;
}

/* Of equal bounds the simpler one first. */
static int by_bound(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->bound != y->bound)
        return x->bound < y->bound ? -1 : 1;
    int rank = (x->n_ranks > y->n_ranks) - (x->n_ranks < y->n_ranks), kind = x->kind - y->kind, way = x->way - y->way;
    int chunks = x->n_chunks - y->n_chunks, zero = x->zero - y->zero;
    return rank ? rank : chunks ? chunks : zero ? zero : kind ? kind : way ? way : x->by - y->by;
}

static int by_bytes(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : by_bound(a, b);
}

static weir_status candidates_walk(struct search *s)
{
    double cap = s->largest_cap;
    weir_status status = WEIR_OK;
    qsort(s->candidates, (size_t)s->n_candidates, sizeof *s->candidates, by_bound);
    for (int i = 0; i < s->n_candidates && s->result->n_plans < n_wanted(s) && !status; i++) {
        status = waiting_compile(s, s->candidates[i].bound);
        if (!status && s->result->n_plans < n_wanted(s) && (cap <= 0 || s->candidates[i].bytes <= cap))
            status = candidate_try(s, &s->candidates[i], NULL, 0);
    }
    return status ? status : waiting_compile(s, INFINITY);
}

/* Nothing fits: which comes nearest? */
static weir_status least_find(struct search *s)
{
    weir_status status = WEIR_OK;
    qsort(s->candidates, (size_t)s->n_candidates, sizeof *s->candidates, by_bytes);
    for (int i = 0; i < s->n_candidates && i < MOST_LEAN && !status; i++)
        status = candidate_try(s, &s->candidates[i], NULL, 0);
    if (!status && s->has_least)
        status = compile(s, &s->least);
    if (!status && s->has_least && is_within(s, &s->least))
        status = plan_return(s, &(struct waiting){.plan = s->least});
    s->result->has_least = !s->result->n_plans && s->has_least;
    s->result->least = s->least;
    s->result->least.rank_ms = NULL;
    return status;
}

/* ---- orders of their own ------------------------------------------------------------------------------------------------ */

/* What each rank has left for activations, of the program that was compiled; infinity: no cap. */
static weir_status caps_find(const struct search *s, const struct waiting *w, struct weir_arena *arena, double **caps_out)
{
    const struct weir_planned *plan = &w->plan;
    double *caps;
    weir_status status = weir_arena_alloc(arena, (size_t)plan->n_ranks, sizeof *caps, &caps);
    for (int r = 0; r < plan->n_ranks && !status; r++) {
        double cap = cap_of(s, plan, r);
        caps[r] = cap > 0 ? fmax(1, cap - 1.001 * ((double)plan->memory.ranks[r].all - w->activations[r])) : 0;
    }
    if (!status)
        *caps_out = caps;
    return status;
}

/* The lists alone: what crosses borders is found again by whoever runs them. */
static weir_status order_copy(const struct weir_schedule *made, struct weir_arena *arena, const struct weir_schedule **order_out)
{
    struct weir_schedule *order;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *order, &order);
    if (status)
        return status;
    *order = *made;
    order->boundaries = NULL;
    order->n_boundaries = 0;
    *order_out = order;
    return WEIR_OK;
}

/* An order for the stages of plan i, if that is faster and fits. */
static weir_status order_make(struct search *s, int i)
{
    struct weir_arena arena = {0};
    struct waiting *w = &s->returned[i];
    struct trial t;
    struct climb climb = {.search = s, .trial = &t};
    struct weir_auto_result made;
    struct weir_schedule_costs costs = {.overlap_gain = 1, .flight = s->request->flight};
    double *caps, *rank_ms = NULL;
    w->plan = s->plans[i]; /* as it was compiled */
    weir_status status = climb_open(s, w, &arena, &climb);
    if (!status)
        status = cut_take(s, &climb, w->plan.cut.first_layer, &arena);
    if (!status)
        status = caps_find(s, w, &arena, &caps);
    if (!status)
        status = links_find(s, &t, &arena, &costs);
    if (status)
        goto done;
    costs.stages = t.stages.costs;
    costs.n_stages = t.schedule.n_stages;
    struct weir_auto_request request = {.n_ranks = w->plan.n_ranks, .n_chunks = w->plan.n_chunks,
                                        .n_microbatches = (int)w->plan.n_microbatches, .costs = &costs, .memory_caps = caps,
                                        .boundaries = t.schedule.boundaries, .n_boundaries = t.schedule.n_boundaries};
    status = weir_schedule_auto(&request, s->arena, &made);
    if (status == WEIR_ERR_INVALID || status == WEIR_ERR_UNSUPPORTED) { /* none fits, or the stages are none that auto orders */
        status = WEIR_OK;
        goto done;
    }
    if (status)
        goto done;
    t.schedule = made.schedule;
    status = simulate(s, &t, &arena, climb.over, climb.in_flight);
    if (!status && t.plan.step_ms < w->plan.step_ms * (1 - ORDER_GAIN))
        status = order_copy(&made.schedule, s->arena, &t.plan.order);
    if (!status && t.plan.order)
        status = compile(s, &t.plan);
    if (!status && t.plan.order && is_within(s, &t.plan))
        status = weir_arena_alloc(s->arena, (size_t)w->plan.n_ranks, sizeof *rank_ms, &rank_ms);
    if (!status && rank_ms) {
        memcpy(rank_ms, t.busy, (size_t)w->plan.n_ranks * sizeof *t.busy);
        t.plan.rank_ms = rank_ms;
        s->plans[i] = t.plan;
    }
done:
    weir_arena_release(&arena);
    return status;
}

/* The fastest first: what is changed at the end may come to pass others. */
static void plans_sort(struct search *s)
{
    for (int i = 1; i < s->result->n_plans; i++)
        for (int j = i; j > 0 && is_before(&s->plans[j], &s->plans[j - 1]); j--) {
            struct weir_planned before = s->plans[j - 1];
            struct waiting was = s->returned[j - 1];
            s->plans[j - 1] = s->plans[j];
            s->plans[j] = before;
            s->returned[j - 1] = s->returned[j];
            s->returned[j] = was;
        }
}

/* An order was made for plan j, whose stages are those of plan i but for where they begin: plan i has nothing better to offer. */
static bool is_ordered(const struct search *s, int i)
{
    const struct weir_planned *b = &s->plans[i];
    for (int j = 0; j < i; j++) {
        const struct weir_planned *a = &s->plans[j];
        if (a->order && a->n_ranks == b->n_ranks && a->n_chunks == b->n_chunks && a->n_replicas == b->n_replicas && a->zero == b->zero &&
            a->microbatch_size == b->microbatch_size && !strcmp(a->recompute, b->recompute))
            return true;
    }
    return false;
}

/* Of each plan but those, which are left out; then the fastest first again. */
static weir_status plans_order(struct search *s)
{
    weir_status status = WEIR_OK;
    int n = 0;
    for (int i = 0; i < s->result->n_plans && !status; i++) {
        s->plans[n] = s->plans[i];
        s->returned[n] = s->returned[i];
        if (is_ordered(s, n))
            continue;
        if (s->plans[n].n_ranks > 1)
            status = order_make(s, n);
        n++;
    }
    s->result->n_plans = status ? s->result->n_plans : n;
    plans_sort(s);
    return status;
}

/* ---- assumptions ----------------------------------------------------------------------------------------------------- */

struct weir_ceilings weir_planner_ceilings(const char *device, enum weir_compute dtype)
{
    if (strncmp(device, "cuda", 4) != 0)
        return (struct weir_ceilings){150e9, 15e9, 12e9};
    return (struct weir_ceilings){dtype == WEIR_COMPUTE_BF16 ? 70e12 : dtype == WEIR_COMPUTE_TF32 ? 35e12 : 20e12, 900e9, 12e9};
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */

static weir_status request_check(const struct weir_planner_request *r)
{
    const struct weir_schedule_kind *kind;
    bool named = r->schedule && strcmp(r->schedule, "auto") != 0;
    weir_status status = named ? weir_schedule_kind_find(r->schedule, &kind) : WEIR_OK;
    if (!status && named && kind->n_copies > 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "schedule '%s' has two copies of the weights, which are not planned: it trains with a cut that is "
                         "given or balanced", r->schedule);
    if (!status && named && !is_trainable(kind))
        return WEIR_FAIL(WEIR_ERR_USAGE, "schedule '%s' cannot train: it has forwards only", r->schedule);
    if (status)
        return status;
    if (r->layers && r->n_layers != r->graph->n_layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the costs have %d layers, model '%s' has %d", r->n_layers, r->graph->name, r->graph->n_layers);
    if (r->layers && !r->microbatch_size)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the costs are of one size of micro-batches: say which by " WEIR_OPTION("microbatch_size"));
    if (r->n_devices < 1 || r->n_devices > WEIR_PLANNER_MOST_DEVICES)
        return WEIR_FAIL(WEIR_ERR_USAGE, "devices is %d, it must be from 1 to %d", r->n_devices, WEIR_PLANNER_MOST_DEVICES);
    if (r->topology && r->n_devices > r->topology->n_devices)
        return WEIR_FAIL(WEIR_ERR_USAGE, "devices is %d, the topology has %d", r->n_devices, r->topology->n_devices);
    if (r->graph->n_layers > WEIR_PLANNER_MOST_LAYERS)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model '%s' has %d layers, plans are made for at most %d", r->graph->name,
                         r->graph->n_layers, (int)WEIR_PLANNER_MOST_LAYERS);
    if (r->global_batch < 1 || r->global_batch > 1 << 24)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the batch is %lld samples, it must be from 1 to %d", (long long)r->global_batch, 1 << 24);
    if (r->microbatch_size && r->global_batch % r->microbatch_size)
        return WEIR_FAIL(WEIR_ERR_USAGE, "a batch of %lld samples has no micro-batches of %lld: use another "
                                         WEIR_OPTION("global_batch") " or " WEIR_OPTION("microbatch_size"),
                         (long long)r->global_batch, (long long)r->microbatch_size);
    return WEIR_OK;
}

static weir_status size_list(struct search *s, int64_t microbatch_size)
{
    weir_status status = weir_planner_costs_open(s->request, microbatch_size, s->n_sizes ? s->sizes[s->n_sizes - 1] : NULL, &s->work, &s->sizes[s->n_sizes]);
    s->n_sizes += !status;
    return status ? status : ranks_list(s, s->n_sizes - 1);
}

static weir_status search_run(struct search *s)
{
    int64_t sizes[MOST_SIZES];
    int n = sizes_list(s->request, sizes);
    weir_status status = weir_build_kind_plan(&s->request->config, &s->kind);
    if (!status && s->kind->flags & WEIR_DEVICE_DRY)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' computes nothing, so that no plan is the fastest on it: use " WEIR_OPTION("device=cpu")
                                           " or " WEIR_OPTION("device=cuda"), s->kind->name);
    if (!status)
        status = orders_find(s);
    if (!status)
        status = weir_arena_alloc(s->arena, (size_t)n_wanted(s), sizeof *s->plans, &s->plans);
    if (!status)
        status = weir_arena_alloc(&s->work, (size_t)n_wanted(s), sizeof *s->returned, &s->returned);
    for (int i = 0; i < n && !status; i++)
        status = size_list(s, sizes[i]);
    s->result->n_candidates = s->n_candidates;
    s->result->plans = s->plans;
    if (!status && !s->n_candidates)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "no schedule has such a size: a batch of %lld samples on %d devices",
                           (long long)s->request->global_batch, s->request->n_devices);
    if (!status)
        status = candidates_walk(s);
    plans_sort(s);
    if (!status && s->refines)
        status = plans_order(s);
    if (status || !s->result->n_plans)
        return status ? status : least_find(s);
    int most = s->request->n_top > 1 ? s->request->n_top : 1;
    s->result->n_plans = s->result->n_plans < most ? s->result->n_plans : most;
    return WEIR_OK;
}

weir_status weir_planner_run(const struct weir_planner_request *request, struct weir_arena *arena,
                             struct weir_planner_result *result_out)
{
    struct weir_arena own = {0};
    struct search *s;
    struct weir_planner_result result = {.plans = NULL};
    weir_status status = request_check(request);
    if (!status)
        status = weir_arena_alloc(&own, 1, sizeof *s, &s);
    if (status)
        return status;
    s->request = request;
    s->arena = arena;
    s->result = &result;
    s->refines = request->schedule && !strcmp(request->schedule, "auto");
    s->climb_actions = ALL_CLIMBS_ACTIONS;
    speeds_find(s);
    s->largest_cap = largest_cap(request);
    status = search_run(s);
    for (int i = 0; i < s->n_sizes; i++)
        weir_planner_costs_close(s->sizes[i]);
    weir_arena_release(&s->work);
    weir_arena_release(&own);
    if (!status)
        *result_out = result;
    return status;
}
