/* Timelines: who did what when, and pictures of it as text, SVG and HTML.
 *
 * A timeline is made from a simulation, or from a trace:
 *
 *     rank 0   [0F0][0F1]/////////////[0B0][0F2]      [] event    / wait: start, made, end, cause, who was awaited
 *       held   __▁▁▁▁▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▁▁▁▁▂▂     levels: what the rank holds from a time on
 *     rank 1   /////[1F0][1B0]...
 *
 *     struct weir_timeline timeline;
 *     const struct weir_timeline *const all[] = {&timeline};
 *     struct weir_text text = {0};
 *     status = weir_timeline_simulated(&simulation, &costs, "zbv", "", &arena, &timeline);
 *     status = weir_timeline_svg(all, 1, &(struct weir_draw_options){0}, &text);        text.data is the image
 *     weir_text_release(&text);
 *
 * Several timelines stand above each other on one axis, which starts at 0 in each; the title tells them apart.  All writers take
 * such a list.  They are pure: they read the timelines and append to a text.  include/weir/draw.h has them for programs. */
#ifndef WEIR_SCHEDULES_DRAW_TIMELINE_H
#define WEIR_SCHEDULES_DRAW_TIMELINE_H

#include "base/text.h"
#include "include/weir/draw.h"
#include "schedules/io/trace_file.h"

enum weir_timeline_kind {
    WEIR_TIMELINE_F,
    WEIR_TIMELINE_I,
    WEIR_TIMELINE_W,
    WEIR_TIMELINE_B,
    WEIR_TIMELINE_OVERLAP, /* a forward and a backward as one */
    WEIR_TIMELINE_REDUCE,
    WEIR_TIMELINE_OPTIMIZER,
    WEIR_TIMELINE_OTHER,
    WEIR_TIMELINE_KINDS
};

struct weir_timeline_event {
    double start, end;
    int32_t stage, mb;                 /* -1: none */
    int32_t partner_stage, partner_mb; /* the backward of an overlap */
    const char *name;                  /* NULL: as kind, stage and micro-batch say */
    uint8_t kind;                      /* enum weir_timeline_kind */
    bool beside;                       /* not on the compute stream */
    bool critical;                     /* on the critical path */
};

/* From `made` on what was awaited was there, but not here.  It would have come `held` earlier if `held_by` had been free; the rest
 * is its way. */
struct weir_timeline_wait {
    double start, made, end, held;
    const char *cause;   /* "input", "gradient", "norm"; NULL: nobody was awaited */
    const char *held_by; /* "channel", "input slot", "gradient slot", "sender", "receiver"; NULL: nothing */
    const char *awaited; /* "1B0"; NULL: not known */
    int peer;            /* the rank that was awaited; -1: none */
};

struct weir_timeline_level {
    double time, held; /* from this time on */
};

struct weir_timeline_rank {
    const struct weir_timeline_event *events; /* in order of their starts on each stream */
    const struct weir_timeline_wait *waits;
    const struct weir_timeline_level *levels;
    size_t n_events, n_waits, n_levels;
    double busy, peak; /* time at work; most that is held */
};

/* A step of the critical path. */
struct weir_timeline_place {
    int rank;
    size_t event;
};

struct weir_timeline {
    const char *title;     /* "zbv, simulated" */
    const char *unit;      /* of times, "ms"; "": none */
    const char *held_unit; /* "activations", "bytes"; "": as the costs have it */
    int n_ranks, n_stages, n_microbatches;
    double length;                          /* makespan */
    double bubble, bubble_span, idle_mean;  /* simulate.h; 1 - mean over ranks of busy / length */
    const struct weir_timeline_rank *ranks; /* [n_ranks] */
    const struct weir_timeline_place *path; /* [n_path], first one first */
    size_t n_path;
};

#ifdef __cplusplus
extern "C" {
#endif

/* From a simulation with keep_times, and keep_path for the critical path.  Strings are copied; all lives in `arena`.
 * WEIR_ERR_INVALID: the simulation kept no times. */
weir_status weir_timeline_simulated(const struct weir_simulation *simulation, const struct weir_schedule_costs *costs,
                                    const char *title, const char *unit, struct weir_arena *arena,
                                    struct weir_timeline *out);

/* One step of a trace.  The title is copied, other strings stay the trace's; all else lives in `arena`.  What ranks hold is counted:
 * activations of stages.  WEIR_ERR_USAGE: there is no such step.  WEIR_ERR_NOMEM. */
weir_status weir_timeline_traced(const struct weir_traced *trace, int64_t step, const char *title, struct weir_arena *arena,
                                 struct weir_timeline *out);

/* "2F3", "2F3 & 4B1", "update". */
enum { WEIR_TIMELINE_NAME = 2 * WEIR_ACTION_TEXT };
const char *weir_timeline_name(const struct weir_timeline_event *event, char text[WEIR_TIMELINE_NAME]);

/* One row per rank, and a table of what each did and waited for.  Letters F, I, W and B with the micro-batch; small ones are a
 * rank's later stages.  When actions are narrower than a column a line says so, and options->zoom.
 * Both: WEIR_ERR_USAGE for a part that is empty; WEIR_ERR_NOMEM. */
weir_status weir_timeline_text(const struct weir_timeline *const *timelines, int n,
                               const struct weir_draw_options *options, struct weir_text *text);

/* One SVG image with titles for hovering.  Without scripts. */
weir_status weir_timeline_svg(const struct weir_timeline *const *timelines, int n,
                              const struct weir_draw_options *options, struct weir_text *text);

/* One page that needs no network: zoom, details under the pointer, memory, critical path and what ranks waited for.  It draws SVG
 * up to some 5,000 events of all timelines together, on a canvas beyond.  options->from and to are where it starts; width is not
 * used. */
weir_status weir_timeline_html(const struct weir_timeline *const *timelines, int n,
                               const struct weir_draw_options *options, struct weir_text *text);

#ifdef __cplusplus
}
#endif

#endif
