#include "engine/program/planner_costs.h"

#include <math.h>
#include <string.h>

#include "engine/program/recomputed.h"
#include "include/weir/partition.h"
#include "partitioner/contiguous/ranks.h"

int weir_planner_n_ways(const struct weir_planner_request *request)
{
    return request->recompute ? 1 : WEIR_PLANNER_WAYS;
}

const char *weir_planner_way_name(const struct weir_planner_request *request, int way)
{
    return request->recompute ? request->recompute : way ? "full" : "none";
}

/* ---- layers ----------------------------------------------------------------------------------------------------------- */

static double widest_border(const struct weir_graph *graph)
{
    double most = 0;
    for (int l = 1; l < graph->n_layers; l++)
        most = fmax(most, (double)weir_layer_crossing_bytes(graph, l));
    return most;
}

/* Times of every layer with some recomputed, as measured or by analysis, and what each keeps. */
static weir_status layers_make(const struct weir_planner_costs *c, const char *list, struct weir_arena *arena,
                               const struct weir_stage_costs **layers_out, const double **kept_out, const double **params_out)
{
    const struct weir_planner_request *r = c->request;
    struct weir_cost_graph nodes;
    struct weir_stage_costs *layers;
    double *kept, *params;
    bool *recompute;
    int n = c->graph->n_layers;
    weir_status status = weir_recomputed_layers(c->graph, list, arena, &recompute);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof *layers, &layers);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof *kept, &kept);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof *params, &params);
    if (!status)
        status = weir_model_cost_graph(c->graph, list, &r->ceilings, &nodes);
    if (status)
        return status;
    for (int l = 0; l < n; l++) {
        layers[l] = (struct weir_stage_costs){.forward = nodes.nodes[l].forward, .input = nodes.nodes[l].input_grad,
                                              .weight = nodes.nodes[l].weight_grad};
        if (r->layers) {
            layers[l] = (struct weir_stage_costs){.forward = r->layers[l].forward, .input = r->layers[l].input, .weight = r->layers[l].weight,
                                                  .optimizer = r->layers[l].optimizer};
            layers[l].input += recompute[l] ? layers[l].forward : 0;
        }
        kept[l] = nodes.nodes[l].activation_bytes;
        params[l] = nodes.nodes[l].parameter_bytes;
    }
    weir_cost_graph_release(&nodes);
    *layers_out = layers;
    *kept_out = kept;
    *params_out = params;
    return WEIR_OK;
}

static void times_sum(const struct weir_stage_costs *layers, int first, int end, double speed, struct weir_stage_costs *stage)
{
    stage->forward = stage->input = stage->weight = stage->optimizer = 0;
    for (int l = first; l < end; l++) {
        stage->forward += layers[l].forward / speed;
        stage->input += layers[l].input / speed;
        stage->weight += layers[l].weight / speed;
        stage->optimizer += layers[l].optimizer / speed;
    }
}

/* ---- stages ----------------------------------------------------------------------------------------------------------- */

static bool has_optimizer(const struct weir_planner_request *r)
{
    for (int l = 0; l < r->n_layers && r->layers; l++)
        if (r->layers[l].optimizer > 0)
            return true;
    return false;
}

/* Parameters, gradients and optimizer state are read, and all but gradients written. */
static double optimizer_ms(const struct weir_planner_costs *c, const struct weir_stage_costs *stage, double speed)
{
    return 1e3 * (2 * stage->param_bytes + stage->grad_bytes + 2 * stage->optimizer_bytes) / (speed * c->request->ceilings.bytes_per_s);
}

static bool is_same(const int *a, const int *b, int n_stages)
{
    return !memcmp(a, b, ((size_t)n_stages + 1) * sizeof *a);
}

/* What a micro-batch keeps grows with its samples, what a stage holds does not.  NULL: no other size has this cut. */
static const struct weir_stage_costs *bytes_before(const struct weir_planner_costs *c, int way, const struct weir_planner_stages *stages,
                                                   int n_stages, double *scale_out)
{
    for (const struct weir_planner_costs *b = c->before; b && way >= 0; b = b->before) {
        const struct weir_planner_stages *made = &b->stages[way][stages->by][stages->slot];
        if (made->first_layer && is_same(made->first_layer, stages->first_layer, n_stages)) {
            *scale_out = (double)c->microbatch_size / (double)b->microbatch_size;
            return made->costs;
        }
    }
    return NULL;
}

/* `way` -1: not one that other sizes have. */
static weir_status bytes_find(const struct weir_planner_costs *c, int way, const struct weir_planner_stages *stages,
                              const struct weir_engine_config *config, int n_stages, struct weir_arena *arena, struct weir_stage_costs *costs)
{
    double scale = 1;
    const struct weir_stage_costs *found = bytes_before(c, way, stages, n_stages, &scale);
    weir_status status = found ? WEIR_OK : weir_stage_costs_make(config, n_stages, &c->request->ceilings, arena, &found);
    for (int i = 0; i < n_stages && !status; i++) {
        costs[i] = found[i];
        costs[i].mem_backward *= scale;
        costs[i].mem_weight *= scale;
        costs[i].mem_made *= scale;
    }
    return status;
}

/* Bytes of the compiled program; times of `layers`, at the speeds. */
static weir_status stages_make(const struct weir_planner_costs *c, int way, const char *list, const struct weir_stage_costs *layers, int n_stages,
                               struct weir_arena *arena, struct weir_planner_stages *stages)
{
    struct weir_engine_config config = c->request->config;
    struct weir_stage_costs *costs;
    bool *recompute;
    config.graph = c->plain;
    config.first_layer = stages->first_layer;
    config.recompute = list;
    config.replicas = 1;
    config.zero = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *costs, &costs);
    if (!status)
        status = bytes_find(c, way, stages, &config, n_stages, arena, costs);
    if (!status)
        status = weir_recomputed_layers(c->graph, list, arena, &recompute);
    if (status)
        return status;
    for (int i = 0; i < n_stages; i++) {
        double speed = stages->speed ? stages->speed[i] : 1;
        times_sum(layers, stages->first_layer[i], stages->first_layer[i + 1], speed, &costs[i]);
        if (!has_optimizer(c->request))
            costs[i].optimizer = optimizer_ms(c, &costs[i], speed);
    }
    stages->n_recomputed = 0;
    for (int l = 0; l < c->graph->n_layers; l++)
        stages->n_recomputed += recompute[l];
    stages->costs = costs;
    return WEIR_OK;
}

static int slot_of(enum weir_planner_by by, const struct weir_planner_shape *shape)
{
    int chunks = shape->n_chunks > 4 ? 3 : shape->n_chunks / 2; /* 1, 2, 4, 8 */
    if (by != WEIR_PLANNER_BY_RANKS)
        return shape->n_ranks * shape->n_chunks;
    return (shape->order * 4 + chunks) * (WEIR_PLANNER_MOST_RANKS + 1) + shape->n_ranks;
}

/* With many stages ranks are alike by their number, and every cut is compiled for its bytes. */
static bool is_cut(const struct weir_planner_costs *c, enum weir_planner_by by, const struct weir_planner_shape *shape)
{
    if (by == WEIR_PLANNER_BY_TRANSFERS)
        return !c->is_plain && !(c->request->hand_over_ms > 0);
    bool is_small = shape->n_ranks * shape->n_chunks <= WEIR_PLANNER_MOST_BY_RANKS;
    return by == WEIR_PLANNER_BY_WORK || (shape->n_chunks > 1 && shape->n_ranks > 1 && is_small && shape->order != WEIR_PLANNER_OTHER);
}

/* *cut_out is NULL where there is none, or none that differs from the one by work. */
static weir_status cut_find(struct weir_planner_costs *c, int way, enum weir_planner_by by, const struct weir_planner_shape *shape,
                            int **cut_out)
{
    int n = c->graph->n_layers, n_stages = shape->n_ranks * shape->n_chunks;
    const struct weir_stage_costs *work;
    double *times;
    bool is_other = true;
    weir_status status = weir_arena_alloc(&c->arena, (size_t)n, sizeof *times, &times);
    for (int l = 0; l < n && !status; l++)
        times[l] = c->layers[way][l].forward + c->layers[way][l].input + c->layers[way][l].weight;
    if (!status && by != WEIR_PLANNER_BY_WORK)
        status = weir_planner_times(c, way, WEIR_PLANNER_BY_WORK, shape, &work);
    if (!status && by == WEIR_PLANNER_BY_TRANSFERS)
        status = weir_planner_cut(c->graph, times, &c->request->ceilings, n_stages, &c->arena, cut_out);
    else if (!status)
        status = weir_arena_alloc(&c->arena, (size_t)n_stages + 1, sizeof **cut_out, cut_out);
    if (status || !*cut_out)
        return status;
    const int *by_work = c->cuts[way][WEIR_PLANNER_BY_WORK][n_stages];
    if (by == WEIR_PLANNER_BY_WORK)
        return weir_chain_split(times, n, n_stages, *cut_out);
    if (by == WEIR_PLANNER_BY_RANKS) {
        int stage_rank[WEIR_PLANNER_MOST_STAGES];
        for (int i = 0; i < n_stages; i++)
            stage_rank[i] = weir_planner_rank_of(shape, i);
        memcpy(*cut_out, by_work, ((size_t)n_stages + 1) * sizeof *by_work);
        status = weir_chain_even_ranks(times, n, n_stages, stage_rank, shape->n_ranks, *cut_out, &is_other);
    }
    if (status)
        return status;
    if (!is_other || is_same(*cut_out, by_work, n_stages))
        *cut_out = NULL;
    return WEIR_OK;
}

weir_status weir_planner_times(struct weir_planner_costs *c, int way, enum weir_planner_by by, const struct weir_planner_shape *shape,
                               const struct weir_stage_costs **stages_out)
{
    struct weir_stage_costs *stages;
    int *cut = NULL, slot = slot_of(by, shape), n_stages = shape->n_ranks * shape->n_chunks;
    *stages_out = NULL;
    if (!is_cut(c, by, shape) || c->none[way][by][slot])
        return WEIR_OK;
    *stages_out = c->times[way][by][slot];
    if (*stages_out)
        return WEIR_OK;
    weir_status status = cut_find(c, way, by, shape, &cut);
    if (!status && !cut)
        c->none[way][by][slot] = true;
    if (status || !cut)
        return status;
    status = weir_arena_alloc(&c->arena, (size_t)n_stages, sizeof *stages, &stages);
    if (status)
        return status;
    for (int i = 0; i < n_stages; i++)
        times_sum(c->layers[way], cut[i], cut[i + 1], 1, &stages[i]);
    c->cuts[way][by][slot] = cut;
    c->times[way][by][slot] = *stages_out = stages;
    return WEIR_OK;
}

/* ---- devices that differ ---------------------------------------------------------------------------------------------- */

/* Stages in their order, none above `most` on its rank's device; every stage gets a layer.  false: they do not take all. */
static bool cut_below(const double *times, int n_layers, int n_stages, const double *speed, double most, int *cut)
{
    int l = 0;
    for (int i = 0; i < n_stages; i++) {
        double sum = 0;
        cut[i] = l;
        while (l < n_layers - (n_stages - 1 - i) && (l == cut[i] || (sum + times[l]) / speed[i] <= most))
            sum += times[l++];
        if (sum / speed[i] > most)
            return false;
    }
    cut[n_stages] = n_layers;
    return l == n_layers;
}

/* The least bottleneck, to one part in a million. */
static void cut_by_speed(const double *times, int n_layers, int n_stages, const double *speed, int *cut)
{
    double low = 0, high = 0, slowest = INFINITY;
    for (int i = 0; i < n_stages; i++)
        slowest = fmin(slowest, speed[i]);
    for (int l = 0; l < n_layers; l++)
        high += times[l] / slowest;
    for (int turn = 0; turn < 40 && high - low > 1e-6 * high; turn++) {
        double most = (low + high) / 2;
        if (cut_below(times, n_layers, n_stages, speed, most, cut))
            high = most;
        else
            low = most;
    }
    cut_below(times, n_layers, n_stages, speed, high * (1 + 1e-9), cut);
}

bool weir_planner_are_alike(const struct weir_arrangement *a)
{
    for (int r = 0; a && r < a->n_ranks; r++)
        if (a->speed[r] != 1)
            return false;
    return true;
}

static weir_status stages_uneven(struct weir_planner_costs *c, int way, const struct weir_schedule *schedule,
                                 const struct weir_arrangement *arrangement, struct weir_arena *arena, struct weir_planner_stages *out)
{
    int n = schedule->n_stages;
    double *speed, times[WEIR_PLANNER_MOST_LAYERS];
    int *cut;
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *speed, &speed);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n + 1, sizeof *cut, &cut);
    if (status)
        return status;
    for (int i = 0; i < n; i++)
        speed[i] = arrangement->speed[schedule->stage_rank[i]];
    for (int l = 0; l < c->graph->n_layers; l++)
        times[l] = c->layers[way][l].forward + c->layers[way][l].input + c->layers[way][l].weight;
    cut_by_speed(times, c->graph->n_layers, n, speed, cut);
    *out = (struct weir_planner_stages){.first_layer = cut, .speed = speed};
    return stages_make(c, -1, weir_planner_way_name(c->request, way), c->layers[way], n, arena, out);
}

weir_status weir_planner_stages(struct weir_planner_costs *c, int way, enum weir_planner_by by, enum weir_planner_order order,
                                const struct weir_schedule *schedule, const struct weir_arrangement *arrangement, struct weir_arena *arena,
                                struct weir_planner_stages *out)
{
    const struct weir_planner_shape shape = {schedule->n_ranks, schedule->n_stages / schedule->n_ranks, order};
    const struct weir_stage_costs *times;
    int *cut, slot = slot_of(by, &shape);
    struct weir_planner_stages *kept = &c->stages[way][by][slot];
    if (!weir_planner_are_alike(arrangement))
        return stages_uneven(c, way, schedule, arrangement, arena, out);
    weir_status status = weir_planner_times(c, way, by, &shape, &times);
    if (!status && !kept->first_layer) {
        status = weir_arena_alloc(arena, (size_t)schedule->n_stages + 1, sizeof *cut, &cut);
        if (status)
            return status;
        memcpy(cut, c->cuts[way][by][slot], ((size_t)schedule->n_stages + 1) * sizeof *cut);
        struct weir_planner_stages made = {.by = by, .slot = slot, .first_layer = cut};
        status = stages_make(c, way, weir_planner_way_name(c->request, way), c->layers[way], schedule->n_stages, &c->arena, &made);
        if (!status)
            *kept = made;
    }
    if (!status)
        *out = *kept;
    return status;
}

/* ---- chosen layers ---------------------------------------------------------------------------------------------------- */

static weir_status list_make(const struct weir_graph *graph, const bool *recompute, struct weir_arena *arena, const char **list_out)
{
    struct weir_text text = {0};
    for (int l = 0; l < graph->n_layers; l++)
        if (recompute[l])
            weir_text_append(&text, "%s%s", text.length ? "," : "", graph->layers[l].name);
    weir_status status = text.status ? text.status : weir_arena_strdup(arena, text.data ? text.data : "none", list_out);
    weir_text_release(&text);
    return status;
}

/* The part of what recomputing all layers of a stage saves. */
static double share_saved(const struct weir_planner_costs *c, const bool *recompute, int first, int end)
{
    double all = 0, saved = 0;
    for (int l = first; l < end; l++) {
        all += c->kept[l] - c->kept_full[l];
        saved += recompute[l] ? c->kept[l] - c->kept_full[l] : 0;
    }
    return all > 0 ? saved / all : 0;
}

static weir_status lean_scale(struct weir_planner_costs *c, const struct weir_planner_costs *b, const struct weir_planner_stages *stages,
                              int n_stages, const struct weir_stage_costs **kept, const struct weir_stage_costs **lean_out)
{
    double scale = (double)c->microbatch_size / (double)b->microbatch_size;
    struct weir_stage_costs *lean;
    weir_status status = weir_arena_alloc(&c->arena, (size_t)n_stages, sizeof *lean, &lean);
    for (int i = 0; i < n_stages && !status; i++) { /* of these only the bytes are read */
        lean[i] = b->stages[0][stages->by][stages->slot].lean[i];
        lean[i].mem_backward *= scale;
        lean[i].mem_weight *= scale;
        lean[i].mem_made *= scale;
    }
    if (!status)
        *kept = *lean_out = lean;
    return status;
}

static weir_status lean_find(struct weir_planner_costs *c, struct weir_planner_stages *stages, int n_stages, struct weir_arena *arena,
                             const struct weir_stage_costs **lean_out)
{
    struct weir_planner_stages *kept = &c->stages[0][stages->by][stages->slot];
    struct weir_planner_stages made = {.by = stages->by, .slot = stages->slot, .first_layer = stages->first_layer};
    *lean_out = stages->speed ? stages->lean : kept->lean;
    if (*lean_out)
        return WEIR_OK;
    for (const struct weir_planner_costs *b = stages->speed ? NULL : c->before; b; b = b->before) {
        const struct weir_planner_stages *of = &b->stages[0][stages->by][stages->slot];
        if (of->lean && is_same(of->first_layer, stages->first_layer, n_stages))
            return lean_scale(c, b, stages, n_stages, &kept->lean, lean_out);
    }
    weir_status status = stages_make(c, -1, "full", c->layers[1], n_stages, stages->speed ? arena : &c->arena, &made);
    if (status)
        return status;
    *(stages->speed ? &stages->lean : &kept->lean) = *lean_out = made.costs;
    return WEIR_OK;
}

static double between(double all, double lean, double share)
{
    return all - (all - lean) * share;
}

weir_status weir_planner_recompute(struct weir_planner_costs *c, const bool *recompute, struct weir_arena *arena,
                                   struct weir_planner_stages *stages, int n_stages, const char **list_out)
{
    const struct weir_stage_costs *lean;
    struct weir_stage_costs *costs;
    struct weir_planner_stages *whole = &c->stages[0][stages->by][stages->slot];
    const struct weir_stage_costs *from = stages->speed ? stages->costs : whole->costs;
    weir_status status = list_make(c->graph, recompute, arena, list_out);
    if (!status)
        status = lean_find(c, stages, n_stages, arena, &lean);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *costs, &costs);
    for (int i = 0; i < n_stages && !status; i++) {
        double share = share_saved(c, recompute, stages->first_layer[i], stages->first_layer[i + 1]);
        costs[i] = from[i];
        costs[i].mem_backward = between(from[i].mem_backward, lean[i].mem_backward, share);
        costs[i].mem_weight = between(from[i].mem_weight, lean[i].mem_weight, share);
        costs[i].mem_made = between(from[i].mem_made, lean[i].mem_made, share);
        for (int l = stages->first_layer[i]; l < stages->first_layer[i + 1]; l++)
            costs[i].input += recompute[l] ? c->replay[l] / (stages->speed ? stages->speed[i] : 1) : 0;
    }
    if (!status)
        stages->costs = costs;
    return status;
}

/* ---- other cuts ------------------------------------------------------------------------------------------------------- */

/* The part of `stage` that a layer has with `share` of its activations and `params` of its parameters. */
static void bytes_share(const struct weir_stage_costs *stage, double share, double params, struct weir_stage_costs *layer)
{
    layer->mem_backward = share * stage->mem_backward;
    layer->mem_weight = share * stage->mem_weight;
    layer->mem_made = share * stage->mem_made;
    layer->param_bytes = params * stage->param_bytes;
    layer->grad_bytes = params * stage->grad_bytes;
    layer->optimizer_bytes = params * stage->optimizer_bytes;
}

/* Of layers first to end, value l's part of the sum; alike where the sum is 0. */
static double share_of(const double *values, int l, int first, int end)
{
    double sum = 0;
    for (int i = first; i < end; i++)
        sum += values[i];
    return sum > 0 ? values[l] / sum : 1.0 / (end - first);
}

weir_status weir_planner_layers(const struct weir_planner_costs *c, int way, const char *list, const struct weir_planner_stages *stages,
                                int n_stages, struct weir_arena *arena, struct weir_stage_costs **layers_out)
{
    struct weir_stage_costs *layers;
    double *kept;
    bool *recompute, chosen = !way && !c->request->recompute;
    weir_status status = weir_recomputed_layers(c->graph, list, arena, &recompute);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)c->graph->n_layers, sizeof *kept, &kept);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)c->graph->n_layers, sizeof *layers, &layers);
    if (status)
        return status;
    for (int l = 0; l < c->graph->n_layers; l++)
        kept[l] = recompute[l] ? c->kept_full[l] : c->kept[l];
    for (int i = 0; i < n_stages; i++)
        for (int l = stages->first_layer[i], first = l, end = stages->first_layer[i + 1]; l < end; l++) {
            layers[l] = c->layers[way][l];
            layers[l].input += chosen && recompute[l] ? c->replay[l] : 0;
            bytes_share(&stages->costs[i], share_of(kept, l, first, end), share_of(c->params, l, first, end), &layers[l]);
            if (!has_optimizer(c->request))
                layers[l].optimizer = optimizer_ms(c, &layers[l], 1);
        }
    *layers_out = layers;
    return WEIR_OK;
}

void weir_planner_stages_sum(const struct weir_stage_costs *layers, const int *first_layer, int n_stages, const double *speed,
                             struct weir_stage_costs *stages)
{
    for (int i = 0; i < n_stages; i++) {
        stages[i] = (struct weir_stage_costs){0};
        times_sum(layers, first_layer[i], first_layer[i + 1], speed ? speed[i] : 1, &stages[i]);
        for (int l = first_layer[i]; l < first_layer[i + 1]; l++) {
            stages[i].mem_backward += layers[l].mem_backward;
            stages[i].mem_weight += layers[l].mem_weight;
            stages[i].mem_made += layers[l].mem_made;
            stages[i].param_bytes += layers[l].param_bytes;
            stages[i].grad_bytes += layers[l].grad_bytes;
            stages[i].optimizer_bytes += layers[l].optimizer_bytes;
        }
        stages[i].mem_backward = rint(stages[i].mem_backward); /* whole bytes, so that sums of shares are exact again */
        stages[i].mem_weight = rint(stages[i].mem_weight);
        stages[i].mem_made = rint(stages[i].mem_made);
        double least = stages[i].mem_weight - stages[i].mem_backward;
        stages[i].mem_made = fmin(fmax(stages[i].mem_made, least), stages[i].mem_weight);
    }
}

weir_status weir_planner_stages_cut(const struct weir_planner_costs *c, const char *list, const struct weir_stage_costs *layers, int n_stages,
                                    struct weir_arena *arena, struct weir_planner_stages *stages)
{
    return stages_make(c, -1, list, layers, n_stages, arena, stages);
}

/* ---- a size ----------------------------------------------------------------------------------------------------------- */

static weir_status all_find(struct weir_planner_costs *c)
{
    const int first_layer[] = {0, c->graph->n_layers};
    struct weir_engine_config config = c->request->config;
    const struct weir_stage_costs *all;
    config.graph = c->plain;
    config.first_layer = first_layer;
    config.recompute = "full";
    config.replicas = 1;
    config.zero = 0;
    weir_status status = weir_stage_costs_make(&config, 1, &c->request->ceilings, &c->arena, &all);
    if (!status)
        c->all = *all;
    return status;
}

static weir_status costs_fill(struct weir_planner_costs *c)
{
    const double *kept[WEIR_PLANNER_WAYS] = {NULL};
    double *replay;
    weir_status status = all_find(c);
    for (int way = 0; way < weir_planner_n_ways(c->request) && !status; way++)
        status = layers_make(c, weir_planner_way_name(c->request, way), &c->arena, &c->layers[way], &kept[way], &c->params);
    if (!status)
        status = weir_arena_alloc(&c->arena, (size_t)c->graph->n_layers, sizeof *replay, &replay);
    if (status)
        return status;
    int last = weir_planner_n_ways(c->request) - 1;
    c->kept = kept[0];
    c->kept_full = kept[last];
    for (int l = 0; l < c->graph->n_layers; l++) {
        replay[l] = c->layers[last][l].input - c->layers[0][l].input;
        c->least_activations += fmin(kept[0][l], kept[last][l]);
    }
    c->replay = replay;
    c->least_activations *= 0.5; /* packing, and what is held from I to W alone, may make it less than the sum */
    c->border_bytes = widest_border(c->graph);
    c->is_plain = weir_planner_is_plain(c->graph);
    return WEIR_OK;
}

weir_status weir_planner_costs_open(const struct weir_planner_request *request, int64_t microbatch_size,
                                    const struct weir_planner_costs *before, struct weir_arena *arena, struct weir_planner_costs **costs_out)
{
    enum weir_dtype storage = request->config.dtype == WEIR_COMPUTE_BF16 ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
    struct weir_planner_costs *c;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *c, &c);
    if (status)
        return status;
    c->request = request;
    c->microbatch_size = microbatch_size;
    c->before = before;
    status = weir_graph_resize(request->graph, microbatch_size, &c->arena, &c->plain);
    if (!status)
        status = weir_graph_cast(c->plain, storage, &c->arena, &c->graph);
    if (!status)
        status = costs_fill(c);
    if (status)
        weir_planner_costs_close(c);
    else
        *costs_out = c;
    return status;
}

void weir_planner_costs_close(struct weir_planner_costs *costs)
{
    weir_arena_release(&costs->arena);
}
