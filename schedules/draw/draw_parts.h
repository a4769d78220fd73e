/* What the writers share: the part that is shown, and ticks of the axis. */
#ifndef WEIR_SCHEDULES_DRAW_DRAW_PARTS_H
#define WEIR_SCHEDULES_DRAW_DRAW_PARTS_H

#include "schedules/draw/timeline.h"

struct weir_draw_part {
    double from, to;
};

/* The part of all timelines together.  WEIR_ERR_USAGE: it is empty. */
weir_status weir_draw_part_find(const struct weir_timeline *const *timelines, int n,
                                const struct weir_draw_options *options, struct weir_draw_part *out);

/* 1, 2 or 5 times a power of ten: the smallest that gives at most `most` ticks over `length`. */
double weir_draw_tick(double length, double most);

/* The first multiple of `tick` at or behind `from`. */
double weir_draw_tick_first(double from, double tick);

/* The least stage that a rank has; -1: none. */
int weir_draw_first_stage(const struct weir_timeline_rank *rank);

/* Actions on compute streams, and how many last no longer than `shortest` and are shown. */
struct weir_draw_count {
    size_t events, narrow;
};
struct weir_draw_count weir_draw_count(const struct weir_timeline *timeline, struct weir_draw_part part, double shortest);

#endif
