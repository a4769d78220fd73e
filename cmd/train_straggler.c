/* weir train, a rank that has become slow: its number, host and stages are said once. */
#include <stdio.h>

#include "cmd/train.h"
#include "engine/report/straggler.h"

weir_status train_stragglers_open(struct train_run *run)
{
    return run->leads ? weir_stragglers_open(run->n_ranks, &run->stragglers) : WEIR_OK;
}

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
    int rank;
    double factor;
    char host[256];
    if (!run->stragglers || !weir_stragglers_look(run->stragglers, report->compute_ns, report->step_ns, &rank, &factor))
        return;
    weir_engine_host(run->engine, rank, host, sizeof host);
    fprintf(stderr, "weir %s: rank %d%s%s is slow since step %lld: %.1f times its usual compute time;", train_command(run->options), rank,
            *host ? " on " : "", host, (long long)(report->step + 2 - WEIR_STRAGGLER_STEPS), factor);
    fprintf(stderr, " it");
    stages_print(run, rank % run->schedule.n_ranks);
    fprintf(stderr, ", and the others wait for it\n");
}
