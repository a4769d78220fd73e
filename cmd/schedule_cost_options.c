/* The costs of weir schedule: read from options and files, and fitted to a schedule. */
#include "cmd/schedule_cost_options.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/text.h"
#include "include/weir/partition.h"

enum { LARGEST_STDIN = 1 << 30 };

struct pair {
    const char *key;
    double *value;
};

/* "F=1,I=2": numbers for some of the keys of `pairs` (ended by a NULL key). */
static weir_status pairs_parse(const char *option, const char *text, const struct pair *pairs)
{
    while (text && *text) {
        size_t length = strcspn(text, ",");
        const struct pair *pair = pairs;
        while (pair->key && (strncmp(text, pair->key, strlen(pair->key)) != 0 || text[strlen(pair->key)] != '='))
            pair++;
        char number[64] = "";
        size_t skip = pair->key ? strlen(pair->key) + 1 : 0;
        if (length - skip < sizeof number)
            memcpy(number, text + skip, length - skip);
        if (!pair->key || !weir_parse_double(number, pair->value) || *pair->value < 0)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s: '%.*s' is not %s=NUMBER or the like", option, (int)length, text,
                             pairs[0].key);
        text += length + (text[length] == ',');
    }
    return WEIR_OK;
}

/* --time: B alone is half input gradient, half weight gradient. */
static weir_status time_parse(const struct schedule_cost_options *values, struct weir_schedule_costs *costs)
{
    double b = -1, i = -1, w = -1;
    const struct pair times[] = {{"F", &costs->forward}, {"I", &i}, {"W", &w}, {"B", &b}, {0}};
    weir_status status = pairs_parse("time", values->time, times);
    if (status)
        return status;
    if (b >= 0 && (i >= 0 || w >= 0))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--time has B beside %c: B takes I + W, so give I and W, or B alone",
                         i >= 0 ? 'I' : 'W');
    if (b >= 0)
        i = w = b / 2, costs->halved = true;
    costs->input = i >= 0 ? i : costs->input;
    costs->weight = w >= 0 ? w : costs->weight;
    return WEIR_OK;
}

/* --mem: what is given as bytes is given whole, because a default of 1 beside it would mean nothing. */
static weir_status memory_parse(const struct schedule_cost_options *values, struct weir_schedule_costs *costs)
{
    double b = -1, w = -1, made = -1;
    const struct pair memory[] = {{"B", &b}, {"W", &w}, {"IW", &made}, {0}};
    weir_status status = pairs_parse("mem", values->mem, memory);
    if (status || !values->mem)
        return status;
    if (b < 0 || w < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--mem needs B and W: what is held from F to I, and from I to W");
    costs->mem_backward = b;
    costs->mem_weight = w;
    costs->mem_made = made < 0 ? w : made;
    return WEIR_OK;
}

/* The file and an option must not say the same thing: one of them would count for nothing. */
static weir_status sources_check(const struct schedule_cost_options *values, const struct weir_schedule_costs *file)
{
    const struct weir_stage_costs *stage = file->stages ? file->stages : file->layers;
    bool bytes = false;
    for (int s = 0; s < (file->stages ? file->n_stages : file->n_layers); s++)
        bytes |= stage[s].param_bytes >= 0 || stage[s].grad_bytes >= 0 || stage[s].optimizer_bytes >= 0;
    const struct {
        const char *option;
        bool given, in_file;
        const char *what;
    } sources[] = {{"time", values->time, stage, "the times of F, I and W"},
                   {"mem", values->mem, stage && stage->mem_backward >= 0, "what actions hold"},
                   {"stage-bytes", values->stage_bytes, bytes, "bytes of stages"},
                   {"reduce-link", values->reduce_link, file->reduce_latency >= 0 || file->reduce_bandwidth >= 0,
                    "the link between replicas"},
                   {"comm", values->comm > 0, file->transfer >= 0, "the time of a transfer"},
                   {"bucket-bytes", values->bucket_bytes > 0, file->bucket_bytes >= 0, "the size of buckets"}};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (sources[i].given && sources[i].in_file)
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %s: leave out --%s", values->costs, sources[i].what,
                             sources[i].option);
    if (!values->time && !stage)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has no stages or layers, so the times of F, I and W are missing: give --time",
                         values->costs);
    return WEIR_OK;
}

/* `text` NULL: of the file. */
static weir_status costs_of(const char *path, const char *text, size_t bytes, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    return text ? weir_schedule_costs_parse(text, bytes, "standard input", arena, costs) : weir_schedule_costs_load(path, arena, costs);
}

weir_status costs_file_read(const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    char *text = NULL;
    size_t bytes = 0;
    weir_status status = !strcmp(path, "-") ? weir_stdin_read(LARGEST_STDIN, &text, &bytes) : WEIR_OK;
    if (!status)
        status = costs_of(path, text, bytes, arena, costs);
    weir_free(text);
    return status;
}

static weir_status file_parse(const struct schedule_cost_options *values, struct weir_arena *arena,
                              struct weir_schedule_costs *costs)
{
    struct weir_schedule_costs file = {.mem_backward = -1,
                                       .param_bytes = -1,
                                       .grad_bytes = -1,
                                       .optimizer_bytes = -1,
                                       .transfer = -1,
                                       .reduce_latency = -1,
                                       .reduce_bandwidth = -1,
                                       .bucket_bytes = -1}; /* -1: the file does not say */
    char *text = NULL;
    size_t bytes = 0;
    bool is_stdin = !strcmp(values->costs, "-");
    weir_status status = is_stdin ? weir_stdin_read(LARGEST_STDIN, &text, &bytes) : WEIR_OK;
    if (!status)
        status = costs_of(values->costs, text, bytes, arena, &file);
    if (!status)
        status = sources_check(values, &file);
    if (!status)
        status = costs_of(values->costs, text, bytes, arena, costs);
    weir_free(text);
    return status;
}

weir_status schedule_costs_parse(const struct schedule_cost_options *values, struct weir_arena *arena,
                                 struct weir_schedule_costs *costs)
{
    *costs =
        (struct weir_schedule_costs){1, 1, 1, 1, 1, .transfer = values->comm, .overlap_gain = values->overlap_gain};
    const struct pair link[] = {{"L", &costs->reduce_latency}, {"BW", &costs->reduce_bandwidth}, {0}};
    const struct pair bytes[] = {
        {"P", &costs->param_bytes}, {"G", &costs->grad_bytes}, {"O", &costs->optimizer_bytes}, {0}};
    costs->bucket_bytes = (double)values->bucket_bytes;
    weir_status status = time_parse(values, costs);
    if (!status)
        status = memory_parse(values, costs);
    if (!status)
        status = pairs_parse("reduce-link", values->reduce_link, link);
    if (!status)
        status = pairs_parse("stage-bytes", values->stage_bytes, bytes);
    if (!status && values->costs)
        status = file_parse(values, arena, costs);
    return status;
}

/* ---- fitting ----------------------------------------------------------------------------------------------------- */

static void stage_add(struct weir_stage_costs *stage, const struct weir_stage_costs *layer)
{
    stage->forward += layer->forward;
    stage->input += layer->input;
    stage->weight += layer->weight;
    stage->mem_backward += layer->mem_backward;
    stage->mem_weight += layer->mem_weight;
    stage->mem_made += layer->mem_made;
    stage->param_bytes += layer->param_bytes;
    stage->grad_bytes += layer->grad_bytes;
    stage->optimizer_bytes += layer->optimizer_bytes;
    stage->optimizer += layer->optimizer;
}

static weir_status layers_cut(const struct weir_schedule_costs *given, int n_stages, struct weir_arena *arena,
                              struct weir_schedule_costs *out)
{
    struct weir_stage_costs *stages;
    double *time;
    int *first;
    if (n_stages > given->n_layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %d layers, not enough for %d stages", given->name, given->n_layers,
                         n_stages);
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *stages, &stages);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)given->n_layers, sizeof *time, &time);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_stages + 1, sizeof *first, &first);
    for (int i = 0; !status && i < given->n_layers; i++)
        time[i] = given->layers[i].forward + given->layers[i].input + given->layers[i].weight;
    if (!status)
        status = weir_chain_split(time, given->n_layers, n_stages, first);
    for (int s = 0; !status && s < n_stages; s++)
        for (int i = first[s]; i < first[s + 1]; i++)
            stage_add(&stages[s], &given->layers[i]);
    if (status)
        return status;
    *out = *given;
    out->stages = stages;
    out->n_stages = n_stages;
    return WEIR_OK;
}

static struct weir_schedule_costs divided(struct weir_schedule_costs costs, double parts)
{
    double *const values[] = {&costs.forward,    &costs.input,       &costs.weight,     &costs.mem_backward,
                              &costs.mem_weight, &costs.mem_made,    &costs.param_bytes, &costs.grad_bytes,
                              &costs.optimizer_bytes};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        *values[i] /= parts;
    return costs;
}

weir_status schedule_costs_fit(const struct schedule_cost_options *values, const struct weir_schedule_costs *given,
                               int n_stages, int n_ranks, struct weir_arena *arena, struct weir_schedule_costs *out)
{
    if (given->layers)
        return layers_cut(given, n_stages, arena, out);
    if (values->per_rank && given->stages)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has the costs of stages: leave out --per-rank", given->name);
    *out = values->per_rank ? divided(*given, (double)n_stages / n_ranks) : *given;
    return WEIR_OK;
}

static bool is_split(const struct weir_schedule *schedule)
{
    for (int r = 0; r < schedule->n_ranks; r++)
        for (size_t i = 0; i < schedule->ranks[r].n_actions; i++)
            if (schedule->ranks[r].actions[i].type == WEIR_I)
                return true;
    return false;
}

void schedule_costs_explain(const char *command, const struct weir_schedule_costs *costs,
                            const struct weir_schedule *schedule)
{
    if (costs->halved && is_split(schedule))
        fprintf(stderr, "weir %s: B is taken as half input gradient, half weight gradient: give I and W to say otherwise\n",
                command);
}
