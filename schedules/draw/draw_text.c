/* A timeline in a terminal.  A row is a list of cells, a column of text each; an event takes the cells from the nearest one to its
 * start up to the nearest one to its end, so that neighbours stay neighbours:
 *
 *     rank 0  F0--F1--F2--F3--..........B0======B1======
 *     rank 1  ....F0--F1--F2--F3--..B0======B1======....
 *
 * With colour the background says the micro-batch, and how light it is whether it is a forward. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "schedules/draw/draw_parts.h"

enum { LABEL = 24, BEFORE_CAUSES = 38 };

struct cell {
    char letter;
    int colour; /* of the kind and micro-batch; -1: idle */
    bool critical;
};

struct canvas {
    const struct weir_draw_options *options;
    struct weir_draw_part part;
    struct weir_text *text;
    struct cell *cells;
    int width, margin; /* columns of the drawing, and before it */
};

static const char letters[] = "FIWB&ROX", fillers[] = "-=~=#+++";

/* Of the 256 colours of terminals: light backgrounds for forwards, dark ones for backwards. */
static const uint8_t light[] = {117, 222, 157, 218, 229, 183, 152, 216}, dark[] = {25, 130, 28, 125, 94, 54, 30, 88};

enum { N_HUES = sizeof light };

/* ---- one row ------------------------------------------------------------------------------------------------------- */

static int column(const struct canvas *c, double time)
{
    double x = (time - c->part.from) / (c->part.to - c->part.from) * c->width;
    return x < 0 ? 0 : x > c->width ? c->width : (int)floor(x + 0.5);
}

/* The longest name that leaves a column free. */
static void label_make(const struct weir_timeline_event *e, bool later, bool many, int room, char label[LABEL])
{
    char name[WEIR_TIMELINE_NAME];
    char letter = letters[e->kind];
    letter = later ? (char)(letter | 0x20) : letter;
    int n = many ? snprintf(label, LABEL, "%.20s", weir_timeline_name(e, name)) : room;
    if (n >= room && e->mb >= 0)
        n = snprintf(label, LABEL, "%c%d", letter, e->mb);
    if (n >= room + (e->mb >= 0 && room > 1))
        snprintf(label, LABEL, "%c", letter);
}

static int colour_of(const struct weir_timeline_event *e)
{
    int hue = e->mb >= 0 ? e->mb % N_HUES : N_HUES;
    return hue + (N_HUES + 1) * (e->kind == WEIR_TIMELINE_F ? 0 : e->kind == WEIR_TIMELINE_W ? 2 : 1);
}

static void event_put(const struct canvas *c, const struct weir_timeline_event *e, int first, bool many)
{
    int from = column(c, e->start), to = column(c, e->end);
    char label[LABEL];
    if (e->end <= c->part.from || e->start >= c->part.to)
        return;
    if (to == from && from < c->width && c->cells[from].colour < 0)
        to = from + 1;
    label_make(e, e->stage > first, many, to - from, label);
    for (int i = from, n = (int)strlen(label); i < to; i++)
        c->cells[i] = (struct cell){i - from < n ? label[i - from] : fillers[e->kind], colour_of(e), e->critical};
}

static void colour_put(const struct canvas *c, const struct cell *cell)
{
    int hue = cell->colour % (N_HUES + 1), kind = cell->colour / (N_HUES + 1);
    const char *line = cell->critical ? ";1;4" : "";
    if (cell->colour < 0)
        weir_text_append(c->text, "\033[0;2m");
    else if (hue == N_HUES)
        weir_text_append(c->text, "\033[0%s;48;5;240;38;5;231m", line);
    else if (kind == 0)
        weir_text_append(c->text, "\033[0%s;48;5;%d;38;5;16m", line, light[hue]);
    else if (kind == 1)
        weir_text_append(c->text, "\033[0%s;48;5;%d;38;5;231m", line, dark[hue]);
    else
        weir_text_append(c->text, "\033[0%s;48;5;236;38;5;%dm", line, light[hue]);
}

static void row_print(const struct canvas *c, const struct weir_timeline *t, int r)
{
    int first = weir_draw_first_stage(&t->ranks[r]);
    bool many = false;
    for (int i = 0; i < c->width; i++)
        c->cells[i] = (struct cell){'.', -1, false};
    for (size_t i = 0; i < t->ranks[r].n_events; i++)
        many |= t->ranks[r].events[i].stage > first || t->ranks[r].events[i].stage < 0;
    for (size_t i = 0; i < t->ranks[r].n_events; i++)
        if (!t->ranks[r].events[i].beside)
            event_put(c, &t->ranks[r].events[i], first, many);
    weir_text_append(c->text, "%*d  ", c->margin - 2, r);
    for (int i = 0; i < c->width; i++) {
        bool changes = !i || c->cells[i].colour != c->cells[i - 1].colour || c->cells[i].critical != c->cells[i - 1].critical;
        if (c->options->colour && changes)
            colour_put(c, &c->cells[i]);
        weir_text_append(c->text, "%c", c->cells[i].letter);
    }
    weir_text_append(c->text, "%s\n", c->options->colour ? "\033[0m" : "");
}

/* ---- around the rows ----------------------------------------------------------------------------------------------- */

static void axis_print(const struct canvas *c)
{
    double tick = weir_draw_tick(c->part.to - c->part.from, c->width / 10.0);
    int at = 0;
    weir_text_append(c->text, "%*s  ", c->margin - 2, "rank");
    for (double x = weir_draw_tick_first(c->part.from, tick); x <= c->part.to; x += tick) {
        char number[32];
        int n = snprintf(number, sizeof number, "|%.6g", fabs(x) < tick / 1e6 ? 0 : x), column_at = column(c, x);
        if (column_at + n > c->width || column_at < at)
            continue;
        weir_text_append(c->text, "%*s%s", column_at - at, "", number);
        at = column_at + n;
    }
    weir_text_append(c->text, "\n");
}

static const char *spaced(const char *unit, char text[16])
{
    snprintf(text, 16, "%s%.14s", *unit ? " " : "", unit);
    return text;
}

/* In one line where there is room. */
static void head_print(const struct canvas *c, const struct weir_timeline *t)
{
    enum { LONGEST = 200 };
    char unit[16], words[LONGEST], column[64];
    int n = snprintf(words, sizeof words, "makespan %.6g%s, bubble %.1f %%, span %.1f %%, idle %.1f %%", t->length, spaced(t->unit, unit),
                     100 * t->bubble, 100 * t->bubble_span, 100 * t->idle_mean);
    n += snprintf(column, sizeof column, "a column is %.3g%s", (c->part.to - c->part.from) / c->width, unit);
    weir_text_append(c->text, "%s\n%s%s%s\n", t->title, words, n + 2 <= c->margin + c->width ? "; " : "\n", column);
}

/* ---- why ranks waited ---------------------------------------------------------------------------------------------- */

/* The two that took longest, or the one, as there is room. */
static void causes_print(struct weir_text *text, const struct weir_timeline_rank *rank, double last_of_all, int room)
{
    struct weir_draw_cause causes[WEIR_DRAW_CAUSES];
    int n = weir_draw_causes(rank, last_of_all, causes);
    for (int i = 0; i < n && i < 2; i++) {
        char words[64], peer[24] = "";
        if (causes[i].peer >= 0)
            snprintf(peer, sizeof peer, " (rank %d)", causes[i].peer);
        room -= snprintf(words, sizeof words, "%s%.24s %.4g%s", i ? ", " : "", causes[i].name, causes[i].time, peer);
        if (room >= 0 || !i)
            weir_text_append(text, "%s", words);
    }
}

static void table_print(const struct canvas *c, const struct weir_timeline *t)
{
    double last = weir_draw_last_action(t);
    weir_text_append(c->text, "%6s %9s %9s %9s  %s\n", "rank", "busy", "idle", *t->held_unit ? "held" : "memory", "waited most for");
    for (int r = 0; r < t->n_ranks; r++) {
        const struct weir_timeline_rank *rank = &t->ranks[r];
        weir_text_append(c->text, "%6d %9.5g %9.5g %9.5g  ", r, rank->busy, t->length - rank->busy, rank->peak);
        causes_print(c->text, rank, last, c->margin + c->width - BEFORE_CAUSES);
        weir_text_append(c->text, "\n");
    }
}

/* Actions that are no wider than their letter, and what the caller says to that. */
static void zoom_print(const struct canvas *c, const struct weir_timeline *t)
{
    double of_column = (c->part.to - c->part.from) / c->width;
    struct weir_draw_count count = weir_draw_count(t, c->part, 2 * of_column * (1 - 1e-9));
    if (count.narrow)
        weir_text_append(c->text, "%zu of %zu actions are narrower than 2 columns%s%s\n", count.narrow, count.events,
                         c->options->zoom ? ":\n" : "", c->options->zoom ? c->options->zoom : "");
}

static void timeline_print(const struct canvas *c, const struct weir_timeline *t)
{
    head_print(c, t);
    axis_print(c);
    for (int r = 0; r < t->n_ranks && !c->text->status; r++)
        row_print(c, t, r);
    zoom_print(c, t);
    weir_text_append(c->text, "\n");
    table_print(c, t);
}

weir_status weir_timeline_text(const struct weir_timeline *const *timelines, int n,
                               const struct weir_draw_options *options, struct weir_text *text)
{
    enum { MARGIN = 8, LEAST = 10 };
    struct canvas c = {.options = options, .text = text, .margin = MARGIN};
    c.width = (options->width ? options->width : 80) - MARGIN;
    c.width = c.width < LEAST ? LEAST : c.width;
    weir_status status = weir_draw_part_find(timelines, n, options, &c.part);
    if (!status)
        status = weir_alloc((size_t)c.width, sizeof *c.cells, &c.cells);
    for (int i = 0; !status && i < n; i++) {
        if (i)
            weir_text_append(text, "\n");
        timeline_print(&c, timelines[i]);
    }
    weir_free(c.cells);
    return status ? status : text->status;
}
