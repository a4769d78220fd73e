/* weir train, a rank that is slow: its number, host and stages are said once.  How long ranks should take is in the file of --costs or
 * in the plan. */
#include <inttypes.h>
#include <stdio.h>

#include "base/printable.h"
#include "cmd/train.h"
#include "include/weir/metrics.h"
#include "include/weir/simulate.h"

/* ---- how long ranks should take -------------------------------------------------------------------------------------- */

static void layer_add(struct weir_stage_costs *stage, const struct weir_stage_costs *layer)
{
    stage->forward += layer->forward;
    stage->input += layer->input;
    stage->weight += layer->weight;
}

/* Of layers, those that each stage has here. */
static weir_status layers_join(struct train_run *run, struct weir_schedule_costs *costs)
{
    struct weir_stage_costs *stages;
    int n = run->schedule.n_stages, n_layers = run->graph->n_layers;
    char shown[1024];
    if (costs->n_layers != n_layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has times of %d layers, the model has %d: give --costs a file made for it",
                         weir_printable(run->options->costs, shown, sizeof shown), costs->n_layers, n_layers);
    weir_status status = weir_arena_alloc(&run->arena, (size_t)n, sizeof *stages, &stages);
    for (int s = 0; s < n && !status; s++)
        for (int l = weir_engine_first_layer(run->engine, s); l < weir_engine_first_layer(run->engine, s + 1); l++)
            layer_add(&stages[s], &costs->layers[l]);
    costs->stages = stages;
    costs->n_stages = n;
    return status;
}

/* Work of each rank in a step, in ms. */
static weir_status work_find(struct train_run *run, const double **ms_out)
{
    struct weir_schedule_costs costs = {.overlap_gain = 1};
    struct weir_simulation simulation;
    weir_status status = weir_schedule_costs_load(run->options->costs, &run->arena, &costs);
    if (!status && costs.layers)
        status = layers_join(run, &costs);
    if (!status)
        status = weir_schedule_simulate(&run->schedule, &costs, &(struct weir_simulation_options){0}, &run->arena, &simulation);
    if (!status)
        *ms_out = simulation.busy;
    return status;
}

/* *ns_out: [n_ranks] of all replicas; NULL: nobody has said. */
static weir_status planned_find(struct train_run *run, int64_t **ns_out)
{
    const double *ms = run->options->made ? run->options->made->info.rank_ms : NULL;
    int n = run->schedule.n_ranks;
    *ns_out = NULL;
    weir_status status = run->options->costs ? work_find(run, &ms) : WEIR_OK;
    if (status || !ms)
        return status;
    status = weir_arena_alloc(&run->arena, (size_t)run->n_ranks, sizeof **ns_out, ns_out);
    for (int r = 0; r < run->n_ranks && !status; r++)
        (*ns_out)[r] = (int64_t)(ms[r % n] * 1e6);
    return status;
}

weir_status train_stragglers_open(struct train_run *run)
{
    int64_t *planned;
    weir_status status = run->leads ? planned_find(run, &planned) : WEIR_OK;
    return status || !run->leads ? status : weir_stragglers_open(run->n_ranks, planned, &run->stragglers);
}

/* ---- who is slow ------------------------------------------------------------------------------------------------------ */

static void stages_print(const struct train_run *run, int rank)
{
    const char *between = " has stage ";
    for (int stage = 0; stage < run->schedule.n_stages; stage++)
        if (run->schedule.stage_rank[stage] == rank) {
            fprintf(stderr, "%s%d", between, stage);
            between = ", ";
        }
}

void train_stragglers_look(struct train_run *run, const struct weir_step_report *report)
{
    struct weir_straggler found;
    char host[256];
    if (!run->stragglers || !weir_stragglers_look(run->stragglers, report->compute_ns, report->step_ns, &found))
        return;
    weir_engine_host(run->engine, found.rank, host, sizeof host);
    fprintf(stderr, "weir %s: rank %d%s%s is slow since step %" PRId64 ": %.1f times its %s compute time;", train_command(run->options),
            found.rank, *host ? " on " : "", host, report->step + 2 - WEIR_STRAGGLER_STEPS, found.factor,
            found.over_plan ? "planned" : "usual");
    fprintf(stderr, " it");
    stages_print(run, found.rank % run->schedule.n_ranks);
    fprintf(stderr, ", and the others wait for it\n");
}
