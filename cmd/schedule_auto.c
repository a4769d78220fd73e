/* The schedule called auto, for weir schedule make and simulate. */
#include "cmd/schedule_auto.h"

#include <strings.h>

#include "base/text.h"

bool schedule_is_auto(const char *name)
{
    return !strcasecmp(name, "auto");
}

/* "zb-1p", "ZB2P": made by a search, as auto is. */
static bool is_searched(const char *name)
{
    static const char *const names[] = {"zb-1p", "zb1p", "zb-2p", "zb2p"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        found |= !strcasecmp(name, names[i]);
    return found;
}

weir_status schedule_name_check(const char *name)
{
    enum { MOST_KINDS = 62 };
    const struct weir_schedule_kind *kind;
    const char *names[MOST_KINDS + 2];
    int n = 0;
    if (schedule_is_auto(name) || weir_schedule_kind_find(name, &kind) == WEIR_OK)
        return WEIR_OK;
    for (; weir_schedule_kind_at(n) && n < MOST_KINDS; n++)
        names[n] = weir_schedule_kind_at(n)->name;
    names[n] = "auto";
    names[n + 1] = NULL;
    if (is_searched(name))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' is no fixed order, a search makes one for given costs and memory: use the schedule auto",
                         name);
    return weir_unknown("schedule", name, names);
}

weir_status schedule_auto_unused(const struct schedule_auto_options *options, const char *name)
{
    if (options->memory_cap > 0 || options->objective)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s is for the schedule auto, not for '%s'",
                         options->objective ? "--objective" : "--memory-cap", name);
    return WEIR_OK;
}

static weir_status chunks_find(const struct schedule_size *size, const struct weir_schedule_costs *costs, int *chunks_out)
{
    *chunks_out = size->chunks ? (int)size->chunks : 1;
    if (size->chunks || !costs->stages || costs->n_stages == 1) /* one stands for every stage */
        return WEIR_OK;
    if (costs->n_stages % size->ranks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the costs have %d stages, which do not divide over %d ranks: use another -p",
                         costs->n_stages, (int)size->ranks);
    *chunks_out = costs->n_stages / (int)size->ranks;
    return WEIR_OK;
}

weir_status schedule_auto_make(const struct schedule_size *size, const struct schedule_auto_options *options,
                               const struct schedule_cost_options *cost, const struct weir_schedule_costs *given,
                               const struct schedule_boundary_options *handed, struct weir_arena *arena,
                               struct weir_auto_result *out)
{
    struct weir_schedule stages = {.n_slices = 1};
    struct weir_schedule_costs costs;
    struct weir_auto_request request = {.n_ranks = (int)size->ranks, .n_microbatches = (int)size->microbatches};
    if (!size->ranks || !size->microbatches)
        return WEIR_FAIL(WEIR_ERR_USAGE, "auto needs the numbers of ranks and micro-batches: -p P -m M");
    if (size->group_size)
        return WEIR_FAIL(WEIR_ERR_USAGE, "auto has no groups: leave out --group-size");
    if (size->slices > 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "auto does not cut sequences: use seq1f1b, or leave out --slices");
    request.costs = &costs;
    request.memory_cap = options->memory_cap;
    weir_status status =
        options->objective ? weir_auto_objective_find(options->objective, &request.objective) : WEIR_OK;
    if (!status)
        status = chunks_find(size, given, &request.n_chunks);
    stages.n_stages = request.n_ranks * request.n_chunks;
    if (!status && handed)
        status = schedule_boundaries_take(handed, arena, &stages);
    request.boundaries = stages.boundaries;
    request.n_boundaries = stages.n_boundaries;
    if (!status)
        status = schedule_costs_fit(cost, given, request.n_ranks * request.n_chunks, request.n_ranks, arena, &costs);
    return status ? status : weir_schedule_auto(&request, arena, out);
}

/* In per cent; what sums in another order differ by is none. */
static double above(double value, double base)
{
    double part = base > 0 ? value / base - 1 : 0;
    return part > -1e-9 && part < 1e-9 ? 0 : 100 * part;
}

void schedule_auto_print(const struct weir_auto_result *r, const struct schedule_auto_options *options, FILE *out)
{
    fprintf(out, "auto         %s %.6g, %.2f %% above the lower bound %.6g; ",
            options->objective ? options->objective : "makespan", r->value, above(r->value, r->bound), r->bound);
    if (!r->best)
        fprintf(out, "no known schedule fits the cap");
    else if (r->value < r->best_value)
        fprintf(out, "%.2f %% below %s", -above(r->value, r->best_value), r->best->name);
    else
        fprintf(out, "no better than %s", r->best->name);
    if (r->best && r->best_group)
        fprintf(out, " with groups of %d", r->best_group);
    if (r->best)
        fprintf(out, " (%.6g), the best known one that fits", r->best_value);
    fprintf(out, "; %zu schedules timed\n", r->n_tried);
}

json_t *schedule_auto_json(const struct weir_auto_result *r)
{
    return json_pack("{s:f, s:f, s:f, s:s?, s:i, s:o, s:I}", "value", r->value, "bound", r->bound, "above_bound",
                     above(r->value, r->bound) / 100, "best_known", r->best ? r->best->name : NULL,
                     "best_known_group", r->best_group, "best_known_value",
                     r->best ? json_real(r->best_value) : json_null(), "tried", (json_int_t)r->n_tried);
}
