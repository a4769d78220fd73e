/* weir train --save-costs: what its stages took, in the form that simulate and draw read. */
#include <stdio.h>

#include "base/printable.h"
#include "base/replace.h"
#include "cmd/measured_costs.h"
#include "cmd/train.h"
#include "include/weir/plan.h"

weir_status train_costs_open(struct train_run *run)
{
    return measured_costs_open(run->schedule.n_stages, &run->arena, &run->costs);
}

/* Bytes come from the program, as weir schedule costs has them. */
static weir_status bytes_find(struct train_run *run, struct weir_stage_costs **stages_out)
{
    static const struct weir_ceilings any = {1, 1, 1};
    struct weir_engine_config config = train_optimizer_config(run);
    const struct weir_stage_costs *found;
    int n = run->schedule.n_stages;
    config.graph = run->graph;
    config.dtype = run->dtype;
    config.recompute = run->options->recompute;
    config.first_layer = run->cut.first_layer;
    weir_status status = weir_stage_costs_find(&config, n, &any, &run->arena, &found);
    if (!status)
        status = weir_arena_alloc(&run->arena, (size_t)n, sizeof **stages_out, stages_out);
    for (int s = 0; s < n && !status; s++)
        (*stages_out)[s] = found[s];
    return status;
}

weir_status train_costs_write(struct train_run *run)
{
    struct weir_text text = {0};
    struct weir_stage_costs *stages;
    struct measured_summary summary;
    char shown[1024];
    weir_status status = bytes_find(run, &stages);
    if (!status)
        status = measured_costs_find(run->costs, stages, &summary);
    if (!status)
        measured_costs_print(stages, run->schedule.n_stages, "stages", &(struct measured_beside){.optimizer_ms = summary.optimizer_ms}, &text);
    status = status ? status : text.status;
    if (!status)
        status = weir_file_write(run->options->save_costs, text.data, text.length);
    if (!status && !run->options->quiet)
        fprintf(stderr, "weir train: costs of %d stage%s in '%s': medians of %d step%s, the widest spread is %.1f %%\n",
                run->schedule.n_stages, run->schedule.n_stages == 1 ? "" : "s",
                weir_printable(run->options->save_costs, shown, sizeof shown), summary.n_steps, summary.n_steps == 1 ? "" : "s",
                100 * summary.spread);
    weir_text_release(&text);
    return status;
}
