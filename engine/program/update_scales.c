#include "engine/program/update_scales.h"

#include <fnmatch.h>
#include <math.h>

#include "base/arena.h"
#include "base/grown.h"
#include "base/text.h"

/* Entry `number` of the configuration's list, whose entries have the size that the first one says. */
static weir_status rule_take(const struct weir_engine_config *config, int number, struct weir_update_rule *rule)
{
    const struct weir_update_rule *first = config->update_rules;
    const char *given = (const char *)first + (size_t)number * first->struct_bytes;
    weir_status status = weir_grown_take("weir_update_rule", "set struct_bytes", given, first->struct_bytes, rule, sizeof *rule);
    if (status)
        return weir_error_prefix(status, "update rule %d: ", number);
    return rule->pattern ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INVALID, "update rule %d has no pattern", number);
}

static weir_status rule_check(const struct weir_update_rule *rule)
{
    if (!(rule->learning_rate >= 0 && rule->learning_rate < HUGE_VAL && rule->weight_decay >= 0 && rule->weight_decay < HUGE_VAL))
        return WEIR_FAIL(WEIR_ERR_USAGE, "update rule '%s' has factors %g and %g: they must be finite and not negative",
                         rule->pattern, rule->learning_rate, rule->weight_decay);
    return WEIR_OK;
}

static bool matches(const struct weir_update_rule *rule, const struct weir_param *param)
{
    return !fnmatch(rule->pattern, param->name, 0);
}

/* The rule is of no use: nothing has such a name, or an earlier rule took all that have. */
static weir_status useless_fail(const struct weir_graph *graph, const struct weir_update_rule *rule, struct weir_arena *arena)
{
    const char **names;
    for (int i = 0; i < graph->n_params; i++)
        if (matches(rule, &graph->params[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "update rule '%s' comes too late: earlier rules match all of its parameters", rule->pattern);
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_params + 1, sizeof *names, &names);
    if (status)
        return status;
    for (int i = 0; i < graph->n_params; i++)
        names[i] = graph->params[i].name;
    const char *near = weir_suggest(rule->pattern, names);
    return WEIR_FAIL(WEIR_ERR_USAGE, "update rule '%s' matches no parameter of model '%s'%s%s%s", rule->pattern, graph->name,
                     near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Give the rule the parameters that have none yet. */
static weir_status rule_apply(const struct weir_graph *graph, const struct weir_update_rule *rule, struct weir_arena *arena,
                              bool *has_rule, struct weir_update_scale *scales)
{
    bool used = false;
    for (int i = 0; i < graph->n_params; i++)
        if (!has_rule[i] && matches(rule, &graph->params[i])) {
            scales[i].learning_rate = (float)rule->learning_rate;
            scales[i].weight_decay *= (float)rule->weight_decay;
            has_rule[i] = used = true;
        }
    return used ? WEIR_OK : useless_fail(graph, rule, arena);
}

weir_status weir_update_scales_make(const struct weir_engine_config *config, struct weir_arena *arena,
                                    const struct weir_update_scale **scales_out)
{
    const struct weir_graph *graph = config->graph;
    struct weir_update_scale *scales;
    bool *has_rule;
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_params, sizeof *scales, &scales);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)graph->n_params, sizeof *has_rule, &has_rule);
    for (int i = 0; i < graph->n_params && !status; i++)
        scales[i] = (struct weir_update_scale){1, graph->params[i].decay ? 1 : 0};
    for (int r = 0; r < config->n_update_rules && !status; r++) {
        struct weir_update_rule rule;
        status = rule_take(config, r, &rule);
        if (!status)
            status = rule_check(&rule);
        if (!status)
            status = rule_apply(graph, &rule, arena, has_rule, scales);
    }
    if (!status)
        *scales_out = scales;
    return status;
}
