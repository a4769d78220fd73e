/* The search.  Loops from what is dear to what is cheap: the graph of a micro-batch size, the costs of a number of stages (both
 * kept), the lists of a schedule, and the simulation.  Candidates that hold too much by their own lists are left out; of the
 * others a list of the fastest is kept, and compiled from its head on. */
#include "engine/program/planner.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/program/memory_report_make.h"
#include "engine/program/recomputed.h"
#include "engine/program/stage_costs.h"
#include "kernels/vector.h"
#include "partitioner/contiguous/chain.h"

enum { MOST_SIZES = 24, MOST_STAGES = 512, MOST_KEPT = 256, MOST_ACTIONS = 1 << 18, WAYS = 2 };

/* Costs of a number of stages, once for each way to recompute. */
struct stages {
    bool is_made;
    const int *first_layer;
    const struct weir_stage_costs *costs;
    double transfer_ms; /* of what crosses the widest border */
    double optimizer_ms;
};

struct search {
    const struct weir_planner_request *request;
    struct weir_arena *arena;
    struct weir_arena work;         /* of one micro-batch size */
    const struct weir_device_kind *kind;
    const struct weir_graph *graph; /* of the current micro-batch size, in its storage type */
    const struct weir_graph *plain; /* the same in f32, which a build casts itself */
    struct stages stages[WAYS][MOST_STAGES + 1];
    struct weir_planned kept[MOST_KEPT]; /* ascending by time */
    int n_kept;
    struct weir_planned least;
    bool has_least;
    struct weir_planner_result *result;
};

/* ---- what can be chosen --------------------------------------------------------------------------------------------- */

static const char *way_name(const struct search *s, int way)
{
    return s->request->recompute ? s->request->recompute : way ? "full" : "none";
}

static int n_ways(const struct search *s)
{
    return s->request->recompute ? 1 : WAYS;
}

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

/* ---- costs of stages ------------------------------------------------------------------------------------------------ */

static double widest_border(const struct weir_graph *graph)
{
    double most = 0;
    for (int l = 1; l < graph->n_layers; l++)
        most = fmax(most, (double)weir_shape_bytes(weir_graph_shape(graph, graph->layers[l].input)));
    return most;
}

/* Parameters, gradients and optimizer state are read, and all but gradients written. */
static double optimizer_ms(const struct search *s, const struct weir_stage_costs *costs, int n_stages)
{
    double most = 0;
    for (int i = 0; i < n_stages; i++)
        most = fmax(most, 2 * costs[i].param_bytes + costs[i].grad_bytes + 2 * costs[i].optimizer_bytes);
    return 1e3 * most / s->request->ceilings.bytes_per_s;
}

static weir_status cut_make(struct search *s, int way, int n_stages, const int **first_layer_out)
{
    struct weir_cost_graph costs;
    double *times;
    int *first_layer;
    weir_status status = weir_model_cost_graph(s->graph, way_name(s, way), &s->request->ceilings, &costs);
    if (status)
        return status;
    status = weir_arena_alloc(&s->work, (size_t)costs.n_nodes, sizeof *times, &times);
    if (!status)
        status = weir_arena_alloc(s->arena, (size_t)n_stages + 1, sizeof *first_layer, &first_layer);
    for (int l = 0; l < costs.n_nodes && !status; l++)
        times[l] = weir_cost_node_time(&costs.nodes[l]);
    if (!status)
        status = weir_chain_split(times, costs.n_nodes, n_stages, first_layer);
    weir_cost_graph_release(&costs);
    if (!status)
        *first_layer_out = first_layer;
    return status;
}

static weir_status stages_find(struct search *s, int way, int n_stages, const struct stages **stages_out)
{
    struct stages *stages = &s->stages[way][n_stages];
    struct weir_engine_config config = s->request->config;
    *stages_out = stages;
    if (stages->is_made)
        return WEIR_OK;
    weir_status status = cut_make(s, way, n_stages, &stages->first_layer);
    config.graph = s->plain;
    config.first_layer = stages->first_layer;
    config.recompute = way_name(s, way);
    config.replicas = 1;
    config.zero = 0;
    if (!status)
        status = weir_stage_costs_find(&config, n_stages, &s->request->ceilings, &s->work, &stages->costs);
    if (status)
        return status;
    stages->transfer_ms = 1e3 * widest_border(s->graph) / s->request->ceilings.link_bytes_per_s;
    stages->optimizer_ms = optimizer_ms(s, stages->costs, n_stages);
    stages->is_made = true;
    return WEIR_OK;
}

/* ---- keeping -------------------------------------------------------------------------------------------------------- */

/* Of equal times the one that holds less, then the simpler one. */
static bool is_before(const struct weir_planned *a, const struct weir_planned *b)
{
    double slack = 1e-9 * (a->step_ms + b->step_ms);
    if (fabs(a->step_ms - b->step_ms) > slack)
        return a->step_ms < b->step_ms;
    return a->estimate < b->estimate;
}

static void keep(struct search *s, const struct weir_planned *plan)
{
    int at = s->n_kept;
    while (at > 0 && is_before(plan, &s->kept[at - 1]))
        at--;
    if (at == MOST_KEPT)
        return;
    int last = s->n_kept < MOST_KEPT ? s->n_kept++ : MOST_KEPT - 1;
    memmove(&s->kept[at + 1], &s->kept[at], (size_t)(last - at) * sizeof s->kept[0]);
    s->kept[at] = *plan;
}

/* Worse than all that is kept: nothing would come of it. */
static bool is_hopeless(const struct search *s, double least_ms)
{
    return s->n_kept == MOST_KEPT && least_ms > s->kept[MOST_KEPT - 1].step_ms;
}

/* ---- timing --------------------------------------------------------------------------------------------------------- */

/* A schedule and what its ranks do at most at once. */
struct trial {
    const struct weir_schedule *schedule;
    struct weir_planned plan; /* as far as it is known */
};

/* No rank is done before its own work. */
static double work_bound(const struct trial *t, const struct stages *stages)
{
    double most = 0;
    for (int r = 0; r < t->plan.n_ranks; r++) {
        double work = 0;
        for (int i = 0; i < t->schedule->n_stages; i++)
            if (t->schedule->stage_rank[i] == r)
                work += stages->costs[i].forward + stages->costs[i].input + stages->costs[i].weight;
        most = fmax(most, work);
    }
    return most * (double)t->plan.n_microbatches;
}

static void measured(const struct weir_simulation *simulation, struct weir_planned *plan)
{
    plan->step_ms = simulation->makespan;
    plan->bubble = simulation->bubble;
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

static weir_status trial_time(struct search *s, const struct trial *t, const struct stages *stages, struct weir_arena *arena)
{
    const struct weir_planner_request *request = s->request;
    struct weir_planned plan = t->plan;
    struct weir_simulation simulation;
    struct weir_schedule_costs costs = {.overlap_gain = 1, .transfer = stages->transfer_ms, .stages = stages->costs,
                                        .n_stages = t->schedule->n_stages,
                                        .optimizer = stages->optimizer_ms * plan.n_chunks,
                                        .reduce_bandwidth = request->ceilings.link_bytes_per_s / 1e3};
    const struct weir_simulation_options options = {.n_replicas = plan.n_replicas, .shard_optimizer = plan.zero == 1};
    weir_status status = weir_schedule_simulate(t->schedule, &costs, &options, arena, &simulation);
    if (status)
        return status;
    s->result->n_simulated++;
    measured(&simulation, &plan);
    plan.optimizer_ms = simulation.optimizer;
    if (!s->has_least || plan.estimate < s->least.estimate)
        s->least = plan;
    s->has_least = true;
    if (!request->config.device_memory || plan.estimate <= (double)request->config.device_memory)
        keep(s, &plan);
    return WEIR_OK;
}

static weir_status ways_try(struct search *s, struct trial *t)
{
    struct weir_arena arena = {0};
    const struct stages *stages;
    int most_zero = t->plan.n_replicas > 1 && s->request->zero ? 1 : 0;
    int least_zero = s->request->zero == 1 ? 1 : 0;
    weir_status status = WEIR_OK;
    for (int way = 0; way < n_ways(s) && !status; way++) {
        t->plan.recompute = way_name(s, way);
        status = stages_find(s, way, t->schedule->n_stages, &stages);
        if (!status)
            t->plan.cut = (struct weir_layer_cut){t->schedule->n_stages, stages->first_layer};
        for (int zero = least_zero; zero <= most_zero && !status; zero++) {
            t->plan.zero = zero;
            s->result->n_candidates++;
            if (!is_hopeless(s, work_bound(t, stages)))
                status = trial_time(s, t, stages, &arena);
            weir_arena_release(&arena);
        }
    }
    return status;
}

/* ---- the loops ------------------------------------------------------------------------------------------------------ */

static bool is_trainable(const struct weir_schedule_kind *kind)
{
    return kind->n_copies < 2 && strcmp(kind->name, "inference") != 0;
}

static bool takes(const struct search *s, const struct weir_schedule_kind *kind, const struct weir_planned *plan)
{
    int v = plan->n_chunks;
    bool fits = kind->n_chunks ? v == kind->n_chunks : v == 1 || kind->default_chunks > 1 || !strcmp(kind->name, "bfs");
    bool asked = !s->request->schedule || !strcmp(kind->name, s->request->schedule);
    bool plain = plan->n_ranks > 1 || s->request->schedule || !strcmp(kind->name, "1f1b") || !strcmp(kind->name, "gpipe");
    return asked && fits && is_trainable(kind) && (plain || v > 1);
}

/* A kind refuses sizes that it has no schedule for; those are no candidates. */
static weir_status kinds_try(struct search *s, struct weir_planned plan)
{
    weir_status status = WEIR_OK;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind && !status; kind++) {
        struct weir_arena arena = {0};
        struct weir_schedule schedule;
        struct weir_schedule_params params = {plan.n_ranks, plan.n_chunks, (int)plan.n_microbatches, 0};
        if (!takes(s, *kind, &plan))
            continue;
        weir_status built = weir_schedule_build(*kind, &params, &arena, &schedule);
        struct trial trial = {&schedule, plan};
        trial.plan.kind = *kind;
        if (!built)
            status = ways_try(s, &trial);
        else if (built != WEIR_ERR_INVALID)
            status = built;
        weir_arena_release(&arena);
    }
    return status;
}

static weir_status replicas_try(struct search *s, struct weir_planned plan)
{
    const struct weir_planner_request *r = s->request;
    int most = r->n_devices / plan.n_ranks;
    most = r->max_replicas && most > r->max_replicas ? r->max_replicas : most;
    most = most > WEIR_REDUCE_TERMS ? WEIR_REDUCE_TERMS : most;
    weir_status status = WEIR_OK;
    for (int d = 1; d <= most && !status; d = next_count(d)) {
        if (r->global_batch % (d * plan.microbatch_size))
            continue;
        plan.n_replicas = d;
        plan.n_microbatches = r->global_batch / (d * plan.microbatch_size);
        bool asked = !r->n_microbatches || plan.n_microbatches == r->n_microbatches;
        if (asked && plan.n_microbatches * plan.n_ranks * plan.n_chunks <= MOST_ACTIONS)
            status = kinds_try(s, plan);
    }
    return status;
}

static weir_status ranks_try(struct search *s, int64_t microbatch_size)
{
    int most_ranks = s->request->n_devices < s->graph->n_layers ? s->request->n_devices : s->graph->n_layers;
    weir_status status = WEIR_OK;
    for (int p = 1; p <= most_ranks && p <= 64 && !status; p = next_count(p))
        for (int v = 1; v <= 8 && p * v <= s->graph->n_layers && p * v <= MOST_STAGES && !status; v *= 2)
            if (p > 1 || v == 1)
                status = replicas_try(s, (struct weir_planned){.n_ranks = p, .n_chunks = v, .microbatch_size = microbatch_size});
    return status;
}

static weir_status size_try(struct search *s, int64_t microbatch_size)
{
    enum weir_dtype storage = s->request->config.dtype == WEIR_COMPUTE_BF16 ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
    weir_status status = weir_graph_resize(s->request->graph, microbatch_size, &s->work, &s->plain);
    if (!status)
        status = weir_graph_cast(s->plain, storage, &s->work, &s->graph);
    if (!status)
        status = ranks_try(s, microbatch_size);
    memset(s->stages, 0, sizeof s->stages);
    weir_arena_release(&s->work);
    return status;
}

/* ---- compiling ------------------------------------------------------------------------------------------------------ */

static weir_status config_of(struct search *s, const struct weir_planned *plan, struct weir_arena *arena,
                             struct weir_schedule *schedule, struct weir_engine_config *config)
{
    struct weir_schedule_params params = {plan->n_ranks, plan->n_chunks, (int)plan->n_microbatches, 0};
    *config = s->request->config;
    config->schedule = schedule;
    config->first_layer = plan->cut.first_layer;
    config->recompute = plan->recompute;
    config->replicas = plan->n_replicas;
    config->zero = plan->zero;
    weir_status status = weir_schedule_build(plan->kind, &params, arena, schedule);
    return status ? status : weir_graph_resize(s->request->graph, plan->microbatch_size, arena, &config->graph);
}

/* The figures of weir_engine_memory, each rank in a place of its own. */
static weir_status compile(struct search *s, struct weir_planned *plan)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_build build;
    struct weir_extras extras;
    int *device_of, n = plan->n_ranks * plan->n_replicas;
    weir_status status = config_of(s, plan, &arena, &schedule, &config);
    if (!status)
        status = weir_build_training(&config, s->kind, &arena, &build);
    if (!status)
        status = weir_arena_alloc(&arena, (size_t)n, sizeof *device_of, &device_of);
    for (int r = 0; r < n && !status; r++)
        device_of[r] = r;
    if (!status)
        status = weir_extras_make(&build, &(struct weir_resources){.device_of = device_of, .host_free = SIZE_MAX}, &arena, &extras);
    if (!status)
        status = weir_memory_report_make(&build, &extras, s->arena, &plan->memory);
    weir_arena_release(&arena);
    s->result->n_compiled++;
    return status;
}

static weir_status plans_compile(struct search *s)
{
    struct weir_planned *plans;
    int n_top = s->request->n_top > 0 ? s->request->n_top : 1, n = 0;
    weir_status status = weir_arena_alloc(s->arena, (size_t)n_top, sizeof *plans, &plans);
    for (int i = 0; i < s->n_kept && n < n_top && !status; i++) {
        status = compile(s, &s->kept[i]);
        if (!status && s->kept[i].memory.fits)
            plans[n++] = s->kept[i];
    }
    if (!status && !n && s->has_least)
        status = compile(s, &s->least);
    if (!status && !n && s->has_least && s->least.memory.fits)
        plans[n++] = s->least;
    s->result->plans = plans;
    s->result->n_plans = n;
    s->result->has_least = !n && s->has_least;
    s->result->least = s->least;
    return status;
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */

static weir_status request_check(const struct weir_planner_request *r)
{
    const struct weir_schedule_kind *kind;
    weir_status status = r->schedule ? weir_schedule_kind_find(r->schedule, &kind) : WEIR_OK;
    if (!status && r->schedule && !is_trainable(kind))
        return WEIR_FAIL(WEIR_ERR_USAGE, "schedule '%s' cannot train: it has two copies of the weights, or forwards only", r->schedule);
    if (status)
        return status;
    if (r->n_devices < 1 || r->n_devices > WEIR_PLANNER_MOST_DEVICES)
        return WEIR_FAIL(WEIR_ERR_USAGE, "devices is %d, it must be from 1 to %d", r->n_devices, WEIR_PLANNER_MOST_DEVICES);
    if (r->global_batch < 1 || r->global_batch > 1 << 24)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the batch is %lld samples, it must be from 1 to %d", (long long)r->global_batch, 1 << 24);
    if (r->microbatch_size && r->global_batch % r->microbatch_size)
        return WEIR_FAIL(WEIR_ERR_USAGE, "a batch of %lld samples has no micro-batches of %lld: use another "
                                         WEIR_OPTION("global_batch") " or " WEIR_OPTION("microbatch_size"),
                         (long long)r->global_batch, (long long)r->microbatch_size);
    return WEIR_OK;
}

static weir_status search_run(struct search *s)
{
    int64_t sizes[MOST_SIZES];
    int n = sizes_list(s->request, sizes);
    weir_status status = weir_build_kind_plan(&s->request->config, &s->kind);
    for (int i = 0; i < n && !status; i++)
        status = size_try(s, sizes[i]);
    if (!status && !s->result->n_candidates)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "no schedule has such a size: a batch of %lld samples on %d devices",
                           (long long)s->request->global_batch, s->request->n_devices);
    return status ? status : plans_compile(s);
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
    status = search_run(s);
    weir_arena_release(&s->work);
    weir_arena_release(&own);
    if (!status)
        *result_out = result;
    return status;
}
