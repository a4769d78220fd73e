/* Pictures of who did what when, as text, SVG and HTML: of a simulation, of a trace, or of the last step of an engine.
 *
 *     rank 0   [0F0][0F1]/////////////[0B0][0F2]      [] an action    / waiting
 *       held   __▁▁▁▁▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▁▁▁▁▂▂     what the rank holds from a time on
 *     rank 1   /////[1F0][1B0]...
 *
 *     const struct weir_timeline *both[2];
 *     weir_timeline_of_simulation(&simulation, &costs, "zbv, predicted", "ms", &arena, &both[0]);
 *     weir_timeline_of_trace(trace, 0, "zbv, measured", &arena, &both[1]);
 *     weir_timelines_draw(both, 2, WEIR_DRAW_HTML, &(struct weir_draw_options){0}, say, context);
 *
 * Several timelines stand above each other on one axis, which starts at 0 in each; the title tells them apart.
 *
 * A timeline lives in its arena and does not change.  Pure: no files, no threads. */
#ifndef WEIR_DRAW_H
#define WEIR_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"
#include "simulate.h"
#include "trace.h"

struct weir_timeline;

enum weir_draw_form {
    WEIR_DRAW_TEXT, /* one row per rank, and a table of what each did and waited for.  Letters F, I, W and B with the micro-batch; small
                       ones are a rank's later stages */
    WEIR_DRAW_SVG,  /* one image with titles for hovering, without scripts */
    WEIR_DRAW_HTML, /* one page that needs no network: zoom, details under the pointer, memory, critical path and what ranks waited for.
                       It draws SVG up to some 5,000 events of all timelines together, on a canvas beyond */
    WEIR_DRAW_FORMS
};

struct weir_draw_options {
    double from, to; /* the part that is shown, of a page where it starts; to 0: up to the end */
    int width;       /* columns of the text or pixels of the SVG, at most as many as below; 0: 80 and 1200 */
    bool colour;     /* text: with the escape sequences of terminals */
    const char *zoom; /* text: how to see actions that are too narrow, in the program's words; NULL: not said */
};

enum { WEIR_DRAW_MOST_COLUMNS = 100000, WEIR_DRAW_MOST_PIXELS = 1000000 };

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Of a simulation with keep_times, and keep_path for the critical path.  `unit` of its times, "ms"; "": none.  Texts are copied; NULL is
 * "", here and below.
 * WEIR_ERR_INVALID: the simulation kept no times.  WEIR_ERR_NOMEM. */
weir_status weir_timeline_of_simulation(const struct weir_simulation *simulation, const struct weir_schedule_costs *costs,
                                        const char *title, const char *unit, struct weir_arena *arena,
                                        const struct weir_timeline **timeline_out);

/* One step of a trace; 0: the one of typical length.  Texts but the title stay the trace's.  What ranks hold is counted: activations of
 * stages.  WEIR_ERR_USAGE: there is no such step.  WEIR_ERR_NOMEM. */
weir_status weir_timeline_of_trace(const struct weir_traced *trace, int64_t step, const char *title, struct weir_arena *arena,
                                   const struct weir_timeline **timeline_out);

/* The last step of an engine, as weir_engine_events and weir_engine_waits have it; `schedule` is the engine's.  Texts are copied.
 * WEIR_ERR_INVALID: there is no event.  WEIR_ERR_NOMEM. */
weir_status weir_timeline_of_step_sized(const struct weir_schedule *schedule, const struct weir_step_event *events, size_t event_bytes,
                                        size_t n_events, const struct weir_step_wait *waits, size_t wait_bytes, size_t n_waits,
                                        const char *title, struct weir_arena *arena, const struct weir_timeline **timeline_out);
static inline weir_status weir_timeline_of_step(const struct weir_schedule *schedule, const struct weir_step_event *events,
                                                size_t n_events, const struct weir_step_wait *waits, size_t n_waits,
                                                const char *title, struct weir_arena *arena,
                                                const struct weir_timeline **timeline_out)
{
    return weir_timeline_of_step_sized(schedule, events, sizeof *events, n_events, waits, sizeof *waits, n_waits, title, arena,
                                       timeline_out);
}

/* What it was given. */
const char *weir_timeline_title(const struct weir_timeline *timeline);
const char *weir_timeline_unit(const struct weir_timeline *timeline);

/* Draw `n` timelines above each other, given to `say` with `context` in one piece.  WEIR_ERR_INVALID: no such form, n < 1, a timeline or
 * `say` that is NULL, a width beyond the most.  WEIR_ERR_USAGE: the part is empty.  WEIR_ERR_NOMEM. */
weir_status weir_timelines_draw_sized(const struct weir_timeline *const *timelines, int n, enum weir_draw_form form,
                                      const struct weir_draw_options *options, size_t option_bytes, weir_text_fn say, void *context);
static inline weir_status weir_timelines_draw(const struct weir_timeline *const *timelines, int n, enum weir_draw_form form,
                                              const struct weir_draw_options *options, weir_text_fn say, void *context)
{
    return weir_timelines_draw_sized(timelines, n, form, options, sizeof *options, say, context);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
