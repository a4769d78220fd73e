#include "cmd/measured_costs.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { ROUNDS = 256, TYPES = 4, MOST_RANKS = 4096, SHORT_US = 10 }; /* steps that are kept */

/* Sums of the step that is being added. */
struct sum {
    double ms;
    int n;
};

struct measured_costs {
    int n_stages, n_rounds;
    bool is_warm;
    struct sum *sums;                     /* [n_stages][TYPES] */
    double (*rounds)[ROUNDS];             /* [n_stages * TYPES + 1]: means; the last is the optimizer */
    double optimizer[MOST_RANKS];
};

weir_status measured_costs_open(int n_stages, struct weir_arena *arena, struct measured_costs **costs_out)
{
    struct measured_costs *c;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *c, &c);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_stages * TYPES, sizeof *c->sums, &c->sums);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_stages * TYPES + 1, sizeof *c->rounds, &c->rounds);
    if (status)
        return status;
    c->n_stages = n_stages;
    *costs_out = c;
    return WEIR_OK;
}

bool measured_goes_on(const char *name)
{
    const char *part = strchr(name, '(');
    return part && part[1] != 's';
}

bool measured_is_reduction(const char *name)
{
    return !strncmp(name, "reduce", 6) || !strncmp(name, "gather", 6);
}

static void event_add(struct measured_costs *c, const struct weir_step_event *e)
{
    static const char letters[] = "FIWB";
    double ms = (double)(e->end_ns - e->start_ns) / 1e6;
    const char *type = e->category[0] ? strchr(letters, e->category[0]) : NULL;
    if (type && !e->category[1] && e->stage >= 0 && e->stage < c->n_stages) {
        struct sum *sum = &c->sums[e->stage * TYPES + (int)(type - letters)];
        sum->ms += ms;
        sum->n += !measured_goes_on(e->name);
    } else if (e->rank < MOST_RANKS && !measured_is_reduction(e->name)) {
        c->optimizer[e->rank] += ms;
    }
}

void measured_costs_add(struct measured_costs *c, const struct weir_step_event *events, size_t n)
{
    int n_rows = c->n_stages * TYPES;
    if (c->n_rounds == ROUNDS)
        return;
    memset(c->sums, 0, (size_t)n_rows * sizeof *c->sums);
    memset(c->optimizer, 0, sizeof c->optimizer);
    for (size_t i = 0; i < n; i++)
        event_add(c, &events[i]);
    double longest = 0;
    for (int r = 0; r < MOST_RANKS; r++)
        longest = c->optimizer[r] > longest ? c->optimizer[r] : longest;
    c->n_rounds += c->is_warm;
    c->is_warm = true;
    int round = c->n_rounds ? c->n_rounds - 1 : 0;
    for (int i = 0; i < n_rows; i++)
        c->rounds[i][round] = c->sums[i].n ? c->sums[i].ms / c->sums[i].n : 0;
    c->rounds[n_rows][round] = longest;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the row. */
static double median(struct measured_costs *c, int row, double *spread)
{
    double *v = c->rounds[row];
    int n = c->n_rounds;
    qsort(v, (size_t)n, sizeof *v, ascending);
    double middle = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    double width = v[n - 1 - n / 10] - v[n / 10];
    if (middle > SHORT_US / 1e3 && width / middle > *spread)
        *spread = width / middle;
    return middle;
}

weir_status measured_costs_find(struct measured_costs *c, struct weir_stage_costs *stages, struct measured_summary *summary_out)
{
    struct measured_summary summary = {.stages = stages, .n_steps = c->n_rounds};
    if (!c->n_rounds)
        return WEIR_FAIL(WEIR_ERR_INVALID, "costs need 2 steps at least: the first one warms up");
    for (int s = 0; s < c->n_stages; s++) {
        double both = median(c, s * TYPES + 3, &summary.spread);
        stages[s].forward = median(c, s * TYPES, &summary.spread);
        stages[s].input = median(c, s * TYPES + 1, &summary.spread) + both / 2;
        stages[s].weight = median(c, s * TYPES + 2, &summary.spread) + both / 2;
    }
    summary.optimizer_ms = median(c, c->n_stages * TYPES, &summary.spread);
    *summary_out = summary;
    return WEIR_OK;
}

/* A trace knows times alone. */
static bool has_bytes(const struct weir_stage_costs *stages, int n)
{
    for (int s = 0; s < n; s++)
        if (stages[s].mem_backward > 0 || stages[s].mem_weight > 0 || stages[s].param_bytes > 0)
            return true;
    return false;
}

static json_t *stage_json(const struct weir_stage_costs *c, bool bytes)
{
    json_t *root = json_pack("{s:f, s:f, s:f}", "F", c->forward, "I", c->input, "W", c->weight);
    if (c->optimizer > 0)
        weir_json_set(&root, "optimizer", json_real(c->optimizer));
    return !bytes ? root
                  : weir_json_joined(root, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "mem_B", c->mem_backward, "mem_W", c->mem_weight,
                                                     "mem_IW", c->mem_made, "param_bytes", c->param_bytes, "grad_bytes", c->grad_bytes,
                                                     "optimizer_bytes", c->optimizer_bytes));
}

static void flight_append(const struct weir_flight_costs *f, struct weir_text *text)
{
    weir_text_append(text, ",\n \"in_flight\": {\"low\": %.15g, \"high\": %.15g, \"factor\": %.15g", f->low, f->high, f->factor);
    if (f->at_once > 0)
        weir_text_append(text, ", \"at_once\": %.15g", f->at_once);
    weir_text_append(text, "}");
}

void measured_costs_print(const struct weir_stage_costs *stages, int n, const char *what, const struct measured_beside *beside,
                          struct weir_text *text)
{
    enum { DIGITS = 15 };
    bool bytes = has_bytes(stages, n);
    weir_text_append(text, "{\"%s\": [", what);
    for (int s = 0; s < n; s++) {
        weir_text_append(text, s ? ",\n " : "\n ");
        weir_json_append(text, stage_json(&stages[s], bytes), DIGITS);
    }
    weir_text_append(text, "]");
    if (beside->optimizer_ms > 0)
        weir_text_append(text, ",\n \"optimizer\": %.15g", beside->optimizer_ms);
    if (beside->transfer_ms > 0)
        weir_text_append(text, ",\n \"transfer\": %.15g", beside->transfer_ms);
    if (beside->flight.factor > 0)
        flight_append(&beside->flight, text);
    weir_text_append(text, "}\n");
}
