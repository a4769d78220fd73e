/* Fuzz target: the reader of traces, and what is made of them: costs, and timelines in every form. */
#include <stdint.h>
#include <stdlib.h>

#include "schedules/draw/timeline.h"
#include "schedules/io/trace_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void drawn(const struct weir_timeline *timeline)
{
    static weir_status (*const writers[])(const struct weir_timeline *const *, int, const struct weir_draw_options *,
                                          struct weir_text *) = {weir_timeline_text, weir_timeline_svg, weir_timeline_html};
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        struct weir_text text = {0};
        require(writers[i](&timeline, 1, &(struct weir_draw_options){.width = 80}, &text) == WEIR_OK);
        weir_text_release(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena arena = {0};
    struct weir_traced trace;
    struct weir_timeline timeline;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    if (!weir_traced_parse((const char *)data, size, "fuzz", &arena, &trace) && trace.n_ranks < 1000) {
        require(weir_timeline_traced(&trace, trace.typical_step, "fuzz", &arena, &timeline) == WEIR_OK);
        drawn(&timeline);
        (void)weir_traced_costs(&trace, &arena, &costs);
    }
    weir_arena_release(&arena);
    return 0;
}
