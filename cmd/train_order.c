/* weir train: does the schedule add weight gradients up in the order that all built-in ones have? */
#include <stdio.h>

#include "base/printable.h"
#include "cmd/train.h"

const char *train_wgrad_order(const struct train_run *run)
{
    struct weir_arena arena = {0};
    struct weir_schedule_report report = {.wgrad_ascending = true};
    (void)weir_schedule_check(&run->schedule, WEIR_CHANNELS_EDGE, &arena, &report); /* the engine has opened it */
    weir_arena_release(&arena);
    return report.wgrad_ascending ? "ascending" : "other";
}

void train_order_print(const struct train_run *run)
{
    char name[1024];
    if (*train_wgrad_order(run) == 'o' && run->leads && !run->options->quiet)
        fprintf(stderr,
                "weir train: '%s' runs W in another than ascending order of micro-batches: losses and parameters may "
                "differ from other schedules' in their last bits\n",
                weir_printable(run->schedule_name, name, sizeof name));
}
