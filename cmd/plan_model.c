#include "cmd/plan_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/replace.h"
#include "cmd/memory_print.h"
#include "cmd/schedule_cost_options.h"
#include "cmd/synonyms.h"
#include "engine/program/plan_file.h"
#include "engine/program/planner.h"
#include "include/weir/weir.h"

enum { MOST_REPLICAS_RUN = 64, DEFAULT_TOP = 5, SAMPLES_PER_DEVICE = 8, DIGITS = 10 };

struct planning {
    const struct plan_options *options;
    struct weir_arena arena;
    const struct weir_model_kind *model;
    struct weir_planner_request request;
    struct weir_planner_result result;
    const char *dtype;
    bool assumed; /* some of the ceilings */
    struct weir_topology topology;
};

/* ---- from options to a request --------------------------------------------------------------------------------------- */

static void ceilings_settle(struct planning *p, const char *device)
{
    const struct plan_options *o = p->options;
    struct weir_ceilings *c = &p->request.ceilings;
    bool flops = options_given(&o->given, "flops"), traffic = options_given(&o->given, "traffic"), link = o->bandwidth > 0;
    *c = weir_planner_ceilings(device, p->request.config.dtype);
    c->flops_per_s = flops ? o->flops : c->flops_per_s;
    c->bytes_per_s = traffic ? o->traffic : c->bytes_per_s;
    c->link_bytes_per_s = link ? o->bandwidth : c->link_bytes_per_s;
    p->assumed = !flops || !traffic || (!link && !p->request.topology);
}

static weir_status choices_read(struct planning *p)
{
    static const char *const dtypes[] = {"f32", "tf32", "bf16", NULL}, *const optimizers[] = {"sgd", "adamw", NULL};
    static const char *const zeros[] = {"0", "1", "any", NULL};
    const struct plan_options *o = p->options;
    struct weir_engine_config *config = &p->request.config;
    int dtype = 0, optimizer = WEIR_OPTIMIZER_ADAMW, zero = 2;
    weir_status status = o->dtype ? weir_name_find("dtype", name_understood(o->dtype, dtypes, dtype_synonyms), dtypes, &dtype) : WEIR_OK;
    if (!status && o->optimizer)
        status = weir_name_find("optimizer", name_understood(o->optimizer, optimizers, NULL), optimizers, &optimizer);
    if (!status && o->zero)
        status = weir_name_find("value of --zero", o->zero, zeros, &zero);
    p->dtype = dtypes[dtype];
    config->dtype = (enum weir_compute)dtype; /* in the order of the names, as the optimizer */
    config->optimizer = (enum weir_optimizer)optimizer;
    config->device = o->device ? o->device : dtype ? "cuda" : "cpu";
    config->device_memory = o->memory;
    p->request.zero = zero == 2 ? WEIR_PLANNER_ANY : zero;
    p->request.schedule = o->schedule && strcmp(o->schedule, "any") != 0 ? schedule_understood(o->schedule) : NULL;
    p->request.recompute = o->recompute && strcmp(o->recompute, "auto") != 0 ? o->recompute : NULL;
    if (!status && strpbrk(config->device, ":,"))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "a plan is for a kind of device: use --device cpu or --device cuda, and --devices K");
    if (!status && dtype == WEIR_COMPUTE_TF32 && !strcmp(config->device, "cpu"))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "--dtype %s is for --device cuda: leave it out", p->dtype);
    return status;
}

static int64_t batch_of(const struct planning *p)
{
    const struct plan_options *o = p->options;
    bool both = options_given(&o->given, "microbatches") && options_given(&o->given, "microbatch-size");
    return o->global_batch ? o->global_batch : both ? o->microbatches * o->microbatch_size : SAMPLES_PER_DEVICE * p->request.n_devices;
}

/* Image models are priced for the images of MNIST: 784 pixels, 10 classes. */
static weir_status model_build(struct planning *p)
{
    const struct plan_options *o = p->options;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = o->seq_len};
    weir_status status = weir_model_open(o->model, &p->arena, &p->model);
    if (status)
        return status;
    if (p->model->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    return weir_model_build(p->model, &params, &p->arena, &p->request.graph);
}

static weir_status costs_read(struct planning *p)
{
    struct weir_schedule_costs costs = {.optimizer = 0};
    weir_status status = costs_file_read(p->options->costs, &p->arena, &costs);
    if (!status && !costs.layers)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no times of layers: 'weir profile --model %s' measures them", costs.name,
                           p->options->model);
    p->request.layers = costs.layers;
    p->request.hand_over_ms = costs.transfer;
    p->request.flight = costs.flight;
    p->request.n_layers = costs.n_layers;
    return status;
}

static weir_status request_make(struct planning *p)
{
    const struct plan_options *o = p->options;
    if (!o->devices && !o->topology)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no devices: give --devices K or --topology");
    p->request.config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    weir_status status = o->topology ? weir_topology_read(o->topology, &p->arena, &p->topology) : WEIR_OK;
    p->request.topology = o->topology && !status ? &p->topology : NULL;
    if (!status)
        status = choices_read(p);
    if (!status)
        status = model_build(p);
    if (status)
        return status;
    ceilings_settle(p, p->request.config.device);
    p->request.n_devices = o->devices ? (int)o->devices : p->topology.n_devices;
    p->request.global_batch = batch_of(p);
    p->request.microbatch_size = options_given(&o->given, "microbatch-size") ? o->microbatch_size : 0;
    p->request.n_microbatches = options_given(&o->given, "microbatches") ? o->microbatches : 0;
    p->request.max_replicas = (int)o->max_replicas;
    if (o->costs)
        status = costs_read(p);
    p->request.n_top = o->top ? (int)o->top : DEFAULT_TOP;
    return status;
}

/* ---- for people ------------------------------------------------------------------------------------------------------ */

static double gib(size_t bytes)
{
    return (double)bytes / 0x1p30;
}

static size_t most_bytes(const struct weir_planned *plan)
{
    return plan->memory.ranks[plan->memory.largest].all;
}

/* Of GiB, so that a small number is one. */
static int digits_of(int64_t bytes)
{
    return bytes < (INT64_C(1) << 30) ? 4 : 1;
}

static void head_print(const struct planning *p)
{
    const struct weir_planner_request *r = &p->request;
    char name[1024];
    printf("%s, %.4g million parameters, %s, %s: a step of %" PRId64 " samples", weir_printable(p->options->model, name, sizeof name),
           (double)weir_graph_n_elements(r->graph) / 1e6, p->dtype, r->config.optimizer == WEIR_OPTIMIZER_ADAMW ? "adamw" : "sgd",
           r->global_batch);
    if (p->model->data == WEIR_DATA_TOKENS)
        printf(" of %" PRId64 " tokens", r->graph->n_targets / r->graph->microbatch_size);
    printf(" on %d x %s", r->n_devices, r->config.device);
    if (r->config.device_memory)
        printf(" with %.*f GiB", digits_of(r->config.device_memory), gib((size_t)r->config.device_memory));
    printf("\n%s %.4g Gflop/s and %.4g GB/s of memory per device", p->assumed ? "assumed:" : "given:", r->ceilings.flops_per_s / 1e9,
           r->ceilings.bytes_per_s / 1e9);
    if (r->topology)
        printf(", links of '%s'%s\n", weir_printable(p->options->topology, name, sizeof name), p->assumed ? " (--flops, --traffic)" : "");
    else
        printf(", %.4g GB/s between devices%s\n", r->ceilings.link_bytes_per_s / 1e9, p->assumed ? " (--flops, --traffic, --bandwidth)" : "");
    if (r->layers)
        printf("measured: layers in '%s', which take the place of flops\n", weir_printable(p->options->costs, name, sizeof name));
}

static void table_head_print(void)
{
    printf("%3s %6s %7s %9s %11s %13s %-15s %-10s %4s %12s %8s %10s\n", "", "ranks", "chunks", "replicas", "samples", "micro-batches",
           "schedule", "recompute", "ZeRO", "step", "bubble", "rank");
}

static const char *schedule_name(const struct weir_planned *plan)
{
    return plan->order ? "auto" : plan->kind->name;
}

static void plan_print(const struct planning *p, const struct weir_planned *plan, int i)
{
    int n_layers = p->request.graph->n_layers;
    char some[24];
    snprintf(some, sizeof some, "%d layer%s", plan->n_recomputed, plan->n_recomputed == 1 ? "" : "s");
    const char *recompute = plan->n_recomputed == n_layers ? "full" : plan->n_recomputed ? some : "none";
    printf("%2d. %6d %7d %9d %11" PRId64 " %13" PRId64 " %-15s %-10s %4d %9.*f ms %6.1f %% %6.*f GiB\n", i + 1, plan->n_ranks,
           plan->n_chunks, plan->n_replicas, plan->microbatch_size, plan->n_microbatches, schedule_name(plan), recompute, plan->zero,
           plan->step_ms < 100 ? 3 : 0, plan->step_ms, 100 * plan->bubble, most_bytes(plan) >= (size_t)1 << 30 ? 2 : 4, gib(most_bytes(plan)));
}

/* The best step of a request that has more of something; 0: none fits. */
static weir_status best_with(struct weir_planner_request request, double *ms_out)
{
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    request.n_top = 1;
    weir_status status = weir_planner_run(&request, &arena, &result);
    *ms_out = !status && result.n_plans ? result.plans[0].step_ms : 0;
    weir_arena_release(&arena);
    return status;
}

static void gain_print(const char *what, double ms, double before)
{
    if (ms > 0)
        printf("  %-28s %9.*f ms a step, %+.1f %%\n", what, ms < 100 ? 3 : 0, ms, 100 * (ms / before - 1));
    else
        printf("  %-28s nothing fits\n", what);
}

/* The links of a topology, twice as fast. */
static weir_status links_double(const struct planning *p, struct weir_arena *arena, struct weir_topology *out)
{
    struct weir_topology_part *parts;
    struct weir_topology_link *links;
    *out = p->topology;
    weir_status status = weir_arena_alloc(arena, (size_t)out->n_parts, sizeof *parts, &parts);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)out->n_links, sizeof *links, &links);
    for (int i = 0; i < out->n_parts && !status; i++) {
        parts[i] = out->parts[i];
        parts[i].bandwidth *= 2, parts[i].network *= 2, parts[i].fabric *= 2;
    }
    for (int i = 0; i < out->n_links && !status; i++)
        links[i] = (struct weir_topology_link){out->links[i].a, out->links[i].b, 2 * out->links[i].bandwidth};
    if (!status)
        out->parts = parts, out->links = links;
    return status;
}

static weir_status more_print(const struct planning *p)
{
    const struct weir_planned *best = &p->result.plans[0];
    struct weir_planner_request request = p->request;
    struct weir_topology fast;
    struct weir_arena arena = {0};
    double ms;
    weir_status status = WEIR_OK;
    printf("what would help:\n");
    if (!request.topology && request.n_devices < WEIR_PLANNER_MOST_DEVICES) {
        request.n_devices++;
        status = best_with(request, &ms);
        if (!status)
            gain_print("one more device", ms, best->step_ms);
    }
    request = p->request;
    request.ceilings.link_bytes_per_s *= 2;
    if (!status && request.topology)
        status = links_double(p, &arena, &fast);
    if (!status) {
        request.topology = request.topology ? &fast : NULL;
        status = best_with(request, &ms);
    }
    if (!status)
        gain_print("links twice as fast", ms, best->step_ms);
    request = p->request;
    request.global_batch += best->n_replicas * best->microbatch_size;
    if (!status && !request.n_microbatches && request.global_batch <= 1 << 24) {
        status = best_with(request, &ms);
        if (!status)
            gain_print("one more micro-batch", ms, best->step_ms);
        if (!status && ms > 0)
            printf("  %-28s %+.1f %% samples/s\n", "", 100 * (best->step_ms / ms * (double)request.global_batch / (double)p->request.global_batch - 1));
    }
    weir_arena_release(&arena);
    return status;
}

static void why_print(const struct planning *p)
{
    const struct weir_planned *best = &p->result.plans[0];
    const struct weir_planner_request *r = &p->request;
    int used = best->n_ranks * best->n_replicas, idle = r->n_devices - used;
    printf("rank %d decides: it works %.1f of %.1f ms; a rank waits at most %.1f ms for transfers and reductions, the optimizer takes "
           "%.1f ms\n", best->busiest, best->busiest_ms, best->step_ms, best->exposed_ms, best->optimizer_ms);
    if (idle)
        printf("%d device%s idle: no plan of up to %d ranks and %d replicas that divide the batch is faster with %s\n", idle,
               idle == 1 ? " is" : "s are", 64, r->max_replicas ? r->max_replicas : MOST_REPLICAS_RUN, idle == 1 ? "it" : "them");
    printf("%ld candidates, %ld simulated, %ld compiled\n", p->result.n_candidates, p->result.n_simulated, p->result.n_compiled);
    if (best->n_recomputed && best->n_recomputed < r->graph->n_layers)
        printf("recomputed: %s\n", best->recompute);
}

/* Rank by rank of the first replicas. */
static void placement_print(const struct planning *p)
{
    enum { SHOWN = 4 };
    const struct weir_arrangement *a = p->result.plans[0].arrangement;
    for (int r = 0; a && r < a->n_replicas && r < SHOWN; r++) {
        printf("%s %d on", a->n_replicas > 1 ? "replica" : "pipeline", r);
        for (int i = 0; i < a->n_ranks; i++) {
            const struct weir_topology_part *part = &p->topology.parts[p->topology.devices[a->device_of[r * a->n_ranks + i]].part];
            char name[64];
            printf("%s %s", i ? "," : "", weir_printable(part->name, name, sizeof name));
            if (p->topology.n_nodes > 1 && part->node >= 0)
                printf(" of %s", weir_printable(p->topology.parts[part->node].name, name, sizeof name));
        }
        printf("\n");
    }
    double slowest = INFINITY;
    for (int r = 0; a && r + 1 < a->n_ranks; r++)
        slowest = fmin(slowest, a->to_next[r].bandwidth);
    if (a && a->n_ranks > 1)
        printf("slowest link between ranks %.3g GB/s, %s together", slowest / 1e9, a->replicas_together ? "replicas" : "pipelines");
    if (a && a->n_replicas > 1)
        printf("%s%.3g GB/s in reductions", a->n_ranks > 1 ? ", " : "", a->ring.bandwidth / 1e9);
    if (a && a->n_ranks * a->n_replicas > 1)
        printf("\n");
}

static void layout_show(const struct planning *p)
{
    const struct weir_planned *best = &p->result.plans[0];
    struct weir_text layout = {0}, numbers = {0};
    weir_layer_cut_print(&best->cut, &numbers);
    bool has = !weir_layer_cut_layout_print(&best->cut, p->request.graph, &layout) && layout.data;
    if (!numbers.status)
        printf("cut: first layers %s%s%s\n", numbers.data, has ? ", layout " : "", has ? layout.data : "");
    weir_text_release(&layout);
    weir_text_release(&numbers);
}

/* Of a model with branches; each stage of a chain hands one value to the next. */
static void boundaries_show(const struct weir_planned *plan)
{
    bool plain = true;
    for (int b = 0; b < plan->n_boundaries; b++)
        plain &= plan->boundaries[b].to == plan->boundaries[b].from + 1 && plan->boundaries[b].n_values == 1;
    for (int b = 0; b < plan->n_boundaries && !plain; b++) {
        const struct weir_planned_boundary *of = &plan->boundaries[b];
        printf("%s stage %d to %d: %d value%s, %.0f bytes", b ? ";" : "boundaries, each way with a micro-batch:", of->from, of->to,
               of->n_values, of->n_values == 1 ? "" : "s", of->bytes);
    }
    if (!plain)
        printf("\n");
}

static weir_status people_print(const struct planning *p)
{
    head_print(p);
    if (!p->result.n_plans)
        return WEIR_OK;
    table_head_print();
    for (int i = 0; i < p->result.n_plans; i++)
        plan_print(p, &p->result.plans[i], i);
    if (!p->options->explain)
        return WEIR_OK;
    why_print(p);
    layout_show(p);
    boundaries_show(&p->result.plans[0]);
    placement_print(p);
    memory_print(&p->result.plans[0].memory, stdout);
    return more_print(p);
}

/* ---- for programs ---------------------------------------------------------------------------------------------------- */

static json_t *layers_json(const struct weir_layer_cut *cut)
{
    json_t *array = json_array();
    for (int s = 0; array && s < cut->n_stages; s++)
        json_array_append_new(array, json_integer(cut->first_layer[s]));
    return array;
}

/* The device of each rank, replica by replica. */
static json_t *placement_json(const struct weir_planned *plan)
{
    const struct weir_arrangement *a = plan->arrangement;
    json_t *array = a ? json_array() : json_null();
    for (int i = 0; a && i < a->n_ranks * a->n_replicas; i++)
        json_array_append_new(array, json_integer(a->device_of[i]));
    return array;
}

static json_t *rank_ms_json(const struct weir_planned *plan)
{
    json_t *array = plan->rank_ms ? json_array() : json_null();
    for (int r = 0; r < plan->n_ranks && plan->rank_ms; r++)
        json_array_append_new(array, json_real(plan->rank_ms[r]));
    return array;
}

/* What goes over each boundary with a micro-batch, and comes back. */
static json_t *boundaries_json(const struct weir_planned *plan)
{
    json_t *array = json_array();
    for (int b = 0; array && b < plan->n_boundaries; b++) {
        const struct weir_planned_boundary *of = &plan->boundaries[b];
        json_array_append_new(array, json_pack("{s:i, s:i, s:i, s:I}", "from", of->from, "to", of->to, "values", of->n_values, "bytes",
                                               (json_int_t)of->bytes));
    }
    return array;
}

static json_t *predicted_json(const struct weir_planned *plan)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:i, s:f, s:o, s:o, s:o}", "step_ms", plan->step_ms, "bubble", plan->bubble, "exposed_ms",
                     plan->exposed_ms, "optimizer_ms", plan->optimizer_ms, "busiest_rank", plan->busiest, "busiest_ms", plan->busiest_ms,
                     "rank_ms", rank_ms_json(plan), "boundaries", boundaries_json(plan), "memory", memory_json(&plan->memory));
}

static json_t *plan_json(const struct weir_planned *plan)
{
    json_t *root = json_pack("{s:i, s:i, s:i, s:I, s:I, s:s, s:s, s:i, s:o, s:o}", "ranks", plan->n_ranks, "chunks", plan->n_chunks, "replicas",
                             plan->n_replicas, "microbatch_size", (json_int_t)plan->microbatch_size, "microbatches",
                             (json_int_t)plan->n_microbatches, "schedule", schedule_name(plan), "recompute", plan->recompute, "zero",
                             plan->zero, "first_layers", layers_json(&plan->cut), "devices", placement_json(plan));
    return weir_json_joined(root, predicted_json(plan));
}

static weir_status json_show(const struct planning *p)
{
    const struct weir_planner_request *r = &p->request;
    struct weir_text text = {0};
    json_t *plans = json_array();
    for (int i = 0; plans && i < p->result.n_plans; i++)
        json_array_append_new(plans, plan_json(&p->result.plans[i]));
    json_t *least = p->result.has_least ? plan_json(&p->result.least) : json_null();
    weir_json_append(&text,
                     json_pack("{s:o, s:i, s:I, s:f, s:f, s:f, s:o, s:o, s:I, s:I, s:I}", "model", weir_json_utf8(p->options->model),
                               "devices", r->n_devices, "global_batch", (json_int_t)r->global_batch, "flops", r->ceilings.flops_per_s,
                               "traffic", r->ceilings.bytes_per_s, "bandwidth", r->ceilings.link_bytes_per_s, "plans", plans, "least",
                               least, "candidates", (json_int_t)p->result.n_candidates, "simulated", (json_int_t)p->result.n_simulated,
                               "compiled", (json_int_t)p->result.n_compiled),
                     DIGITS);
    if (!text.status)
        printf("%s\n", text.data);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}

/* ---- what does not fit ------------------------------------------------------------------------------------------------ */

/* Twice the devices, four times, ...: as many as it takes, with the smallest micro-batches. */
static weir_status devices_enough(const struct planning *p, int *n_out)
{
    struct weir_planner_request request = p->request;
    weir_status status = WEIR_OK;
    request.n_top = 1;
    request.microbatch_size = request.microbatch_size ? request.microbatch_size : 1;
    *n_out = 0;
    for (int n = 2 * request.n_devices; n <= 16 * p->request.n_devices && n <= 256 && !status && !*n_out; n *= 2) {
        struct weir_arena arena = {0};
        struct weir_planner_result result;
        request.n_devices = n;
        request.topology = NULL;
        status = weir_planner_run(&request, &arena, &result);
        *n_out = !status && result.n_plans ? n : 0;
        weir_arena_release(&arena);
    }
    return status;
}

static weir_status nofit(const struct planning *p)
{
    const struct weir_planned *least = &p->result.least;
    char enough[64] = "no number of devices that was tried is enough";
    int n;
    weir_status status = devices_enough(p, &n);
    if (status)
        return status;
    if (n && !p->request.topology)
        snprintf(enough, sizeof enough, "--devices %d is enough", n);
    return WEIR_FAIL(WEIR_ERR_NOFIT, "nothing fits: of %ld candidates the leanest has rank %d with %.*f GiB, the cap is %.*f GiB (%d rank%s "
                                     "x %d chunk%s, %d replica%s, micro-batches of %" PRId64 ", %s, --recompute %.40s, --zero %d): %s",
                     p->result.n_candidates, least->memory.largest, digits_of(p->request.config.device_memory), gib(most_bytes(least)),
                     digits_of(p->request.config.device_memory), gib((size_t)p->request.config.device_memory),
                     least->n_ranks, least->n_ranks == 1 ? "" : "s", least->n_chunks, least->n_chunks == 1 ? "" : "s", least->n_replicas,
                     least->n_replicas == 1 ? "" : "s", least->microbatch_size, least->kind->name, least->recompute, least->zero, enough);
}

/* ---- -o --------------------------------------------------------------------------------------------------------------- */

static weir_status file_write(struct planning *p)
{
    const struct weir_planned *best = &p->result.plans[0];
    const struct weir_graph *graph = p->request.graph;
    struct weir_text text = {0};
    const char *predicted;
    struct weir_plan_file plan = {
        .model = p->options->model, .n_parameters = weir_graph_n_elements(graph), .device = p->request.config.device,
        .library = weir_version(), .cut = best->cut, .schedule = schedule_name(best), .order = best->order, .n_chunks = best->n_chunks,
        .n_replicas = best->n_replicas, .zero = best->zero, .n_microbatches = best->n_microbatches,
        .microbatch_size = best->microbatch_size, .dtype = p->dtype, .recompute = best->recompute,
        .optimizer = p->request.config.optimizer == WEIR_OPTIMIZER_ADAMW ? "adamw" : "sgd",
        .seq_len = p->model->data == WEIR_DATA_TOKENS ? graph->n_targets / graph->microbatch_size : 0};
    if (best->n_replicas > MOST_REPLICAS_RUN)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the plan has %d replicas, a run has at most %d: give --max-replicas %d for one to run", best->n_replicas,
                         (int)MOST_REPLICAS_RUN, (int)MOST_REPLICAS_RUN);
    weir_status status = weir_plan_file_hash(graph, &p->arena, &plan.model_hash);
    if (!status)
        status = weir_json_print(predicted_json(best), 0, &p->arena, &predicted);
    if (!status)
        status = weir_plan_file_write(&plan, predicted, &text);
    if (!status)
        status = weir_file_write(p->options->out, text.data, text.length);
    weir_text_release(&text);
    return status;
}

weir_status plan_model_run(const struct plan_options *options)
{
    struct planning p = {.options = options};
    weir_status status = request_make(&p);
    if (!status)
        status = weir_planner_run(&p.request, &p.arena, &p.result);
    if (!status && options->json)
        status = json_show(&p);
    else if (!status)
        status = people_print(&p);
    if (!status && !p.result.n_plans)
        status = nofit(&p);
    else if (!status && options->out)
        status = file_write(&p);
    weir_arena_release(&p.arena);
    return status;
}
