/* Chains: split a row of layers into contiguous stages.
 *
 * The solver asks "do n stages suffice when no stage may cost more than T?", which one greedy pass answers, and closes in on the
 * smallest T with two bounds that are always costs of real intervals, so that they meet at the optimum and no tolerance is chosen:
 *
 *     feasible T    →  upper bound = the largest stage of the answer               (≤ T)
 *     infeasible T  →  lower bound = the smallest interval that was refused         (> T)
 *
 * A probe takes O(n_layers), and there are a few dozen.  Probes add from left to right like the caller would, so the optimum is one in
 * floating point, too.  Among all splits with the smallest bottleneck the one with the lexicographically smallest cut positions is
 * returned: every stage is as short as the rest allows, so that the slack lies in the early stages, which hold the most micro-batches in
 * flight.  The answer depends on the costs only. */
#include "include/weir/partition.h"

#include <math.h>
#include <stdbool.h>

struct probe {
    bool feasible;
    double largest; /* most expensive stage of the greedy split */
    double refused; /* cheapest interval that exceeded the limit; INFINITY when none did */
};

/* Fill each stage as far as `limit` allows.  Interval costs are monotone in both ends, rounding included, so greedy
 * uses the fewest stages. */
static struct probe probe_limit(const double *cost, int n_layers, int n_stages, double limit)
{
    struct probe probe = {true, 0, INFINITY};
    double sum = 0;
    int stages = 1;
    for (int i = 0; i < n_layers; i++) {
        double next = sum + cost[i];
        if (next > limit) {
            probe.refused = fmin(probe.refused, next);
            next = cost[i];
            if (++stages > n_stages || next > limit) {
                probe.feasible = false;
                return probe;
            }
        }
        sum = next;
        probe.largest = fmax(probe.largest, sum);
    }
    return probe;
}

static double bottleneck_find(const double *cost, int n_layers, int n_stages)
{
    double total = 0, most = 0;
    for (int i = 0; i < n_layers; i++) {
        total += cost[i];
        most = fmax(most, cost[i]);
    }
    double low = most, high = total; /* low may be infeasible, high is feasible */
    double guess = fmax(most, total / n_stages);
    while (low < high) {
        struct probe probe = probe_limit(cost, n_layers, n_stages, guess);
        if (probe.feasible)
            high = probe.largest;
        else
            low = probe.refused;
        guess = low + (high - low) / 2;
        if (guess >= high)
            guess = low;
    }
    return high;
}

static bool interval_fits(const double *cost, int first, int end, double limit)
{
    double sum = 0; /* from left to right, as the probes add */
    for (int i = first; i < end && sum <= limit; i++)
        sum += cost[i];
    return sum <= limit;
}

/* Fill the stages from the back: each takes as many layers as the limit allows, but leaves one layer for every stage in
 * front of it.  That makes every cut position as small as it can be. */
static void cuts_place(const double *cost, int n_layers, int n_stages, double limit, int *first_layer_out)
{
    int end = n_layers;
    first_layer_out[n_stages] = n_layers;
    for (int stage = n_stages - 1; stage > 0; stage--) {
        int low = stage, high = end - 1; /* a single layer always fits */
        while (low < high) {
            int middle = low + (high - low) / 2;
            if (interval_fits(cost, middle, end, limit))
                high = middle;
            else
                low = middle + 1;
        }
        first_layer_out[stage] = end = high;
    }
    first_layer_out[0] = 0;
}

weir_status weir_chain_split(const double *cost, int n_layers, int n_stages, int *first_layer_out)
{
    if (n_layers < 1 || n_stages < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d layers on %d stages: both must be at least 1", n_layers, n_stages);
    if (n_stages > n_layers)
        return WEIR_FAIL(WEIR_ERR_NOFIT, "%d stages, but only %d layers: use fewer stages", n_stages, n_layers);
    double total = 0;
    for (int i = 0; i < n_layers; i++) {
        if (!isfinite(cost[i]) || cost[i] < 0)
            return WEIR_FAIL(WEIR_ERR_INVALID, "layer %d costs %g: costs must be finite and not negative", i, cost[i]);
        total += cost[i];
    }
    if (!isfinite(total))
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "the costs of %d layers add up to more than a double holds: use a larger unit", n_layers);
    cuts_place(cost, n_layers, n_stages, bottleneck_find(cost, n_layers, n_stages), first_layer_out);
    return WEIR_OK;
}
