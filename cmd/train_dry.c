/* weir train --device null: a run that computes nothing, and says so. */
#include <stdio.h>

#include "cmd/train.h"
#include "include/weir/info.h"

bool train_is_dry(const struct train_options *o)
{
    return weir_info_device_is_dry(o->device);
}

weir_status train_dry_check(const struct train_options *o)
{
    const struct {
        const char *given, *name;
    } needing[] = {{o->checkpoint_dir, "checkpoint-dir"}, {o->export, "export"}, {o->val_data, o->evaluates ? "data" : "val-data"},
                   {o->save_costs, "save-costs"}, {o->profile ? "" : NULL, "profile"}};
    if (!train_is_dry(o))
        return WEIR_OK;
    for (size_t i = 0; i < sizeof needing / sizeof needing[0]; i++)
        if (needing[i].given)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--device %s computes nothing, so --%s has nothing to give: leave one of them out",
                             o->device, needing[i].name);
    return WEIR_OK;
}

void train_dry_begin(const struct train_run *run)
{
    if (!run->leads || run->options->quiet || !train_is_dry(run->options))
        return;
    fprintf(stderr, "weir train: a dry run: device '%s' computes nothing, losses are no numbers and times are those of issuing\n",
            run->options->device);
    weir_log_set_level(WEIR_LOG_INFO); /* what each device counted, when it is closed */
}
