/* A timeline as SVG, a panel per timeline, a row per rank with its memory below:
 *
 *     title                                                      all x: MARGIN + (time - from) * scale
 *     0         10        20                          axis
 *     rank 0 [F0][F1]////////[B0]                     ROW high; a thin second line for what is beside the compute stream
 *            __▁▁▁▁▂▂▂▂▂▂▂▂▂▂▂▁▁▁▁__  peak 2          HELD high
 *
 * Colours are told apart by people who see none of red and green; classes keep the file small. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "schedules/draw/draw_parts.h"

enum { MARGIN = 64, RIGHT = 84, HEAD = 64, ROW = 20, BESIDE = 6, HELD = 14, GAP = 6, CHARACTER = 6, LEGEND_LINE = 18 };

struct panel {
    const struct weir_timeline *timeline;
    struct weir_draw_part part;
    struct weir_text *text;
    double scale; /* pixels per unit of time */
    double top;   /* of the panel */
    double peak;  /* of all ranks */
};

static const char style[] =
    "<style>text{font:11px sans-serif;fill:#222}.t{font-weight:bold;font-size:13px}.n{font-size:10px;fill:#000;"
    "text-anchor:middle;pointer-events:none}.g{stroke:#bbb;stroke-width:.5}.k0{fill:#56b4e9}.k1{fill:#e69f00}"
    ".k2{fill:#f0e442}.k3{fill:#d9743c}.k4{fill:#cc79a7}.k5{fill:#009e73}.k6,.k7{fill:#999}.l{fill-opacity:.6}"
    ".e{stroke:#fff;stroke-width:.5}.c{stroke:#000;stroke-width:1.5}.w{fill:url(#h)}.m{fill:#7a7aa8;fill-opacity:.5}"
    ".p{stroke:#000;stroke-width:1.2;fill:none;stroke-dasharray:3 2}@media(prefers-color-scheme:dark){svg{background:#181a1b}"
    "text{fill:#ddd}.n{fill:#000}.e{stroke:#181a1b}.c,.p{stroke:#fff}.g{stroke:#555}}</style>\n"
    "<defs><pattern id=\"h\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
    "<rect width=\"2\" height=\"6\" fill=\"#999\" fill-opacity=\".45\"/></pattern></defs>\n";

static void escaped(struct weir_text *text, const char *from)
{
    for (; *from; from++)
        switch (*from) {
        case '<':
            weir_text_append(text, "&lt;");
            break;
        case '&':
            weir_text_append(text, "&amp;");
            break;
        default:
            weir_text_append(text, "%c", (unsigned char)*from < 0x20 ? ' ' : *from);
        }
}

static double x_of(const struct panel *p, double time)
{
    double shown = fmin(fmax(time, p->part.from), p->part.to);
    return MARGIN + (shown - p->part.from) * p->scale;
}

static double row_height(void)
{
    return ROW + BESIDE + HELD + GAP;
}

static double row_top(const struct panel *p, int rank)
{
    return p->top + HEAD + rank * row_height();
}

static double panel_height(const struct weir_timeline *t)
{
    return HEAD + t->n_ranks * row_height() + GAP;
}

/* ---- what is in a row ---------------------------------------------------------------------------------------------- */

static void label_put(const struct panel *p, const struct weir_timeline_event *e, double x, double width, double top)
{
    char name[WEIR_TIMELINE_NAME];
    int n = snprintf(NULL, 0, "%s", weir_timeline_name(e, name)), digits = snprintf(NULL, 0, "%d", e->mb);
    if (e->beside)
        return;
    if (n * CHARACTER <= width) {
        weir_text_append(p->text, "<text class=\"n\" x=\"%.1f\" y=\"%.1f\">", x + width / 2, top + ROW - 6);
        escaped(p->text, weir_timeline_name(e, name));
        weir_text_append(p->text, "</text>");
    } else if (e->mb >= 0 && digits * CHARACTER <= width)
        weir_text_append(p->text, "<text class=\"n\" x=\"%.1f\" y=\"%.1f\">%d</text>", x + width / 2, top + ROW - 6, e->mb);
}

static void event_put(const struct panel *p, int r, const struct weir_timeline_event *e, int first_stage)
{
    char name[WEIR_TIMELINE_NAME];
    double x = x_of(p, e->start), width = x_of(p, e->end) - x, top = row_top(p, r);
    if (e->end <= p->part.from || e->start >= p->part.to || e->end <= e->start)
        return;
    weir_text_append(p->text, "<rect class=\"k%d%s %s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\"><title>", e->kind,
                     e->stage > first_stage ? " l" : "", e->critical ? "c" : "e", x, e->beside ? top + ROW + 1 : top, width,
                     e->beside ? BESIDE - 2 : ROW);
    escaped(p->text, weir_timeline_name(e, name));
    weir_text_append(p->text, " on rank %d: %.6g to %.6g (%.6g)%s</title></rect>", r, e->start, e->end, e->end - e->start,
                     e->critical ? ", on the critical path" : "");
    label_put(p, e, x, width, top);
    weir_text_append(p->text, "\n");
}

static void wait_put(const struct panel *p, int r, const struct weir_timeline_wait *w)
{
    double x = x_of(p, w->start), width = x_of(p, w->end) - x;
    if (!w->cause || width < 1)
        return;
    weir_text_append(p->text, "<rect class=\"w\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\"><title>rank %d waits %.6g for %s",
                     x, row_top(p, r), width, ROW, r, w->end - w->start, w->cause);
    if (w->awaited) {
        weir_text_append(p->text, ": ");
        escaped(p->text, w->awaited);
    }
    if (w->peer >= 0)
        weir_text_append(p->text, " of rank %d", w->peer);
    if (w->end - w->made > w->held && w->made > w->start)
        weir_text_append(p->text, ", of it %.6g on the way", w->end - w->made - w->held);
    if (w->held_by)
        weir_text_append(p->text, ", of it %.6g since the %s was taken", w->held, w->held_by);
    weir_text_append(p->text, "</title></rect>\n");
}

static void held_put(const struct panel *p, int r)
{
    const struct weir_timeline_rank *rank = &p->timeline->ranks[r];
    double bottom = row_top(p, r) + ROW + BESIDE + HELD, held = 0;
    if (p->peak <= 0)
        return;
    weir_text_append(p->text, "<path class=\"m\" d=\"M%d %.1f", MARGIN, bottom);
    for (size_t i = 0; i < rank->n_levels && rank->levels[i].time < p->part.to; i++) {
        double y = bottom - HELD * rank->levels[i].held / p->peak;
        if (rank->levels[i].time >= p->part.from && rank->levels[i].held != held)
            weir_text_append(p->text, "H%.1fV%.1f", x_of(p, rank->levels[i].time), y);
        else if (rank->levels[i].time < p->part.from)
            weir_text_append(p->text, "V%.1f", y);
        held = rank->levels[i].held;
    }
    weir_text_append(p->text, "H%.1fV%.1fZ\"><title>rank %d holds at most %.6g %s</title></path>\n",
                     x_of(p, fmin(p->timeline->length, p->part.to)), bottom, r, rank->peak, p->timeline->held_unit);
    weir_text_append(p->text, "<text x=\"%.1f\" y=\"%.1f\">peak %.4g</text>\n", x_of(p, p->part.to) + 6, bottom, rank->peak);
}

static void row_put(const struct panel *p, int r)
{
    const struct weir_timeline_rank *rank = &p->timeline->ranks[r];
    int first = weir_draw_first_stage(rank);
    weir_text_append(p->text, "<text x=\"8\" y=\"%.1f\">rank %d</text>\n", row_top(p, r) + ROW - 6, r);
    weir_text_append(p->text, "<text x=\"%.1f\" y=\"%.1f\">busy %.1f %%</text>\n", x_of(p, p->part.to) + 6,
                     row_top(p, r) + ROW - 6, p->timeline->length > 0 ? 100 * rank->busy / p->timeline->length : 0);
    for (size_t i = 0; i < rank->n_waits; i++)
        wait_put(p, r, &rank->waits[i]);
    for (size_t i = 0; i < rank->n_events; i++)
        event_put(p, r, &rank->events[i], first);
    held_put(p, r);
}

/* ---- a panel ------------------------------------------------------------------------------------------------------- */

static void head_put(const struct panel *p)
{
    const struct weir_timeline *t = p->timeline;
    double tick = weir_draw_tick(p->part.to - p->part.from, 16), bottom = p->top + panel_height(t) - GAP;
    weir_text_append(p->text, "<text class=\"t\" x=\"8\" y=\"%.1f\">", p->top + 18);
    escaped(p->text, t->title);
    weir_text_append(p->text, "</text>\n<text x=\"8\" y=\"%.1f\">makespan %.6g%s%s, bubble %.2f %%, span %.2f %%, idle %.2f %%</text>\n",
                     p->top + 34, t->length, *t->unit ? " " : "", t->unit, 100 * t->bubble, 100 * t->bubble_span,
                     100 * t->idle_mean);
    for (double x = weir_draw_tick_first(p->part.from, tick); x <= p->part.to * (1 + 1e-12); x += tick)
        weir_text_append(p->text, "<line class=\"g\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"a\" x=\"%.1f\" "
                         "y=\"%.1f\">%.6g</text>\n", x_of(p, x), x_of(p, x), p->top + HEAD - 8, bottom, x_of(p, x) + 2,
                         p->top + HEAD - 8, fabs(x) < tick / 1e6 ? 0 : x);
}

/* Where the path goes from one rank to another. */
static void path_put(const struct panel *p)
{
    const struct weir_timeline *t = p->timeline;
    weir_text_append(p->text, "<path class=\"p\" d=\"");
    for (size_t i = 1; i < t->n_path; i++) {
        const struct weir_timeline_place *a = &t->path[i - 1], *b = &t->path[i];
        double left = t->ranks[a->rank].events[a->event].end, right = t->ranks[b->rank].events[b->event].start;
        if (a->rank != b->rank && right >= p->part.from && left <= p->part.to)
            weir_text_append(p->text, "M%.1f %.1fL%.1f %.1f", x_of(p, left), row_top(p, a->rank) + ROW / 2.0, x_of(p, right),
                             row_top(p, b->rank) + ROW / 2.0);
    }
    weir_text_append(p->text, "\"/>\n");
}

/* What is explained below the panels; an entry is a box and its words, on lines as long as the image. */
struct legend {
    struct weir_text *text;
    double x, top, right;
};

static void entry_put(struct legend *l, const char *class, const char *words)
{
    double width = 34 + CHARACTER * (double)strlen(words);
    if (l->x > MARGIN && l->x + width > l->right) {
        l->x = MARGIN;
        l->top += LEGEND_LINE;
    }
    weir_text_append(l->text, "<rect class=\"%s\" fill=\"none\" x=\"%.0f\" y=\"%.0f\" width=\"12\" height=\"12\"/><text x=\"%.0f\" y=\"%.0f\">",
                     class, l->x, l->top, l->x + 16, l->top + 10);
    escaped(l->text, words);
    weir_text_append(l->text, "</text>\n");
    l->x += width;
}

static bool has_kind(const struct weir_timeline *const *timelines, int n, unsigned kind)
{
    for (int i = 0; i < n; i++)
        for (int r = 0; r < timelines[i]->n_ranks; r++)
            for (size_t e = 0; e < timelines[i]->ranks[r].n_events; e++)
                if (timelines[i]->ranks[r].events[e].kind == kind)
                    return true;
    return false;
}

/* Returns the height that it takes. */
static double legend_put(const struct weir_timeline *const *timelines, int n, struct weir_text *text, double top, double right)
{
    static const char *const words[] = {"forward", "input gradient", "weight gradient", "backward", "forward & backward",
                                        "reduction", "optimizer", "other"};
    struct legend legend = {text, MARGIN, top, right};
    char class[8];
    for (unsigned k = 0; k < WEIR_TIMELINE_KINDS; k++) {
        snprintf(class, sizeof class, "k%u", k);
        if (has_kind(timelines, n, k))
            entry_put(&legend, class, words[k]);
    }
    entry_put(&legend, "w", "waiting");
    entry_put(&legend, "c", "critical path");
    return legend.top + LEGEND_LINE - top;
}

static void panel_put(struct panel *p)
{
    for (int r = 0; r < p->timeline->n_ranks; r++)
        p->peak = fmax(p->peak, p->timeline->ranks[r].peak);
    head_put(p);
    for (int r = 0; r < p->timeline->n_ranks && !p->text->status; r++)
        row_put(p, r);
    path_put(p);
}

weir_status weir_timeline_svg(const struct weir_timeline *const *timelines, int n,
                              const struct weir_draw_options *options, struct weir_text *text)
{
    enum { LEAST = 300 };
    struct weir_draw_part part;
    int width = options->width ? options->width : 1200;
    struct weir_text legend = {0};
    double height = GAP, top = 0;
    weir_status status = weir_draw_part_find(timelines, n, options, &part);
    if (status)
        return status;
    width = width < LEAST ? LEAST : width;
    for (int i = 0; i < n; i++)
        height += panel_height(timelines[i]);
    height += legend_put(timelines, n, &legend, height, width - GAP);
    weir_text_append(text, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d %.0f\">\n%s", width,
                     height, width, height, style);
    for (int i = 0; i < n; i++) {
        struct panel p = {timelines[i], part, text, (width - MARGIN - RIGHT) / (part.to - part.from), top, 0};
        panel_put(&p);
        top += panel_height(timelines[i]);
    }
    weir_text_append(text, "%s</svg>\n", legend.data ? legend.data : "");
    status = text->status ? text->status : legend.status;
    weir_text_release(&legend);
    return status;
}
