#include "engine/transport/bootstrap/launcher_read.h"

#include <string.h>

/* The variables of one launcher; NULL where it has none. */
struct family {
    const char *name;
    const char *needs; /* it counts only with this one */
    const char *rank, *size, *local_rank, *local_size, *node, *n_nodes, *first_host;
};

static const struct family slurm = {.name = "Slurm srun",
                                    .needs = "SLURM_STEP_NUM_TASKS", /* not in batch scripts */
                                    .rank = "SLURM_PROCID",
                                    .size = "SLURM_STEP_NUM_TASKS",
                                    .local_rank = "SLURM_LOCALID",
                                    .node = "SLURM_NODEID",
                                    .n_nodes = "SLURM_STEP_NUM_NODES"};
static const struct family flux = {.name = "Flux",
                                   .rank = "FLUX_TASK_RANK",
                                   .size = "FLUX_JOB_SIZE",
                                   .local_rank = "FLUX_TASK_LOCAL_ID",
                                   .n_nodes = "FLUX_JOB_NNODES"};
static const struct family pals = {.name = "PALS",
                                   .rank = "PALS_RANKID",
                                   .size = "PMI_SIZE",
                                   .local_rank = "PALS_LOCAL_RANKID",
                                   .node = "PALS_NODEID"};

static const struct family weir_launch = {.name = "weir launch",
                                          .needs = "WEIR_LAUNCH_FILES",
                                          .rank = "WEIR_LAUNCH_RANK",
                                          .size = "WEIR_LAUNCH_SIZE",
                                          .local_rank = "WEIR_LAUNCH_RANK",
                                          .local_size = "WEIR_LAUNCH_SIZE"};
static const struct family torchrun = {.name = "torchrun",
                                       .needs = "TORCHELASTIC_RUN_ID",
                                       .rank = "RANK",
                                       .size = "WORLD_SIZE",
                                       .local_rank = "LOCAL_RANK",
                                       .local_size = "LOCAL_WORLD_SIZE",
                                       .node = "GROUP_RANK",
                                       .first_host = "MASTER_ADDR"};
static const struct family open_mpi = {.name = "Open MPI",
                                       .rank = "OMPI_COMM_WORLD_RANK",
                                       .size = "OMPI_COMM_WORLD_SIZE",
                                       .local_rank = "OMPI_COMM_WORLD_LOCAL_RANK",
                                       .local_size = "OMPI_COMM_WORLD_LOCAL_SIZE"};
static const struct family mvapich = {.name = "MVAPICH",
                                      .rank = "MV2_COMM_WORLD_RANK",
                                      .size = "MV2_COMM_WORLD_SIZE",
                                      .local_rank = "MV2_COMM_WORLD_LOCAL_RANK",
                                      .local_size = "MV2_COMM_WORLD_LOCAL_SIZE"};
static const struct family jsrun = {.name = "LSF jsrun",
                                    .rank = "JSM_NAMESPACE_RANK",
                                    .size = "JSM_NAMESPACE_SIZE",
                                    .local_rank = "JSM_NAMESPACE_LOCAL_RANK",
                                    .local_size = "JSM_NAMESPACE_LOCAL_SIZE"};
static const struct family pmix = {.name = "PMIx", .rank = "PMIX_RANK"};
static const struct family pmi = {.name = "PMI",
                                  .rank = "PMI_RANK",
                                  .size = "PMI_SIZE",
                                  .local_rank = "MPI_LOCALRANKID",
                                  .local_size = "MPI_LOCALNRANKS"};
static const struct family plain = {.name = "RANK and WORLD_SIZE",
                                    .rank = "RANK",
                                    .size = "WORLD_SIZE",
                                    .local_rank = "LOCAL_RANK",
                                    .local_size = "LOCAL_WORLD_SIZE",
                                    .node = "GROUP_RANK",
                                    .first_host = "MASTER_ADDR"};

/* From the launcher that starts processes last to the one that starts them first. */
static const struct family *const families[] = {&weir_launch, &torchrun, &open_mpi, &mvapich, &jsrun, &pmix,
                                                &pmi,      &slurm,    &flux,    &pals,  &plain, NULL};

/* Optional ones: the number, and in *variable_out where it stands when it is there. */
static weir_status optional_read(const char *const *environment, const char *name, int least, int *value_out,
                                 const char **variable_out)
{
    weir_status status = weir_launcher_number_read(environment, name, least, value_out);
    if (!status && *value_out >= 0 && variable_out)
        *variable_out = name;
    return status;
}

/* Where the step's processes run; its lists must agree with its numbers. */
static weir_status slurm_lists_read(const char *const *environment, struct weir_launcher *launcher)
{
    static const char tasks_name[] = "SLURM_STEP_TASKS_PER_NODE", nodes_name[] = "SLURM_STEP_NODELIST";
    const char *tasks = weir_environment_get(environment, tasks_name);
    const char *nodes = weir_environment_get(environment, nodes_name);
    int n_tasks = 0, n_nodes = 0;
    weir_status status = WEIR_OK;
    if (tasks && launcher->node >= 0) {
        status = weir_slurm_tasks_parse(tasks_name, tasks, launcher->node, &launcher->n_local, &n_tasks);
        launcher->local_size_variable = tasks_name;
        if (!status && n_tasks != launcher->n_ranks)
            status = WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' are %d tasks, which contradicts %s=%d", tasks_name, tasks,
                               n_tasks, launcher->size_variable, launcher->n_ranks);
    }
    if (!status && nodes)
        status = weir_slurm_nodes_parse(nodes_name, nodes, 0, launcher->first_host, &n_nodes);
    if (!status && nodes && launcher->n_nodes >= 0 && n_nodes != launcher->n_nodes)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' are %d nodes, which contradicts %s=%d", nodes_name, nodes, n_nodes,
                           slurm.n_nodes, launcher->n_nodes);
    if (!status && nodes)
        launcher->n_nodes = n_nodes;
    return status;
}

/* What a family says of this process's host. */
static weir_status host_read(const char *const *environment, const struct family *family, struct weir_launcher *launcher)
{
    weir_status status = optional_read(environment, family->local_rank, 0, &launcher->local_rank,
                                       &launcher->local_rank_variable);
    if (!status)
        status = optional_read(environment, family->local_size, 1, &launcher->n_local, &launcher->local_size_variable);
    if (!status)
        status = optional_read(environment, family->node, 0, &launcher->node, &launcher->node_variable);
    if (!status)
        status = optional_read(environment, family->n_nodes, 1, &launcher->n_nodes, NULL);
    if (!status && family->first_host)
        weir_launcher_first_host_set(launcher, weir_environment_get(environment, family->first_host));
    if (!status && family == &slurm)
        status = slurm_lists_read(environment, launcher);
    return status;
}

static bool is_there(const char *const *environment, const struct family *family)
{
    if (family->needs && !weir_environment_get(environment, family->needs))
        return false;
    return weir_environment_get(environment, family->rank) ||
           (family->size && weir_environment_get(environment, family->size));
}

/* Slurm, Flux or PALS, when it speaks of the same rank of as many processes (any number when that is unknown). */
static weir_status lender_find(const char *const *environment, const struct weir_launcher *launcher,
                               const struct family **lender_out)
{
    static const struct family *const lenders[] = {&slurm, &flux, &pals};
    *lender_out = NULL;
    for (size_t i = 0; !*lender_out && i < sizeof lenders / sizeof lenders[0]; i++) {
        int rank, size;
        if (!is_there(environment, lenders[i]) || !weir_environment_get(environment, lenders[i]->rank))
            continue;
        weir_status status = weir_launcher_number_read(environment, lenders[i]->rank, 0, &rank);
        if (!status)
            status = weir_launcher_number_read(environment, lenders[i]->size, 1, &size);
        if (status)
            return status;
        if (rank == launcher->rank && size > 0 && (launcher->n_ranks < 0 || size == launcher->n_ranks))
            *lender_out = lenders[i];
    }
    return WEIR_OK;
}

static const char *joint_name(const struct family *family, const struct family *lender)
{
    if (family == &pmix)
        return lender == &slurm ? "Slurm srun --mpi=pmix" : lender->name;
    if (family == &pmi)
        return lender == &slurm ? "Slurm srun --mpi=pmi2" : lender->name;
    return family->name;
}

/* Fill in what the family lacks from a launcher around it. */
static weir_status lender_read(const char *const *environment, const struct family *family,
                               struct weir_launcher *launcher)
{
    const struct family *lender;
    weir_status status = lender_find(environment, launcher, &lender);
    if (status)
        return status;
    if (!lender && launcher->n_ranks < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE,
                         "%s=%d is set, but no variable says how many processes there are (of this rank: %s, %s)",
                         family->rank, launcher->rank, slurm.size, flux.size);
    if (!lender)
        return WEIR_OK;
    launcher->name = joint_name(family, lender);
    if (launcher->n_ranks < 0) {
        launcher->size_variable = lender->size;
        status = weir_launcher_number_read(environment, lender->size, 1, &launcher->n_ranks);
    }
    if (!status)
        status = weir_launcher_below_check(family->rank, launcher->rank, lender->size, launcher->n_ranks);
    return status ? status : host_read(environment, lender, launcher);
}

/* Open MPI and PMIx come together, unless one is left over from an outer launcher. */
static weir_status pmix_check(const char *const *environment, const struct weir_launcher *launcher)
{
    int rank;
    weir_status status = weir_launcher_number_read(environment, "PMIX_RANK", 0, &rank);
    if (!status && rank >= 0 && rank != launcher->rank)
        return WEIR_FAIL(WEIR_ERR_USAGE, "PMIX_RANK=%d contradicts %s=%d: one launcher runs inside another; unset the "
                         "variables of the outer one", rank, launcher->rank_variable, launcher->rank);
    return status;
}

static weir_status family_read(const char *const *environment, const struct family *family,
                               struct weir_launcher *launcher)
{
    launcher->name = family->name;
    launcher->rank_variable = family->rank;
    launcher->size_variable = family->size;
    weir_status status = weir_launcher_number_read(environment, family->rank, 0, &launcher->rank);
    if (!status)
        status = weir_launcher_number_read(environment, family->size, 1, &launcher->n_ranks);
    if (status)
        return status;
    if (launcher->rank < 0)
        return weir_launcher_half_set(environment, family->size, family->rank);
    if (family->size && launcher->n_ranks < 0)
        return weir_launcher_half_set(environment, family->rank, family->size);
    status = weir_launcher_below_check(family->rank, launcher->rank, family->size, launcher->n_ranks);
    if (!status)
        status = host_read(environment, family, launcher);
    if (!status && family == &open_mpi)
        status = pmix_check(environment, launcher);
    if (!status && launcher->local_rank < 0)
        status = lender_read(environment, family, launcher);
    return status;
}

weir_status weir_launcher_detect(const char *const *environment, struct weir_launcher *launcher_out)
{
    struct weir_launcher launcher = {.name = "none", .n_ranks = 1, .local_rank = -1, .n_local = -1, .node = -1,
                                     .n_nodes = -1};
    weir_status status = WEIR_OK;
    const struct family *const *family = families;
    while (*family && !is_there(environment, *family))
        family++;
    if (*family)
        status = family_read(environment, *family, &launcher);
    else
        status = weir_launcher_hosts_read(environment, &launcher);
    if (!status)
        status = weir_launcher_below_check(launcher.local_rank_variable, launcher.local_rank, launcher.local_size_variable,
                             launcher.n_local);
    if (!status && launcher.n_local > launcher.n_ranks)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "%s=%d contradicts %s=%d: it must not be more",
                           launcher.local_size_variable, launcher.n_local, launcher.size_variable, launcher.n_ranks);
    if (!status)
        status = weir_launcher_below_check(launcher.node_variable, launcher.node, "the number of nodes", launcher.n_nodes);
    if (!status)
        *launcher_out = launcher;
    return status;
}

int weir_launcher_started(const struct weir_launcher *launcher)
{
    return launcher->hosts_only ? launcher->n_nodes : launcher->n_ranks;
}
