#include "schedules/draw/draw_parts.h"

#include <math.h>

weir_status weir_draw_part_find(const struct weir_timeline *const *timelines, int n,
                                const struct weir_draw_options *options, struct weir_draw_part *out)
{
    double end = 0;
    for (int i = 0; i < n; i++)
        end = fmax(end, timelines[i]->length);
    double to = options->to > 0 ? fmin(options->to, end) : end;
    if (end > 0 && !(options->from < to))
        return WEIR_FAIL(WEIR_ERR_USAGE, "nothing lies between %g and %g: the drawing goes from 0 to %g", options->from,
                         options->to > 0 ? options->to : end, end);
    *out = (struct weir_draw_part){options->from, end > 0 ? to : 1};
    return WEIR_OK;
}

double weir_draw_tick(double length, double most)
{
    double tick = pow(10, floor(log10(length / most)));
    while (length / tick > most) {
        double digit = tick / pow(10, floor(log10(tick * 1.0001)));
        tick *= digit > 1.5 && digit < 3 ? 2.5 : 2;
    }
    return tick;
}

double weir_draw_tick_first(double from, double tick)
{
    return ceil(from / tick - 1e-9) * tick;
}

int weir_draw_first_stage(const struct weir_timeline_rank *rank)
{
    int first = -1;
    for (size_t i = 0; i < rank->n_events; i++)
        if (rank->events[i].stage >= 0 && (first < 0 || rank->events[i].stage < first))
            first = rank->events[i].stage;
    return first;
}

struct weir_draw_count weir_draw_count(const struct weir_timeline *timeline, struct weir_draw_part part, double shortest)
{
    struct weir_draw_count count = {0};
    for (int r = 0; r < timeline->n_ranks; r++)
        for (size_t i = 0; i < timeline->ranks[r].n_events; i++) {
            const struct weir_timeline_event *e = &timeline->ranks[r].events[i];
            if (e->beside || e->end <= part.from || e->start >= part.to)
                continue;
            count.events++;
            count.narrow += e->end - e->start < shortest;
        }
    return count;
}
