/* weir schedule simulate: what a schedule costs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/drawing.h"
#include "cmd/paths.h"
#include "cmd/schedule_auto.h"
#include "cmd/schedule_command.h"
#include "cmd/schedule_input.h"
#include "schedules/simulate/simulate.h"

struct values {
    struct schedule_size size;
    struct schedule_cost_options cost;
    struct schedule_auto_options made;
    const char *channels, *rule, *dialect, *draw, *trace;
    int64_t replicas, zero;
    bool json;
};

static const struct option_row rows[] = {
    {"ranks", 'p', OPTION_INT, offsetof(struct values, size.ranks), "P", "with a name: ranks of the pipeline", 1,
     65536},
    {"microbatches", 'm', OPTION_INT, offsetof(struct values, size.microbatches), "M",
     "with a name: micro-batches of a step", 1, 1048576},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, size.chunks), "V",
     "with a name: stages per rank (default: the schedule's own)", 1, 1048576},
    {"group-size", 0, OPTION_INT, offsetof(struct values, size.group_size), "G",
     "with a name, interleaved: micro-batches per group", 1, 1048576},
    {"time", 0, OPTION_TEXT, offsetof(struct values, cost.time), "F=1,I=1,W=1",
     "time of one action on one stage; B takes I + W", 0, 0},
    {"comm", 0, OPTION_REAL, offsetof(struct values, cost.comm), "T", "time of a transfer between ranks (default 0)", 0,
     1e300},
    {"costs", 0, OPTION_TEXT, offsetof(struct values, cost.costs), "FILE",
     "JSON with costs per stage and edge, instead of --time and --mem", 0, 0},
    {"mem", 0, OPTION_TEXT, offsetof(struct values, cost.mem), "B=X,W=Y,IW=Y",
     "held per micro-batch of a stage: from F to B or I, from I to W, and what of that I makes (default: counted)", 0,
     0},
    {"replicas", 0, OPTION_INT, offsetof(struct values, replicas), "D",
     "copies of the pipeline, whose gradients are added (default 1)", 1, 65536},
    {"zero", 0, OPTION_INT, offsetof(struct values, zero), "0|1",
     "1: each replica holds and updates its share of the optimizer's state (default 0)", 0, 1},
    {"reduce-link", 0, OPTION_TEXT, offsetof(struct values, cost.reduce_link), "L=0,BW=0",
     "latency and bytes per unit of time between replicas; BW=0: latency alone", 0, 0},
    {"stage-bytes", 0, OPTION_TEXT, offsetof(struct values, cost.stage_bytes), "P=0,G=0,O=0",
     "bytes of a stage's parameters, gradients and optimizer state", 0, 0},
    {"bucket-bytes", 0, OPTION_BYTES, offsetof(struct values, cost.bucket_bytes), "BYTES",
     "reduce gradients in parts of this size (default: a stage at once)", 0, 0},
    {"overlap-gain", 0, OPTION_REAL, offsetof(struct values, cost.overlap_gain), "X",
     "an OVERLAP_F_B takes X times F + B (default 1)", 0, 1e6},
    {"memory-cap", 0, OPTION_REAL, offsetof(struct values, made.memory_cap), "X",
     "auto: what a rank may hold, in the unit of --mem (default 0: no cap)", 0, 1e300},
    {"objective", 0, OPTION_TEXT, offsetof(struct values, made.objective), "NAME",
     "auto: makespan (default) or span, from a rank's first start to its last end", 0, 0},
    {"channels", 0, OPTION_TEXT, offsetof(struct values, channels), "MODEL",
     "edge, shared or blocking: how transfers use the ranks' channels (default edge)", 0, 0},
    {"rule", 0, OPTION_TEXT, offsetof(struct values, rule), "RULE",
     "one-action-per-step: count steps as PyTorch's simulator does", 0, 0},
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {"draw", 0, OPTION_TEXT, offsetof(struct values, draw), "FILE", "draw it: .html, .svg or .txt", 0, 0},
    {"trace", 0, OPTION_TEXT, offsetof(struct values, trace), "FILE", "write a Chrome trace", 0, 0},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL,
     "print one JSON object, with start and end of every action", 0, 0},
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
    const struct weir_stage_costs *stage = file->stages;
    bool bytes = false;
    for (int s = 0; s < file->n_stages; s++)
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
                   {"bucket-bytes", values->bucket_bytes > 0, file->bucket_bytes >= 0, "the size of buckets"}};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (sources[i].given && sources[i].in_file)
            return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %s: leave out --%s", values->costs, sources[i].what,
                             sources[i].option);
    if (!values->time && !stage)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has no stages, so the times of F, I and W are missing: give --time",
                         values->costs);
    return WEIR_OK;
}

static weir_status file_parse(const struct schedule_cost_options *values, struct weir_arena *arena,
                              struct weir_schedule_costs *costs)
{
    struct weir_schedule_costs file = {.mem_backward = -1,
                                       .param_bytes = -1,
                                       .grad_bytes = -1,
                                       .optimizer_bytes = -1,
                                       .reduce_latency = -1,
                                       .reduce_bandwidth = -1,
                                       .bucket_bytes = -1}; /* -1: the file does not say */
    weir_status status = weir_schedule_costs_load(values->costs, arena, &file);
    if (!status)
        status = sources_check(values, &file);
    return status ? status : weir_schedule_costs_load(values->costs, arena, costs);
}

weir_status schedule_costs_parse(const struct schedule_cost_options *values, struct weir_arena *arena,
                                 struct weir_schedule_costs *costs)
{
    *costs =
        (struct weir_schedule_costs){1, 1, 1, 1, 1, .transfer = values->comm, .overlap_gain = values->overlap_gain};
    const struct pair times[] = {{"F", &costs->forward}, {"I", &costs->input}, {"W", &costs->weight}, {0}};
    const struct pair link[] = {{"L", &costs->reduce_latency}, {"BW", &costs->reduce_bandwidth}, {0}};
    const struct pair bytes[] = {
        {"P", &costs->param_bytes}, {"G", &costs->grad_bytes}, {"O", &costs->optimizer_bytes}, {0}};
    costs->bucket_bytes = (double)values->bucket_bytes;
    weir_status status = pairs_parse("time", values->time, times);
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

static weir_status replicas_parse(const struct values *values, struct weir_simulation_options *options)
{
    if (values->zero && values->replicas < 2)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--zero 1 shares state out over replicas: give --replicas of at least 2");
    options->n_replicas = (int)values->replicas;
    options->shard_optimizer = values->zero == 1;
    return WEIR_OK;
}

/* A name with -p and -m, or a file. */
static weir_status schedule_open(const struct values *values, const char *what, const struct weir_schedule_costs *costs,
                                 struct weir_arena *arena, struct weir_auto_result *auto_out,
                                 struct weir_schedule *out)
{
    if (schedule_is_auto(what)) {
        weir_status status = schedule_auto_make(&values->size, &values->made, costs, arena, auto_out);
        *out = auto_out->schedule;
        return status;
    }
    weir_status unused = schedule_auto_unused(&values->made, what);
    if (unused)
        return unused;
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

static json_t *path_json(const struct weir_simulation *s)
{
    char text[WEIR_ACTION_TEXT], second[WEIR_ACTION_TEXT];
    json_t *array = json_array();
    for (size_t i = 0; array && i < s->n_path; i++) {
        const struct weir_path_step *step = &s->critical_path[i];
        weir_action_str(&step->action, text);
        json_t *name = step->action.fused
                           ? json_sprintf("(%s;%s)OVERLAP_F_B", text, weir_action_str(&step->partner, second))
                           : json_string(text);
        if (json_array_append_new(array, name)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *replicas_json(const struct weir_simulation_options *options, const struct weir_simulation *s, size_t n)
{
    return json_pack("{s:i, s:i, s:f, s:o, s:o, s:o, s:o, s:o}", "replicas", options->n_replicas, "zero",
                     (int)options->shard_optimizer, "optimizer_start", s->optimizer_start, "reduction",
                     weir_json_reals(s->reduction, n), "reduction_exposed", weir_json_reals(s->reduction_exposed, n),
                     "gather", weir_json_reals(s->gather, n), "state_bytes", weir_json_reals(s->state, n),
                     "state_bytes_zero1", weir_json_reals(s->state_sharded, n));
}

/* The part of all ranks' time in which they do not work: with uneven stages the busiest rank hides it. */
static double idle_mean(const struct weir_schedule *schedule, const struct weir_simulation *s)
{
    double busy = 0;
    for (int r = 0; r < schedule->n_ranks; r++)
        busy += s->busy[r];
    return s->makespan > 0 ? 1 - busy / (schedule->n_ranks * s->makespan) : 0;
}

static const char *action_name(const struct weir_action *action, char text[2 * WEIR_ACTION_TEXT + 16])
{
    char first[WEIR_ACTION_TEXT], second[WEIR_ACTION_TEXT];
    if (!action->fused)
        return weir_action_str(action, text);
    snprintf(text, 2 * WEIR_ACTION_TEXT + 16, "(%s;%s)OVERLAP_F_B", weir_action_str(action, first),
             weir_action_str(action + 1, second));
    return text;
}

/* The list of actions, one per line: straight to standard output, for it may be long. */
static void actions_print(const struct weir_simulation *s)
{
    char name[2 * WEIR_ACTION_TEXT + 16];
    const char *separator = "";
    for (int r = 0; r < s->lowered.n_ranks; r++) {
        const struct weir_schedule_rank *list = &s->lowered.ranks[r];
        for (size_t i = 0; i < list->n_actions; i += list->actions[i].fused ? 2 : 1) {
            enum weir_action_type type = list->actions[i].type;
            if (!weir_action_is_compute(type) && type != WEIR_REDUCE_GRAD)
                continue;
            printf("%s\n {\"rank\": %d, \"name\": \"%s\", \"start\": %.15g, \"end\": %.15g}", separator, r,
                   action_name(&list->actions[i], name), s->start[r][i], s->end[r][i]);
            separator = ",";
        }
    }
}

/* The object, and behind its members the actions. */
static weir_status object_print(json_t *root, const struct weir_simulation *s)
{
    enum { DIGITS = 15 };
    struct weir_text text = {0};
    weir_json_append(&text, root, DIGITS);
    if (!text.status) {
        printf("%.*s, \"actions\": [", (int)(text.length - 1), text.data);
        actions_print(s);
        puts("]}");
    }
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}

static weir_status json_print(const struct weir_schedule *schedule, const struct weir_simulation_options *options,
                              const struct weir_simulation *s, const struct weir_auto_result *made)
{
    size_t n = (size_t)schedule->n_ranks;
    json_t *root = json_pack("{s:f, s:f, s:f, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:I}", "makespan", s->makespan,
                             "bubble", s->bubble, "bubble_span", s->bubble_span, "ranks", schedule->n_ranks, "stages",
                             schedule->n_stages, "microbatches", schedule->n_microbatches, "peak_activations",
                             weir_json_reals(s->peak_activations, n), "peak_memory", weir_json_reals(s->peak_memory, n),
                             "busy", weir_json_reals(s->busy, n), "idle", weir_json_reals(s->idle, n), "exposed",
                             weir_json_reals(s->exposed, n), "n_actions", (json_int_t)s->n_actions);
    if (root && json_object_set_new(root, "idle_mean", json_real(idle_mean(schedule, s)))) {
        json_decref(root);
        root = NULL;
    }
    bool whole = root && (options->n_replicas < 2 || !json_object_update_new(root, replicas_json(options, s, n)));
    if (whole && made)
        whole = !json_object_set_new(root, "auto", schedule_auto_json(made));
    if (!whole || json_object_set_new(root, "critical_path", path_json(s))) {
        json_decref(root);
        root = NULL;
    }
    return object_print(root, s);
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
    int rule;
    weir_status status = weir_name_find("rule", values->rule, names, &rule);
    if (!status)
        status = weir_schedule_count_steps(schedule, &steps);
    if (status)
        return status;
    if (values->json)
        return schedule_json_print(json_pack("{s:I, s:i, s:i, s:i}", "steps", (json_int_t)steps, "ranks",
                                             schedule->n_ranks, "stages", schedule->n_stages, "microbatches",
                                             schedule->n_microbatches));
    printf("%zu steps\n", steps);
    return WEIR_OK;
}

static weir_status paths_register(const struct values *values, const char *what)
{
    struct paths paths = {0};
    paths_read(&paths, "FILE", what);
    paths_read(&paths, "--costs", values->cost.costs);
    paths_write(&paths, "--draw", values->draw);
    paths_write(&paths, "--trace", values->trace);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

/* --trace and --draw. */
static weir_status pictures_write(const struct values *values, const char *what, const struct weir_simulation *simulation,
                                  const struct weir_schedule_costs *costs, struct weir_arena *arena)
{
    struct weir_timeline timeline;
    const struct weir_timeline *const all[] = {&timeline};
    const char *text, *title;
    enum drawing_format format;
    weir_status status = values->trace ? weir_simulation_trace(simulation, arena, &text) : WEIR_OK;
    if (!status && values->trace)
        status = schedule_text_write(values->trace, text);
    if (status || !values->draw)
        return status;
    status = drawing_format_find(NULL, values->draw, &format);
    if (!status && format == DRAWING_TRACE)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' is no name of a drawing: use .html, .svg or .txt, or --trace", values->draw);
    if (!status)
        status = drawing_title(what, &simulation->lowered, arena, &title);
    if (!status)
        status = weir_timeline_simulated(simulation, costs, title, "", arena, &timeline);
    return status ? status
                  : drawing_write(all, 1, format, &(struct weir_draw_options){.zoom = "weir schedule draw has --from, --to and --width"},
                         values->draw);
}

static weir_status simulate(const struct values *values, const char *what)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_costs costs;
    struct weir_simulation simulation;
    struct weir_auto_result made = {0};
    struct weir_simulation_options options = {.keep_path = true,
                                              .keep_times = values->json || values->draw || values->trace};
    weir_status status = values->channels ? weir_channels_find(values->channels, &options.channels) : WEIR_OK;
    if (!status)
        status = replicas_parse(values, &options);
    if (!status)
        status = paths_register(values, what);
    if (!status)
        status = schedule_costs_parse(&values->cost, &arena, &costs);
    if (!status)
        status = schedule_open(values, what, &costs, &arena, &made, &schedule);
    if (!status && values->rule) {
        status = steps_print(values, &schedule);
        goto release_arena;
    }
    if (!status)
        status = weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation);
    if (!status)
        status = pictures_write(values, what, &simulation, &costs, &arena);
    if (!status && values->json)
        status = json_print(&schedule, &options, &simulation, schedule_is_auto(what) ? &made : NULL);
    else if (!status)
        text_print(&schedule, &simulation, weir_channels_str(options.channels));
    if (!status && schedule_is_auto(what) && !values->json)
        schedule_auto_print(&made, &values->made, stdout);
    if (!status && !values->json && options.n_replicas > 1)
        replicas_print(&options, &simulation, schedule.n_ranks);
release_arena:
    weir_arena_release(&arena);
    return status;
}

int schedule_simulate_run(int argc, char **argv)
{
    struct values values = {.cost.overlap_gain = 1, .replicas = 1};
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
