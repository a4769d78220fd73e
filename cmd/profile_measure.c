#include "cmd/profile_measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cmd/measured_costs.h"
#include "engine/program/stage_costs.h"

enum { ALONE = 3, TOGETHER = 4, MICROBATCHES = ALONE + TOGETHER }; /* those one after the other; those in flight together */
static const double SHORT_MS = 0.01; /* no spread is told of what takes less */

struct measurement {
    const struct profile_request *request;
    struct weir_arena *arena;
    struct weir_engine_config config;
    struct weir_schedule schedule;
    weir_engine *engine;
    struct weir_step_event *events;
    size_t n_events;
    uint64_t state; /* of the random numbers */
};

/* ---- schedules ------------------------------------------------------------------------------------------------------ */

static weir_status schedule_parse(struct measurement *m, struct weir_text *text)
{
    weir_status status = text->status;
    if (!status)
        status = weir_schedule_csv_parse(text->data, text->length, "profile", WEIR_CSV_TORCH, m->arena, &m->schedule);
    weir_text_release(text);
    m->config.schedule = &m->schedule;
    return status;
}

static void forwards_append(struct weir_text *text, int n_layers, int mb)
{
    for (int l = 0; l < n_layers; l++)
        weir_text_append(text, "%dF%d,", l, mb);
}

static void backwards_append(struct weir_text *text, int n_layers, int mb)
{
    for (int l = n_layers - 1; l >= 0; l--)
        weir_text_append(text, "%dI%d,%dW%d%s", l, mb, l, mb, l || mb + 1 < MICROBATCHES ? "," : "\n");
}

/* One rank, every layer a stage. */
static weir_status layers_schedule(struct measurement *m)
{
    int n = m->config.graph->n_layers;
    struct weir_text text = {0};
    for (int mb = 0; mb < ALONE; mb++) {
        forwards_append(&text, n, mb);
        backwards_append(&text, n, mb);
    }
    for (int mb = ALONE; mb < MICROBATCHES; mb++)
        forwards_append(&text, n, mb);
    for (int mb = ALONE; mb < MICROBATCHES; mb++)
        backwards_append(&text, n, mb);
    return schedule_parse(m, &text);
}

/* Two ranks, every other layer each. */
static weir_status hand_over_schedule(struct measurement *m)
{
    int n = m->config.graph->n_layers;
    struct weir_text text = {0};
    for (int r = 0; r < 2; r++) {
        for (int l = r; l < n; l += 2)
            weir_text_append(&text, "%dF0,", l);
        for (int l = n - 1; l >= 0; l--)
            if (l % 2 == r)
                weir_text_append(&text, "%dI0,%dW0%s", l, l, l > r ? "," : "\n");
    }
    return schedule_parse(m, &text);
}

/* ---- rounds --------------------------------------------------------------------------------------------------------- */

/* Random tokens or classes below `limit`, or random pixels. */
static void input_fill(void *data, const struct weir_shape *shape, int64_t limit, uint64_t *state)
{
    int64_t n = weir_shape_elements(shape);
    for (int64_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        if (shape->dtype == WEIR_DTYPE_I32)
            ((int32_t *)data)[i] = (int32_t)((*state >> 33) % (uint64_t)limit);
        else
            ((float *)data)[i] = (float)(*state >> 40) / 0x1p24f;
    }
}

static weir_status inputs_feed(struct measurement *m)
{
    const struct weir_graph *graph = m->config.graph;
    int n = m->config.replicas * m->schedule.n_microbatches;
    weir_status status = WEIR_OK;
    for (int i = 0; i < graph->n_inputs && !status; i++) {
        const struct weir_graph_input *input = &graph->inputs[i];
        void *data;
        status = weir_alloc(1, weir_shape_bytes(&input->shape), &data);
        if (status)
            return status;
        input_fill(data, &input->shape, m->request->model->vocabulary ? m->request->model->vocabulary : 10, &m->state);
        for (int mb = 0; mb < n && !status; mb++)
            status = weir_engine_feed(m->engine, input->name, mb, data);
        weir_free(data);
    }
    return status;
}

/* `add` takes the events of a step.  One more round than asked for: the first one warms up. */
static weir_status rounds_run(struct measurement *m, void (*add)(void *context, const struct weir_step_event *events, size_t n), void *context)
{
    struct weir_step_report report;
    weir_status status = weir_engine_open(&m->config, &m->engine);
    if (status)
        return status;
    m->n_events = weir_engine_events(m->engine, NULL, 0);
    status = weir_arena_alloc(m->arena, m->n_events, sizeof *m->events, &m->events);
    for (int round = 0; round <= m->request->n_rounds && !status; round++) {
        status = inputs_feed(m);
        if (!status)
            status = weir_engine_step(m->engine, 0, &report);
        if (!status)
            add(context, m->events, weir_engine_events(m->engine, m->events, m->n_events));
    }
    weir_engine_close(m->engine);
    return status;
}

/* ---- layers --------------------------------------------------------------------------------------------------------- */

/* F, I and W of micro-batches alone, W of the first; and those together.  Medians are of single actions: one that was interrupted counts for
 * no more than any other. */
enum { FORWARD, INPUT, WEIGHT, FIRST_WEIGHT, MANY, KINDS = MANY + 3 };

struct sample {
    double *ms;
    size_t n;
};

struct layer_times {
    int n_layers, n_ranks;
    struct sample *samples;  /* [n_layers][KINDS] */
    struct sample optimizer; /* of a rank */
    double *sums;            /* [n_ranks]: of the step that is added */
    bool is_warm;
};

static weir_status layer_times_open(const struct measurement *m, struct layer_times *t)
{
    size_t room = (size_t)m->request->n_ranks * (size_t)m->request->n_rounds;
    *t = (struct layer_times){.n_layers = m->config.graph->n_layers, .n_ranks = m->request->n_ranks};
    weir_status status = weir_arena_alloc(m->arena, (size_t)t->n_layers * KINDS, sizeof *t->samples, &t->samples);
    for (int i = 0; i < t->n_layers * KINDS && !status; i++)
        status = weir_arena_alloc(m->arena, MICROBATCHES * room, sizeof *t->samples[i].ms, &t->samples[i].ms);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)t->n_ranks, sizeof *t->sums, &t->sums);
    return status ? status : weir_arena_alloc(m->arena, room, sizeof *t->optimizer.ms, &t->optimizer.ms);
}

static void sample_add(struct sample *sample, double ms, bool goes_on)
{
    if (goes_on && sample->n)
        sample->ms[sample->n - 1] += ms;
    else
        sample->ms[sample->n++] = ms;
}

static void event_add(struct layer_times *t, const struct weir_step_event *e)
{
    static const char letters[] = "FIW";
    double ms = (double)(e->end_ns - e->start_ns) / 1e6;
    const char *letter = e->stage >= 0 ? strchr(letters, e->category[0]) : NULL;
    int mb = e->stage >= 0 ? e->mb % MICROBATCHES : 0;
    if (!letter) {
        t->sums[e->rank] += measured_is_reduction(e->name) ? 0 : ms;
        return;
    }
    int kind = (mb < ALONE ? 0 : MANY) + (int)(letter - letters);
    kind = kind == WEIGHT && mb == 0 ? FIRST_WEIGHT : kind;
    sample_add(&t->samples[e->stage * KINDS + kind], ms, measured_goes_on(e->name));
}

static void layers_add(void *context, const struct weir_step_event *events, size_t n)
{
    struct layer_times *t = context;
    for (int r = 0; r < t->n_ranks; r++)
        t->sums[r] = 0;
    for (size_t i = 0; i < n && t->is_warm; i++)
        event_add(t, &events[i]);
    for (int r = 0; r < t->n_ranks && t->is_warm; r++)
        sample_add(&t->optimizer, t->sums[r], false);
    t->is_warm = true;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the sample. */
static double median(struct sample *s, double *spread)
{
    if (!s->n)
        return 0;
    qsort(s->ms, s->n, sizeof *s->ms, ascending);
    double middle = s->ms[s->n / 2], width = s->ms[s->n - 1 - s->n / 10] - s->ms[s->n / 10];
    if (middle > SHORT_MS && width > *spread * middle)
        *spread = width / middle;
    return middle;
}

static void times_set(struct layer_times *t, struct profile_result *result)
{
    double alone = 0, together = 0, kept = 0;
    for (int l = 0; l < t->n_layers; l++) {
        struct sample *s = &t->samples[l * KINDS];
        struct weir_stage_costs *layer = &result->layers[l];
        layer->forward = median(&s[FORWARD], &result->spread);
        layer->input = median(&s[INPUT], &result->spread);
        layer->weight = median(&s[WEIGHT], &result->spread);
        layer->optimizer = fmax(median(&s[FIRST_WEIGHT], &result->spread) - layer->weight, 0);
        alone += layer->forward + layer->input + layer->weight;
        for (int kind = MANY; kind < KINDS; kind++)
            together += median(&s[kind], &result->spread);
        kept += layer->mem_backward;
    }
    if (kept > 0 && together > alone)
        result->flight = (struct weir_flight_costs){kept, TOGETHER * kept, fmin(together / alone, 100)};
    result->optimizer_ms = median(&t->optimizer, &result->spread);
}

/* What an update goes through: parameters and state are read and written, gradients read. */
static double update_bytes(const struct weir_stage_costs *layer)
{
    return 2 * layer->param_bytes + layer->grad_bytes + 2 * layer->optimizer_bytes;
}

static void optimizer_deal(struct weir_stage_costs *layers, int n, double ms)
{
    double all = 0;
    for (int l = 0; l < n; l++)
        all += update_bytes(&layers[l]);
    for (int l = 0; l < n && all > 0; l++)
        layers[l].optimizer += ms * update_bytes(&layers[l]) / all;
}

/* The bytes of a compiled program. */
static weir_status layers_find(const struct measurement *m, struct weir_stage_costs **layers_out)
{
    static const struct weir_ceilings any = {1, 1, 1};
    const struct weir_stage_costs *found;
    struct weir_engine_config config = m->config;
    int n = m->config.graph->n_layers;
    config.replicas = 1;
    weir_status status = weir_stage_costs_find(&config, n, &any, m->arena, &found);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)n, sizeof **layers_out, layers_out);
    for (int l = 0; l < n && !status; l++)
        (*layers_out)[l] = found[l];
    return status;
}

static weir_status layers_measure(struct measurement *m, struct profile_result *result)
{
    struct layer_times times;
    weir_status status = layers_schedule(m);
    m->config.replicas = m->request->n_ranks;
    if (!status)
        status = layer_times_open(m, &times);
    if (!status)
        status = rounds_run(m, layers_add, &times);
    if (!status)
        status = layers_find(m, &result->layers);
    if (status)
        return status;
    times_set(&times, result);
    optimizer_deal(result->layers, m->config.graph->n_layers, result->optimizer_ms);
    return WEIR_OK;
}

/* ---- hand-overs ----------------------------------------------------------------------------------------------------- */

struct gaps {
    double *ms; /* [n] */
    size_t n;
    int n_layers;
    int64_t *start, *end; /* [n_layers]: of the step that is added */
    bool is_warm;
};

static void gaps_add(void *context, const struct weir_step_event *events, size_t n)
{
    struct gaps *g = context;
    for (int l = 0; l < g->n_layers; l++)
        g->start[l] = 0;
    for (size_t i = 0; i < n; i++) { /* an action in two parts begins with the first of them */
        int l = events[i].stage;
        if (events[i].category[0] != 'F' || l < 0 || l >= g->n_layers)
            continue;
        g->start[l] = g->start[l] ? g->start[l] : events[i].start_ns;
        g->end[l] = events[i].end_ns;
    }
    for (int l = 1; l < g->n_layers && g->is_warm; l++)
        g->ms[g->n++] = (double)(g->start[l] - g->end[l - 1]) / 1e6;
    g->is_warm = true;
}

static weir_status hand_over_measure(struct measurement *m, struct profile_result *result)
{
    struct gaps g = {.n_layers = m->config.graph->n_layers};
    weir_status status = hand_over_schedule(m);
    m->config.replicas = 1;
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)(m->request->n_rounds * g.n_layers), sizeof *g.ms, &g.ms);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)g.n_layers, sizeof *g.start, &g.start);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)g.n_layers, sizeof *g.end, &g.end);
    if (!status)
        status = rounds_run(m, gaps_add, &g);
    if (status)
        return status;
    qsort(g.ms, g.n, sizeof *g.ms, ascending);
    result->hand_over_ms = g.n && g.ms[g.n / 2] > 0 ? g.ms[g.n / 2] : 0;
    return WEIR_OK;
}

weir_status profile_measure(const struct profile_request *request, struct weir_arena *arena, struct profile_result *result_out)
{
    struct measurement m = {.request = request, .arena = arena, .config = WEIR_ENGINE_CONFIG_DEFAULT, .state = 1};
    struct profile_result result = {.layers = NULL};
    m.config.graph = request->graph;
    m.config.device = request->device;
    m.config.dtype = request->dtype;
    m.config.optimizer = request->optimizer;
    m.config.recompute = request->recompute;
    m.config.threads_per_rank = request->threads;
    weir_status status = layers_measure(&m, &result);
    if (!status && request->n_ranks > 1 && request->graph->n_layers > 1)
        status = hand_over_measure(&m, &result);
    if (!status)
        *result_out = result;
    return status;
}
