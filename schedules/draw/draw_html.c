/* Timelines as a page: page.html with the timelines in it, as one JSON object in place of its mark.  The page's script does the
 * rest.  All that comes from files is a JSON string, in which nothing can end the script element it stands in.
 *
 *     {"from": 0, "to": 33, "timelines": [{"title", "unit", "held", "length", "bubble", "span", "idle", "ranks": [rank, ...],
 *      "path": [[rank, event], ...]}, ...]}
 *     rank:   {"busy", "peak", "events", "waits", "levels", "causes": [[name, peer, time], ...]}
 *     event:  [start, end, kind, stage, mb, flags, name] and, of an overlap, the backward's mb;  flags: 1 beside, 2 critical
 *     wait:   [start, made, end, held, cause, peer, awaited, held_by]
 *     level:  [time, held] */
#include <math.h>
#include <string.h>

#include "schedules/draw/draw_page.h"
#include "schedules/draw/draw_parts.h"

static const char mark[] = "@TIMELINES@";

/* Is the byte at `at`, with those behind it, a character in UTF-8?  Returns how many bytes it has, 0: none. */
static size_t character_bytes(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : *at >= 0xe0 && *at < 0xf0 ? 3 : *at >= 0xf0 && *at < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* A JSON string; NULL: null. */
static void string_put(struct weir_text *text, const char *from)
{
    size_t n;
    if (!from) {
        weir_text_append(text, "null");
        return;
    }
    weir_text_append(text, "\"");
    for (; *from; from += n ? n : 1) {
        unsigned char c = (unsigned char)*from;
        n = character_bytes(from);
        if (!n)
            weir_text_append(text, "?");
        else if (c < 0x20 || strchr("<>&\"\\", c))
            weir_text_append(text, "\\u%04x", c);
        else
            weir_text_append(text, "%.*s", (int)n, from);
    }
    weir_text_append(text, "\"");
}

static void event_put(struct weir_text *text, const struct weir_timeline_event *e)
{
    char name[WEIR_TIMELINE_NAME];
    weir_text_append(text, "[%.9g,%.9g,%d,%d,%d,%d,", e->start, e->end, e->kind, e->stage, e->mb, e->beside + 2 * e->critical);
    string_put(text, weir_timeline_name(e, name));
    if (e->kind == WEIR_TIMELINE_OVERLAP)
        weir_text_append(text, ",%d", e->partner_mb);
    weir_text_append(text, "]");
}

static void wait_put(struct weir_text *text, const struct weir_timeline_wait *w)
{
    weir_text_append(text, "[%.9g,%.9g,%.9g,%.9g,", w->start, w->made, w->end, w->held);
    string_put(text, w->cause);
    weir_text_append(text, ",%d,", w->peer);
    string_put(text, w->awaited);
    weir_text_append(text, ",");
    string_put(text, w->held_by);
    weir_text_append(text, "]");
}

static void causes_put(struct weir_text *text, const struct weir_timeline_rank *rank, double last_of_all)
{
    struct weir_draw_cause causes[WEIR_DRAW_CAUSES];
    int n = weir_draw_causes(rank, last_of_all, causes);
    weir_text_append(text, "],\"causes\":[");
    for (int i = 0; i < n; i++) {
        weir_text_append(text, "%s[", i ? "," : "");
        string_put(text, causes[i].name);
        weir_text_append(text, ",%d,%.9g]", causes[i].peer, causes[i].time);
    }
    weir_text_append(text, "]}");
}

static void rank_put(struct weir_text *text, const struct weir_timeline_rank *rank, double last_of_all)
{
    weir_text_append(text, "{\"busy\":%.9g,\"peak\":%.9g,\"events\":[", rank->busy, rank->peak);
    for (size_t i = 0; i < rank->n_events; i++) {
        weir_text_append(text, "%s", i ? ",\n" : "");
        event_put(text, &rank->events[i]);
    }
    weir_text_append(text, "],\"waits\":[");
    for (size_t i = 0; i < rank->n_waits; i++) {
        weir_text_append(text, "%s", i ? ",\n" : "");
        wait_put(text, &rank->waits[i]);
    }
    weir_text_append(text, "],\"levels\":[");
    for (size_t i = 0; i < rank->n_levels; i++)
        weir_text_append(text, "%s[%.9g,%.9g]", i ? "," : "", rank->levels[i].time, rank->levels[i].held);
    causes_put(text, rank, last_of_all);
}

static void timeline_put(struct weir_text *text, const struct weir_timeline *t)
{
    double last = weir_draw_last_action(t);
    weir_text_append(text, "{\"title\":");
    string_put(text, t->title);
    weir_text_append(text, ",\"unit\":");
    string_put(text, t->unit);
    weir_text_append(text, ",\"held\":");
    string_put(text, t->held_unit);
    weir_text_append(text, ",\"length\":%.9g,\"bubble\":%.9g,\"span\":%.9g,\"idle\":%.9g,\n\"ranks\":[", t->length, t->bubble,
                     t->bubble_span, t->idle_mean);
    for (int r = 0; r < t->n_ranks && !text->status; r++) {
        weir_text_append(text, "%s", r ? ",\n" : "");
        rank_put(text, &t->ranks[r], last);
    }
    weir_text_append(text, "],\n\"path\":[");
    for (size_t i = 0; i < t->n_path; i++)
        weir_text_append(text, "%s[%d,%zu]", i ? "," : "", t->path[i].rank, t->path[i].event);
    weir_text_append(text, "]}");
}

weir_status weir_timeline_html(const struct weir_timeline *const *timelines, int n, const struct weir_draw_options *options,
                               struct weir_text *text)
{
    struct weir_draw_part part;
    const char *behind = strstr(weir_draw_page, mark);
    weir_status status = weir_draw_part_find(timelines, n, options, &part);
    if (status)
        return status;
    weir_text_append(text, "%.*s{\"from\":%.9g,\"to\":%.9g,\"timelines\":[", (int)(behind - weir_draw_page), weir_draw_page, part.from,
                     part.to);
    for (int i = 0; i < n; i++) {
        weir_text_append(text, "%s", i ? ",\n" : "");
        timeline_put(text, timelines[i]);
    }
    weir_text_append(text, "]}%s", behind + sizeof mark - 1);
    return text->status;
}
