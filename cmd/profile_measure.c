#include "cmd/profile_measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/text.h"
#include "cmd/measured_costs.h"
#include "include/weir/plan.h"
#include "include/weir/partition.h"

enum { MOST_RANKS = 64, STEADY = 4, FEWEST_MANY = 4 };
static const double SHORT_MS = 0.01; /* no spread is told of what takes less */

struct measurement {
    const struct profile_request *request;
    struct weir_arena *arena;
    struct weir_engine_config config;
    struct weir_schedule schedule;
    struct weir_stage_costs *layers; /* [n_layers]: bytes, and flops as times */
    int n_ranks, first_layer[MOST_RANKS + 1];
    int n_turns, n_many;             /* micro-batches that take turns, twice; and that are in flight together, twice */
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

static void action_append(struct weir_text *text, int layer, char letter, int mb)
{
    bool first = !text->length || text->data[text->length - 1] == '\n';
    weir_text_append(text, "%s%d%c%d", first ? "" : ",", layer, letter, mb);
}

static void forward_append(const struct measurement *m, int rank, int mb, struct weir_text *text)
{
    for (int l = m->first_layer[rank]; l < m->first_layer[rank + 1]; l++)
        action_append(text, l, 'F', mb);
}

/* `letters` one after the other: all layers of the first, then all of the second. */
static void backward_append(const struct measurement *m, int rank, int mb, const char *letters, struct weir_text *text)
{
    for (; *letters; letters++)
        for (int l = m->first_layer[rank + 1] - 1; l >= m->first_layer[rank]; l--)
            action_append(text, l, *letters, mb);
}

/* As 1f1b: rank r has n_ranks - r micro-batches in flight. */
static void turns_append(const struct measurement *m, int rank, int mb, const char *letters, struct weir_text *text)
{
    int ahead = m->n_ranks - 1 - rank;
    for (int i = 0; i < ahead; i++)
        forward_append(m, rank, mb + i, text);
    for (int i = 0; i < m->n_turns; i++) {
        if (ahead + i < m->n_turns)
            forward_append(m, rank, mb + ahead + i, text);
        backward_append(m, rank, mb + i, letters, text);
    }
}

static void together_append(const struct measurement *m, int rank, int mb, struct weir_text *text)
{
    for (int i = 0; i < m->n_many; i++)
        forward_append(m, rank, mb + i, text);
    for (int i = 0; i < m->n_many; i++)
        backward_append(m, rank, mb + i, "B", text);
}

/* Every layer a stage, ranks as in a pipeline. */
static weir_status layers_schedule(struct measurement *m)
{
    struct weir_text text = {0};
    for (int r = 0; r < m->n_ranks; r++) {
        turns_append(m, r, 0, "B", &text);
        turns_append(m, r, m->n_turns, "IW", &text);
        together_append(m, r, 2 * m->n_turns, &text);
        together_append(m, r, 2 * m->n_turns + m->n_many, &text);
        weir_text_append(&text, "\n");
    }
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
    int n = m->schedule.n_microbatches;
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

/* Of micro-batches that take turns F and B, the first B, I and W; F and B of those that are in flight together.  The first ones of
 * each kind find in caches what others have left there, and are passed over.  Medians are of single actions: one that was interrupted
 * counts for no more than any other. */
enum kind { FORWARD, BOTH, FIRST_BOTH, INPUT, WEIGHT, MANY_FORWARD, MANY_BOTH, KINDS, PASSED_OVER };

struct sample {
    double *ms;
    size_t n;
};

struct layer_times {
    const struct measurement *measurement;
    struct sample *samples;   /* [n_layers][KINDS] */
    struct sample *optimizer; /* [n_ranks] */
    double *sums;             /* [n_ranks]: of the step that is added */
    bool is_warm;
};

static weir_status sample_open(const struct measurement *m, int n_each, struct sample *sample)
{
    return weir_arena_alloc(m->arena, (size_t)n_each * (size_t)m->request->n_rounds, sizeof *sample->ms, &sample->ms);
}

static weir_status layer_times_open(const struct measurement *m, struct layer_times *t)
{
    int n = m->config.graph->n_layers * KINDS, p = m->n_ranks;
    *t = (struct layer_times){.measurement = m};
    weir_status status = weir_arena_alloc(m->arena, (size_t)n, sizeof *t->samples, &t->samples);
    for (int i = 0; i < n && !status; i++)
        status = sample_open(m, m->n_turns + m->n_many, &t->samples[i]);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)p, sizeof *t->sums, &t->sums);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)p, sizeof *t->optimizer, &t->optimizer);
    for (int r = 0; r < p && !status; r++)
        status = sample_open(m, 1, &t->optimizer[r]);
    return status;
}

static void sample_add(struct sample *sample, double ms, bool goes_on)
{
    if (goes_on && sample->n)
        sample->ms[sample->n - 1] += ms;
    else
        sample->ms[sample->n++] = ms;
}

static enum kind kind_of(const struct measurement *m, char letter, int mb)
{
    int turn = mb % m->n_turns;
    if (mb >= 2 * m->n_turns)
        return mb < 2 * m->n_turns + m->n_many ? PASSED_OVER : letter == 'F' ? MANY_FORWARD : MANY_BOTH;
    if (letter == 'B' && mb == 0)
        return FIRST_BOTH;
    if (turn < m->n_ranks)
        return PASSED_OVER;
    return letter == 'B' ? BOTH : letter == 'I' ? INPUT : letter == 'W' ? WEIGHT : mb < m->n_turns ? FORWARD : PASSED_OVER;
}

static void event_add(struct layer_times *t, const struct weir_step_event *e)
{
    double ms = (double)(e->end_ns - e->start_ns) / 1e6;
    if (e->stage < 0 || !strchr("FIWB", e->category[0])) {
        t->sums[e->rank] += measured_is_reduction(e->name) ? 0 : ms;
        return;
    }
    enum kind kind = kind_of(t->measurement, e->category[0], e->mb);
    if (kind != PASSED_OVER)
        sample_add(&t->samples[e->stage * KINDS + (int)kind], ms, measured_goes_on(e->name));
}

static void layers_add(void *context, const struct weir_step_event *events, size_t n)
{
    struct layer_times *t = context;
    int p = t->measurement->n_ranks;
    for (int r = 0; r < p; r++)
        t->sums[r] = 0;
    for (size_t i = 0; i < n && t->is_warm; i++)
        event_add(t, &events[i]);
    for (int r = 0; r < p && t->is_warm; r++)
        sample_add(&t->optimizer[r], t->sums[r], false);
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

static void layer_set(struct sample s[KINDS], struct weir_stage_costs *layer, double *spread)
{
    layer->forward = median(&s[FORWARD], spread);
    layer->input = median(&s[INPUT], spread);
    layer->weight = median(&s[WEIGHT], spread);
    layer->optimizer = fmax(median(&s[FIRST_BOTH], spread) - median(&s[BOTH], spread), 0);
}

/* In flight as a simulation counts it: what is kept, and what a backward makes. */
static double in_flight(const struct measurement *m, int rank, int n)
{
    double kept = 0, made = 0;
    for (int l = m->first_layer[rank]; l < m->first_layer[rank + 1]; l++) {
        kept += m->layers[l].mem_backward;
        made += m->layers[l].mem_made;
    }
    return n * kept + made;
}

static struct weir_flight_costs flight_find(const struct measurement *m, struct layer_times *t, double *spread)
{
    struct weir_flight_costs flight = {0};
    double turns = 0, many = 0, apart = 0, both = 0;
    for (int l = 0; l < m->config.graph->n_layers; l++) {
        struct sample *s = &t->samples[l * KINDS];
        both += median(&s[BOTH], spread);
        turns += median(&s[FORWARD], spread) + median(&s[BOTH], spread);
        many += median(&s[MANY_FORWARD], spread) + median(&s[MANY_BOTH], spread);
        apart += median(&s[INPUT], spread) + median(&s[WEIGHT], spread);
    }
    for (int r = 0; r < m->n_ranks; r++) {
        flight.low = fmax(flight.low, in_flight(m, r, m->n_ranks - r));
        flight.high = fmax(flight.high, in_flight(m, r, m->n_many));
    }
    if (!(flight.low > 0 && flight.high > flight.low && turns > 0 && apart > 0))
        return (struct weir_flight_costs){0};
    flight.factor = fmin(fmax(many / turns, 1), 100);
    flight.at_once = fmin(fmax(both / apart, 0.01), 100);
    return flight;
}

/* What an update goes through: parameters and state are read and written, gradients read. */
static double update_bytes(const struct weir_stage_costs *layer)
{
    return 2 * layer->param_bytes + layer->grad_bytes + 2 * layer->optimizer_bytes;
}

static void optimizer_deal(const struct measurement *m, int rank, double ms)
{
    double all = 0;
    int first = m->first_layer[rank], end = m->first_layer[rank + 1];
    for (int l = first; l < end; l++)
        all += update_bytes(&m->layers[l]);
    for (int l = first; l < end && all > 0; l++)
        m->layers[l].optimizer += ms * update_bytes(&m->layers[l]) / all;
}

static void times_set(const struct measurement *m, struct layer_times *t, struct profile_result *result)
{
    for (int l = 0; l < m->config.graph->n_layers; l++)
        layer_set(&t->samples[l * KINDS], &m->layers[l], &result->spread);
    result->flight = flight_find(m, t, &result->spread);
    for (int r = 0; r < m->n_ranks; r++) {
        double ms = median(&t->optimizer[r], &result->spread);
        optimizer_deal(m, r, ms);
        result->optimizer_ms += ms;
    }
    result->layers = m->layers;
}

/* The bytes of a compiled program. */
static weir_status layers_find(struct measurement *m)
{
    static const struct weir_ceilings any = {1, 1, 1};
    const struct weir_stage_costs *found;
    int n = m->config.graph->n_layers;
    weir_status status = weir_stage_costs_find(&m->config, n, &any, m->arena, &found);
    if (!status)
        status = weir_arena_alloc(m->arena, (size_t)n, sizeof *m->layers, &m->layers);
    for (int l = 0; l < n && !status; l++)
        m->layers[l] = found[l];
    return status;
}

/* As even as flops make it. */
static weir_status layers_deal(struct measurement *m)
{
    double *work;
    int n = m->config.graph->n_layers, asked = m->request->n_ranks;
    m->n_ranks = asked < 1 ? 1 : asked > n ? n : asked > MOST_RANKS ? MOST_RANKS : asked;
    m->n_turns = m->n_ranks + STEADY;
    m->n_many = 2 * m->n_ranks > FEWEST_MANY ? 2 * m->n_ranks : FEWEST_MANY;
    weir_status status = weir_arena_alloc(m->arena, (size_t)n, sizeof *work, &work);
    for (int l = 0; l < n && !status; l++)
        work[l] = m->layers[l].forward + m->layers[l].input + m->layers[l].weight;
    return status ? status : weir_chain_split(work, n, m->n_ranks, m->first_layer);
}

static weir_status layers_measure(struct measurement *m, struct profile_result *result)
{
    struct layer_times times;
    weir_status status = layers_find(m);
    if (!status)
        status = layers_deal(m);
    if (!status)
        status = layers_schedule(m);
    if (!status)
        status = layer_times_open(m, &times);
    if (!status)
        status = rounds_run(m, layers_add, &times);
    if (!status)
        times_set(m, &times, result);
    return status;
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
    result.n_ranks = m.n_ranks;
    if (!status && m.n_ranks > 1)
        status = hand_over_measure(&m, &result);
    if (!status)
        *result_out = result;
    return status;
}
