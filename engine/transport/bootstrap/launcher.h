/* Launchers: which of several processes this one is, as whoever started it says in the environment.
 *
 * Every launcher has variables of its own, and they are inherited: under `sbatch` + `mpirun` a process sees Slurm's
 * variables of the script or of the daemon that started it beside the right ones of MPI.  So the launchers are asked
 * from the one that starts processes last to the one that starts them first, and the first whose variables are there
 * counts:
 *
 *     weir launch (WEIR_LAUNCH_FILES) · torchrun (TORCHELASTIC_RUN_ID) · Open MPI · MVAPICH · LSF jsrun · PMIx · PMI (Hydra: MPICH, Intel MPI) ·
 *     Slurm srun · Flux · PALS · RANK and WORLD_SIZE · SageMaker · AWS Batch
 *
 * PMIx and PMI say nothing about hosts, and PMIx not even how many there are; what they lack comes from Slurm, Flux or
 * PALS when that one speaks of the same rank, and stays unknown otherwise.  Of Slurm only a step counts (what srun
 * starts): SLURM_PROCID of a batch script is 0 and says nothing about its processes.
 *
 * SageMaker and AWS Batch start one process per host and leave the rest to it: `hosts_only`.
 *
 * Parsing is strict: a number that is none, a rank without a size and two variables that contradict each other are
 * errors that name the variables.  docs/cluster.md lists what was recorded and what is from documentation. */
#ifndef WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCHER_H
#define WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define WEIR_HOST_NAME_MAX 256

struct weir_launcher {
    const char *name;               /* "Open MPI"; "none": started by hand, one process */
    int rank, n_ranks;              /* 0 of 1 without a launcher */
    int local_rank, n_local;        /* among the processes of this host, -1: not said */
    int node, n_nodes;              /* hosts, -1: not said */
    bool hosts_only;                /* one process per host: rank and local_rank are those of the first one that it may start */
    const char *rank_variable;      /* what each number was read from; NULL: from nothing, or not said */
    const char *size_variable;
    const char *local_rank_variable;
    const char *local_size_variable;
    const char *node_variable;
    char first_host[WEIR_HOST_NAME_MAX]; /* where rank 0 runs, "" when not said */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Read `environment`, an array of NAME=VALUE that ends with NULL (`environ`).
 *
 * WEIR_ERR_USAGE names the variables that are no numbers, missing or contradictory. */
weir_status weir_launcher_detect(const char *const *environment, struct weir_launcher *launcher_out);

/* How many processes the launcher has started: all, or where it starts one per host and leaves the rest to that one, the
 * hosts. */
int weir_launcher_started(const struct weir_launcher *launcher);

/* The value of `name` in `environment`, or NULL. */
const char *weir_environment_get(const char *const *environment, const char *name);

/* Slurm's compact lists.  Tasks per node, "2(x3),1": the number of tasks on node `node`, the sum in *n_tasks_out.
 * Nodes, "n[1-2,07-09],m5": the name of node `node` in order, and how many there are.  `variable` stands for the text in
 * messages.  WEIR_ERR_USAGE: not such a list, or it has no such node. */
weir_status weir_slurm_tasks_parse(const char *variable, const char *text, int node, int *tasks_out, int *n_tasks_out);
weir_status weir_slurm_nodes_parse(const char *variable, const char *text, int node, char name_out[WEIR_HOST_NAME_MAX],
                                   int *n_nodes_out);

#ifdef __cplusplus
}
#endif

#endif
