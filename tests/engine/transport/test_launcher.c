/* Environments of launchers: what is read from each, and what is refused.   labels: pure
 *
 * Those marked "recorded" were printed by processes under the launcher on a small machine; the others follow the
 * documentation of the launcher. */
#include "tests/support/testing.h"

#include <string.h>

#include "engine/transport/bootstrap/launcher.h"

enum { VARIABLES_MAX = 24 };

struct row {
    const char *sentence;
    const char *environment[VARIABLES_MAX];
    const char *name;
    int rank, n_ranks, local_rank, n_local, node, n_nodes;
    const char *rank_variable, *first_host;
};

static const struct row rows[] = {
    {"nothing", {"HOME=/root"}, "none", 0, 1, -1, -1, -1, -1, NULL, ""},
    {"mpirun of Open MPI 4.1 (recorded)",
     {"OMPI_COMM_WORLD_SIZE=6", "OMPI_UNIVERSE_SIZE=6", "OMPI_COMM_WORLD_RANK=3", "OMPI_COMM_WORLD_LOCAL_RANK=1",
      "OMPI_COMM_WORLD_LOCAL_SIZE=2", "OMPI_COMM_WORLD_NODE_RANK=1", "PMIX_RANK=3", "PMIX_NAMESPACE=1523712001"},
     "Open MPI", 3, 6, 1, 2, -1, -1, "OMPI_COMM_WORLD_RANK", ""},
    {"sbatch and mpirun: Slurm's variables are those of the daemon and wrong",
     {"SLURM_PROCID=0", "SLURM_LOCALID=0", "SLURM_NODEID=0", "SLURM_NTASKS=4", "SLURM_STEP_NUM_TASKS=1",
      "SLURM_STEP_TASKS_PER_NODE=1", "SLURM_STEP_NODELIST=n2", "OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_RANK=0", "OMPI_COMM_WORLD_LOCAL_SIZE=2", "PMIX_RANK=2"},
     "Open MPI", 2, 4, 0, 2, -1, -1, "OMPI_COMM_WORLD_RANK", ""},
    {"sbatch and mpirun, which starts its daemons as a step of Slurm 22.05 (recorded)",
     {"SLURM_PROCID=1", "SLURM_LOCALID=0", "SLURM_NODEID=1", "SLURM_NTASKS=2", "SLURM_NPROCS=2", "SLURM_NNODES=2",
      "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NUM_NODES=2", "SLURM_STEP_TASKS_PER_NODE=1(x2)", "SLURM_STEP_NODELIST=n[1-2]",
      "SLURM_NTASKS_PER_NODE=1", "SLURM_TASKS_PER_NODE=1(x2)", "OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_RANK=0", "OMPI_COMM_WORLD_LOCAL_SIZE=2", "OMPI_COMM_WORLD_NODE_RANK=0", "PMIX_RANK=2",
      "PMIX_NAMESPACE=226361345", "PMIX_HOSTNAME=n2"},
     "Open MPI", 2, 4, 0, 2, -1, -1, "OMPI_COMM_WORLD_RANK", ""},
    {"a batch script of Slurm is one process, whatever was allocated (recorded)",
     {"SLURM_PROCID=0", "SLURM_LOCALID=0", "SLURM_NODEID=0", "SLURM_NTASKS=4", "SLURM_NPROCS=4", "SLURM_NNODES=2",
      "SLURM_NODELIST=n[1-2]", "SLURM_GTIDS=0", "SLURM_NTASKS_PER_NODE=2", "SLURM_TASKS_PER_NODE=2(x2)", "SLURM_JOB_ID=4"},
     "none", 0, 1, -1, -1, -1, -1, NULL, ""},
    {"srun",
     {"SLURM_PROCID=3", "SLURM_LOCALID=1", "SLURM_NODEID=1", "SLURM_NTASKS=4", "SLURM_STEP_NUM_TASKS=4",
      "SLURM_STEP_NUM_NODES=2", "SLURM_STEP_TASKS_PER_NODE=2(x2)", "SLURM_STEP_NODELIST=n[1-2]",
      "SLURM_LAUNCH_NODE_IPADDR=10.8.0.9"},
     "Slurm srun", 3, 4, 1, 2, 1, 2, "SLURM_PROCID", "n1"},
    {"srun of Slurm 22.05, three tasks on two nodes (recorded)",
     {"SLURM_PROCID=2", "SLURM_LOCALID=0", "SLURM_NODEID=1", "SLURM_GTIDS=2", "SLURM_NTASKS=3", "SLURM_NPROCS=3",
      "SLURM_NNODES=2", "SLURM_NODELIST=n[1-2]", "SLURM_TASKS_PER_NODE=2,1", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3",
      "SLURM_STEP_NUM_NODES=2", "SLURM_STEP_TASKS_PER_NODE=2,1", "SLURM_STEP_NODELIST=n[1-2]",
      "SLURM_LAUNCH_NODE_IPADDR=127.0.0.1", "SLURM_SRUN_COMM_HOST=127.0.0.1"},
     "Slurm srun", 2, 3, 0, 1, 1, 2, "SLURM_PROCID", "n1"},
    {"srun --mpi=pmix of Slurm 22.05 (recorded)",
     {"SLURM_PROCID=3", "SLURM_LOCALID=1", "SLURM_NODEID=1", "SLURM_GTIDS=2,3", "SLURM_NTASKS=4", "SLURM_NPROCS=4",
      "SLURM_NNODES=2", "SLURM_MPI_TYPE=pmix", "SLURM_PMIX_MAPPING_SERV=(vector,(0,2,2))", "SLURM_STEP_NUM_TASKS=4",
      "SLURM_STEP_NUM_NODES=2", "SLURM_STEP_TASKS_PER_NODE=2(x2)", "SLURM_STEP_NODELIST=n[1-2]", "PMIX_RANK=3",
      "PMIX_NAMESPACE=slurm.pmix.1.0", "PMIX_HOSTNAME=n2", "PMIX_VERSION=4.2.2rc2"},
     "Slurm srun --mpi=pmix", 3, 4, 1, 2, 1, 2, "PMIX_RANK", "n1"},
    {"srun --mpi=pmi2 of Slurm 22.05 (recorded)",
     {"SLURM_PROCID=1", "SLURM_LOCALID=0", "SLURM_NODEID=1", "SLURM_NTASKS=2", "SLURM_NNODES=2", "SLURM_MPI_TYPE=pmi2",
      "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NUM_NODES=2", "SLURM_STEP_TASKS_PER_NODE=1(x2)", "SLURM_STEP_NODELIST=n[1-2]",
      "PMI_RANK=1", "PMI_SIZE=2", "PMI_FD=11", "PMI_JOBID=1.0"},
     "Slurm srun --mpi=pmi2", 1, 2, 0, 1, 1, 2, "PMI_RANK", "n1"},
    {"srun --mpi=pmix, without OMPI_COMM_WORLD_*",
     {"SLURM_PROCID=2", "SLURM_LOCALID=0", "SLURM_NODEID=1", "SLURM_STEP_NUM_TASKS=3", "SLURM_STEP_NUM_NODES=2",
      "SLURM_STEP_TASKS_PER_NODE=2,1", "SLURM_STEP_NODELIST=n[1-2]", "PMIX_RANK=2", "PMIX_NAMESPACE=slurm.pmix.7.0",
      "PMIX_HOSTNAME=n2"},
     "Slurm srun --mpi=pmix", 2, 3, 0, 1, 1, 2, "PMIX_RANK", "n1"},
    {"srun --mpi=pmi2",
     {"SLURM_PROCID=1", "SLURM_LOCALID=1", "SLURM_NODEID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_TASKS_PER_NODE=2",
      "PMI_RANK=1", "PMI_SIZE=2", "PMI_FD=11", "PMI_JOBID=7.0"},
     "Slurm srun --mpi=pmi2", 1, 2, 1, 2, 0, -1, "PMI_RANK", ""},
    {"Hydra, of MPICH or Intel MPI",
     {"PMI_RANK=5", "PMI_SIZE=8", "MPI_LOCALRANKID=1", "MPI_LOCALNRANKS=4", "PMI_FD=7"},
     "PMI", 5, 8, 1, 4, -1, -1, "PMI_RANK", ""},
    {"Hydra whose proxies srun has started",
     {"SLURM_PROCID=1", "SLURM_LOCALID=0", "SLURM_NODEID=1", "SLURM_STEP_NUM_TASKS=2", "PMI_RANK=5", "PMI_SIZE=8",
      "MPI_LOCALRANKID=1", "MPI_LOCALNRANKS=4"},
     "PMI", 5, 8, 1, 4, -1, -1, "PMI_RANK", ""},
    {"Flux, which speaks PMI too",
     {"FLUX_TASK_RANK=3", "FLUX_JOB_SIZE=4", "FLUX_TASK_LOCAL_ID=1", "FLUX_JOB_NNODES=2", "PMI_RANK=3", "PMI_SIZE=4"},
     "Flux", 3, 4, 1, -1, -1, 2, "PMI_RANK", ""},
    {"Flux alone",
     {"FLUX_TASK_RANK=3", "FLUX_JOB_SIZE=4", "FLUX_TASK_LOCAL_ID=1", "FLUX_JOB_NNODES=2"},
     "Flux", 3, 4, 1, -1, -1, 2, "FLUX_TASK_RANK", ""},
    {"MVAPICH",
     {"MV2_COMM_WORLD_RANK=1", "MV2_COMM_WORLD_SIZE=4", "MV2_COMM_WORLD_LOCAL_RANK=1", "MV2_COMM_WORLD_LOCAL_SIZE=2",
      "PMI_RANK=1", "PMI_SIZE=4"},
     "MVAPICH", 1, 4, 1, 2, -1, -1, "MV2_COMM_WORLD_RANK", ""},
    {"LSF jsrun",
     {"JSM_NAMESPACE_RANK=2", "JSM_NAMESPACE_SIZE=4", "JSM_NAMESPACE_LOCAL_RANK=0", "PMIX_RANK=2"},
     "LSF jsrun", 2, 4, 0, -1, -1, -1, "JSM_NAMESPACE_RANK", ""},
    {"PALS",
     {"PALS_RANKID=3", "PALS_LOCAL_RANKID=1", "PALS_NODEID=1", "PMI_RANK=3", "PMI_SIZE=4"},
     "PALS", 3, 4, 1, -1, 1, -1, "PMI_RANK", ""},
    {"torchrun on each of two nodes, each started by srun",
     {"SLURM_PROCID=1", "SLURM_LOCALID=0", "SLURM_NODEID=1", "SLURM_STEP_NUM_TASKS=2", "TORCHELASTIC_RUN_ID=none",
      "RANK=5", "WORLD_SIZE=8", "LOCAL_RANK=1", "LOCAL_WORLD_SIZE=4", "GROUP_RANK=1", "MASTER_ADDR=n1",
      "MASTER_PORT=29500"},
     "torchrun", 5, 8, 1, 4, 1, -1, "RANK", "n1"},
    {"RANK and WORLD_SIZE set by a script count after MPI",
     {"RANK=1", "WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=2"},
     "Open MPI", 0, 2, -1, -1, -1, -1, "OMPI_COMM_WORLD_RANK", ""},
    {"RANK and WORLD_SIZE alone",
     {"RANK=1", "WORLD_SIZE=2"},
     "RANK and WORLD_SIZE", 1, 2, -1, -1, -1, -1, "RANK", ""},
    {"a training job of SageMaker",
     {"SM_HOSTS=[\"algo-1\",\"algo-2\"]", "SM_CURRENT_HOST=algo-2", "SM_NUM_GPUS=8", "SM_MASTER_ADDR=algo-1"},
     "SageMaker", 8, 16, 0, 8, 1, 2, "SM_CURRENT_HOST", "algo-1"},
    {"a training job of SageMaker without GPUs",
     {"SM_HOSTS=[\"algo-1\",\"algo-2\"]", "SM_CURRENT_HOST=algo-1", "SM_NUM_GPUS=0"},
     "SageMaker", 0, 2, 0, 1, 0, 2, "SM_CURRENT_HOST", "algo-1"},
    {"mpirun within SageMaker",
     {"SM_HOSTS=[\"algo-1\",\"algo-2\"]", "SM_CURRENT_HOST=algo-1", "SM_NUM_GPUS=8", "OMPI_COMM_WORLD_RANK=9",
      "OMPI_COMM_WORLD_SIZE=16", "OMPI_COMM_WORLD_LOCAL_RANK=1", "OMPI_COMM_WORLD_LOCAL_SIZE=8"},
     "Open MPI", 9, 16, 1, 8, -1, -1, "OMPI_COMM_WORLD_RANK", ""},
    {"a multi-node job of AWS Batch, which tells the main node no address",
     {"AWS_BATCH_JOB_NODE_INDEX=0", "AWS_BATCH_JOB_NUM_NODES=3", "AWS_BATCH_JOB_MAIN_NODE_INDEX=0"},
     "AWS Batch", 0, 3, 0, 1, 0, 3, "AWS_BATCH_JOB_NODE_INDEX", ""},
    {"another node of AWS Batch",
     {"AWS_BATCH_JOB_NODE_INDEX=2", "AWS_BATCH_JOB_NUM_NODES=3",
      "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS=10.0.0.4"},
     "AWS Batch", 2, 3, 0, 1, 2, 3, "AWS_BATCH_JOB_NODE_INDEX", "10.0.0.4"},
};

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void every_launcher_is_read(void **state)
{
    (void)state;
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof rows[0]; row++) {
        struct weir_launcher l;
        if (weir_launcher_detect(row->environment, &l))
            fail_msg("%s: %s", row->sentence, weir_last_error());
        if (strcmp(l.name, row->name) != 0 || l.rank != row->rank || l.n_ranks != row->n_ranks ||
            l.local_rank != row->local_rank || l.n_local != row->n_local || l.node != row->node ||
            l.n_nodes != row->n_nodes)
            fail_msg("%s: %s, rank %d of %d, local %d of %d, node %d of %d", row->sentence, l.name, l.rank, l.n_ranks,
                     l.local_rank, l.n_local, l.node, l.n_nodes);
        if (!same_text(l.rank_variable, row->rank_variable) || strcmp(l.first_host, row->first_host) != 0)
            fail_msg("%s: from %s, first host '%s'", row->sentence, l.rank_variable, l.first_host);
        bool hosts_only = !strcmp(row->name, "SageMaker") || !strcmp(row->name, "AWS Batch");
        assert_int_equal(l.hosts_only, hosts_only);
    }
}

static const struct {
    const char *environment[VARIABLES_MAX];
    const char *words;
} bad[] = {
    {{"OMPI_COMM_WORLD_RANK=x", "OMPI_COMM_WORLD_SIZE=2"}, "OMPI_COMM_WORLD_RANK='x' is not a number from 0 on"},
    {{"OMPI_COMM_WORLD_RANK=", "OMPI_COMM_WORLD_SIZE=2"}, "OMPI_COMM_WORLD_RANK='' is not a number"},
    {{"OMPI_COMM_WORLD_RANK=1 ", "OMPI_COMM_WORLD_SIZE=2"}, "OMPI_COMM_WORLD_RANK='1 '"},
    {{"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=0"}, "OMPI_COMM_WORLD_SIZE='0' is not a number from 1 on"},
    {{"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=4294967297"}, "OMPI_COMM_WORLD_SIZE='4294967297'"},
    {{"OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=2"}, "OMPI_COMM_WORLD_RANK=2 contradicts OMPI_COMM_WORLD_SIZE=2"},
    {{"OMPI_COMM_WORLD_RANK=1"}, "OMPI_COMM_WORLD_RANK=1 is set, but OMPI_COMM_WORLD_SIZE is not"},
    {{"OMPI_COMM_WORLD_SIZE=2"}, "OMPI_COMM_WORLD_SIZE=2 is set, but OMPI_COMM_WORLD_RANK is not"},
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_LOCAL_RANK=1",
      "OMPI_COMM_WORLD_LOCAL_SIZE=1"},
     "OMPI_COMM_WORLD_LOCAL_RANK=1 contradicts OMPI_COMM_WORLD_LOCAL_SIZE=1"},
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_LOCAL_SIZE=3"},
     "OMPI_COMM_WORLD_LOCAL_SIZE=3 contradicts OMPI_COMM_WORLD_SIZE=2"},
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2", "PMIX_RANK=0"},
     "PMIX_RANK=0 contradicts OMPI_COMM_WORLD_RANK=1"},
    {{"PMIX_RANK=1", "PMIX_NAMESPACE=x"}, "PMIX_RANK=1 is set, but no variable says how many"},
    {{"PMIX_RANK=1", "SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2"}, "PMIX_RANK=1 is set, but no variable says how many"},
    {{"PMIX_RANK=3", "SLURM_PROCID=3", "SLURM_STEP_NUM_TASKS=2"}, "PMIX_RANK=3 contradicts SLURM_STEP_NUM_TASKS=2"},
    {{"PMI_RANK=1"}, "PMI_SIZE is not"},
    {{"SLURM_STEP_NUM_TASKS=2"}, "SLURM_STEP_NUM_TASKS=2 is set, but SLURM_PROCID is not"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_NODEID=0", "SLURM_STEP_TASKS_PER_NODE=2(x2)"},
     "SLURM_STEP_TASKS_PER_NODE='2(x2)' are 4 tasks, which contradicts SLURM_STEP_NUM_TASKS=2"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_NODEID=0", "SLURM_STEP_TASKS_PER_NODE=2x2"},
     "SLURM_STEP_TASKS_PER_NODE='2x2' is not a list of the form"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_NODEID=2", "SLURM_STEP_TASKS_PER_NODE=1(x2)"},
     "SLURM_STEP_TASKS_PER_NODE='1(x2)' has 2 nodes, this is node 2"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NUM_NODES=2", "SLURM_STEP_NODELIST=n[1-3]"},
     "SLURM_STEP_NODELIST='n[1-3]' are 3 nodes, which contradicts SLURM_STEP_NUM_NODES=2"},
    {{"FLUX_TASK_RANK=0"}, "FLUX_JOB_SIZE is not"},
    {{"MV2_COMM_WORLD_RANK=0"}, "MV2_COMM_WORLD_SIZE is not"},
    {{"JSM_NAMESPACE_SIZE=2"}, "JSM_NAMESPACE_RANK is not"},
    {{"PALS_RANKID=0"}, "PALS_RANKID=0 is set, but PMI_SIZE is not"},
    {{"RANK=0"}, "RANK=0 is set, but WORLD_SIZE is not"},
    {{"SM_HOSTS=[\"a\"]"}, "SM_CURRENT_HOST is not"},
    {{"SM_HOSTS=[\"a\"]", "SM_CURRENT_HOST=b"}, "is no list of names with SM_CURRENT_HOST='b' in it"},
    {{"SM_HOSTS=a,b", "SM_CURRENT_HOST=b"}, "SM_HOSTS"},
    {{"SM_HOSTS=[\"a\"]", "SM_CURRENT_HOST=a", "SM_NUM_GPUS=-1"}, "SM_NUM_GPUS='-1'"},
    {{"AWS_BATCH_JOB_NODE_INDEX=0"}, "AWS_BATCH_JOB_NUM_NODES is not"},
    {{"AWS_BATCH_JOB_NODE_INDEX=2", "AWS_BATCH_JOB_NUM_NODES=2"}, "AWS_BATCH_JOB_NODE_INDEX=2 contradicts"},
};

static void wrong_variables_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct weir_launcher launcher = {.rank = -7};
        assert_fails(weir_launcher_detect(bad[i].environment, &launcher), WEIR_ERR_USAGE, bad[i].words);
        assert_int_equal(launcher.rank, -7);
    }
}

static void tasks_per_node_are_expanded(void **state)
{
    (void)state;
    int tasks, n_tasks;
    assert_ok(weir_slurm_tasks_parse("T", "2(x3),1", 2, &tasks, &n_tasks));
    assert_int_equal(tasks, 2);
    assert_int_equal(n_tasks, 7);
    assert_ok(weir_slurm_tasks_parse("T", "2(x3),1", 3, &tasks, &n_tasks));
    assert_int_equal(tasks, 1);
    static const char *const wrong[] = {"", ",", "2,", "2(x)", "2(x0)", "2(x2", "(x2)", "2(x2)3", "-1", "2 ", "9999999999",
                                        "1(x999999999)", "999999999(x999999)"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_fails(weir_slurm_tasks_parse("T", wrong[i], 0, &tasks, &n_tasks), WEIR_ERR_USAGE, "is not a list");
}

static void node_names_are_expanded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int node, n_nodes;
        const char *name;
    } good[] = {
        {"n[1-2]", 0, 2, "n1"},          {"n[1-2]", 1, 2, "n2"},          {"host-7.lan", 0, 1, "host-7.lan"},
        {"a,b,c", 2, 3, "c"},            {"n[08-11,3],m5", 1, 6, "n09"},  {"n[08-11,3],m5", 3, 6, "n11"},
        {"n[08-11,3],m5", 4, 6, "n3"},   {"n[08-11,3],m5", 5, 6, "m5"},   {"r[0-1]n[1-3]x", 4, 6, "r1n2x"},
    };
    char name[WEIR_HOST_NAME_MAX];
    int n_nodes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(weir_slurm_nodes_parse("N", good[i].text, good[i].node, name, &n_nodes));
        assert_string_equal(name, good[i].name);
        assert_int_equal(n_nodes, good[i].n_nodes);
    }
    static const char *const wrong[] = {"", ",", "n1,", "n[", "n[]", "n[1", "n[1-", "n[2-1]", "n[1-2", "n[1,]", "n 1", "n]",
                                        "n[1-999999999]", "n[0-2000][0-2000]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_fails(weir_slurm_nodes_parse("N", wrong[i], 0, name, &n_nodes), WEIR_ERR_USAGE, "is not a list");
    assert_fails(weir_slurm_nodes_parse("N", "n[1-2]", 2, name, &n_nodes), WEIR_ERR_USAGE, "has 2 nodes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_launcher_is_read),
        cmocka_unit_test(wrong_variables_are_named),
        cmocka_unit_test(tasks_per_node_are_expanded),
        cmocka_unit_test(node_names_are_expanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
