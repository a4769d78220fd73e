/* What the writers share: the part that is shown, ticks of the axis, and what ranks waited for. */
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

/* What a rank waited for, and how long.  Besides the causes of waits (timeline.h):
 *
 *     fill       before the rank's first event         channel, input slot, gradient slot    it could have come, had that been free
 *     drain      behind its last action, until that    transfer                              it was on its way
 *                of the last rank                      nothing                               nobody was awaited */
struct weir_draw_cause {
    const char *name;
    int peer; /* -1: none */
    double time;
};

enum { WEIR_DRAW_CAUSES = 32 };

/* When the last action of all ranks ends. */
double weir_draw_last_action(const struct weir_timeline *timeline);

/* The longest first; returns how many.  Those beyond the room are counted together, as "other". */
int weir_draw_causes(const struct weir_timeline_rank *rank, double last_of_all, struct weir_draw_cause causes[WEIR_DRAW_CAUSES]);

#endif
