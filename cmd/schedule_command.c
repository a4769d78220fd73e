/* weir schedule: list, make, check, simulate, compare, draw and convert schedules. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/command.h"
#include "cmd/forms.h"
#include "cmd/paths.h"
#include "cmd/schedule_auto.h"
#include "cmd/schedule_boundaries.h"
#include "cmd/schedule_command.h"
#include "cmd/schedule_input.h"
#include "include/weir/simulate.h"

struct values {
    bool json, comms;
    const char *out, *channels, *dialect, *to;
    struct schedule_size size;
    struct schedule_cost_options cost;
    struct schedule_auto_options made;
    struct schedule_boundary_options handed;
};

static const struct option_row list_rows[] = {
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON array", 0, 0},
    {0},
};

static const struct option_table list_table = {"schedule list", "", "show the schedules that can be made",
                                               "weir schedule list", list_rows, NULL};

static const struct option_row make_rows[] = {
    {"ranks", 'p', OPTION_INT, offsetof(struct values, size.ranks), "P", "ranks of the pipeline", 1, 65536},
    {"microbatches", 'm', OPTION_INT, offsetof(struct values, size.microbatches), "M", "micro-batches of a step", 1,
     1048576},
    {"chunks", 'v', OPTION_INT, offsetof(struct values, size.chunks), "V",
     "stages per rank (default: the schedule's own, which list shows)", 1, 1048576},
    {"group-size", 0, OPTION_INT, offsetof(struct values, size.group_size), "G",
     "interleaved: micro-batches per group (default: m / max(1, m div p))", 1, 1048576},
    {"slices", 0, OPTION_INT, offsetof(struct values, size.slices), "K", "seq1f1b: slices of each sequence (default 1)", 1, 1048576},
    SCHEDULE_COST_ROWS(struct values, "auto: "),
    {"per-rank", 0, OPTION_FLAG, offsetof(struct values, cost.per_rank), NULL,
     "auto: --time and --mem are of all stages of a rank, not of one", 0, 0},
    SCHEDULE_AUTO_ROWS(struct values),
    SCHEDULE_BOUNDARY_ROWS(struct values),
    {"comms", 0, OPTION_FLAG, offsetof(struct values, comms), NULL, "add the SEND and RECV actions", 0, 0},
    {"out", 'o', OPTION_TEXT, offsetof(struct values, out), "FILE", "write there instead of to standard output", 0, 0},
    {0},
};

static const struct option_table make_table = {"schedule make", "NAME", "write a schedule as PyTorch's schedule CSV",
                                               "weir schedule make zbv -p 4 -m 8 -o zbv.csv", make_rows, NULL};

static const struct option_row check_rows[] = {
    {"channels", 0, OPTION_TEXT, offsetof(struct values, channels), "MODEL",
     "edge, shared or blocking: how transfers use the ranks' channels (default edge)", 0, 0},
    SCHEDULE_BOUNDARY_ROWS(struct values),
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {0},
};

static const struct option_table check_table = {"schedule check", "FILE",
                                                "prove that a schedule is complete, in order and free of deadlock",
                                                "weir schedule check zbv.csv --channels edge", check_rows, NULL};

static const struct option_row convert_rows[] = {
    {"to", 0, OPTION_TEXT, offsetof(struct values, to), "FORM",
     "compute, comms (SEND and RECV added), reductions (REDUCE_GRAD added), torch "
     "(what PyTorch's runtime loads) or trace",
     0, 0},
    SCHEDULE_BOUNDARY_ROWS(struct values),
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "torch-2.15; torch-2025 to write no WAIT actions; torch-2024 to read B as input gradient, BW as both "
     "(default torch-2.15)", 0, 0},
    {"out", 'o', OPTION_TEXT, offsetof(struct values, out), "FILE", "write there instead of to standard output", 0, 0},
    {0},
};

static const struct option_table convert_table = {"schedule convert", "FILE", "rewrite a schedule in another form",
                                                  "weir schedule convert zbv.csv --to comms", convert_rows, NULL};

/* Before anything is read: what is written is no input. */
static weir_status paths_register(const struct values *values, const char *input)
{
    struct paths paths = {0};
    paths_read(&paths, "FILE", input);
    schedule_boundaries_paths(&values->handed, &paths);
    paths_write(&paths, "--out", values->out);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static weir_status csv_write(const struct weir_schedule *schedule, const char *path, struct weir_arena *arena)
{
    const char *text;
    weir_status status = weir_schedule_csv_print(schedule, arena, &text);
    return status ? status : schedule_text_write(path, text);
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static json_t *kind_json(const struct weir_schedule_kind *kind)
{
    return json_pack("{s:s, s:s, s:o, s:i, s:i, s:b}", "name", kind->name, "summary", kind->summary, "chunks",
                     kind->n_chunks ? json_integer(kind->n_chunks) : json_null(), "default_chunks",
                     weir_schedule_kind_chunks(kind), "copies", kind->n_copies ? kind->n_copies : 1, "splits_backward",
                     (int)kind->splits_backward);
}

/* As if auto were a kind: of any number of chunks, in one copy. */
static const struct weir_schedule_kind auto_kind = {
    .name = "auto",
    .summary = "made for given costs under a memory cap, never slower than the single-copy ones that fit",
    .splits_backward = true,
};

static weir_status list_json(void)
{
    json_t *array = json_array();
    bool whole = array;
    for (int i = 0; whole && weir_schedule_kind_at(i); i++)
        whole = !json_array_append_new(array, kind_json(weir_schedule_kind_at(i)));
    if (whole)
        whole = !json_array_append_new(array, kind_json(&auto_kind));
    if (!whole) {
        json_decref(array);
        array = NULL;
    }
    return schedule_json_print(array);
}

static weir_status list(const struct values *values, const char *argument)
{
    (void)argument;
    if (values->json)
        return list_json();
    const struct weir_schedule_kind *kind;
    for (int i = 0; (kind = weir_schedule_kind_at(i)) != NULL; i++) {
        int own = weir_schedule_kind_chunks(kind);
        printf("%-15s %s", kind->name, kind->summary);
        if (own > 1)
            printf("; %d chunks%s", own, kind->n_chunks ? "" : " unless told otherwise");
        printf("\n");
    }
    printf("%-15s %s\n", auto_kind.name, auto_kind.summary);
    return WEIR_OK;
}

/* ---- make -------------------------------------------------------------------------------------------------------- */

static weir_status auto_make(const struct values *values, struct weir_arena *arena, struct weir_schedule *out)
{
    struct schedule_cost_options cost = values->cost;
    struct weir_schedule_costs costs;
    struct weir_auto_result result;
    cost.overlap_gain = 1;
    weir_status status = schedule_costs_parse(&cost, arena, &costs);
    if (!status)
        status = schedule_auto_make(&values->size, &values->made, &cost, &costs, &values->handed, arena, &result);
    if (status)
        return status;
    schedule_costs_explain("schedule make", &costs, &result.schedule);
    schedule_auto_print(&result, &values->made, stderr);
    *out = result.schedule;
    return WEIR_OK;
}

static weir_status any_make(const struct values *values, const char *name, struct weir_arena *arena,
                            struct weir_schedule *out)
{
    weir_status status = schedule_name_check(name);
    if (status)
        return status;
    if (schedule_is_auto(name))
        return auto_make(values, arena, out);
    const struct schedule_boundary_options *handed = &values->handed;
    if (handed->model || handed->list || handed->first_layers || handed->plan)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has the same order whatever stages hand to each other: --model, --boundaries, --first-layers "
                         "and --plan are for auto", name);
    if (values->cost.time || values->cost.comm > 0 || values->cost.costs || values->cost.mem ||
        values->cost.per_rank)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' is made without costs: --time, --comm, --costs, --mem and --per-rank are for "
                         "auto", name);
    status = schedule_auto_unused(&values->made, name);
    return status ? status : schedule_make(name, &values->size, arena, out);
}

static weir_status make(const struct values *values, const char *name)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    if (!strcmp(name, "list"))
        return list(values, name);
    weir_status status = paths_register(values, values->cost.costs);
    if (!status)
        status = any_make(values, name, &arena, &schedule);
    if (!status && values->comms)
        status = weir_schedule_lower(&schedule, &arena, &schedule);
    if (!status)
        status = csv_write(&schedule, values->out, &arena);
    weir_arena_release(&arena);
    return status;
}

/* ---- check ------------------------------------------------------------------------------------------------------- */

/* A number of the schedule, or null for a file that could not be read as one. */
static json_t *count_json(const struct weir_schedule *schedule, int value)
{
    return schedule ? json_integer(value) : json_null();
}

static weir_status verdict_print(const struct weir_schedule *schedule, const struct weir_schedule_report *report)
{
    static const struct weir_schedule none = {0};
    const struct weir_schedule *s = schedule ? schedule : &none;
    char message[WEIR_ERROR_MAX];
    const char *order = !report ? NULL : report->wgrad_ascending ? "ascending" : "other";
    return schedule_json_print(json_pack("{s:b, s:o, s:o, s:o, s:o, s:s?, s:o, s:o*}", "valid", report != NULL, "reason",
                                         report ? json_null() : weir_json_utf8(options_error(message)), "ranks",
                                         count_json(schedule, s->n_ranks), "stages", count_json(schedule, s->n_stages),
                                         "microbatches", count_json(schedule, s->n_microbatches / weir_schedule_slices(s)),
                                         "wgrad_order", order, "boundaries",
                                         schedule ? schedule_boundaries_json(schedule) : json_null(), "slices", s->n_slices > 1 ? json_integer(s->n_slices) : NULL));
}

static weir_status valid_print(const struct weir_schedule *schedule, enum weir_channels channels, const struct weir_schedule_report *report)
{
    char size[SCHEDULE_SIZE_TEXT];
    struct weir_text text = {0};
    weir_text_append(&text, "valid under %s channels: %s%s, weight gradients in %s order", weir_channels_str(channels),
                     schedule_size_text(schedule, size), report->trainable ? "" : ", forward only",
                     report->wgrad_ascending ? "ascending" : "another");
    if (schedule->boundaries) {
        weir_text_append(&text, ", boundaries ");
        schedule_boundaries_print(schedule, &text);
    }
    if (!text.status)
        puts(text.data);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}

/* Before anything is read: nothing is written. */
static weir_status check_paths(const struct values *values, const char *path)
{
    struct paths paths = {0};
    paths_read(&paths, "FILE", path);
    schedule_boundaries_paths(&values->handed, &paths);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static weir_status check(const struct values *values, const char *path)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_report report;
    enum weir_channels channels = WEIR_CHANNELS_EDGE;
    weir_status status = values->channels ? weir_channels_find(values->channels, &channels) : WEIR_OK, read,
                printed = WEIR_OK;
    if (!status)
        status = check_paths(values, path);
    if (status)
        return status;
    status = read = schedule_load(path, values->dialect, &arena, &schedule);
    if (!status)
        status = schedule_boundaries_take(&values->handed, &arena, &schedule);
    if (!status)
        status = weir_schedule_check(&schedule, channels, &arena, &report);
    if (values->json && (!status || status == WEIR_ERR_INVALID))
        printed = verdict_print(read ? NULL : &schedule, status ? NULL : &report);
    else if (!status)
        printed = valid_print(&schedule, channels, &report);
    weir_arena_release(&arena);
    return printed ? printed : status;
}

/* ---- convert ----------------------------------------------------------------------------------------------------- */

static weir_status trace_write(const struct weir_schedule *schedule, const char *path, struct weir_arena *arena)
{
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_simulation_options options = {.keep_times = true};
    struct weir_simulation simulation;
    const char *text;
    weir_status status = weir_schedule_simulate(schedule, &costs, &options, arena, &simulation);
    if (!status)
        status = weir_simulation_trace(&simulation, arena, &text);
    return status ? status : schedule_text_write(path, text);
}

enum form { FORM_COMPUTE, FORM_COMMS, FORM_TORCH, FORM_TRACE, FORM_REDUCTIONS };

/* Rewrite `s`; PyTorch of 2025 knows no WAIT. */
static weir_status form_take(enum form form, bool waits, struct weir_arena *arena, struct weir_schedule *s)
{
    weir_status status;
    switch (form) {
    case FORM_COMPUTE:
        return weir_schedule_compute_only(s, arena, s);
    case FORM_COMMS:
        return weir_schedule_lower(s, arena, s);
    case FORM_TORCH:
        if (s->n_slices > 1)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "PyTorch's runtime knows no slices: --to torch is for schedules of whole "
                             "sequences");
        return waits ? weir_schedule_lower_torch(s, arena, s) : weir_schedule_lower_torch_2025(s, arena, s);
    case FORM_REDUCTIONS:
        status = weir_schedule_add_reductions(s, arena, s);
        return status || !waits ? status : weir_schedule_add_waits(s, arena, s);
    default:
        return WEIR_OK;
    }
}

static weir_status convert(const struct values *values, const char *path)
{
    static const char *const forms[] = {"compute", "comms", "torch", "trace", "reductions", NULL};
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    enum weir_csv_dialect dialect = WEIR_CSV_TORCH;
    int form;
    if (!values->to)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--to is missing: compute, comms, reductions, torch or trace");
    weir_status status = weir_name_find("form", values->to, forms, &form);
    if (!status)
        status = paths_register(values, path);
    if (!status && values->dialect)
        status = weir_csv_dialect_find(values->dialect, &dialect);
    if (!status)
        status = schedule_load(path, values->dialect, &arena, &schedule);
    if (!status)
        status = schedule_boundaries_take(&values->handed, &arena, &schedule);
    if (!status && form != FORM_COMPUTE)
        status = weir_schedule_cells_check(&schedule);
    if (!status)
        status = form_take((enum form)form, dialect != WEIR_CSV_TORCH_2025, &arena, &schedule);
    if (!status)
        status = form == FORM_TRACE ? trace_write(&schedule, values->out, &arena)
                                    : csv_write(&schedule, values->out, &arena);
    weir_arena_release(&arena);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static const struct option_table *const tables[] = {
    &list_table, &make_table, &check_table, &schedule_simulate_table, &schedule_compare_table,
    &schedule_draw_table, &schedule_costs_table, &convert_table, NULL};

static const struct {
    weir_status (*run)(const struct values *values, const char *argument);
    int (*run_apart)(int argc, char **argv); /* instead of run */
} forms[] = { /* as the tables */
    {list, NULL}, {make, NULL}, {check, NULL}, {NULL, schedule_simulate_run}, {NULL, schedule_compare_run},
    {NULL, schedule_draw_run}, {NULL, schedule_costs_run}, {convert, NULL},
};

static int form_run(int form, int argc, char **argv)
{
    struct values values = {0};
    struct options given; /* nothing to release without --config */
    const struct option_table *table = tables[form];
    const char *argument = NULL;
    int n = 0, wanted = *table->arguments ? 1 : 0;
    enum option_outcome outcome;
    weir_status status = options_parse(&given, table, argc, argv, &values, &argument, wanted, &n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status && n < wanted)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "%s is missing: 'weir %s --help' shows the options", table->arguments,
                           table->command);
    if (!status)
        status = forms[form].run(&values, argument);
    return options_report(table->command, status);
}

static const char about[] = "make, check, simulate, compare, draw and convert schedules";

static int run(int argc, char **argv)
{
    int code, form = form_choose("schedule", about, "", tables, argc, argv, &code);
    if (form < 0)
        return code;
    return forms[form].run ? form_run(form, argc - 1, argv + 1) : forms[form].run_apart(argc - 1, argv + 1);
}

const struct command command_schedule = {"schedule", about, tables, run, true};
