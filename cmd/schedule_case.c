#include "cmd/schedule_case.h"

#include <unistd.h>

static bool is_sized(const struct schedule_size *size)
{
    return size->ranks || size->microbatches || size->chunks || size->group_size || size->slices;
}

bool schedule_case_is_file(const char *what, const struct schedule_size *size)
{
    const struct weir_schedule_kind *kind;
    if (schedule_is_auto(what) || weir_schedule_kind_find(what, &kind) == WEIR_OK)
        return false;
    return !is_sized(size) || access(what, F_OK) == 0;
}

static weir_status file_open(const struct schedule_case_options *options, const char *what,
                             const struct schedule_size *size, struct weir_arena *arena, struct weir_schedule *out)
{
    if (is_sized(size))
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "'%s' is a file, which fixes ranks, stages and micro-batches: leave out -p, -m and -v", what);
    return schedule_load(what, options->dialect, arena, out);
}

weir_status schedule_case_open(const struct schedule_case_options *options, const char *what,
                               const struct schedule_size *size, struct weir_arena *arena, struct schedule_case *out)
{
    struct schedule_case opened = {0};
    weir_status status = schedule_is_auto(what) ? WEIR_OK : schedule_auto_unused(options->made, what);
    if (!status && schedule_is_auto(what)) {
        status = schedule_auto_make(size, options->made, options->cost, options->given, options->handed, arena, &opened.made);
        opened.schedule = opened.made.schedule;
    } else if (!status && schedule_case_is_file(what, size)) {
        status = file_open(options, what, size, arena, &opened.schedule);
    } else if (!status) {
        status = schedule_name_check(what);
        if (!status)
            status = schedule_make(what, size, arena, &opened.schedule);
    }
    if (!status && options->handed && !schedule_is_auto(what))
        status = schedule_boundaries_take(options->handed, arena, &opened.schedule);
    if (!status)
        status = schedule_costs_fit(options->cost, options->given, opened.schedule.n_stages, opened.schedule.n_ranks, arena,
                                    &opened.costs);
    if (!status)
        *out = opened;
    return status;
}
