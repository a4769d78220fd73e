/* weir schedule draw: schedules as they are predicted, and traces as they were measured, one above the other. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/drawing.h"
#include "cmd/paths.h"
#include "cmd/schedule_case.h"
#include "cmd/schedule_command.h"
#include "include/weir/schedule.h"
#include "include/weir/trace.h"

enum { MOST_INPUTS = 16 };

struct values {
    struct schedule_size size;
    struct schedule_cost_options cost;
    struct schedule_auto_options made;
    const char *channels, *dialect, *format, *out;
    double from, to;
    int64_t width, step, replicas, zero;
    bool predict;
};

static const struct option_row rows[] = {
    {"format", 'f', OPTION_TEXT, offsetof(struct values, format), "NAME",
     "text, svg, html or trace (default: as the name of --out ends, or text)", 0, 0},
    {"out", 'o', OPTION_TEXT, offsetof(struct values, out), "FILE", "write there instead of to standard output", 0, 0},
    {"from", 0, OPTION_REAL, offsetof(struct values, from), "T", "draw from this time on (default 0)", 0, 1e300},
    {"to", 0, OPTION_REAL, offsetof(struct values, to), "T", "up to this time (default: the end)", 0, 1e300},
    {"width", 0, OPTION_INT, offsetof(struct values, width), "N",
     "columns of the text (default: the terminal's, or 80) or pixels of the SVG (1200)", 20, 100000},
    {"step", 0, OPTION_INT, offsetof(struct values, step), "N",
     "of a trace: the step to draw (default: one of median length, the first left out)", 1, 9e15},
    {"predict", 0, OPTION_FLAG, offsetof(struct values, predict), NULL,
     "above a trace: its schedule as it is predicted with the trace's own costs", 0, 0},
    {"ranks", 'p', OPTION_INT, offsetof(struct values, size.ranks), "P", "with names: ranks of the pipeline", 1, 65536},
    {"microbatches", 'm', OPTION_INT, offsetof(struct values, size.microbatches), "M",
     "with names: micro-batches of a step", 1, 1048576},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, size.chunks), "V",
     "with names: stages per rank (default: the schedule's own)", 1, 1048576},
    {"group-size", 0, OPTION_INT, offsetof(struct values, size.group_size), "G",
     "with names, interleaved: micro-batches per group", 1, 1048576},
    {"slices", 0, OPTION_INT, offsetof(struct values, size.slices), "K", "with names, seq1f1b: slices of each sequence", 1, 1048576},
    SCHEDULE_PREDICTION_ROWS(struct values),
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {0},
};

const struct option_table schedule_draw_table = {
    "schedule draw", "FILE|NAME|TRACE ...", "draw schedules and traces, one above the other",
    "weir schedule draw 1f1b zbv -p 4 -m 8 -o both.html", rows, NULL};

/* What is drawn. */
struct drawing {
    const struct values *values;
    struct weir_arena *arena;
    struct weir_simulation_options simulated;
    struct weir_schedule_costs given; /* as the options have them */
    const struct weir_timeline **all; /* [n] */
    int n, n_traces;
    struct weir_simulation simulation; /* the last one */
};

static weir_status simulation_choose(struct drawing *d)
{
    const struct values *values = d->values;
    d->simulated = (struct weir_simulation_options){.keep_times = true, .keep_path = true, .n_replicas = (int)values->replicas,
                                                    .shard_optimizer = values->zero == 1};
    if (values->zero && values->replicas < 2)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--zero 1 shares state out over replicas: give --replicas of at least 2");
    return values->channels ? weir_channels_find(values->channels, &d->simulated.channels) : WEIR_OK;
}

/* An input gives two timelines at most. */
static weir_status drawing_open(struct drawing *d, int n_inputs)
{
    weir_status status = simulation_choose(d);
    if (!status)
        status = schedule_costs_parse(&d->values->cost, d->arena, &d->given);
    return status ? status : weir_arena_alloc(d->arena, 2 * (size_t)n_inputs, sizeof *d->all, &d->all);
}

static weir_status prediction_add(struct drawing *d, const char *what, const struct weir_schedule *schedule,
                                  const struct weir_schedule_costs *costs)
{
    const char *title;
    weir_status status = drawing_title(what, schedule, "predicted", d->arena, &title);
    if (!status)
        status = weir_schedule_simulate(schedule, costs, &d->simulated, d->arena, &d->simulation);
    return status ? status
                  : weir_timeline_of_simulation(&d->simulation, costs, title, costs->unit ? costs->unit : "", d->arena, &d->all[d->n++]);
}

static weir_status schedule_add(struct drawing *d, const char *what, const struct weir_schedule *schedule)
{
    struct weir_schedule_costs costs;
    weir_status status =
        schedule_costs_fit(&d->values->cost, &d->given, schedule->n_stages, schedule->n_ranks, d->arena, &costs);
    return status ? status : prediction_add(d, what, schedule, &costs);
}

/* What is said to auto is not for the others. */
static weir_status made_add(struct drawing *d, const char *what)
{
    static const struct schedule_auto_options none = {0};
    struct schedule_case_options options = {&d->values->cost, &d->given, schedule_is_auto(what) ? &d->values->made : &none,
                                            d->values->dialect, NULL};
    struct schedule_case c;
    weir_status status = schedule_case_open(&options, what, &d->values->size, d->arena, &c);
    return status ? status : prediction_add(d, what, &c.schedule, &c.costs);
}

/* What the trace's schedule takes with the times that were measured; --comm and the like as they are given. */
static weir_status expectation_add(struct drawing *d, const char *what, const struct weir_traced *trace)
{
    struct weir_schedule_costs costs = d->given;
    weir_status status = weir_traced_costs(trace, d->arena, &costs);
    return status ? status : prediction_add(d, what, weir_traced_schedule(trace), &costs);
}

static weir_status trace_add(struct drawing *d, const char *what, const struct weir_traced *trace)
{
    struct weir_traced_info info;
    const char *title, *origin;
    weir_traced_info(trace, &info);
    int64_t step = d->values->step ? d->values->step : info.typical_step;
    d->n_traces++;
    weir_status status = d->values->predict ? expectation_add(d, what, trace) : WEIR_OK;
    if (!status && info.simulated)
        status = weir_arena_strdup(d->arena, "predicted, from a trace", &origin);
    else if (!status)
        status = weir_arena_printf(d->arena, &origin, "measured, step %lld of %lld%s", (long long)step, (long long)info.last_step,
                                   info.n_replicas > 1 ? ", all replicas" : "");
    if (!status)
        status = drawing_title(what, weir_traced_schedule(trace), origin, d->arena, &title);
    return status ? status : weir_timeline_of_trace(trace, step, title, d->arena, &d->all[d->n++]);
}

/* A trace is JSON, a schedule is not. */
static weir_status file_add(struct drawing *d, const char *path)
{
    struct weir_schedule schedule;
    const struct weir_traced *trace;
    char *text;
    size_t bytes;
    weir_status status = schedule_text_read(path, &text, &bytes);
    if (status)
        return status;
    if (!weir_traced_is(text, bytes)) {
        status = schedule_take(text, bytes, path, d->values->dialect, d->arena, &schedule);
        return status ? status : schedule_add(d, path, &schedule);
    }
    status = weir_traced_read_text(text, bytes, path, d->arena, &trace);
    weir_free(text);
    return status ? status : trace_add(d, path, trace);
}

/* A name, which takes -p, -m and -v, or a file, which has its own size. */
static weir_status input_add(struct drawing *d, const char *what)
{
    const struct weir_schedule_kind *kind;
    bool named = schedule_is_auto(what) || weir_schedule_kind_find(what, &kind) == WEIR_OK;
    bool is_file = weir_pipeline_is_file(what) || (!named && (!strcmp(what, "-") || access(what, F_OK) == 0));
    return is_file ? file_add(d, what) : made_add(d, what);
}

/* Options of auto without it, and of traces without one, would count for nothing. */
static weir_status unused_check(const struct drawing *d, const char *const *what, int n)
{
    bool automatic = false, traced = d->n_traces > 0;
    for (int i = 0; i < n; i++)
        automatic |= schedule_is_auto(what[i]);
    if (!traced && (d->values->predict || d->values->step))
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s is for traces, and '%s' is none", d->values->predict ? "--predict" : "--step", what[n - 1]);
    return automatic ? WEIR_OK : schedule_auto_unused(&d->values->made, what[0]);
}

static weir_status paths_register(const struct values *values, const char *const *what, int n)
{
    struct paths paths = {0};
    for (int i = 0; i < n; i++)
        paths_read(&paths, "FILE", what[i]);
    paths_read(&paths, "--costs", values->cost.costs);
    paths_write(&paths, "--out", values->out);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

/* One axis for all: times without a unit are taken as milliseconds there, which should not go unsaid. */
static void units_explain(const struct drawing *d)
{
    bool measured = false;
    for (int i = 0; i < d->n; i++)
        measured |= *weir_timeline_unit(d->all[i]);
    for (int i = 0; i < d->n && measured; i++)
        if (!*weir_timeline_unit(d->all[i]))
            fprintf(stderr, "weir schedule draw: '%s' has no unit of time and stands on one axis with milliseconds: use --costs TRACE\n",
                    weir_timeline_title(d->all[i]));
}

static weir_status trace_print(const struct drawing *d)
{
    const char *text;
    if (d->n != 1 || !d->simulation.start)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--format trace writes one prediction: give one FILE or NAME of a schedule");
    weir_status status = weir_simulation_trace(&d->simulation, d->arena, &text);
    return status ? status : schedule_text_write(d->values->out, text);
}

static weir_status draw(const struct values *values, const char *const *what, int n)
{
    struct weir_arena arena = {0};
    struct weir_draw_options options = {values->from, values->to, (int)values->width, false,
                                        "see a part with --from T --to T, or all with a greater --width"};
    struct drawing drawing = {.values = values, .arena = &arena};
    enum drawing_format format;
    weir_status status = drawing_format_find(values->format, values->out, &format);
    if (!status)
        status = paths_register(values, what, n);
    if (!status)
        status = drawing_open(&drawing, n);
    for (int i = 0; !status && i < n; i++)
        status = input_add(&drawing, what[i]);
    if (!status)
        status = unused_check(&drawing, what, n);
    if (!status)
        units_explain(&drawing);
    if (!status)
        status = format == DRAWING_TRACE ? trace_print(&drawing)
                                         : drawing_write(drawing.all, drawing.n, format, &options, values->out);
    weir_arena_release(&arena);
    return status;
}

int schedule_draw_run(int argc, char **argv)
{
    struct values values = {.cost.overlap_gain = 1, .replicas = 1};
    struct options given; /* nothing to release without --config */
    const char *what[MOST_INPUTS];
    int n = 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &schedule_draw_table, argc, argv, &values, what, MOST_INPUTS, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && !n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "FILE, NAME or TRACE is missing: 'weir schedule draw --help' shows the options");
    if (!status)
        status = draw(&values, what, n);
    return options_report("schedule draw", status);
}
