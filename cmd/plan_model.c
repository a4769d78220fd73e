#include "cmd/plan_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/json.h"
#include "base/text.h"
#include "cmd/memory_print.h"
#include "cmd/schedule_auto.h"
#include "cmd/schedule_cost_options.h"
#include "cmd/synonyms.h"
#include "include/weir/plan.h"
#include "include/weir/topology.h"
#include "include/weir/weir.h"

enum { MOST_REPLICAS_RUN = 64, MOST_DEVICES = 65536, DEFAULT_TOP = 5, SAMPLES_PER_DEVICE = 8, DIGITS = 10 };

struct planning {
    const struct plan_options *options;
    struct weir_arena arena;
    const struct weir_model_kind *model;
    struct weir_engine_config config;
    struct weir_schedule_costs costs;
    struct weir_plan_request request;
    weir_plans *plans;
    int n_plans;
    struct weir_plan_info best, least; /* the first plan, or what holds least where nothing fits */
    const char *dtype;
    bool assumed; /* some of the ceilings */
    const struct weir_topology *topology; /* NULL: none was given */
    struct weir_topology_info topology_info;
};

/* ---- from options to a request --------------------------------------------------------------------------------------- */

static weir_status ceilings_settle(struct planning *p)
{
    const struct plan_options *o = p->options;
    bool flops = options_given(&o->given, "flops"), traffic = options_given(&o->given, "traffic"), link = o->bandwidth > 0;
    p->request.flops_per_s = flops ? o->flops : 0;
    p->request.bytes_per_s = traffic ? o->traffic : 0;
    p->request.link_bytes_per_s = link ? o->bandwidth : 0;
    p->assumed = !flops || !traffic || (!link && !p->topology);
    return weir_plan_request_assume(&p->request);
}

static weir_status choices_read(struct planning *p)
{
    static const char *const dtypes[] = {"f32", "tf32", "bf16", NULL}, *const optimizers[] = {"sgd", "adamw", NULL};
    static const char *const zeros[] = {"0", "1", "any", NULL};
    const struct plan_options *o = p->options;
    struct weir_engine_config *config = &p->config;
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
    p->request.zero = zero == 2 ? WEIR_PLAN_ANY : zero;
    p->request.schedule = o->schedule && strcmp(o->schedule, "any") != 0 ? schedule_understood(o->schedule) : NULL;
    if (o->schedule && schedule_is_auto(o->schedule))
        p->request.schedule = "auto";
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
    weir_status status = costs_file_read(p->options->costs, &p->arena, &p->costs);
    if (!status && !p->costs.layers)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no times of layers: 'weir profile --model %s' measures them", p->costs.name,
                           p->options->model);
    p->request.costs = &p->costs;
    return status;
}

static weir_status topology_open(struct planning *p)
{
    weir_status status = weir_topology_open(p->options->topology, &p->arena, &p->topology);
    if (!status)
        weir_topology_info(p->topology, &p->topology_info);
    p->request.topology = p->options->topology;
    return status;
}

static weir_status request_make(struct planning *p)
{
    const struct plan_options *o = p->options;
    if (!o->devices && !o->topology)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no devices: give --devices K or --topology");
    weir_engine_config_init(&p->config, sizeof p->config);
    weir_plan_request_init(&p->request, sizeof p->request);
    p->request.config = &p->config;
    p->request.model = o->model;
    weir_status status = o->topology ? topology_open(p) : WEIR_OK;
    if (!status)
        status = choices_read(p);
    if (!status)
        status = model_build(p);
    if (!status)
        status = ceilings_settle(p);
    if (status)
        return status;
    p->request.n_devices = o->devices ? (int)o->devices : p->topology_info.n_devices;
    p->request.global_batch = batch_of(p);
    p->request.microbatch_size = options_given(&o->given, "microbatch-size") ? o->microbatch_size : 0;
    p->request.n_microbatches = options_given(&o->given, "microbatches") ? o->microbatches : 0;
    p->request.max_replicas = (int)o->max_replicas;
    if (o->costs)
        status = costs_read(p);
    p->request.n_top = o->top ? (int)o->top : DEFAULT_TOP;
    return status;
}

static weir_status plans_find(struct planning *p)
{
    weir_status status = weir_plans_find(&p->request, &p->plans);
    if (status)
        return status;
    p->n_plans = weir_plans_count(p->plans);
    return p->n_plans ? weir_plans_info(p->plans, 0, &p->best) : weir_plans_least(p->plans, &p->least);
}

/* ---- for people ------------------------------------------------------------------------------------------------------ */

static double gib(size_t bytes)
{
    return (double)bytes / 0x1p30;
}

static size_t most_bytes(const struct weir_plan_info *plan)
{
    return plan->memory->ranks[plan->memory->largest].all;
}

/* Of GiB, so that a small number is one. */
static int digits_of(int64_t bytes)
{
    return bytes < (INT64_C(1) << 30) ? 4 : 1;
}

static void head_print(const struct planning *p)
{
    const struct weir_plan_request *r = &p->request;
    char name[1024];
    printf("%s, %.4g million parameters, %s, %s: a step of %" PRId64 " samples", weir_printable(p->options->model, name, sizeof name),
           (double)weir_graph_n_elements(r->graph) / 1e6, p->dtype, r->config->optimizer == WEIR_OPTIMIZER_ADAMW ? "adamw" : "sgd",
           r->global_batch);
    if (p->model->data == WEIR_DATA_TOKENS)
        printf(" of %" PRId64 " tokens", r->graph->n_targets / r->graph->microbatch_size);
    printf(" on %d x %s", r->n_devices, r->config->device);
    if (r->config->device_memory)
        printf(" with %.*f GiB", digits_of(r->config->device_memory), gib((size_t)r->config->device_memory));
    printf("\n%s %.4g Gflop/s and %.4g GB/s of memory per device", p->assumed ? "assumed:" : "given:", r->flops_per_s / 1e9,
           r->bytes_per_s / 1e9);
    if (r->topology)
        printf(", links of '%s'%s\n", weir_printable(p->options->topology, name, sizeof name), p->assumed ? " (--flops, --traffic)" : "");
    else
        printf(", %.4g GB/s between devices%s\n", r->link_bytes_per_s / 1e9, p->assumed ? " (--flops, --traffic, --bandwidth)" : "");
    if (r->costs)
        printf("measured: layers in '%s', which take the place of flops\n", weir_printable(p->options->costs, name, sizeof name));
}

static void table_head_print(void)
{
    printf("%3s %6s %7s %9s %11s %13s %-15s %-10s %4s %12s %8s %10s\n", "", "ranks", "chunks", "replicas", "samples", "micro-batches",
           "schedule", "recompute", "ZeRO", "step", "bubble", "rank");
}

static void plan_print(const struct planning *p, const struct weir_plan_info *plan, int i)
{
    int n_layers = p->request.graph->n_layers;
    char some[24];
    snprintf(some, sizeof some, "%d layer%s", plan->n_recomputed, plan->n_recomputed == 1 ? "" : "s");
    const char *recompute = plan->n_recomputed == n_layers ? "full" : plan->n_recomputed ? some : "none";
    printf("%2d. %6d %7d %9d %11" PRId64 " %13" PRId64 " %-15s %-10s %4d %9.*f ms %6.1f %% %6.*f GiB\n", i + 1, plan->n_ranks,
           plan->n_chunks, plan->n_replicas, plan->microbatch_size, plan->n_microbatches, plan->schedule, recompute, plan->zero,
           plan->step_ms < 100 ? 3 : 0, plan->step_ms, 100 * plan->bubble, most_bytes(plan) >= (size_t)1 << 30 ? 2 : 4, gib(most_bytes(plan)));
}

/* The best step of a request that has more of something; 0: none fits. */
static weir_status best_with(struct weir_plan_request request, double *ms_out)
{
    struct weir_plan_info best;
    weir_plans *plans;
    request.n_top = 1;
    weir_status status = weir_plans_find(&request, &plans);
    if (status)
        return status;
    *ms_out = weir_plans_count(plans) && !weir_plans_info(plans, 0, &best) ? best.step_ms : 0;
    weir_plans_close(plans);
    return WEIR_OK;
}

static void gain_print(const char *what, double ms, double before)
{
    if (ms > 0)
        printf("  %-28s %9.*f ms a step, %+.1f %%\n", what, ms < 100 ? 3 : 0, ms, 100 * (ms / before - 1));
    else
        printf("  %-28s nothing fits\n", what);
}

static weir_status more_print(const struct planning *p)
{
    const struct weir_plan_info *best = &p->best;
    struct weir_plan_request request = p->request;
    double ms;
    weir_status status = WEIR_OK;
    printf("what would help:\n");
    if (!request.topology && request.n_devices < MOST_DEVICES) {
        request.n_devices++;
        status = best_with(request, &ms);
        if (!status)
            gain_print("one more device", ms, best->step_ms);
    }
    request = p->request;
    request.link_speed = 2;
    if (!status)
        status = best_with(request, &ms);
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
    return status;
}

static void why_print(const struct planning *p)
{
    const struct weir_plan_info *best = &p->best;
    const struct weir_plan_request *r = &p->request;
    int used = best->n_ranks * best->n_replicas, idle = r->n_devices - used;
    int64_t n_candidates, n_simulated, n_compiled;
    printf("rank %d decides: it works %.1f of %.1f ms; a rank waits at most %.1f ms for transfers and reductions, the optimizer takes "
           "%.1f ms\n", best->busiest, best->busiest_ms, best->step_ms, best->exposed_ms, best->optimizer_ms);
    if (idle)
        printf("%d device%s idle: no plan of up to %d ranks and %d replicas that divide the batch is faster with %s\n", idle,
               idle == 1 ? " is" : "s are", 64, r->max_replicas ? r->max_replicas : MOST_REPLICAS_RUN, idle == 1 ? "it" : "them");
    weir_plans_effort(p->plans, &n_candidates, &n_simulated, &n_compiled);
    printf("%" PRId64 " candidates, %" PRId64 " simulated, %" PRId64 " compiled\n", n_candidates, n_simulated, n_compiled);
    if (best->n_recomputed && best->n_recomputed < r->graph->n_layers)
        printf("recomputed: %s\n", best->recompute);
}

static void device_print(const struct planning *p, int device)
{
    struct weir_topology_device_info d;
    char name[64];
    if (weir_topology_device_get(p->topology, device, &d))
        return;
    printf(" %s", weir_printable(d.name, name, sizeof name));
    if (p->topology_info.n_nodes > 1 && d.node)
        printf(" of %s", weir_printable(d.node, name, sizeof name));
}

/* Rank by rank of the first replicas. */
static void placement_print(const struct planning *p)
{
    enum { SHOWN = 4 };
    const struct weir_plan_info *best = &p->best;
    if (!best->device_of)
        return;
    for (int r = 0; r < best->n_replicas && r < SHOWN; r++) {
        printf("%s %d on", best->n_replicas > 1 ? "replica" : "pipeline", r);
        for (int i = 0; i < best->n_ranks; i++) {
            printf("%s", i ? "," : "");
            device_print(p, best->device_of[r * best->n_ranks + i]);
        }
        printf("\n");
    }
    if (best->n_ranks > 1)
        printf("slowest link between ranks %.3g GB/s, %s together", best->link_bytes_per_s / 1e9,
               best->replicas_together ? "replicas" : "pipelines");
    if (best->n_replicas > 1)
        printf("%s%.3g GB/s in reductions", best->n_ranks > 1 ? ", " : "", best->reduce_bytes_per_s / 1e9);
    if (best->n_ranks * best->n_replicas > 1)
        printf("\n");
}

static void layout_show(const struct planning *p)
{
    const struct weir_layer_cut cut = {p->best.n_stages, p->best.first_layer};
    struct weir_text layout = {0}, numbers = {0};
    bool written = !weir_layer_cut_print(&cut, weir_text_take, &numbers);
    bool has = !weir_layer_cut_layout_print(&cut, p->request.graph, weir_text_take, &layout) && layout.data;
    if (written && !numbers.status)
        printf("cut: first layers %s%s%s\n", numbers.data, has ? ", layout " : "", has ? layout.data : "");
    weir_text_release(&layout);
    weir_text_release(&numbers);
}

/* Of a model with branches; each stage of a chain hands one value to the next. */
static void boundaries_show(const struct weir_plan_info *plan)
{
    bool plain = true;
    for (int b = 0; b < plan->n_boundaries; b++)
        plain &= plan->boundaries[b].to == plan->boundaries[b].from + 1 && plan->boundaries[b].n_values == 1;
    for (int b = 0; b < plan->n_boundaries && !plain; b++) {
        const struct weir_plan_boundary *of = &plan->boundaries[b];
        printf("%s stage %d to %d: %d value%s, %.0f bytes", b ? ";" : "boundaries, each way with a micro-batch:", of->from, of->to,
               of->n_values, of->n_values == 1 ? "" : "s", of->bytes);
    }
    if (!plain)
        printf("\n");
}

static weir_status people_print(const struct planning *p)
{
    head_print(p);
    struct weir_plan_info plan;
    if (!p->n_plans)
        return WEIR_OK;
    table_head_print();
    for (int i = 0; i < p->n_plans && !weir_plans_info(p->plans, i, &plan); i++)
        plan_print(p, &plan, i);
    if (!p->options->explain)
        return WEIR_OK;
    why_print(p);
    layout_show(p);
    boundaries_show(&p->best);
    placement_print(p);
    memory_print(p->best.memory, stdout);
    return more_print(p);
}

/* ---- for programs ---------------------------------------------------------------------------------------------------- */

static json_t *layers_json(const struct weir_plan_info *plan)
{
    json_t *array = json_array();
    for (int s = 0; array && s < plan->n_stages; s++)
        json_array_append_new(array, json_integer(plan->first_layer[s]));
    return array;
}

/* The device of each rank, replica by replica. */
static json_t *placement_json(const struct weir_plan_info *plan)
{
    json_t *array = plan->device_of ? json_array() : json_null();
    for (int i = 0; plan->device_of && i < plan->n_ranks * plan->n_replicas; i++)
        json_array_append_new(array, json_integer(plan->device_of[i]));
    return array;
}

static json_t *rank_ms_json(const struct weir_plan_info *plan)
{
    json_t *array = plan->rank_ms ? json_array() : json_null();
    for (int r = 0; r < plan->n_ranks && plan->rank_ms; r++)
        json_array_append_new(array, json_real(plan->rank_ms[r]));
    return array;
}

/* What goes over each boundary with a micro-batch, and comes back. */
static json_t *boundaries_json(const struct weir_plan_info *plan)
{
    json_t *array = json_array();
    for (int b = 0; array && b < plan->n_boundaries; b++) {
        const struct weir_plan_boundary *of = &plan->boundaries[b];
        json_array_append_new(array, json_pack("{s:i, s:i, s:i, s:I}", "from", of->from, "to", of->to, "values", of->n_values, "bytes",
                                               (json_int_t)of->bytes));
    }
    return array;
}

static json_t *predicted_json(const struct weir_plan_info *plan)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:i, s:f, s:o, s:o, s:o}", "step_ms", plan->step_ms, "bubble", plan->bubble, "exposed_ms",
                     plan->exposed_ms, "optimizer_ms", plan->optimizer_ms, "busiest_rank", plan->busiest, "busiest_ms", plan->busiest_ms,
                     "rank_ms", rank_ms_json(plan), "boundaries", boundaries_json(plan), "memory", memory_json(plan->memory));
}

static json_t *plan_json(const struct weir_plan_info *plan)
{
    json_t *root = json_pack("{s:i, s:i, s:i, s:I, s:I, s:s, s:s, s:i, s:o, s:o}", "ranks", plan->n_ranks, "chunks", plan->n_chunks, "replicas",
                             plan->n_replicas, "microbatch_size", (json_int_t)plan->microbatch_size, "microbatches",
                             (json_int_t)plan->n_microbatches, "schedule", plan->schedule, "recompute", plan->recompute, "zero",
                             plan->zero, "first_layers", layers_json(plan), "devices", placement_json(plan));
    return weir_json_joined(root, predicted_json(plan));
}

static weir_status json_show(const struct planning *p)
{
    const struct weir_plan_request *r = &p->request;
    struct weir_text text = {0};
    struct weir_plan_info plan;
    json_t *plans = json_array();
    int64_t n_candidates, n_simulated, n_compiled;
    weir_plans_effort(p->plans, &n_candidates, &n_simulated, &n_compiled);
    for (int i = 0; plans && i < p->n_plans && !weir_plans_info(p->plans, i, &plan); i++)
        json_array_append_new(plans, plan_json(&plan));
    json_t *least = p->n_plans ? json_null() : plan_json(&p->least);
    weir_json_append(&text,
                     json_pack("{s:o, s:i, s:I, s:f, s:f, s:f, s:o, s:o, s:I, s:I, s:I}", "model", weir_json_utf8(p->options->model),
                               "devices", r->n_devices, "global_batch", (json_int_t)r->global_batch, "flops", r->flops_per_s,
                               "traffic", r->bytes_per_s, "bandwidth", r->link_bytes_per_s, "plans", plans, "least",
                               least, "candidates", (json_int_t)n_candidates, "simulated", (json_int_t)n_simulated,
                               "compiled", (json_int_t)n_compiled),
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
    struct weir_plan_request request = p->request;
    weir_status status = WEIR_OK;
    double ms;
    request.topology = NULL;
    request.microbatch_size = request.microbatch_size ? request.microbatch_size : 1;
    *n_out = 0;
    for (int n = 2 * request.n_devices; n <= 16 * p->request.n_devices && n <= 256 && !status && !*n_out; n *= 2) {
        request.n_devices = n;
        status = best_with(request, &ms);
        *n_out = !status && ms > 0 ? n : 0;
    }
    return status;
}

static weir_status nofit(const struct planning *p)
{
    const struct weir_plan_info *least = &p->least;
    int64_t n_candidates, n_simulated, n_compiled;
    char enough[64] = "no number of devices that was tried is enough";
    int n;
    weir_status status = devices_enough(p, &n);
    if (status)
        return status;
    weir_plans_effort(p->plans, &n_candidates, &n_simulated, &n_compiled);
    if (n && !p->request.topology)
        snprintf(enough, sizeof enough, "--devices %d is enough", n);
    return WEIR_FAIL(WEIR_ERR_NOFIT, "nothing fits: of %" PRId64 " candidates the leanest has rank %d with %.*f GiB, the cap is %.*f GiB (%d rank%s "
                                     "x %d chunk%s, %d replica%s, micro-batches of %" PRId64 ", %s, --recompute %.40s, --zero %d): %s",
                     n_candidates, least->memory->largest, digits_of(p->config.device_memory), gib(most_bytes(least)),
                     digits_of(p->config.device_memory), gib((size_t)p->config.device_memory),
                     least->n_ranks, least->n_ranks == 1 ? "" : "s", least->n_chunks, least->n_chunks == 1 ? "" : "s", least->n_replicas,
                     least->n_replicas == 1 ? "" : "s", least->microbatch_size, least->schedule, least->recompute, least->zero, enough);
}

/* ---- -o --------------------------------------------------------------------------------------------------------------- */

static weir_status file_write(const struct planning *p)
{
    if (p->best.n_replicas > MOST_REPLICAS_RUN)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the plan has %d replicas, a run has at most %d: give --max-replicas %d for one to run", p->best.n_replicas,
                         (int)MOST_REPLICAS_RUN, (int)MOST_REPLICAS_RUN);
    return weir_plans_write(p->plans, 0, p->options->out);
}

weir_status plan_model_run(const struct plan_options *options)
{
    struct planning p = {.options = options};
    weir_status status = request_make(&p);
    if (!status)
        status = plans_find(&p);
    if (!status && options->json)
        status = json_show(&p);
    else if (!status)
        status = people_print(&p);
    if (!status && !p.n_plans)
        status = nofit(&p);
    else if (!status && options->out)
        status = file_write(&p);
    weir_plans_close(p.plans);
    weir_arena_release(&p.arena);
    return status;
}
