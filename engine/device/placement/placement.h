/* Placement: which process plays which part of the run.
 *
 * A run of D replicas with P ranks each has P·D processes.  The launcher numbers them 0..P·D-1 (their world rank) and
 * fills one host after the other; Weir says which replica and which rank of its pipeline a number stands for:
 *
 *     cluster   replica = world / P, rank = world mod P      neighbours in a pipeline are neighbours on a host
 *     spread    rank = world / D, replica = world mod D      the replicas of a stage are neighbours on a host
 *
 *     P = 2, D = 4, two hosts of 4     host 0              host 1
 *       cluster (replica.rank)         0.0 0.1 1.0 1.1     2.0 2.1 3.0 3.1
 *       spread                         0.0 1.0 2.0 3.0     0.1 1.1 2.1 3.1
 *
 * cluster keeps activations inside hosts and reduces gradients between them, spread the other way round.  The names are
 * those of SageMaker's model-parallel library (`placement_strategy`: "cluster" is its "DPT", "spread" its "TPD", with
 * one tensor-parallel process).
 *
 * The functions are pure; any thread may call them. */
#ifndef WEIR_ENGINE_DEVICE_PLACEMENT_PLACEMENT_H
#define WEIR_ENGINE_DEVICE_PLACEMENT_PLACEMENT_H

#include "base/status.h"

enum weir_placement_order { WEIR_PLACEMENT_CLUSTER, WEIR_PLACEMENT_SPREAD };

/* All processes of a run. */
struct weir_placement_grid {
    int n_ranks, n_replicas; /* P and D, each at least 1 */
    enum weir_placement_order order;
};

/* One process: a rank of the pipeline of one replica. */
struct weir_seat {
    int replica, rank; /* 0..D-1, 0..P-1 */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The order called "cluster" or "spread", and its name.  WEIR_ERR_USAGE, with a suggestion. */
weir_status weir_placement_order_find(const char *name, enum weir_placement_order *order_out);
const char *weir_placement_order_str(enum weir_placement_order order);

/* P·D processes, as `n_processes` of them are there.  WEIR_ERR_USAGE names the numbers to change. */
weir_status weir_placement_grid_check(const struct weir_placement_grid *grid, int n_processes);

/* What process `world_rank` (0..P·D-1) plays, and the process that plays `place`: each undoes the other. */
struct weir_seat weir_placement_place(const struct weir_placement_grid *grid, int world_rank);
int weir_placement_world_rank(const struct weir_placement_grid *grid, struct weir_seat place);

#ifdef __cplusplus
}
#endif

#endif
