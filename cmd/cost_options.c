#include "cmd/cost_options.h"

#include <string.h>

#include "base/text.h"

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
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s: '%.*s' is not %s=NUMBER%s", option, (int)length, text, pairs[0].key,
                             *text == 'B' && !strcmp(option, "time") ? " or the like; B takes I + W" : " or the like");
        text += length + (text[length] == ',');
    }
    return WEIR_OK;
}

/* --mem: what is given as bytes is given whole, because a default of 1 beside it would mean nothing. */
static weir_status memory_parse(const struct cost_options *options, struct weir_schedule_costs *costs)
{
    double b = -1, w = -1, made = -1;
    const struct pair memory[] = {{"B", &b}, {"W", &w}, {"IW", &made}, {0}};
    weir_status status = pairs_parse("mem", options->mem, memory);
    if (status || !options->mem)
        return status;
    if (b < 0 || w < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--mem needs B and W: what is held from F to I, and from I to W");
    costs->mem_backward = b;
    costs->mem_weight = w;
    costs->mem_made = made < 0 ? w : made;
    return WEIR_OK;
}

/* The file and an option must not say the same thing: one of them would count for nothing. */
static weir_status sources_check(const struct cost_options *options, const struct weir_schedule_costs *file)
{
    const struct weir_stage_costs *stage = file->stages;
    bool bytes = false;
    for (int s = 0; s < file->n_stages; s++)
        bytes |= stage[s].param_bytes >= 0 || stage[s].grad_bytes >= 0 || stage[s].optimizer_bytes >= 0;
    const struct {
        const char *option;
        bool given, in_file;
        const char *what;
    } sources[] = {{"time", options->time, stage, "the times of F, I and W"},
                   {"mem", options->mem, stage && stage->mem_backward >= 0, "what actions hold"},
                   {"stage-bytes", options->stage_bytes, bytes, "bytes of stages"},
                   {"reduce-link", options->reduce_link, file->reduce_latency >= 0 || file->reduce_bandwidth >= 0,
                    "the link between replicas"},
                   {"bucket-bytes", options->bucket_bytes > 0, file->bucket_bytes >= 0, "the size of buckets"}};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (sources[i].given && sources[i].in_file)
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %s: leave out --%s", options->costs, sources[i].what,
                             sources[i].option);
    if (!options->time && !stage)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has no stages, so the times of F, I and W are missing: give --time",
                         options->costs);
    return WEIR_OK;
}

static weir_status file_parse(const struct cost_options *options, struct weir_arena *arena,
                              struct weir_schedule_costs *costs)
{
    struct weir_schedule_costs file = {.mem_backward = -1,
                                       .param_bytes = -1,
                                       .grad_bytes = -1,
                                       .optimizer_bytes = -1,
                                       .reduce_latency = -1,
                                       .reduce_bandwidth = -1,
                                       .bucket_bytes = -1}; /* -1: the file does not say */
    weir_status status = weir_schedule_costs_load(options->costs, arena, &file);
    if (!status)
        status = sources_check(options, &file);
    return status ? status : weir_schedule_costs_load(options->costs, arena, costs);
}

weir_status cost_options_read(const struct cost_options *options, struct weir_arena *arena,
                              struct weir_schedule_costs *costs)
{
    *costs =
        (struct weir_schedule_costs){1, 1, 1, 1, 1, .transfer = options->comm, .overlap_gain = options->overlap_gain};
    const struct pair times[] = {{"F", &costs->forward}, {"I", &costs->input}, {"W", &costs->weight}, {0}};
    const struct pair link[] = {{"L", &costs->reduce_latency}, {"BW", &costs->reduce_bandwidth}, {0}};
    const struct pair bytes[] = {
        {"P", &costs->param_bytes}, {"G", &costs->grad_bytes}, {"O", &costs->optimizer_bytes}, {0}};
    costs->bucket_bytes = (double)options->bucket_bytes;
    weir_status status = pairs_parse("time", options->time, times);
    if (!status)
        status = memory_parse(options, costs);
    if (!status)
        status = pairs_parse("reduce-link", options->reduce_link, link);
    if (!status)
        status = pairs_parse("stage-bytes", options->stage_bytes, bytes);
    if (!status && options->costs)
        status = file_parse(options, arena, costs);
    return status;
}

weir_status cost_options_simulation(const struct cost_options *options, struct weir_simulation_options *out)
{
    if (options->zero && options->replicas < 2)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--zero 1 shares state out over replicas: give --replicas of at least 2");
    out->n_replicas = (int)options->replicas;
    out->shard_optimizer = options->zero == 1;
    return options->channels ? weir_channels_find(options->channels, &out->channels) : WEIR_OK;
}
