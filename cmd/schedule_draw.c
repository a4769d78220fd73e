/* weir schedule draw: schedules as they are predicted, one above the other. */
#include <unistd.h>

#include "cmd/drawing.h"
#include "cmd/paths.h"
#include "cmd/schedule_command.h"
#include "cmd/schedule_input.h"
#include "engine/program/pipeline.h"

enum { MOST_INPUTS = 16 };

struct values {
    struct schedule_size size;
    struct schedule_cost_options cost;
    const char *channels, *dialect, *format, *out;
    double from, to;
    int64_t width;
};

static const struct option_row rows[] = {
    {"format", 'f', OPTION_TEXT, offsetof(struct values, format), "NAME",
     "text, svg, html or trace (default: as the name of --out ends, or text)", 0, 0},
    {"out", 'o', OPTION_TEXT, offsetof(struct values, out), "FILE", "write there instead of to standard output", 0, 0},
    {"from", 0, OPTION_REAL, offsetof(struct values, from), "T", "draw from this time on (default 0)", 0, 1e300},
    {"to", 0, OPTION_REAL, offsetof(struct values, to), "T", "up to this time (default: the end)", 0, 1e300},
    {"width", 0, OPTION_INT, offsetof(struct values, width), "N",
     "columns of the text (default: the terminal's, or 80) or pixels of the SVG (1200)", 20, 100000},
    {"ranks", 'p', OPTION_INT, offsetof(struct values, size.ranks), "P", "with names: ranks of the pipeline", 1, 65536},
    {"microbatches", 'm', OPTION_INT, offsetof(struct values, size.microbatches), "M",
     "with names: micro-batches of a step", 1, 1048576},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, size.chunks), "V",
     "with names: stages per rank (default: the schedule's own)", 1, 1048576},
    {"group-size", 0, OPTION_INT, offsetof(struct values, size.group_size), "G",
     "with names, interleaved: micro-batches per group", 1, 1048576},
    {"time", 0, OPTION_TEXT, offsetof(struct values, cost.time), "F=1,I=1,W=1",
     "time of one action on one stage; B takes I + W", 0, 0},
    {"comm", 0, OPTION_REAL, offsetof(struct values, cost.comm), "T", "time of a transfer between ranks (default 0)", 0,
     1e300},
    {"costs", 0, OPTION_TEXT, offsetof(struct values, cost.costs), "FILE",
     "JSON with costs per stage and edge, instead of --time and --mem", 0, 0},
    {"mem", 0, OPTION_TEXT, offsetof(struct values, cost.mem), "B=X,W=Y,IW=Y",
     "held per micro-batch of a stage: from F to B or I, from I to W, and what of that I makes (default: counted)", 0,
     0},
    {"reduce-link", 0, OPTION_TEXT, offsetof(struct values, cost.reduce_link), "L=0,BW=0",
     "latency and bytes per unit of time between replicas; BW=0: latency alone", 0, 0},
    {"stage-bytes", 0, OPTION_TEXT, offsetof(struct values, cost.stage_bytes), "P=0,G=0,O=0",
     "bytes of a stage's parameters, gradients and optimizer state", 0, 0},
    {"bucket-bytes", 0, OPTION_BYTES, offsetof(struct values, cost.bucket_bytes), "BYTES",
     "reduce gradients in parts of this size (default: a stage at once)", 0, 0},
    {"overlap-gain", 0, OPTION_REAL, offsetof(struct values, cost.overlap_gain), "X",
     "an OVERLAP_F_B takes X times F + B (default 1)", 0, 1e6},
    {"channels", 0, OPTION_TEXT, offsetof(struct values, channels), "MODEL",
     "edge, shared or blocking: how transfers use the ranks' channels (default edge)", 0, 0},
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {0},
};

const struct option_table schedule_draw_table = {
    "schedule draw", "FILE|NAME ...", "draw schedules, one above the other",
    "weir schedule draw 1f1b zbv -p 4 -m 8 -o both.svg", rows};

/* What is drawn. */
struct drawing {
    const struct values *values;
    struct weir_arena *arena;
    struct weir_timeline timelines[MOST_INPUTS];
    const struct weir_timeline *all[MOST_INPUTS];
    int n;
    struct weir_simulation simulation; /* the last one */
};

static struct weir_timeline *next_timeline(struct drawing *d)
{
    d->all[d->n] = &d->timelines[d->n];
    return &d->timelines[d->n++];
}

static weir_status prediction_add(struct drawing *d, const char *title, const struct weir_schedule *schedule,
                                  const struct weir_schedule_costs *costs)
{
    struct weir_simulation_options options = {.keep_times = true, .keep_path = true};
    const char *channels = d->values->channels;
    weir_status status = channels ? weir_channels_find(channels, &options.channels) : WEIR_OK;
    if (!status)
        status = weir_schedule_simulate(schedule, costs, &options, d->arena, &d->simulation);
    return status ? status
                  : weir_timeline_simulated(&d->simulation, costs, title, "", d->arena, next_timeline(d));
}

/* A name, which takes -p, -m and -v, or a file, which has its own size. */
static weir_status schedule_open(const struct values *values, const char *what, struct weir_arena *arena,
                                 struct weir_schedule *out)
{
    const struct weir_schedule_kind *kind;
    if (weir_pipeline_is_file(what) || (weir_schedule_kind_find(what, &kind) && access(what, F_OK) == 0))
        return schedule_load(what, values->dialect, arena, out);
    return schedule_make(what, &values->size, arena, out);
}

static weir_status schedule_add(struct drawing *d, const char *what)
{
    struct weir_schedule schedule;
    struct weir_schedule_costs costs;
    const char *title;
    weir_status status = schedule_open(d->values, what, d->arena, &schedule);
    if (!status)
        status = schedule_costs_parse(&d->values->cost, d->arena, &costs);
    if (!status)
        status = drawing_title(what, &schedule, d->arena, &title);
    return status ? status : prediction_add(d, title, &schedule, &costs);
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

static weir_status trace_print(const struct drawing *d)
{
    const char *text;
    if (d->n != 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--format trace writes one schedule: give one FILE or NAME");
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
    for (int i = 0; !status && i < n; i++)
        status = schedule_add(&drawing, what[i]);
    if (!status)
        status = format == DRAWING_TRACE ? trace_print(&drawing)
                                         : drawing_write(drawing.all, drawing.n, format, &options, values->out);
    weir_arena_release(&arena);
    return status;
}

int schedule_draw_run(int argc, char **argv)
{
    struct values values = {.cost.overlap_gain = 1};
    struct options given; /* nothing to release without --config */
    const char *what[MOST_INPUTS];
    int n = 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &schedule_draw_table, argc, argv, &values, what, MOST_INPUTS, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && !n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "FILE|NAME is missing: 'weir schedule draw --help' shows the options");
    if (!status)
        status = draw(&values, what, n);
    return options_report("schedule draw", status);
}
