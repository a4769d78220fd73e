/* Check: the lists one by one (scan), the order on every edge, and a run without costs that must reach its end. */
#include "base/arena.h"
#include "base/integers.h"
#include "base/text.h"
#include "schedules/check/flow.h"
#include "schedules/io/lower_torch.h"

static weir_status report_build(const struct weir_scan *scan, struct weir_arena *arena,
                                struct weir_schedule_report *report_out)
{
    const struct weir_schedule *s = scan->schedule;
    int *ranks, *stages, *inputs, *gradients, n_reductions = 0;
    weir_status status = weir_arena_alloc(arena, (size_t)s->n_ranks, sizeof *ranks, &ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s->n_stages, sizeof *stages, &stages);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s->n_stages, sizeof *inputs, &inputs);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s->n_stages, sizeof *gradients, &gradients);
    if (status)
        return status;
    for (int r = 0; r < s->n_ranks; r++) {
        ranks[r] = scan->rank_peak[r];
        n_reductions += scan->rank_reduces[r];
    }
    for (int u = 0; u < s->n_stages * s->n_copies; u++) {
        int stage = u / s->n_copies;
        stages[stage] = weir_int_max(stages[stage], scan->units[u].peak);
        inputs[stage] = weir_int_max(inputs[stage], scan->units[u].slots[WEIR_DIRECTION_FORWARD]);
        gradients[stage] = weir_int_max(gradients[stage], scan->units[u].slots[WEIR_DIRECTION_BACKWARD]);
    }
    *report_out = (struct weir_schedule_report){.wgrad_ascending = scan->wgrad_ascending,
                                                .trainable = scan->trainable,
                                                .n_reductions = n_reductions,
                                                .peak_in_flight_rank = ranks,
                                                .peak_in_flight_stage = stages,
                                                .input_slots = inputs,
                                                .gradient_slots = gradients};
    return WEIR_OK;
}

weir_status weir_channels_take(enum weir_channels channels, const struct weir_schedule *schedule)
{
    const struct weir_schedule_boundary *b = weir_schedule_long_boundary(schedule);
    if (channels == WEIR_CHANNELS_EDGE || !b)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s channels take transfers in the order of SEND and RECV cells, which cannot name what goes "
                     "from stage %d to stage %d: use " WEIR_OPTION("channels=edge"), weir_channels_str(channels), b->from, b->to);
}

weir_status weir_schedule_check(const struct weir_schedule *schedule, enum weir_channels channels,
                                struct weir_arena *arena, struct weir_schedule_report *report_out)
{
    struct weir_arena work = {0};
    struct weir_scan scan;
    struct weir_schedule lowered;
    weir_status status = weir_channels_take(channels, schedule);
    if (!status)
        status = weir_scan_build(schedule, &work, &scan);
    if (!status && channels != WEIR_CHANNELS_EDGE && !schedule->has_comms) {
        status = weir_schedule_lower_rounds(schedule, false, &work, &lowered);
        if (!status)
            status = weir_scan_build(&lowered, &work, &scan);
        scan.file = schedule;
    }
    if (!status)
        status = weir_flow_check(&scan, channels, &work);
    if (!status)
        status = report_build(&scan, arena, report_out);
    weir_arena_release(&work);
    return status;
}

static const char *const channel_names[] = {
    [WEIR_CHANNELS_EDGE] = "edge",
    [WEIR_CHANNELS_SHARED] = "shared",
    [WEIR_CHANNELS_BLOCKING] = "blocking",
    NULL,
};

const char *weir_channels_str(enum weir_channels channels)
{
    return channels <= WEIR_CHANNELS_BLOCKING ? channel_names[channels] : "?";
}

weir_status weir_channels_find(const char *name, enum weir_channels *channels_out)
{
    int index;
    weir_status status = weir_name_find("channel model", name, channel_names, &index);
    if (!status)
        *channels_out = (enum weir_channels)index;
    return status;
}
