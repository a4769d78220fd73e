/* weir schedule compare: which schedule is the fastest, and what it takes. */
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "cmd/drawing.h"
#include "cmd/paths.h"
#include "cmd/schedule_command.h"
#include "cmd/schedule_rows.h"
#include "cmd/schedule_sweep.h"

enum { MOST_NAMES = 64, MOST_DRAWN = 32 };

struct values {
    struct schedule_sweep sweep;
    struct schedule_cost_options cost;
    struct schedule_auto_options made;
    const char *dialect, *html;
    double max_peak;
    bool per_stage, with_auto, json, csv;
};

static const struct option_row compare_rows[] = {
    SCHEDULE_SWEEP_ROWS(struct values),
    SCHEDULE_COST_ROWS(struct values, ""),
    SCHEDULE_REPLICA_COST_ROWS(struct values),
    {"per-rank", 0, OPTION_FLAG, offsetof(struct values, cost.per_rank), NULL,
     "--time and --mem are of all stages of a rank (default): those with more chunks do the same work", 0, 0},
    {"per-stage", 0, OPTION_FLAG, offsetof(struct values, per_stage), NULL,
     "--time and --mem are of one stage, as simulate takes them", 0, 0},
    {"memory-cap", 0, OPTION_REAL, offsetof(struct values, made.memory_cap), "X",
     "leave out what holds more on a rank, in the unit of --mem (default 0: no cap)", 0, 1e300},
    {"max-peak", 0, OPTION_REAL, offsetof(struct values, max_peak), "X",
     "leave out what holds more than X M_B, activations of one micro-batch on a rank, in flight", 0, 1e300},
    {"auto", 0, OPTION_FLAG, offsetof(struct values, with_auto), NULL,
     "with the schedule auto, made under --memory-cap (takes seconds to a minute)", 0, 0},
    {"objective", 0, OPTION_TEXT, offsetof(struct values, made.objective), "NAME",
     "of auto: makespan (default) or span", 0, 0},
    {"dialect", 0, OPTION_TEXT, offsetof(struct values, dialect), "D",
     "of files: torch, or torch-2024 where B is the input gradient and BW both (default torch)", 0, 0},
    {"html", 0, OPTION_TEXT, offsetof(struct values, html), "FILE", "draw them, the fastest on top, as one page", 0, 0},
    {"csv", 0, OPTION_FLAG, offsetof(struct values, csv), NULL, "print one line per schedule, comma-separated", 0, 0},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {0},
};

const struct option_table schedule_compare_table = {
    "schedule compare", "[NAME|FILE ...]", "time every schedule of a size, the fastest first",
    "weir schedule compare -p 8 -m 32 --comm 0.05 --max-peak 8", compare_rows, NULL};

/* Names, or every kind when there are none. */
struct names {
    const char *all[MOST_NAMES];
    int n;
    bool every, auto_named;
};

static weir_status names_collect(const struct values *values, struct names *names)
{
    names->every = names->n == 0;
    for (int i = 0; i < names->n; i++)
        names->auto_named |= schedule_is_auto(names->all[i]);
    for (int i = 0; names->every && weir_schedule_kind_at(i); i++)
        names->all[names->n++] = weir_schedule_kind_at(i)->name;
    if (values->with_auto && !names->auto_named) {
        if (names->n == MOST_NAMES)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--auto with %d names is one too many", MOST_NAMES);
        names->all[names->n++] = "auto";
        names->auto_named = true;
    }
    if (values->made.objective && !names->auto_named)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--objective is for the schedule auto: give --auto");
    return WEIR_OK;
}

static weir_status paths_register(const struct values *values, const struct names *names)
{
    struct paths paths = {0};
    static const struct schedule_size none = {0};
    for (int i = 0; i < names->n; i++)
        if (schedule_case_is_file(names->all[i], &none))
            paths_read(&paths, "FILE", names->all[i]);
    paths_read(&paths, "--costs", values->cost.costs);
    paths_write(&paths, "--html", values->html);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static weir_status values_check(const struct values *values, const struct names *names)
{
    static const struct schedule_size none = {0};
    if (values->cost.per_rank && values->per_stage)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--per-rank and --per-stage exclude each other");
    if (values->csv && values->json)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--csv and --json exclude each other");
    for (int i = 0; i < names->n; i++)
        if (!schedule_case_is_file(names->all[i], &none) && (!values->sweep.ranks || !values->sweep.microbatches))
            return WEIR_FAIL(WEIR_ERR_USAGE, "the numbers of ranks and micro-batches are missing: -p P -m M");
    return WEIR_OK;
}

/* auto is not bound by what others are not asked, and only it makes something of the options `made`. */
static weir_status row_add(struct schedule_rows *table, struct schedule_row_options options, const char *name,
                           struct schedule_size size)
{
    static const struct schedule_auto_options none = {0};
    const struct weir_schedule_kind *kind;
    bool is_auto = schedule_is_auto(name);
    if (!is_auto)
        options.cases.made = &none;
    if (is_auto || (weir_schedule_kind_find(name, &kind) == WEIR_OK && !kind->takes_group_size))
        size.group_size = 0;
    if (is_auto || (weir_schedule_kind_find(name, &kind) == WEIR_OK && !kind->takes_slices))
        size.slices = 0;
    return schedule_rows_add(table, &options, name, &size);
}

/* auto has no number of chunks of its own: it is made with 1 and with 2. */
static weir_status auto_add(struct schedule_rows *table, const struct schedule_row_options *options,
                            struct schedule_size size)
{
    weir_status status = WEIR_OK;
    for (int chunks = 1; !status && chunks <= 2; chunks++) {
        size.chunks = chunks;
        status = row_add(table, *options, "auto", size);
    }
    return status;
}

static weir_status rows_fill(const struct schedule_row_options *options, const struct names *names,
                             const struct schedule_size *sizes, size_t n_sizes, struct schedule_rows *table)
{
    weir_status status = WEIR_OK;
    for (int i = 0; !status && i < names->n; i++) {
        bool file = schedule_case_is_file(names->all[i], &sizes[0]);
        for (size_t k = 0; !status && k < (file ? 1 : n_sizes); k++) {
            if (schedule_is_auto(names->all[i]) && !sizes[k].chunks && !options->cases.given->stages)
                status = auto_add(table, options, sizes[k]);
            else
                status = row_add(table, *options, names->all[i], file ? (struct schedule_size){0} : sizes[k]);
        }
    }
    for (size_t k = 0; !status && k < n_sizes && names->every && !names->auto_named; k++)
        status = schedule_rows_leave_out(table, "auto", &sizes[k], "making it takes seconds to a minute: give --auto");
    return status;
}

static bool sizes_differ(const struct schedule_rows *table)
{
    const struct schedule_row *first = &table->rows[0];
    for (size_t i = 1; i < table->n; i++)
        if (!table->rows[i].reason && (table->rows[i].size.ranks != first->size.ranks ||
                                       table->rows[i].size.microbatches != first->size.microbatches))
            return true;
    return false;
}

/* The first of each size is the fastest. */
static void best_print(const struct values *values, const struct schedule_rows *table)
{
    char name[1024];
    printf("\n");
    for (size_t i = 0; i < table->n && !table->rows[i].reason; i++) {
        const struct schedule_row *row = &table->rows[i];
        if (i && row->size.ranks == row[-1].size.ranks && row->size.microbatches == row[-1].size.microbatches)
            continue;
        printf("best");
        if (values->max_peak > 0)
            printf(" under %.6g M_B", values->max_peak);
        if (values->made.memory_cap > 0)
            printf(" under %.6g", values->made.memory_cap);
        if (table->several_sizes)
            printf(" at p = %d, m = %d", (int)row->size.ranks, (int)row->size.microbatches);
        printf(": %s", weir_printable(row->name, name, sizeof name));
        if (row->size.chunks > 1)
            printf(" with %d chunks", (int)row->size.chunks);
        printf(", %.6g\n", row->makespan);
    }
}

static weir_status table_print(const struct values *values, struct schedule_rows *table)
{
    schedule_rows_sort(table);
    weir_status status = schedule_rows_check(table);
    table->several_sizes = sizes_differ(table);
    if (values->json) {
        weir_status printed = schedule_rows_print_json(table);
        return printed ? printed : status;
    }
    if (status)
        return status;
    if (values->csv) {
        schedule_rows_print_csv(table);
        return WEIR_OK;
    }
    if (!table->several_sizes)
        printf("%d ranks, %d micro-batches\n", (int)table->rows[0].size.ranks, (int)table->rows[0].size.microbatches);
    schedule_rows_print(table);
    best_print(values, table);
    return WEIR_OK;
}

/* ---- the page ------------------------------------------------------------------------------------------------------ */

/* What is left of most rows is name and size: they are made once more. */
static weir_status row_draw(const struct schedule_row_options *options, const struct schedule_row *row,
                            struct weir_arena *arena, const struct weir_timeline **out)
{
    static const struct schedule_size of_file = {0};
    static const struct schedule_auto_options none = {0};
    struct schedule_case_options cases = options->cases;
    struct weir_simulation_options kept = {.keep_times = true, .keep_path = true};
    struct schedule_case c;
    struct weir_simulation simulation;
    const char *title;
    weir_status status = WEIR_OK;
    cases.made = &none;
    if (row->kept)
        c = *row->kept;
    else
        status = schedule_case_open(&cases, row->name,
                                    schedule_case_is_file(row->name, &of_file) ? &of_file : &row->size, arena, &c);
    if (!status)
        status = weir_schedule_simulate(&c.schedule, &c.costs, &kept, arena, &simulation);
    if (!status)
        status = drawing_title(row->name, &c.schedule, "predicted", arena, &title);
    return status ? status : weir_timeline_of_simulation(&simulation, &c.costs, title, "", arena, out);
}

static weir_status page_write(const struct values *values, const struct schedule_row_options *options,
                              const struct schedule_rows *table)
{
    struct weir_arena arena = {0};
    const struct weir_timeline *all[MOST_DRAWN];
    int n = 0;
    weir_status status = WEIR_OK;
    for (size_t i = 0; !status && i < table->n && !table->rows[i].reason; i++) {
        if (n == MOST_DRAWN) {
            status = WEIR_FAIL(WEIR_ERR_USAGE, "--html draws at most %d schedules: name some, or use fewer sizes", MOST_DRAWN);
            break;
        }
        status = row_draw(options, &table->rows[i], &arena, &all[n]);
        n++;
    }
    if (!status)
        status = drawing_write(all, n, DRAWING_HTML, &(struct weir_draw_options){0}, values->html);
    weir_arena_release(&arena);
    return status;
}

static weir_status compare(struct values *values, struct names *names)
{
    struct weir_arena arena = {0};
    struct weir_schedule_costs costs;
    const struct schedule_size *sizes;
    size_t n_sizes;
    struct schedule_rows table = {.with_shared = true};
    struct schedule_row_options options = {.cases = {&values->cost, &costs, &values->made, values->dialect, NULL},
                                           .shared = true,
                                           .keeps_auto = values->html != NULL,
                                           .memory_cap = values->made.memory_cap,
                                           .most_peak = values->max_peak};
    weir_status status = names_collect(values, names);
    if (!status)
        status = values_check(values, names);
    if (!status)
        status = paths_register(values, names);
    if (!status)
        status = schedule_costs_parse(&values->cost, &arena, &costs);
    if (!status)
        status = schedule_sweep_expand(&values->sweep, &arena, &sizes, &n_sizes);
    values->cost.per_rank |= !status && !values->per_stage && !costs.stages;
    table.with_memory = values->cost.mem || values->cost.costs;
    if (!status)
        status = rows_fill(&options, names, sizes, n_sizes, &table);
    if (!status)
        status = table_print(values, &table);
    if (!status && values->html)
        status = page_write(values, &options, &table);
    if (!status && costs.halved)
        fprintf(stderr, "weir schedule compare: B is taken as half input gradient, half weight gradient where a schedule "
                        "splits it: give I and W to say otherwise\n");
    schedule_rows_release(&table);
    weir_arena_release(&arena);
    return status;
}

int schedule_compare_run(int argc, char **argv)
{
    struct values values = {.cost.overlap_gain = 1};
    struct options given; /* nothing to release without --config */
    struct names names = {0};
    enum option_outcome outcome;
    weir_status status = options_parse(&given, &schedule_compare_table, argc, argv, &values, names.all, MOST_NAMES - 32,
                                       &names.n, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status)
        status = compare(&values, &names);
    return options_report("schedule compare", status);
}
