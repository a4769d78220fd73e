/* weir schedule simulate: what a schedule costs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/schedule_command.h"
#include "schedules/simulate/simulate.h"

struct values {
    struct schedule_size size;
    const char *time, *mem, *costs, *channels, *rule, *dialect, *reduce_link, *stage_bytes;
    double comm, overlap_gain;
    int64_t replicas, zero, bucket_bytes;
    bool json;
};

static const struct option_row rows[] = {
    {"ranks", 'p', OPTION_INT, offsetof(struct values, size.ranks), "P", "with a name: ranks of the pipeline", 1,
     65536},
    {"microbatches", 'm', OPTION_INT, offsetof(struct values, size.microbatches), "M",
     "with a name: micro-batches of a step", 1, 1048576},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, size.chunks), "V", "with a name: stages per rank", 1, 1048576},
    {"group-size", 0, OPTION_INT, offsetof(struct values, size.group_size), "G",
     "with a name, interleaved: micro-batches per group", 1, 1048576},
    {"time", 0, OPTION_TEXT, offsetof(struct values, time), "F=1,I=1,W=1",
     "time of one action on one stage; B takes I + W", 0, 0},
    {"comm", 0, OPTION_REAL, offsetof(struct values, comm), "T", "time of a transfer between ranks (default 0)", 0,
     1e300},
    {"costs", 0, OPTION_TEXT, offsetof(struct values, costs), "FILE", "JSON with costs per stage and edge", 0, 0},
    {"mem", 0, OPTION_TEXT, offsetof(struct values, mem), "B=1,W=1",
     "held per micro-batch of a stage: from F to B or I, and from I to W", 0, 0},
    {"replicas", 0, OPTION_INT, offsetof(struct values, replicas), "D",
     "copies of the pipeline, whose gradients are added (default 1)", 1, 65536},
    {"zero", 0, OPTION_INT, offsetof(struct values, zero), "0|1",
     "1: each replica holds and updates its share of the optimizer's state (default 0)", 0, 1},
    {"reduce-link", 0, OPTION_TEXT, offsetof(struct values, reduce_link), "L=0,BW=0",
     "latency and bytes per unit of time between replicas; BW=0: latency alone", 0, 0},
    {"stage-bytes", 0, OPTION_TEXT, offsetof(struct values, stage_bytes), "P=0,G=0,O=0",
     "bytes of a stage's parameters, gradients and optimizer state", 0, 0},
    {"bucket-bytes", 0, OPTION_BYTES, offsetof(struct values, bucket_bytes), "BYTES",
     "reduce gradients in parts of this size (default: a stage at once)", 0, 0},
    {"overlap-gain", 0, OPTION_REAL, offsetof(struct values, overlap_gain), "X",
     "an OVERLAP_F_B takes X times F + B (default 1)", 0, 1e6},
    {"channels", 0, OPTION_TEXT, offsetof(struct values, channels), "MODEL",
     "edge, shared or blocking: how transfers use the ranks' channels (default edge)", 0, 0},
    {"rule", 0, OPTION_TEXT, offsetof(struct values, rule), "RULE",
     "one-action-per-step: count steps as PyTorch's simulator does", 0, 0},
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {0},
};

const struct option_table schedule_simulate_table = {
    "schedule simulate", "FILE|NAME", "predict time, bubbles, memory and the critical path of a schedule",
    "weir schedule simulate zbv -p 4 -m 8 --time F=1,I=1,W=1 --comm 0.1", rows};

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

static weir_status costs_parse(const struct values *values, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    *costs =
        (struct weir_schedule_costs){1, 1, 1, 1, 1, .transfer = values->comm, .overlap_gain = values->overlap_gain};
    const struct pair times[] = {{"F", &costs->forward}, {"I", &costs->input}, {"W", &costs->weight}, {0}};
    const struct pair memory[] = {{"B", &costs->mem_backward}, {"W", &costs->mem_weight}, {0}};
    const struct pair link[] = {{"L", &costs->reduce_latency}, {"BW", &costs->reduce_bandwidth}, {0}};
    const struct pair bytes[] = {
        {"P", &costs->param_bytes}, {"G", &costs->grad_bytes}, {"O", &costs->optimizer_bytes}, {0}};
    costs->bucket_bytes = (double)values->bucket_bytes;
    weir_status status = pairs_parse("time", values->time, times);
    if (!status)
        status = pairs_parse("mem", values->mem, memory);
    if (!status)
        status = pairs_parse("reduce-link", values->reduce_link, link);
    if (!status)
        status = pairs_parse("stage-bytes", values->stage_bytes, bytes);
    if (!status && values->costs)
        status = weir_schedule_costs_load(values->costs, arena, costs);
    return status;
}

static weir_status replicas_parse(const struct values *values, struct weir_simulation_options *options)
{
    if (values->zero && values->replicas < 2)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--zero 1 shares state out over replicas: give --replicas of at least 2");
    options->n_replicas = (int)values->replicas;
    options->shard_optimizer = values->zero == 1;
    return WEIR_OK;
}

/* A name with -p and -m, or a file. */
static weir_status schedule_open(const struct values *values, const char *what, struct weir_arena *arena,
                                 struct weir_schedule *out)
{
    const struct weir_schedule_kind *kind;
    bool sized = values->size.ranks || values->size.microbatches || values->size.chunks || values->size.group_size;
    bool is_kind = weir_schedule_kind_find(what, &kind) == WEIR_OK;
    if (is_kind || (sized && access(what, F_OK) != 0))
        return schedule_make(what, &values->size, arena, out);
    if (sized)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "'%s' is a file, which fixes ranks, stages and micro-batches: leave out -p, -m and -v", what);
    return schedule_load(what, values->dialect, arena, out);
}

static void list_print(const char *key, const double *values, int n)
{
    printf(", \"%s\": [", key);
    for (int i = 0; i < n; i++)
        printf("%s%.15g", i ? ", " : "", values[i]);
    printf("]");
}

static void path_print(const struct weir_simulation *s)
{
    char text[WEIR_ACTION_TEXT], second[WEIR_ACTION_TEXT];
    printf(", \"critical_path\": [");
    for (size_t i = 0; i < s->n_path; i++) {
        const struct weir_path_step *step = &s->critical_path[i];
        printf("%s\"", i ? ", " : "");
        if (step->action.fused)
            printf("(%s;%s)OVERLAP_F_B\"", weir_action_str(&step->action, text),
                   weir_action_str(&step->partner, second));
        else
            printf("%s\"", weir_action_str(&step->action, text));
    }
    printf("]");
}

static void replicas_json_print(const struct weir_simulation_options *options, const struct weir_simulation *s, int n)
{
    printf(", \"replicas\": %d, \"zero\": %d, \"optimizer_start\": %.15g", options->n_replicas,
           options->shard_optimizer ? 1 : 0, s->optimizer_start);
    list_print("reduction", s->reduction, n);
    list_print("reduction_exposed", s->reduction_exposed, n);
    list_print("gather", s->gather, n);
    list_print("state_bytes", s->state, n);
    list_print("state_bytes_zero1", s->state_sharded, n);
}

static void json_print(const struct weir_schedule *schedule, const struct weir_simulation_options *options,
                       const struct weir_simulation *s)
{
    printf("{\"makespan\": %.15g, \"bubble\": %.15g, \"bubble_span\": %.15g", s->makespan, s->bubble, s->bubble_span);
    printf(", \"ranks\": %d, \"stages\": %d, \"microbatches\": %d", schedule->n_ranks, schedule->n_stages,
           schedule->n_microbatches);
    list_print("peak_activations", s->peak_activations, schedule->n_ranks);
    list_print("peak_memory", s->peak_memory, schedule->n_ranks);
    list_print("busy", s->busy, schedule->n_ranks);
    list_print("idle", s->idle, schedule->n_ranks);
    list_print("exposed", s->exposed, schedule->n_ranks);
    printf(", \"actions\": %zu", s->n_actions);
    if (options->n_replicas > 1)
        replicas_json_print(options, s, schedule->n_ranks);
    path_print(s);
    printf("}\n");
}

static void replicas_print(const struct weir_simulation_options *options, const struct weir_simulation *s, int n_ranks)
{
    printf("\n%d replicas%s\n%6s %12s %12s %12s %14s %14s\n", options->n_replicas,
           options->shard_optimizer ? ", optimizer state shared out (ZeRO-1)" : "", "rank", "reduction", "exposed",
           "gather", "state bytes", "under ZeRO-1");
    for (int r = 0; r < n_ranks; r++)
        printf("%6d %12.6g %12.6g %12.6g %14.10g %14.10g\n", r, s->reduction[r], s->reduction_exposed[r], s->gather[r],
               s->state[r], s->state_sharded[r]);
}

static void text_print(const struct weir_schedule *schedule, const struct weir_simulation *s, const char *channels)
{
    char text[WEIR_ACTION_TEXT];
    printf("%d ranks, %d stages, %d micro-batches, %zu actions, %s channels\n", schedule->n_ranks, schedule->n_stages,
           schedule->n_microbatches, s->n_actions, channels);
    printf("makespan     %.6g\n", s->makespan);
    printf("bubble       %.4f  (1 - work of the busiest rank / makespan)\n", s->bubble);
    printf(
        "bubble span  %.4f  (1 - work of the busiest rank / longest time from a rank's first start to its last end)\n",
        s->bubble_span);
    printf("critical     %zu actions", s->n_path);
    if (s->n_path)
        printf(" from %s on rank %d", weir_action_str(&s->critical_path[0].action, text), s->critical_path[0].rank);
    if (s->n_path)
        printf(" to %s on rank %d", weir_action_str(&s->critical_path[s->n_path - 1].action, text),
               s->critical_path[s->n_path - 1].rank);
    printf("\n\n%6s %12s %12s %12s %12s\n", "rank", "busy", "idle", "exposed", "activations");
    for (int r = 0; r < schedule->n_ranks; r++)
        printf("%6d %12.6g %12.6g %12.6g %12.6g\n", r, s->busy[r], s->idle[r], s->exposed[r], s->peak_activations[r]);
}

static weir_status steps_print(const struct values *values, const struct weir_schedule *schedule)
{
    static const char *const names[] = {"one-action-per-step", NULL};
    size_t steps;
    if (strcmp(values->rule, names[0]) != 0)
        return weir_unknown("rule", values->rule, names);
    weir_status status = weir_schedule_count_steps(schedule, &steps);
    if (status)
        return status;
    if (values->json)
        printf("{\"steps\": %zu, \"ranks\": %d, \"stages\": %d, \"microbatches\": %d}\n", steps, schedule->n_ranks,
               schedule->n_stages, schedule->n_microbatches);
    else
        printf("%zu steps\n", steps);
    return WEIR_OK;
}

static weir_status simulate(const struct values *values, const char *what)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_costs costs;
    struct weir_simulation simulation;
    struct weir_simulation_options options = {.keep_path = true};
    weir_status status = values->channels ? weir_channels_find(values->channels, &options.channels) : WEIR_OK;
    if (!status)
        status = replicas_parse(values, &options);
    if (!status)
        status = costs_parse(values, &arena, &costs);
    if (!status)
        status = schedule_open(values, what, &arena, &schedule);
    if (!status && values->rule) {
        status = steps_print(values, &schedule);
        goto release_arena;
    }
    if (!status)
        status = weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation);
    if (!status && values->json)
        json_print(&schedule, &options, &simulation);
    else if (!status)
        text_print(&schedule, &simulation, weir_channels_str(options.channels));
    if (!status && !values->json && options.n_replicas > 1)
        replicas_print(&options, &simulation, schedule.n_ranks);
release_arena:
    weir_arena_release(&arena);
    return status;
}

int schedule_simulate_run(int argc, char **argv)
{
    struct values values = {.overlap_gain = 1, .replicas = 1};
    struct options given; /* nothing to release without --config */
    const char *what = NULL;
    int n = 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &schedule_simulate_table, argc, argv, &values, &what, 1, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && !n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "FILE|NAME is missing: 'weir schedule simulate --help' shows the options");
    if (!status)
        status = simulate(&values, what);
    return options_report("schedule simulate", status);
}
