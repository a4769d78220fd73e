/* A program that uses MPI gives an engine the communicator whose processes run it.  (Under the thread sanitizer no process may end MPI
 * by itself: it ends a process from which a library goes that its suppressions name.  So this has no label for it.)
 *
 * Without arguments the program starts itself under mpi.sh.  With one it is one of the processes: `run` says what a group of them
 * prints, and what the groups of a job print is held to what each prints alone. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/weir/weir.h"
#include "tests/support/mpi_rig.h"
#include "weir_libraries.h"

#if !WEIR_HAVE_MPI

static void a_build_without_mpi_says_so(void **state)
{
    (void)state;
    struct weir_engine_config config;
    weir_engine_config_init(&config, sizeof config);
    assert_fails(weir_engine_config_communicator(&config, 0), WEIR_ERR_UNSUPPORTED, "a communicator was given, but this build of Weir has no MPI");
    assert_int_equal(config.communicator, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_build_without_mpi_says_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include "base/hash.h"
#include "include/weir/mpi.h"
#include "tests/support/faulty_graph.h"

enum { STEPS = 6, HALF = 2, TAG = 77 };
static const double timeout = 60;

/* ---- one group of processes ------------------------------------------------------------------------------------------ */

static void say(const char *words)
{
    printf("%s\n", words); /* one write: lines of processes do not mix */
    fflush(stdout);
}

static void must(weir_status status, const char *what)
{
    if (!status)
        return;
    fprintf(stderr, "%s: %s\n", what, weir_last_error());
    MPI_Abort(MPI_COMM_WORLD, 9);
}

static void must_hold(bool holds, const char *what)
{
    must(holds ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INTERNAL, "does not hold"), what);
}

static int rank_in(MPI_Comm comm)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    return rank;
}

static weir_status engine_open(MPI_Comm comm, int n_ranks, double limit, weir_engine **engine_out)
{
    struct weir_engine_config config;
    weir_status status = faulty_config(n_ranks, &config);
    config.transport = "mpi";
    config.timeout = limit;
    if (!status && comm != MPI_COMM_NULL)
        status = weir_mpi_communicator_give(&config, comm);
    return status ? status : weir_engine_open(&config, engine_out);
}

/* A message of the program's own, received by whoever sends anything, with any tag: it is under way while Weir's are. */
struct traffic {
    MPI_Comm comm;
    MPI_Request request;
    int sent, received;
};

static void traffic_begin(struct traffic *t)
{
    t->received = -1;
    MPI_Irecv(&t->received, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, t->comm, &t->request);
}

static void traffic_end(struct traffic *t)
{
    int n, rank = rank_in(t->comm);
    MPI_Status status;
    MPI_Comm_size(t->comm, &n);
    t->sent++;
    MPI_Send(&t->sent, 1, MPI_INT, (rank + 1) % n, TAG, t->comm);
    MPI_Wait(&t->request, &status);
    must_hold(t->received == t->sent && status.MPI_TAG == TAG && status.MPI_SOURCE == (rank + n - 1) % n, "the program's own message");
}

/* Steps, and one line with their losses and all parameters. */
static weir_status train(weir_engine *engine, MPI_Comm own)
{
    static float params[FAULTY_LAYERS][16 * 16];
    static const size_t sizes[FAULTY_LAYERS] = {16 * 16, 16 * 16, 16 * 4};
    static const char *const names[FAULTY_LAYERS] = {"fc0", "fc1", "fc2"};
    struct traffic traffic[2] = {{.comm = own}, {.comm = MPI_COMM_WORLD}};
    double losses[STEPS] = {0};
    char line[128];
    int n_processes;
    weir_status status = WEIR_OK;
    for (int step = 0; step < STEPS && !status; step++) {
        struct weir_step_report report;
        for (int t = 0; own != MPI_COMM_NULL && t < 2; t++)
            traffic_begin(&traffic[t]);
        status = faulty_step(engine, &report);
        losses[step] = report.loss;
        for (int t = 0; own != MPI_COMM_NULL && t < 2; t++)
            traffic_end(&traffic[t]);
    }
    for (int p = 0; p < FAULTY_LAYERS && !status; p++)
        status = weir_engine_param_read(engine, names[p], params[p], sizes[p]);
    if (status || weir_engine_process(engine, &n_processes) > 0)
        return status;
    snprintf(line, sizeof line, "data %d: loss %a, bits %016llx %016llx", faulty_plan.data, losses[STEPS - 1],
             (unsigned long long)weir_hash64(losses, sizeof losses, 0), (unsigned long long)weir_hash64(params, sizeof params, 0));
    say(line);
    return WEIR_OK;
}

/* ---- what processes do ----------------------------------------------------------------------------------------------- */

static int alone_run(int data)
{
    weir_engine *engine;
    faulty_plan.data = data;
    must(engine_open(MPI_COMM_WORLD, HALF, timeout, &engine), "open");
    must(train(engine, MPI_COMM_NULL), "train");
    weir_engine_close(engine);
    return 0;
}

static int alone_0_run(void)
{
    return alone_run(0);
}

static int alone_1_run(void)
{
    return alone_run(1);
}

static MPI_Comm half_make(int key)
{
    MPI_Comm half;
    int rank = rank_in(MPI_COMM_WORLD);
    MPI_Comm_split(MPI_COMM_WORLD, rank / HALF, key, &half);
    faulty_plan.data = rank / HALF;
    return half;
}

static int n_errors, n_copies;

static void error_count(MPI_Comm *comm, int *code, ...)
{
    (void)comm, (void)code;
    n_errors++;
}

static int copy_count(MPI_Comm comm, int key, void *extra, void *value, void *value_out, int *flag)
{
    (void)comm, (void)key, (void)extra, (void)value, (void)value_out;
    n_copies++;
    *flag = 0;
    return MPI_SUCCESS;
}

/* Attributes, error handler and hints of the program stay with its communicator, which is freed while the engine runs. */
static int halves_run(void)
{
    weir_engine *engine;
    MPI_Errhandler handler;
    MPI_Info hints;
    MPI_Comm half = half_make(0), own;
    int key, value = 1;
    MPI_Comm_dup(half, &own);
    MPI_Comm_create_keyval(copy_count, MPI_COMM_NULL_DELETE_FN, &key, NULL);
    MPI_Comm_set_attr(half, key, &value);
    MPI_Comm_create_errhandler(error_count, &handler);
    MPI_Comm_set_errhandler(half, handler);
    MPI_Info_create(&hints);
    MPI_Info_set(hints, "mpi_assert_no_any_source", "true");
    MPI_Comm_set_info(half, hints);
    must(engine_open(half, HALF, timeout, &engine), "open");
    MPI_Comm_free(&half);
    must(train(engine, own), "train");
    must_hold(!n_errors && !n_copies, "nothing of the program's communicator is used");
    weir_engine_close(engine);
    MPI_Comm_free(&own);
    return 0;
}

static int reversed_run(void)
{
    weir_engine *engine;
    int n = 0, rank = rank_in(MPI_COMM_WORLD);
    MPI_Comm half = half_make(-rank);
    must(engine_open(half, HALF, timeout, &engine), "open");
    must_hold(weir_engine_process(engine, &n) == HALF - 1 - rank % HALF && n == HALF, "ranks are those of the communicator");
    must(train(engine, MPI_COMM_NULL), "train");
    weir_engine_close(engine);
    MPI_Comm_free(&half);
    return 0;
}

/* A process may be in several engines: of its half, and of itself alone. */
static int several_run(void)
{
    weir_engine *engine, *lone;
    struct weir_engine_config config;
    struct weir_schedule schedule;
    struct weir_arena arena = {0};
    MPI_Comm half = half_make(0);
    must(engine_open(half, HALF, timeout, &engine), "open");
    must(faulty_config(HALF, &config), "config");
    must(weir_pipeline_schedule("1f1b", 1, 1, FAULTY_MICROBATCHES, &arena, &schedule), "schedule");
    config.schedule = &schedule;
    config.first_layer = NULL;
    config.transport = "mpi";
    must(weir_mpi_communicator_give(&config, MPI_COMM_SELF), "give");
    must(weir_engine_open(&config, &lone), "open alone");
    must(train(engine, half), "train");
    must(train(lone, half), "train alone");
    weir_engine_close(lone);
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return 0;
}

/* The second half fails in its third step; it waits for the first one, and goes on with a new engine when it is to. */
static weir_status faulty_run(MPI_Comm half, enum faulty_kind kind)
{
    weir_engine *engine;
    char line[WEIR_ERROR_MAX + 64];
    if (faulty_plan.data == 1)
        faulty_plan = (struct faulty_plan){.kind = kind, .data = 1, .layer = 2, .step = 2};
    must(engine_open(half, HALF, timeout, &engine), "open");
    weir_status status = train(engine, MPI_COMM_NULL);
    snprintf(line, sizeof line, "rank %d: status %d: %s", rank_in(MPI_COMM_WORLD), (int)status, status ? weir_last_error() : "");
    say(line);
    weir_engine_close(engine);
    return status;
}

static int failing_run(bool again)
{
    weir_engine *engine;
    MPI_Comm half = half_make(0);
    weir_status status = faulty_run(half, FAULTY_ERROR);
    if (status && again) {
        faulty_plan.kind = FAULTY_NONE;
        must(engine_open(half, HALF, timeout, &engine), "open again");
        must(train(engine, half), "train again");
        weir_engine_close(engine);
    } else if (again) {
        struct traffic all = {.comm = MPI_COMM_WORLD}; /* its part of the messages in train() */
        for (int step = 0; step < STEPS; step++) {
            traffic_begin(&all);
            traffic_end(&all);
        }
    }
    return status && !again ? weir_status_exit_code(status) : 0;
}

static int fails_run(void)
{
    return failing_run(false);
}

static int again_run(void)
{
    return failing_run(true);
}

/* A process of the second half dies.  MPI_Finalize would wait for it. */
static int dies_run(void)
{
    faulty_run(half_make(0), FAULTY_KILL);
    _exit(0);
}

static int late_run(void)
{
    weir_engine *engine;
    must(engine_open(MPI_COMM_WORLD, HALF, timeout, &engine), "open");
    must(train(engine, MPI_COMM_NULL), "train");
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    weir_engine_close(engine);
    say("closed late");
    return 0;
}

static void refusal_say(const char *what, weir_status status)
{
    char line[WEIR_ERROR_MAX + 64];
    snprintf(line, sizeof line, "%s: %s: %s", what, weir_status_str(status), status ? weir_last_error() : "");
    say(line);
}

static void other_transports_try(MPI_Comm comm)
{
    static const char *const transports[] = {NULL, "shm"};
    for (int i = 0; i < 2; i++) {
        struct weir_engine_config config;
        weir_engine *engine;
        must(faulty_config(HALF, &config), "config");
        must(weir_mpi_communicator_give(&config, comm), "give");
        config.transport = transports[i];
        refusal_say(transports[i] ? transports[i] : "local", weir_engine_open(&config, &engine));
    }
}

static void no_communicators_try(void)
{
    struct weir_engine_config config, small;
    MPI_Comm part, inter;
    int rank = rank_in(MPI_COMM_WORLD);
    must(faulty_config(HALF, &config), "config");
    MPI_Comm_split(MPI_COMM_WORLD, rank ? MPI_UNDEFINED : 0, 0, &part);
    refusal_say(rank ? "null" : "member", weir_mpi_communicator_give(&config, part));
    MPI_Comm_split(MPI_COMM_WORLD, rank, 0, &part);
    MPI_Intercomm_create(part, 0, MPI_COMM_WORLD, 1 - rank, TAG, &inter);
    refusal_say("inter", weir_mpi_communicator_give(&config, inter));
    refusal_say("number", weir_engine_config_communicator(&config, 1 << 20));
    refusal_say("none", weir_mpi_communicator_give(NULL, MPI_COMM_WORLD));
    small = config;
    small.struct_bytes = offsetof(struct weir_engine_config, communicator);
    refusal_say("small", weir_mpi_communicator_give(&small, MPI_COMM_WORLD));
    config.communicator = 5;
    config.transport = "mpi";
    refusal_say("by hand", weir_engine_open(&config, &(weir_engine *){NULL}));
}

static int misuse_run(void)
{
    weir_engine *engine;
    struct weir_engine_config config;
    MPI_Comm copy;
    must(faulty_config(HALF, &config), "config");
    no_communicators_try();
    other_transports_try(MPI_COMM_WORLD);
    refusal_say("too few", engine_open(MPI_COMM_WORLD, FAULTY_LAYERS, timeout, &engine));
    MPI_Comm_dup(MPI_COMM_WORLD, &copy);
    must(weir_mpi_communicator_give(&config, copy), "give");
    MPI_Comm_free(&copy);
    config.transport = "mpi";
    refusal_say("freed", weir_engine_open(&config, &engine));
    alone_run(0); /* none of it has spoiled anything */
    MPI_Finalize();
    refusal_say("finalized", weir_mpi_communicator_give(&config, MPI_COMM_WORLD));
    return 0;
}

/* Before MPI is started. */
static int early_run(void)
{
    struct weir_engine_config config;
    must(faulty_config(HALF, &config), "config");
    refusal_say("early", weir_mpi_communicator_give(&config, MPI_COMM_WORLD));
    return 0;
}

static int level_run(void)
{
    weir_engine *engine;
    refusal_say("level", engine_open(MPI_COMM_WORLD, HALF, timeout, &engine));
    return 0;
}

/* MPI_COMM_WORLD as Weir finds it by itself, MPI started by the program. */
static int plain_run(void)
{
    weir_engine *engine;
    weir_status status = engine_open(MPI_COMM_NULL, HALF, timeout, &engine);
    refusal_say("plain", status);
    return 0;
}

static int no_timeout_run(void)
{
    weir_engine *engine;
    must(engine_open(MPI_COMM_WORLD, HALF, 0, &engine), "open");
    must(train(engine, MPI_COMM_WORLD), "train");
    weir_engine_close(engine);
    return 0;
}

static const struct mode {
    const char *name;
    int (*run)(void);
    int level;
    bool is_early;
} modes[] = {
    {"alone_0", alone_0_run, MPI_THREAD_SERIALIZED, false},
    {"alone_1", alone_1_run, MPI_THREAD_SERIALIZED, false},
    {"halves", halves_run, MPI_THREAD_SERIALIZED, false},
    {"halves_far", halves_run, MPI_THREAD_MULTIPLE, false},
    {"reversed", reversed_run, MPI_THREAD_SERIALIZED, false},
    {"several", several_run, MPI_THREAD_SERIALIZED, false},
    {"fails", fails_run, MPI_THREAD_SERIALIZED, false},
    {"fails_far", fails_run, MPI_THREAD_MULTIPLE, false},
    {"again", again_run, MPI_THREAD_SERIALIZED, false},
    {"again_far", again_run, MPI_THREAD_MULTIPLE, false},
    {"dies", dies_run, MPI_THREAD_SERIALIZED, false},
    {"late", late_run, MPI_THREAD_SERIALIZED, false},
    {"misuse", misuse_run, MPI_THREAD_SERIALIZED, false},
    {"early", early_run, MPI_THREAD_SERIALIZED, true},
    {"funneled", level_run, MPI_THREAD_FUNNELED, false},
    {"serialized", level_run, MPI_THREAD_SERIALIZED, false},
    {"plain", plain_run, MPI_THREAD_SERIALIZED, false},
    {"no_timeout", no_timeout_run, MPI_THREAD_SERIALIZED, false},
};

static int process_run(const char *name)
{
    int level, ended = 0;
    const struct mode *mode = modes;
    while (strcmp(mode->name, name) != 0)
        mode++;
    if (!mode->is_early)
        MPI_Init_thread(NULL, NULL, mode->level, &level);
    int code = mode->run();
    MPI_Finalized(&ended);
    if (!mode->is_early && !ended)
        MPI_Finalize();
    return code;
}

/* ---- the driver ------------------------------------------------------------------------------------------------------ */

enum { ROOM = 1 << 16 };

static const char *self;
static char alone[2][128]; /* the line of two processes by themselves, for both data */

static void mode_run(const char *settings, int n, const char *mode, int wanted, char *text)
{
    int code = mpi_run(settings, n, self, mode, text, ROOM);
    if (code != wanted)
        fail_msg("%s: status %d, not %d: %s", mode, code, wanted, text);
}

static void has(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("no '%s' in: %s", words, text);
}

/* The line that begins with `start`. */
static void line_find(const char *text, const char *start, char *line, size_t room)
{
    const char *at = strstr(text, start);
    assert_non_null(at);
    snprintf(line, room, "%.*s", (int)strcspn(at, "\n"), at);
}

/* The others are compared with these. */
static void a_group_alone_has_bits_of_its_data(void **state)
{
    static const char *const runs[] = {"alone_0", "alone_1"}, *const starts[] = {"data 0:", "data 1:"};
    static char text[ROOM];
    (void)state;
    for (int data = 0; data < 2; data++) {
        mode_run("", HALF, runs[data], 0, text);
        line_find(text, starts[data], alone[data], sizeof alone[data]);
    }
    assert_string_not_equal(alone[0] + strlen(starts[0]), alone[1] + strlen(starts[1]));
}

static void has_both(const char *text)
{
    assert_true(*alone[0] && *alone[1]);
    has(text, alone[0]);
    has(text, alone[1]);
}

static void two_groups_train_with_the_bits_that_each_has_alone(void **state)
{
    static char text[ROOM];
    (void)state;
    mode_run("", 2 * HALF, "halves", 0, text);
    has_both(text);
}

static void so_do_groups_on_several_hosts(void **state)
{
    static char text[ROOM];
    (void)state;
    mode_run("WEIR_TEST_HOSTS=0,1", 2 * HALF, "halves_far", 0, text);
    has_both(text);
}

static void ranks_go_by_the_order_of_the_communicator(void **state)
{
    static char text[ROOM];
    (void)state;
    mode_run("", 2 * HALF, "reversed", 0, text);
    has_both(text);
}

static void a_process_may_be_in_several_engines(void **state)
{
    static char text[ROOM];
    int n = 0;
    (void)state;
    mode_run("", 2 * HALF, "several", 0, text);
    for (const char *at = text; (at = strstr(at, alone[0])) != NULL; at++)
        n++;
    assert_int_equal(n, 1 + HALF); /* of the half, and of each of its processes */
}

/* mpirun hears of the failure when all are through MPI_Finalize. */
static void a_group_that_fails_leaves_the_other_to_finish(void **state)
{
    static const char *const settings[] = {"", "WEIR_TEST_HOSTS=0,1"}, *const run[] = {"fails", "fails_far"};
    static char text[ROOM];
    (void)state;
    for (int i = 0; i < 2; i++) {
        mode_run(settings[i], 2 * HALF, run[i], weir_status_exit_code(WEIR_ERR_DEVICE), text);
        has(text, alone[0]);
        has(text, "rank 0: status 0");
        has(text, "rank 1: status 0");
        has(text, "rank 2: status 4: ");
        has(text, "rank 3: status 4: ");
        has(text, "rank 1 failed: rank 1, 1F0: node 'fault 2': boom");
        assert_null(strstr(text, "data 1:"));
    }
}

static void a_group_that_failed_may_open_another_engine(void **state)
{
    static const char *const settings[] = {"", "WEIR_TEST_HOSTS=0,1"}, *const run[] = {"again", "again_far"};
    static char text[ROOM];
    (void)state;
    for (int i = 0; i < 2; i++) {
        mode_run(settings[i], 2 * HALF, run[i], 0, text);
        has_both(text);
    }
}

/* By itself mpirun would end them all. */
static void a_group_that_loses_a_process_leaves_the_other_to_finish(void **state)
{
    static char text[ROOM];
    (void)state;
    mpi_run("MPI_ARGS=--enable-recovery", 2 * HALF, self, "dies", text, sizeof text);
    has(text, alone[0]);
    has(text, "rank 0: status 0");
    has(text, "rank 2: status 9: ");
    has(text, "the process of rank 1 has died");
    assert_null(strstr(text, "data 1:"));
}

static void an_engine_may_be_closed_after_mpi(void **state)
{
    static char text[ROOM];
    (void)state;
    mode_run("", HALF, "late", 0, text);
    has(text, "closed late");
}

static void what_is_no_communicator_is_refused_by_name(void **state)
{
    static const char *const words[] = {
        "member: ok",
        "null: invalid input: MPI_COMM_NULL was given",
        "inter: invalid input: an inter-communicator was given",
        "number: invalid input: a communicator was given that Open MPI v",
        "none: invalid input: a configuration of 0 bytes has no communicator",
        "small: invalid input: a configuration of ",
        "by hand: invalid input: the communicator is no number that weir_engine_config_communicator has set",
        "local: usage: a communicator was given, and transport 'local' takes none: use transport=mpi",
        "shm: usage: a communicator was given, and transport 'shm' takes none: use transport=mpi",
        "too few: usage: of the communicator: 1 replica of 3 ranks needs 3 processes, 2 were started",
        "freed: invalid input: a communicator was given that Open MPI v",
        "finalized: usage: a communicator was given, but MPI was finalised",
    };
    static char text[ROOM];
    (void)state;
    mode_run("", HALF, "misuse", 0, text);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        has(text, words[i]);
    has(text, alone[0]);
}

static void mpi_must_run_and_with_threads(void **state)
{
    static char text[ROOM];
    (void)state;
    mode_run("", 1, "early", 0, text);
    has(text, "early: usage: a communicator was given, but MPI was not started: call MPI_Init_thread before");
    mode_run("", HALF, "funneled", 0, text);
    has(text, "level: not supported: MPI runs with MPI_THREAD_FUNNELED, transport 'mpi' needs MPI_THREAD_SERIALIZED");
}

/* There a thread of the engine calls MPI at any time. */
static void several_hosts_need_more_of_the_threads(void **state)
{
    static const char words[] = "not supported: MPI runs with MPI_THREAD_SERIALIZED, transport 'mpi' needs MPI_THREAD_MULTIPLE where processes "
                                "are on several hosts";
    static char text[ROOM];
    (void)state;
    mode_run("WEIR_TEST_HOSTS=0,1", HALF, "serialized", 0, text);
    has(text, words);
    mode_run("WEIR_TEST_HOSTS=0,1", HALF, "plain", 0, text);
    has(text, words);
    mode_run("WEIR_TEST_HOSTS=0,1", HALF, "no_timeout", 0, text);
    has(text, alone[0]);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        return process_run(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_alone_has_bits_of_its_data),
        cmocka_unit_test(two_groups_train_with_the_bits_that_each_has_alone),
        cmocka_unit_test(so_do_groups_on_several_hosts),
        cmocka_unit_test(ranks_go_by_the_order_of_the_communicator),
        cmocka_unit_test(a_process_may_be_in_several_engines),
        cmocka_unit_test(a_group_that_fails_leaves_the_other_to_finish),
        cmocka_unit_test(a_group_that_failed_may_open_another_engine),
        cmocka_unit_test(a_group_that_loses_a_process_leaves_the_other_to_finish),
        cmocka_unit_test(an_engine_may_be_closed_after_mpi),
        cmocka_unit_test(what_is_no_communicator_is_refused_by_name),
        cmocka_unit_test(mpi_must_run_and_with_threads),
        cmocka_unit_test(several_hosts_need_more_of_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
