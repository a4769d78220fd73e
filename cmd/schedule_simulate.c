/* weir schedule simulate: what a schedule costs. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/drawing.h"
#include "cmd/paths.h"
#include "cmd/schedule_auto.h"
#include "cmd/schedule_command.h"
#include "cmd/schedule_rows.h"
#include "cmd/schedule_sweep.h"

enum { MOST_NAMES = 64 };

struct values {
    struct schedule_sweep sweep;
    struct schedule_cost_options cost;
    struct schedule_auto_options made;
    const char *channels, *rule, *dialect, *draw, *trace;
    int64_t replicas, zero;
    bool json, csv;
    struct schedule_boundary_options handed;
};

static const struct option_row rows[] = {
    SCHEDULE_SWEEP_ROWS(struct values),
    SCHEDULE_PREDICTION_ROWS(struct values),
    SCHEDULE_BOUNDARY_ROWS(struct values),
    {"rule", 0, OPTION_TEXT, offsetof(struct values, rule), "RULE",
     "one-action-per-step: count steps as PyTorch's simulator does", 0, 0},
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {"draw", 0, OPTION_TEXT, offsetof(struct values, draw), "FILE", "draw it: .html, .svg or .txt", 0, 0},
    {"trace", 0, OPTION_TEXT, offsetof(struct values, trace), "FILE", "write a Chrome trace", 0, 0},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL,
     "print one JSON object, of one schedule with start and end of every action", 0, 0},
    {"csv", 0, OPTION_FLAG, offsetof(struct values, csv), NULL, "print one line per schedule, comma-separated", 0, 0},
    {0},
};

const struct option_table schedule_simulate_table = {
    "schedule simulate", "FILE|NAME ...", "predict time, bubbles, memory and the critical path of a schedule",
    "weir schedule simulate zbv -p 4 -m 8 --time F=1,I=1,W=1 --comm 0.1", rows, NULL};

static weir_status replicas_parse(const struct values *values, struct weir_simulation_options *options)
{
    if (values->zero && values->replicas < 2)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--zero 1 shares state out over replicas: give --replicas of at least 2");
    options->n_replicas = (int)values->replicas;
    options->shard_optimizer = values->zero == 1;
    return WEIR_OK;
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
                             schedule->n_stages, "microbatches", schedule->n_microbatches / weir_schedule_slices(schedule), "peak_activations",
                             weir_json_reals(s->peak_activations, n), "peak_memory", weir_json_reals(s->peak_memory, n),
                             "busy", weir_json_reals(s->busy, n), "idle", weir_json_reals(s->idle, n), "exposed",
                             weir_json_reals(s->exposed, n), "n_actions", (json_int_t)s->n_actions);
    if (root && (json_object_set_new(root, "idle_mean", json_real(schedule_idle_mean(s))) ||
                 json_object_set_new(root, "messages", json_integer((json_int_t)s->n_messages)) ||
                 (schedule->n_slices > 1 && json_object_set_new(root, "slices", json_integer(schedule->n_slices))))) {
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
    char text[WEIR_ACTION_TEXT], size[SCHEDULE_SIZE_TEXT];
    printf("%s, %zu actions, %s channels\n", schedule_size_text(schedule, size), s->n_actions, channels);
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
                                             schedule->n_microbatches / weir_schedule_slices(schedule)));
    printf("%zu steps\n", steps);
    return WEIR_OK;
}

static weir_status paths_register(const struct values *values, const char *const *what, int n)
{
    struct paths paths = {0};
    for (int i = 0; i < n; i++)
        paths_read(&paths, "FILE", what[i]);
    paths_read(&paths, "--costs", values->cost.costs);
    schedule_boundaries_paths(&values->handed, &paths);
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
    const struct weir_timeline *timeline;
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
        status = drawing_title(what, &simulation->lowered, "predicted", arena, &title);
    if (!status)
        status = weir_timeline_of_simulation(simulation, costs, title, costs->unit ? costs->unit : "", arena, &timeline);
    return status ? status
                  : drawing_write(&timeline, 1, format, &(struct weir_draw_options){.zoom = "weir schedule draw has --from, --to and --width"},
                         values->draw);
}

/* One schedule, with everything that is known of it. */
static weir_status one_simulate(const struct values *values, const struct schedule_row_options *options, const char *what,
                                const struct schedule_size *size, struct weir_arena *arena)
{
    struct schedule_case c;
    struct weir_simulation simulation;
    struct weir_simulation_options kept = options->simulation;
    weir_status status = schedule_case_open(&options->cases, what, size, arena, &c);
    if (status)
        return status;
    if (values->rule)
        return steps_print(values, &c.schedule);
    kept.keep_path = true;
    kept.keep_times = values->json || values->draw || values->trace;
    status = weir_schedule_simulate(&c.schedule, &c.costs, &kept, arena, &simulation);
    if (!status)
        status = pictures_write(values, what, &simulation, &c.costs, arena);
    if (status)
        return status;
    schedule_costs_explain("schedule simulate", &c.costs, &c.schedule);
    if (values->json)
        return json_print(&c.schedule, &kept, &simulation, schedule_is_auto(what) ? &c.made : NULL);
    text_print(&c.schedule, &simulation, weir_channels_str(kept.channels));
    if (schedule_is_auto(what))
        schedule_auto_print(&c.made, &values->made, stdout);
    if (kept.n_replicas > 1)
        replicas_print(&kept, &simulation, c.schedule.n_ranks);
    return WEIR_OK;
}

/* What is said about one schedule has no place in a table. */
static weir_status table_check(const struct values *values)
{
    const char *of_one = values->rule ? "rule" : values->draw ? "draw" : values->trace ? "trace" : NULL;
    if (of_one)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s takes one schedule, without --csv: several stand in a table", of_one);
    if (values->csv && values->json)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--csv and --json exclude each other");
    return WEIR_OK;
}

static weir_status table_fill(const struct values *values, struct schedule_row_options options, const char *what,
                              const struct schedule_size *sizes, size_t n_sizes, struct schedule_rows *table)
{
    static const struct schedule_auto_options none = {0};
    const struct weir_schedule_kind *kind;
    weir_status status = WEIR_OK;
    options.cases.made = schedule_is_auto(what) ? &values->made : &none;
    for (size_t k = 0; !status && k < n_sizes; k++) {
        struct schedule_size size = sizes[k];
        bool is_kind = weir_schedule_kind_find(what, &kind) == WEIR_OK;
        if (is_kind && !kind->takes_group_size)
            size.group_size = 0;
        if (is_kind && !kind->takes_slices && n_sizes > 1)
            size.slices = 0;
        status = schedule_rows_add(table, &options, what, &size);
    }
    return status;
}

static weir_status several_simulate(const struct values *values, const struct schedule_row_options *options,
                                    const char *const *what, int n, const struct schedule_size *sizes, size_t n_sizes)
{
    struct schedule_rows table = {.several_sizes = true, .with_memory = values->cost.mem || values->cost.costs};
    weir_status status = table_check(values);
    for (int i = 0; !status && i < n; i++)
        status = table_fill(values, *options, what[i], sizes, n_sizes, &table);
    if (!status && values->json)
        status = schedule_rows_print_json(&table);
    if (!status)
        status = schedule_rows_check(&table);
    if (!status && values->csv)
        schedule_rows_print_csv(&table);
    else if (!status && !values->json)
        schedule_rows_print(&table);
    schedule_rows_release(&table);
    return status;
}

static weir_status simulate(const struct values *values, const char *const *what, int n)
{
    struct weir_arena arena = {0};
    struct weir_schedule_costs costs;
    const struct schedule_size *sizes;
    size_t n_sizes;
    struct schedule_row_options options = {.cases = {&values->cost, &costs, &values->made, values->dialect, &values->handed}};
    weir_status status =
        values->channels ? weir_channels_find(values->channels, &options.simulation.channels) : WEIR_OK;
    if (!status)
        status = replicas_parse(values, &options.simulation);
    if (!status)
        status = paths_register(values, what, n);
    if (!status)
        status = schedule_costs_parse(&values->cost, &arena, &costs);
    if (!status)
        status = schedule_sweep_expand(&values->sweep, &arena, &sizes, &n_sizes);
    if (!status && n == 1 && n_sizes == 1 && !values->csv)
        status = one_simulate(values, &options, what[0], sizes, &arena);
    else if (!status)
        status = several_simulate(values, &options, what, n, sizes, n_sizes);
    weir_arena_release(&arena);
    return status;
}

int schedule_simulate_run(int argc, char **argv)
{
    struct values values = {.cost.overlap_gain = 1, .replicas = 1};
    struct options given; /* nothing to release without --config */
    const char *what[MOST_NAMES];
    int n = 0;
    enum option_outcome outcome;
    weir_status status =
        options_parse(&given, &schedule_simulate_table, argc, argv, &values, what, MOST_NAMES, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && !n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "FILE|NAME is missing: 'weir schedule simulate --help' shows the options");
    if (!status)
        status = simulate(&values, what, n);
    return options_report("schedule simulate", status);
}
