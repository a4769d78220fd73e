/* Which transport a program has when it names none, whatever launchers and MPI leave in the environment.   labels: threads */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "engine/transport/transport.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "weir_libraries.h"

enum { MOST_VARIABLES = 4 };

/* What weir_engine_config_launched says to a launcher's variables; wanted NULL: a usage error that has `words`. */
static const struct {
    const char *sentence, *variables[MOST_VARIABLES][2], *device, *wanted, *words;
    bool needs_mpi;
} rows[] = {
    {"no launcher", {{NULL}}, "cpu", "local", NULL, false},
    {"one process", {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}, "cpu", "local", NULL, false},
    {"two processes", {{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}}, "cpu", "mpi", NULL, true},
    {"two processes of another MPI", {{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}, "cpu", "mpi", NULL, true},
    {"one host with four devices", {{"SM_HOSTS", "[\"a\"]"}, {"SM_CURRENT_HOST", "a"}, {"SM_NUM_GPUS", "4"}}, "cpu", "local",
     NULL, false},
    {"two hosts", {{"SM_HOSTS", "[\"a\", \"b\"]"}, {"SM_CURRENT_HOST", "a"}}, "cpu", "mpi", NULL, true},
    {"two processes of weir launch", {{"WEIR_LAUNCH_RANK", "0"}, {"WEIR_LAUNCH_SIZE", "2"}, {"WEIR_LAUNCH_FILES", "9:1,8:1"}}, "cpu", "shm",
     NULL, false},
    {"weir launch within mpirun", {{"WEIR_LAUNCH_RANK", "0"}, {"WEIR_LAUNCH_SIZE", "1"}, {"WEIR_LAUNCH_FILES", "9:1,8:1"}, {"PMI_SIZE", "2"}},
     "cpu", "shm", NULL, false},
    {"half of a launcher", {{"PMIX_RANK", "0"}}, "cpu", NULL, "PMIX_RANK=0 is set", false},
    {"a device that is none", {{NULL}}, "cpx", NULL, "did you mean 'cpu'", false},
};

static void variables_set(size_t row, bool set)
{
    for (int v = 0; v < MOST_VARIABLES && rows[row].variables[v][0]; v++)
        assert_int_equal(set ? setenv(rows[row].variables[v][0], rows[row].variables[v][1], 1)
                             : unsetenv(rows[row].variables[v][0]), 0);
}

static void a_launched_program_follows_its_launcher(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = "untouched";
        variables_set(i, true);
        struct weir_engine_config config;
        weir_engine_config_init(&config, sizeof config);
        config.device = rows[i].device;
        config.transport = name;
        weir_status status = weir_engine_config_launched(&config);
        variables_set(i, false);
        name = config.transport;
        if (rows[i].needs_mpi && !WEIR_HAVE_MPI)
            assert_fails(status, WEIR_ERR_USAGE, "has no MPI");
        else if (!rows[i].wanted)
            assert_fails(status, WEIR_ERR_USAGE, rows[i].words);
        else if (status || strcmp(name, rows[i].wanted) != 0)
            fail_msg("%s: '%s', it should be '%s'", rows[i].sentence, status ? weir_last_error() : name, rows[i].wanted);
    }
}

static void a_library_stays_in_its_process_whatever_the_launcher_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct weir_transport_kind *kind;
        variables_set(i, true);
        assert_ok(weir_transport_find(NULL, &kind));
        variables_set(i, false);
        assert_string_equal(kind->name, "local");
    }
}

static void processes_meet_where_the_transport_has_something_to_start(void **state)
{
    (void)state;
    struct weir_engine_config config, shorter;
    weir_engine_config_init(&config, sizeof config);
    assert_ok(weir_connect(&config)); /* threads of this process */
    weir_disconnect();
    weir_disconnect();
    config.timeout = -1;
    assert_fails(weir_connect(&config), WEIR_ERR_USAGE, "timeout is -1 s");
    config.timeout = 1;
    config.transport = "nvlink";
    assert_fails(weir_connect(&config), WEIR_ERR_USAGE, "nvlink");
    config.transport = "shm";
    config.device = "null";
    assert_fails(weir_connect(&config), WEIR_ERR_USAGE, "device 'null' runs all ranks in one process");
    config.device = NULL;
    assert_fails(weir_connect(&config), WEIR_ERR_INVALID, "the configuration has none");
    assert_fails(weir_connect(NULL), WEIR_ERR_INVALID, "there is no weir_engine_config");
    assert_fails(weir_engine_config_launched(NULL), WEIR_ERR_INVALID, "weir_engine_config_init");
    weir_engine_config_init(&shorter, 16);
    assert_fails(weir_engine_config_launched(&shorter), WEIR_ERR_INVALID, "of 16 bytes has no transport");
}

static weir_status engine_try(const char *transport, int stages)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    const struct weir_graph *graph;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = 8};
    weir_engine *engine = NULL;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &graph));
    assert_ok(weir_pipeline_schedule("1f1b", stages, 1, 2, &arena, &schedule));
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = graph;
    config.schedule = &schedule;
    config.device = "cpu";
    config.transport = transport;
    weir_status status = weir_engine_open(&config, &engine);
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return status;
}

/* MPI that starts without a launcher leaves variables of one behind (PMIX_RANK=0). */
static void what_mpi_leaves_behind_spoils_no_later_engine(void **state)
{
    (void)state;
    if (!WEIR_HAVE_MPI) {
        print_message("skipped: this build has no MPI\n");
        return;
    }
    assert_fails(engine_try("mpi", 2), WEIR_ERR_USAGE, "needs 2 processes, 1 were started");
    assert_ok(engine_try(NULL, 2));
    assert_ok(engine_try("mpi", 1));
    assert_ok(engine_try(NULL, 1));
}

int main(void)
{
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_launched_program_follows_its_launcher),
        cmocka_unit_test(processes_meet_where_the_transport_has_something_to_start),
        cmocka_unit_test(a_library_stays_in_its_process_whatever_the_launcher_says),
        cmocka_unit_test(what_mpi_leaves_behind_spoils_no_later_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
