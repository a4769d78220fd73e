/* The planner and plan files for programs: include/weir/plan.h. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/grown.h"
#include "base/json.h"
#include "base/replace.h"
#include "base/text.h"
#include "engine/program/config_take.h"
#include "engine/program/plan_file.h"
#include "engine/program/planner.h"
#include "include/weir/plan.h"
#include "kernels/vector.h"

static const char *const dtypes[] = {"f32", "tf32", "bf16", NULL}, *const optimizers[] = {"sgd", "adamw", NULL}; /* by enum */

struct weir_plans {
    struct weir_arena arena;
    int n;
    struct weir_plan_file *files; /* [n]: what each decides, found or read */
    struct weir_plan_info *infos; /* [n] */
    bool has_least;
    struct weir_plan_info least;
    int64_t n_candidates, n_simulated, n_compiled;
};

/* ---- requests -------------------------------------------------------------------------------------------------------- */

void weir_plan_request_init(struct weir_plan_request *request, size_t bytes)
{
    const struct weir_plan_request own = {.struct_bytes = bytes, .zero = WEIR_PLAN_ANY, .n_top = 1};
    weir_grown_give(&own, sizeof own, request, bytes);
}

static weir_status numbers_check(const struct weir_plan_request *own)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {{"n_devices", own->n_devices}, {"microbatch_size", own->microbatch_size}, {"n_microbatches", own->n_microbatches},
                {"max_replicas", own->max_replicas}, {"n_top", own->n_top}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value < 0)
            return WEIR_FAIL(WEIR_ERR_USAGE, "%s is %lld, it must not be negative", rows[i].name, (long long)rows[i].value);
    if (own->zero < WEIR_PLAN_ANY || own->zero > 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "zero is %d, it must be 0, 1 or %d for any", own->zero, (int)WEIR_PLAN_ANY);
    return WEIR_OK;
}

/* The program's request and the configuration in it, as this library's. */
static weir_status request_take(const struct weir_plan_request *given, struct weir_plan_request *own, struct weir_engine_config *config)
{
    weir_status status = weir_grown_take("weir_plan_request", "start with weir_plan_request_init", given,
                                         given ? given->struct_bytes : 0, own, sizeof *own);
    weir_engine_config_init(config, sizeof *config);
    if (!status && own->config)
        status = weir_engine_config_take(own->config, config);
    if (!status && !config->device)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "a plan is for a kind of device, the configuration has none");
    if (!status && ((unsigned)config->dtype > WEIR_COMPUTE_BF16 || (unsigned)config->optimizer > WEIR_OPTIMIZER_ADAMW))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "dtype %d and optimizer %d are not both there", (int)config->dtype, (int)config->optimizer);
    if (!status)
        status = numbers_check(own);
    return status;
}

static struct weir_ceilings ceilings_of(const struct weir_plan_request *own, const struct weir_engine_config *config)
{
    struct weir_ceilings c = weir_planner_ceilings(config->device, config->dtype);
    return (struct weir_ceilings){own->flops_per_s != 0 ? own->flops_per_s : c.flops_per_s,
                                  own->bytes_per_s != 0 ? own->bytes_per_s : c.bytes_per_s,
                                  own->link_bytes_per_s != 0 ? own->link_bytes_per_s : c.link_bytes_per_s};
}

weir_status weir_plan_request_assume(struct weir_plan_request *request)
{
    struct weir_plan_request own;
    struct weir_engine_config config;
    weir_status status = request_take(request, &own, &config);
    if (status)
        return status;
    struct weir_ceilings c = ceilings_of(&own, &config);
    own.flops_per_s = c.flops_per_s;
    own.bytes_per_s = c.bytes_per_s;
    own.link_bytes_per_s = c.link_bytes_per_s;
    weir_grown_give(&own, sizeof own, request, own.struct_bytes);
    return WEIR_OK;
}

static void links_scale(struct weir_topology *topology, double factor)
{
    for (int i = 0; i < topology->n_parts; i++) {
        topology->parts[i].bandwidth *= factor;
        topology->parts[i].network *= factor;
        topology->parts[i].fabric *= factor;
    }
    for (int i = 0; i < topology->n_links; i++)
        topology->links[i].bandwidth *= factor;
}

static weir_status topology_take(const struct weir_plan_request *own, struct weir_arena *arena, struct weir_planner_request *out)
{
    struct weir_topology *topology;
    if (!own->topology)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *topology, &topology);
    if (!status)
        status = weir_topology_read(own->topology, arena, topology);
    if (status)
        return status;
    if (own->link_speed != 0)
        links_scale(topology, own->link_speed);
    out->topology = topology;
    out->n_devices = own->n_devices ? own->n_devices : topology->n_devices;
    return WEIR_OK;
}

static weir_status costs_take(const struct weir_schedule_costs *costs, struct weir_planner_request *out)
{
    if (!costs)
        return WEIR_OK;
    if (!costs->layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no times of layers", costs->name ? costs->name : "costs");
    out->layers = costs->layers;
    out->n_layers = costs->n_layers;
    out->hand_over_ms = costs->transfer;
    out->flight = costs->flight;
    return WEIR_OK;
}

static weir_status request_make(const struct weir_plan_request *own, const struct weir_engine_config *config, struct weir_arena *arena,
                                struct weir_planner_request *out)
{
    if (!own->graph)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a plan is for a graph, the request has none");
    if (strpbrk(config->device, ":,"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "a plan is for a kind of device, such as cuda, not for '%s'", config->device);
    if (!(own->link_speed >= 0 && own->link_speed <= 1e6))
        return WEIR_FAIL(WEIR_ERR_USAGE, "links cannot be %g times as fast", own->link_speed);
    *out = (struct weir_planner_request){
        .graph = own->graph, .config = *config, .n_devices = own->n_devices, .global_batch = own->global_batch,
        .microbatch_size = own->microbatch_size, .n_microbatches = own->n_microbatches, .schedule = own->schedule,
        .recompute = own->recompute, .zero = own->zero, .max_replicas = own->max_replicas, .n_top = own->n_top};
    out->ceilings = ceilings_of(own, config);
    if (own->link_speed != 0)
        out->ceilings.link_bytes_per_s *= own->link_speed;
    weir_status status = topology_take(own, arena, out);
    return status ? status : costs_take(own->costs, out);
}

/* ---- plans ----------------------------------------------------------------------------------------------------------- */

/* What a plan file has. */
static struct weir_plan_info info_of(const struct weir_plan_file *f)
{
    return (struct weir_plan_info){
        .n_ranks = f->cut.n_stages / (int)f->n_chunks, .n_chunks = (int)f->n_chunks, .n_stages = f->cut.n_stages,
        .n_replicas = (int)f->n_replicas, .zero = (int)f->zero, .microbatch_size = f->microbatch_size,
        .n_microbatches = f->n_microbatches, .seq_len = f->seq_len, .schedule = f->schedule, .dtype = f->dtype,
        .optimizer = f->optimizer, .recompute = f->recompute, .first_layer = f->cut.first_layer, .model = f->model,
        .device = f->device, .library = f->library, .rank_ms = f->rank_ms, .order = f->order};
}

static void arrangement_take(const struct weir_arrangement *a, struct weir_plan_info *info)
{
    if (!a)
        return;
    info->device_of = a->device_of;
    info->replicas_together = a->replicas_together;
    info->reduce_bytes_per_s = a->n_replicas > 1 ? a->ring.bandwidth : 0;
    for (int r = 0; r + 1 < a->n_ranks; r++)
        info->link_bytes_per_s = r ? fmin(info->link_bytes_per_s, a->to_next[r].bandwidth) : a->to_next[r].bandwidth;
}

static weir_status planned_take(weir_plans *plans, const struct weir_planned *p, const struct weir_plan_file *of,
                                struct weir_plan_file *file, struct weir_plan_info *info)
{
    struct weir_memory_report *memory;
    weir_status status = weir_arena_alloc(&plans->arena, 1, sizeof *memory, &memory);
    *file = *of;
    if (!status) /* it may be the request's */
        status = weir_arena_strdup(&plans->arena, p->recompute, &file->recompute);
    if (status)
        return status;
    *memory = p->memory;
    file->cut = p->cut;
    file->schedule = p->order ? "auto" : p->kind->name;
    file->order = p->order;
    file->n_chunks = p->n_chunks;
    file->n_replicas = p->n_replicas;
    file->zero = p->zero;
    file->n_microbatches = p->n_microbatches;
    file->microbatch_size = p->microbatch_size;
    file->rank_ms = p->rank_ms;
    *info = info_of(file);
    info->n_recomputed = p->n_recomputed;
    info->step_ms = p->step_ms;
    info->bubble = p->bubble;
    info->exposed_ms = p->exposed_ms;
    info->optimizer_ms = p->optimizer_ms;
    info->busiest = p->busiest;
    info->busiest_ms = p->busiest_ms;
    info->memory = memory;
    info->boundaries = p->boundaries;
    info->n_boundaries = p->n_boundaries;
    arrangement_take(p->arrangement, info);
    return WEIR_OK;
}

static weir_status plans_make(weir_plans *plans, int n)
{
    weir_status status = weir_arena_alloc(&plans->arena, (size_t)n, sizeof *plans->files, &plans->files);
    return status ? status : weir_arena_alloc(&plans->arena, (size_t)n, sizeof *plans->infos, &plans->infos);
}

static weir_status result_take(weir_plans *plans, const struct weir_planner_result *result, const struct weir_plan_file *of)
{
    struct weir_plan_file least;
    weir_status status = plans_make(plans, result->n_plans);
    plans->n_candidates = result->n_candidates;
    plans->n_simulated = result->n_simulated;
    plans->n_compiled = result->n_compiled;
    for (; plans->n < result->n_plans && !status; plans->n++)
        status = planned_take(plans, &result->plans[plans->n], of, &plans->files[plans->n], &plans->infos[plans->n]);
    if (!status && result->has_least)
        status = planned_take(plans, &result->least, of, &least, &plans->least);
    plans->has_least = result->has_least;
    return status;
}

static int64_t positions_of(const struct weir_graph *graph)
{
    const struct weir_shape *shape = &graph->inputs[0].shape;
    return shape->dtype == WEIR_DTYPE_I32 && shape->n_dims == 2 ? shape->dims[1] : 0;
}

/* What all plans of a request have. */
static weir_status file_begin(weir_plans *plans, const struct weir_plan_request *own, const struct weir_planner_request *request,
                              struct weir_plan_file *file)
{
    const struct weir_graph *graph = request->graph;
    *file = (struct weir_plan_file){
        .n_parameters = weir_graph_n_elements(graph), .library = weir_version(), .seq_len = positions_of(graph),
        .dtype = dtypes[request->config.dtype], .optimizer = optimizers[request->config.optimizer]};
    weir_status status = weir_arena_strdup(&plans->arena, own->model ? own->model : graph->name, &file->model);
    if (!status)
        status = weir_arena_strdup(&plans->arena, request->config.device, &file->device);
    file->path = file->model;
    return status ? status : weir_plan_file_hash(graph, &plans->arena, &file->model_hash);
}

static weir_status plans_find(weir_plans *plans, const struct weir_plan_request *given)
{
    struct weir_plan_request own;
    struct weir_engine_config config;
    struct weir_planner_request request;
    struct weir_planner_result result;
    struct weir_plan_file file;
    weir_status status = request_take(given, &own, &config);
    if (!status)
        status = request_make(&own, &config, &plans->arena, &request);
    if (!status)
        status = weir_planner_run(&request, &plans->arena, &result);
    if (!status)
        status = file_begin(plans, &own, &request, &file);
    return status ? status : result_take(plans, &result, &file);
}

static weir_status plans_read(weir_plans *plans, const char *path)
{
    weir_status status = plans_make(plans, 1);
    if (!status)
        status = weir_plan_file_load(path, &plans->arena, plans->files);
    if (status)
        return status;
    plans->infos[0] = info_of(plans->files);
    plans->n = 1;
    return WEIR_OK;
}

/* Opened by one of two functions. */
static weir_status plans_open(const struct weir_plan_request *request, const char *path, weir_plans **plans_out)
{
    weir_plans *plans;
    weir_status status = weir_alloc(1, sizeof *plans, &plans);
    if (status)
        return status;
    status = request ? plans_find(plans, request) : plans_read(plans, path);
    if (status)
        weir_plans_close(plans);
    else
        *plans_out = plans;
    return status;
}

weir_status weir_plans_find(const struct weir_plan_request *request, weir_plans **plans_out)
{
    if (!request || !plans_out)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no %s: it is NULL", request ? "place for the plans" : "weir_plan_request");
    return plans_open(request, NULL, plans_out);
}

weir_status weir_plans_read(const char *path, weir_plans **plans_out)
{
    if (!path || !plans_out)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no %s: it is NULL", path ? "place for the plans" : "path of a plan");
    return plans_open(NULL, path, plans_out);
}

void weir_plans_close(weir_plans *plans)
{
    if (plans)
        weir_arena_release(&plans->arena);
    weir_free(plans);
}

int weir_plans_count(const weir_plans *plans)
{
    return plans ? plans->n : 0;
}

void weir_plans_effort(const weir_plans *plans, int64_t *candidates_out, int64_t *simulated_out, int64_t *compiled_out)
{
    *candidates_out = plans->n_candidates;
    *simulated_out = plans->n_simulated;
    *compiled_out = plans->n_compiled;
}

static double gib(size_t bytes)
{
    return (double)bytes / 0x1p30;
}

static weir_status index_check(const weir_plans *plans, int index)
{
    if (!plans)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there are no plans: they are NULL");
    const struct weir_memory_report *memory = plans->least.memory;
    if (index >= 0 && index < plans->n)
        return WEIR_OK;
    if (plans->has_least)
        return WEIR_FAIL(WEIR_ERR_NOFIT, "nothing fits: the leanest plan has rank %d with %.1f GiB, the cap is %.1f GiB: use more devices "
                                         "or a smaller model", memory->largest, gib(memory->ranks[memory->largest].all), gib(memory->cap));
    return WEIR_FAIL(WEIR_ERR_INVALID, "there is no plan %d, there are %d", index, plans->n);
}

weir_status weir_plans_info_sized(const weir_plans *plans, int index, struct weir_plan_info *info_out, size_t info_bytes)
{
    weir_status status = index_check(plans, index);
    if (!status)
        weir_grown_give(&plans->infos[index], sizeof *plans->infos, info_out, info_bytes);
    return status;
}

weir_status weir_plans_least_sized(const weir_plans *plans, struct weir_plan_info *info_out, size_t info_bytes)
{
    if (!plans || !plans->has_least)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no plan that comes nearest: %s", plans && plans->n ? "there are some that fit" : "there are none");
    weir_grown_give(&plans->least, sizeof plans->least, info_out, info_bytes);
    return WEIR_OK;
}

/* ---- for an engine --------------------------------------------------------------------------------------------------- */

weir_status weir_plans_check(const weir_plans *plans, int index, const struct weir_graph *graph)
{
    weir_status status = index_check(plans, index);
    if (!status && !graph)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "a plan is for a graph, the configuration has none");
    if (status)
        return status;
    const struct weir_plan_file *f = &plans->files[index];
    status = weir_plan_file_check(f, graph);
    if (!status && f->seq_len && f->seq_len != positions_of(graph))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "plan '%s' is for %lld tokens per sample, the graph has %lld", f->path,
                           (long long)f->seq_len, (long long)positions_of(graph));
    return status;
}

/* The schedule, the graph and what has a name. */
static weir_status config_fill(weir_plans *plans, const struct weir_plan_file *f, struct weir_engine_config *own)
{
    struct weir_schedule *schedule;
    int dtype = 0, optimizer = 0;
    weir_status status = weir_name_find("dtype", f->dtype, dtypes, &dtype);
    if (!status)
        status = weir_name_find("optimizer", f->optimizer, optimizers, &optimizer);
    if (!status)
        status = weir_arena_alloc(&plans->arena, 1, sizeof *schedule, &schedule);
    if (!status && f->order)
        *schedule = *f->order;
    else if (!status)
        status = weir_pipeline_schedule(f->schedule, f->cut.n_stages, (int)f->n_chunks, (int)f->n_microbatches, &plans->arena, schedule);
    if (!status)
        status = weir_graph_resize(own->graph, f->microbatch_size, &plans->arena, &own->graph);
    if (status)
        return status;
    own->schedule = schedule;
    own->dtype = (enum weir_compute)dtype;
    own->optimizer = (enum weir_optimizer)optimizer;
    return WEIR_OK;
}

weir_status weir_plans_configure(weir_plans *plans, int index, struct weir_engine_config *config)
{
    struct weir_engine_config own;
    weir_status status = weir_engine_config_take(config, &own);
    if (!status)
        status = weir_plans_check(plans, index, own.graph);
    if (!status)
        status = config_fill(plans, &plans->files[index], &own);
    if (status)
        return status;
    own.struct_bytes = config->struct_bytes;
    own.first_layer = plans->files[index].cut.first_layer;
    own.recompute = plans->files[index].recompute;
    own.replicas = (int)plans->files[index].n_replicas;
    own.zero = (int)plans->files[index].zero;
    weir_grown_give(&own, sizeof own, config, config->struct_bytes);
    return WEIR_OK;
}

/* ---- to a file ------------------------------------------------------------------------------------------------------- */

static json_t *memory_json(const struct weir_memory_report *m)
{
    json_t *ranks = json_array();
    for (int r = 0; r < m->n_ranks; r++) {
        const struct weir_rank_memory *k = &m->ranks[r];
        json_t *rank = json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rank", r, "parameters", (json_int_t)k->parameters,
                                 "gradients", (json_int_t)k->gradients, "optimizer", (json_int_t)k->optimizer, "activations",
                                 (json_int_t)k->activations, "slots", (json_int_t)k->slots, "beside", (json_int_t)k->beside, "all",
                                 (json_int_t)k->all);
        weir_json_push(&ranks, rank);
    }
    return json_pack("{s:s, s:i, s:o, s:o, s:b, s:b}", "unit", "bytes", "replicas", m->n_replicas, "cap",
                     m->cap ? json_integer((json_int_t)m->cap) : json_null(), "ranks", ranks, "fits", (int)m->fits,
                     "measured_at_start", (int)m->is_measured);
}

/* What goes over each boundary with a micro-batch, and comes back. */
static json_t *boundaries_json(const struct weir_plan_info *info)
{
    json_t *array = json_array();
    for (int b = 0; b < info->n_boundaries; b++) {
        const struct weir_plan_boundary *of = &info->boundaries[b];
        weir_json_push(&array, json_pack("{s:i, s:i, s:i, s:I}", "from", of->from, "to", of->to, "values", of->n_values, "bytes",
                                         (json_int_t)of->bytes));
    }
    return array;
}

static json_t *predicted_json(const struct weir_plan_info *info)
{
    json_t *rank_ms = json_array();
    for (int r = 0; r < info->n_ranks; r++)
        weir_json_push(&rank_ms, json_real(info->rank_ms[r]));
    if (!info->memory) /* it came from a file, of which nothing else is read */
        return json_pack("{s:o}", "rank_ms", rank_ms);
    return json_pack("{s:f, s:f, s:f, s:f, s:i, s:f, s:o, s:o, s:o}", "step_ms", info->step_ms, "bubble", info->bubble, "exposed_ms",
                     info->exposed_ms, "optimizer_ms", info->optimizer_ms, "busiest_rank", info->busiest, "busiest_ms",
                     info->busiest_ms, "rank_ms", rank_ms, "boundaries", boundaries_json(info), "memory", memory_json(info->memory));
}

weir_status weir_plans_write(const weir_plans *plans, int index, const char *path)
{
    struct weir_text text = {0};
    struct weir_arena arena = {0};
    const char *predicted = NULL;
    weir_status status = index_check(plans, index);
    if (!status && plans->files[index].n_replicas > WEIR_REDUCE_TERMS)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the plan has %d replicas, a run has at most %d: use " WEIR_OPTION("max_replicas=%d")
                           " for one to run", plans->infos[index].n_replicas, WEIR_REDUCE_TERMS, WEIR_REDUCE_TERMS);
    if (!status && plans->infos[index].rank_ms)
        status = weir_json_print(predicted_json(&plans->infos[index]), 0, &arena, &predicted);
    if (!status)
        status = weir_plan_file_write(&plans->files[index], predicted, &text);
    if (!status)
        status = weir_file_write(path, text.data, text.length);
    weir_text_release(&text);
    weir_arena_release(&arena);
    return status;
}
