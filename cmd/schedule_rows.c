#include "cmd/schedule_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "cmd/options.h"
#include "cmd/schedule_auto.h"

double schedule_idle_mean(const struct weir_simulation *s)
{
    double busy = 0;
    for (int r = 0; r < s->lowered.n_ranks; r++)
        busy += s->busy[r];
    return s->makespan > 0 ? 1 - busy / (s->lowered.n_ranks * s->makespan) : 0;
}

/* ---- one row ------------------------------------------------------------------------------------------------------ */

static weir_status row_next(struct schedule_rows *rows, struct schedule_row **row_out)
{
    if (rows->n == rows->room) {
        struct schedule_row *more;
        size_t room = rows->room ? 2 * rows->room : 64;
        weir_status status = weir_arena_alloc(&rows->arena, room, sizeof *more, &more);
        if (status)
            return status;
        if (rows->n)
            memcpy(more, rows->rows, rows->n * sizeof *more);
        rows->rows = more;
        rows->room = room;
    }
    *row_out = &rows->rows[rows->n];
    return WEIR_OK;
}

static void row_fill(struct schedule_row *row, const struct weir_schedule *schedule, const struct weir_simulation *s)
{
    int p = schedule->n_ranks, n = schedule->n_stages, most = 0;
    row->size.ranks = p;
    row->size.slices = weir_schedule_slices(schedule);
    row->size.microbatches = schedule->n_microbatches / row->size.slices;
    row->size.chunks = n % p ? 0 : n / p;
    row->n_stages = n;
    row->makespan = s->makespan;
    row->bubble = s->bubble;
    row->bubble_span = s->bubble_span;
    row->idle_mean = schedule_idle_mean(s);
    row->n_messages = s->n_messages;
    for (int r = 0; r < p; r++) {
        most = s->peak_in_flight[r] > most ? s->peak_in_flight[r] : most;
        row->memory = s->peak_memory[r] > row->memory ? s->peak_memory[r] : row->memory;
    }
    row->peak = most * (double)p / n / (double)row->size.slices;
}

/* A schedule that waits in a circle there has no such makespan. */
static weir_status shared_time(const struct schedule_case *c, const struct schedule_row_options *options,
                               struct weir_arena *work, struct schedule_row *row)
{
    struct weir_simulation_options shared = options->simulation;
    struct weir_simulation simulation;
    shared.channels = WEIR_CHANNELS_SHARED;
    weir_status status = weir_schedule_simulate(&c->schedule, &c->costs, &shared, work, &simulation);
    row->shared = status ? -1 : simulation.makespan;
    return status == WEIR_ERR_INVALID ? WEIR_OK : status;
}

static bool trains(const struct weir_schedule *schedule)
{
    for (size_t i = 0; i < schedule->ranks[0].n_actions; i++)
        if (schedule->ranks[0].actions[i].type == WEIR_I || schedule->ranks[0].actions[i].type == WEIR_B)
            return true;
    return false;
}

static weir_status caps_check(const struct schedule_row_options *options, const struct schedule_row *row)
{
    const double slack = 1 + 1e-9; /* sums in another order */
    if (options->most_peak > 0 && row->peak > options->most_peak * slack)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a rank holds %.6g M_B, --max-peak is %.6g", row->peak, options->most_peak);
    if (options->memory_cap > 0 && row->memory > options->memory_cap * slack)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a rank holds %.6g, --memory-cap is %.6g", row->memory, options->memory_cap);
    return WEIR_OK;
}

static weir_status row_measure(const struct schedule_row_options *options, const char *what,
                               const struct schedule_size *size, struct weir_arena *table, struct weir_arena *work,
                               struct schedule_row *row)
{
    struct schedule_case c, *kept;
    struct weir_simulation simulation;
    bool keeps = options->keeps_auto && schedule_is_auto(what);
    weir_status status = schedule_case_open(&options->cases, what, size, keeps ? table : work, &c);
    if (!status && keeps)
        status = weir_arena_alloc(table, 1, sizeof *kept, &kept);
    if (!status && keeps) {
        *kept = c;
        row->kept = kept;
    }
    if (!status && options->shared && !trains(&c.schedule))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "it has forwards only");
    if (!status)
        status = weir_schedule_simulate(&c.schedule, &c.costs, &options->simulation, work, &simulation);
    if (status)
        return status;
    row_fill(row, &c.schedule, &simulation);
    status = caps_check(options, row);
    return status || !options->shared ? status : shared_time(&c, options, work, row);
}

weir_status schedule_rows_add(struct schedule_rows *rows, const struct schedule_row_options *options, const char *what,
                              const struct schedule_size *size)
{
    struct weir_arena work = {0};
    struct schedule_row *row;
    char reason[WEIR_ERROR_MAX];
    weir_status status = row_next(rows, &row);
    if (status)
        return status;
    *row = (struct schedule_row){.name = what, .size = *size};
    status = row_measure(options, what, size, &rows->arena, &work, row);
    if (status == WEIR_ERR_INVALID)
        status = weir_arena_strdup(&rows->arena, options_error(reason), &row->reason);
    if (!status)
        rows->n++;
    weir_arena_release(&work);
    return status;
}

weir_status schedule_rows_leave_out(struct schedule_rows *rows, const char *what, const struct schedule_size *size,
                                    const char *reason)
{
    struct schedule_row *row;
    weir_status status = row_next(rows, &row);
    if (status)
        return status;
    *row = (struct schedule_row){.name = what, .size = *size, .reason = reason};
    rows->n++;
    return WEIR_OK;
}

/* ---- all of them -------------------------------------------------------------------------------------------------- */

static int real_compare(double a, double b)
{
    return (a > b) - (a < b);
}

static int row_compare(const void *left, const void *right)
{
    const struct schedule_row *a = left, *b = right;
    const int orders[] = {(a->reason != NULL) - (b->reason != NULL),
                          (a->makespan == 0) - (b->makespan == 0), /* what has been timed says more */
                          real_compare((double)a->size.ranks, (double)b->size.ranks),
                          real_compare((double)a->size.microbatches, (double)b->size.microbatches),
                          real_compare(a->makespan, b->makespan),
                          real_compare(a->peak, b->peak),
                          strcmp(a->name, b->name),
                          real_compare((double)a->size.chunks, (double)b->size.chunks)};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        if (orders[i])
            return orders[i];
    return 0;
}

void schedule_rows_sort(struct schedule_rows *rows)
{
    if (rows->n)
        qsort(rows->rows, rows->n, sizeof *rows->rows, row_compare);
}

weir_status schedule_rows_check(const struct schedule_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        if (!rows->rows[i].reason)
            return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "no schedule is left; %s: %s", rows->rows[0].name, rows->rows[0].reason);
}

void schedule_rows_release(struct schedule_rows *rows)
{
    weir_arena_release(&rows->arena);
}

/* ---- printing ------------------------------------------------------------------------------------------------------ */

/* "interleaved-zb g=4", "seq1f1b k=2" into a buffer of 80 bytes. */
static const char *row_name(const struct schedule_row *row, char text[80])
{
    const struct weir_schedule_kind *kind;
    bool groups = row->size.group_size && weir_schedule_kind_find(row->name, &kind) == WEIR_OK && kind->takes_group_size;
    bool slices = row->size.slices > 1;
    char name[80];
    weir_printable(row->name, name, sizeof name);
    snprintf(text, 80, groups ? "%s g=%d" : slices ? "%s k=%d" : "%s", name,
             (int)(groups ? row->size.group_size : row->size.slices));
    return text;
}

static void size_print(const struct schedule_row *row, FILE *out)
{
    if (row->size.ranks)
        fprintf(out, " -p %d", (int)row->size.ranks);
    if (row->size.microbatches)
        fprintf(out, " -m %d", (int)row->size.microbatches);
    if (row->size.chunks)
        fprintf(out, " -v %d", (int)row->size.chunks);
}

static bool same_but_chunks(const struct schedule_row *a, const struct schedule_row *b)
{
    return !strcmp(a->name, b->name) && a->size.ranks == b->size.ranks && a->size.microbatches == b->size.microbatches;
}

/* With several numbers of chunks asked for, one line is enough for a schedule that has none of them, and none for one that
 * has some. */
static bool is_told(const struct schedule_rows *rows, size_t index)
{
    for (size_t i = 0; i < rows->n; i++)
        if ((i < index || !rows->rows[i].reason) && same_but_chunks(&rows->rows[i], &rows->rows[index]))
            return true;
    return false;
}

static void left_out_print(const struct schedule_rows *rows, FILE *out)
{
    bool any = false;
    char name[80];
    for (size_t i = 0; i < rows->n; i++) {
        const struct schedule_row *row = &rows->rows[i];
        if (!row->reason || is_told(rows, i))
            continue;
        fprintf(out, "%s  %s", any ? "" : "\nleft out\n", row_name(row, name));
        size_print(row, out);
        fprintf(out, ": %s\n", row->reason);
        any = true;
    }
}

static void row_print(const struct schedule_rows *rows, const struct schedule_row *row, int width)
{
    char name[80];
    printf("%-*s", width, row_name(row, name));
    if (rows->several_sizes)
        printf(" %5d %6d", (int)row->size.ranks, (int)row->size.microbatches);
    printf(" %3d %10.6g %6.2f %% %6.2f %% %6.2f %% %6.4g", (int)row->size.chunks, row->makespan, 100 * row->bubble,
           100 * row->bubble_span, 100 * row->idle_mean, row->peak);
    if (rows->with_memory)
        printf(" %10.6g", row->memory);
    printf(" %9zu", row->n_messages);
    if (rows->with_shared && row->shared < 0)
        printf("  deadlock");
    else if (rows->with_shared)
        printf(" %+7.2f %%", row->makespan > 0 ? 100 * (row->shared / row->makespan - 1) + 0.0 : 0.0);
    printf("\n");
}

void schedule_rows_print(const struct schedule_rows *rows)
{
    char name[80];
    int width = 8;
    for (size_t i = 0; i < rows->n; i++) {
        int length = (int)strlen(row_name(&rows->rows[i], name));
        width = !rows->rows[i].reason && length > width ? length : width;
    }
    printf("%-*s", width, "schedule");
    if (rows->several_sizes)
        printf(" %5s %6s", "p", "m");
    printf(" %3s %10s %8s %8s %8s %6s", "v", "makespan", "bubble", "span", "idle", "M_B");
    if (rows->with_memory)
        printf(" %10s", "memory");
    printf(" %9s%s\n", "messages", rows->with_shared ? "    shared" : "");
    for (size_t i = 0; i < rows->n; i++)
        if (!rows->rows[i].reason)
            row_print(rows, &rows->rows[i], width);
    left_out_print(rows, stdout);
}

/* A field with a comma, a quote or a line break stands in quotes. */
static void csv_text_print(const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++)
        printf(*text == '"' ? "\"%c" : "%c", *text);
    putchar('"');
}

void schedule_rows_print_csv(const struct schedule_rows *rows)
{
    puts("schedule,ranks,chunks,group_size,microbatches,makespan,bubble,bubble_span,idle_mean,peak_mb,peak_memory,"
         "messages,makespan_shared,slices");
    for (size_t i = 0; i < rows->n; i++) {
        const struct schedule_row *row = &rows->rows[i];
        if (row->reason)
            continue;
        csv_text_print(row->name);
        printf(",%d,%d,%d,%d,%.12g,%.12g,%.12g,%.12g,%.12g,%.12g,%zu,", (int)row->size.ranks, (int)row->size.chunks,
               (int)row->size.group_size, (int)row->size.microbatches, row->makespan, row->bubble, row->bubble_span,
               row->idle_mean, row->peak, row->memory, row->n_messages);
        if (row->shared > 0)
            printf("%.12g", row->shared);
        printf(",%d\n", (int)row->size.slices);
    }
    left_out_print(rows, stderr);
}

static json_t *row_json(const struct schedule_row *row)
{
    if (row->reason)
        return json_pack("{s:o, s:I, s:I, s:I, s:o}", "schedule", weir_json_utf8(row->name), "ranks",
                         (json_int_t)row->size.ranks, "chunks", (json_int_t)row->size.chunks, "microbatches",
                         (json_int_t)row->size.microbatches, "reason", weir_json_utf8(row->reason));
    return json_pack("{s:o, s:I, s:I, s:i, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o, s:I}", "schedule",
                     weir_json_utf8(row->name), "ranks", (json_int_t)row->size.ranks, "chunks",
                     (json_int_t)row->size.chunks, "stages", row->n_stages, "group_size", (json_int_t)row->size.group_size,
                     "microbatches", (json_int_t)row->size.microbatches, "makespan", row->makespan, "bubble", row->bubble,
                     "bubble_span", row->bubble_span, "idle_mean", row->idle_mean, "peak_mb", row->peak, "peak_memory",
                     row->memory, "messages", (json_int_t)row->n_messages, "makespan_shared",
                     row->shared > 0 ? json_real(row->shared) : json_null(), "slices", (json_int_t)row->size.slices);
}

weir_status schedule_rows_print_json(const struct schedule_rows *rows)
{
    json_t *kept = json_array(), *left_out = json_array();
    bool whole = kept && left_out;
    for (size_t i = 0; whole && i < rows->n; i++)
        whole = !json_array_append_new(rows->rows[i].reason ? left_out : kept, row_json(&rows->rows[i]));
    if (whole)
        return schedule_json_print(json_pack("{s:o, s:o}", "schedules", kept, "left_out", left_out));
    json_decref(kept);
    json_decref(left_out);
    return schedule_json_print(NULL);
}
