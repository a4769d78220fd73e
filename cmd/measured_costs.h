/* Costs out of what ranks did: the time of F, I and W of each stage, and of a rank's optimizer, as medians over steps.
 *
 *     measured_costs_open(n_stages, &arena, &costs);
 *     measured_costs_add(costs, events, n_events);                      after every step; the first one warms up, and is passed over
 *     measured_costs_find(costs, stages, &summary);
 *
 * A step's value is the mean over its micro-batches and replicas, so that one slow action does not count for more than it is. */
#ifndef WEIR_CMD_MEASURED_COSTS_H
#define WEIR_CMD_MEASURED_COSTS_H

#include "base/text.h"
#include "include/weir/report.h"
#include "include/weir/simulate.h"

struct measured_costs;

struct measured_summary {
    struct weir_stage_costs *stages; /* [n_stages], times in ms; of a B half is I and half W.  The rest is as it was */
    double optimizer_ms;             /* of the rank that takes longest, without reductions */
    double spread;                   /* the largest of (90th - 10th percentile) / median of all times above 10 us */
    int n_steps;
};

weir_status measured_costs_open(int n_stages, struct weir_arena *arena, struct measured_costs **costs_out);
void measured_costs_add(struct measured_costs *costs, const struct weir_step_event *events, size_t n);

/* An action may come in parts, "1B2 (start)", "1B2 (end)": is this one behind the first? */
bool measured_goes_on(const char *name);

/* Of an event of the optimizer: sums over replicas, which have times of their own in a simulation. */
bool measured_is_reduction(const char *name);

/* WEIR_ERR_INVALID: no step was added but the first. */
weir_status measured_costs_find(struct measured_costs *costs, struct weir_stage_costs *stages, struct measured_summary *summary_out);

/* What stands beside stages or layers. */
struct measured_beside {
    double optimizer_ms, transfer_ms; /* 0: left out */
    struct weir_flight_costs flight;  /* factor 0: left out */
};

/* {"stages": [{"F": ...}], ...} with `what`, "stages" or "layers". */
void measured_costs_print(const struct weir_stage_costs *stages, int n, const char *what, const struct measured_beside *beside,
                          struct weir_text *text);

#endif
