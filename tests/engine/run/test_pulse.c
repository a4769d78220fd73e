/* A rank that is stuck, stopped, dead or gone ends the run in time, with its name.   labels: threads
 *
 * With arguments the program is one process of a run: FAULT [LAYER], in layer 1 of step 2. */
#include "tests/support/testing.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/transport/bootstrap/weir_launch.h"
#include "tests/support/faulty_graph.h"
#include "tests/support/launched_rig.h"
#include "tests/support/mpi_rig.h"
#include "weir_libraries.h"

static const char *self;
static const double timeout_s = 1;

/* Ten steps; prints what came of them, and leaves without touching what is hung.  Whoever took crashes before the engine was opened
 * still does: what MPI does then may wait for ever. */
static int process_run(const char *transport)
{
    weir_engine *engine = NULL;
    struct weir_step_report report;
    struct sigaction before, after;
    const char *rank = getenv(WEIR_LAUNCH_RANK);
    sigaction(SIGSEGV, NULL, &before);
    weir_status status = faulty_open(transport, timeout_s, &engine);
    sigaction(SIGSEGV, NULL, &after);
    if (after.sa_handler != before.sa_handler)
        return 99;
    for (int step = 0; step < 10 && !status; step++)
        status = faulty_step(engine, &report);
    printf("rank %s got '%s': %s\n", rank ? rank : "-", weir_status_str(status), status ? weir_last_error() : "");
    fflush(stdout);
    weir_engine_close(engine);
    return weir_status_exit_code(status);
}

/* One process with a thread for each rank, as a child. */
static int local_run(enum faulty_kind kind, int64_t slow_ns, char *text, size_t room, int64_t *stopped_for_ns)
{
    int pipes[2], status;
    fflush(stdout);
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        close(pipes[0]);
        faulty_plan = (struct faulty_plan){.kind = kind, .layer = 1, .step = 2, .slow_ns = slow_ns};
        alarm(60);
        _exit(process_run(NULL));
    }
    close(pipes[1]);
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)(*stopped_for_ns / 1000000000)}, NULL);
        kill(pid, SIGCONT);
    }
    ssize_t bytes = read(pipes[0], text, room - 1);
    text[bytes > 0 ? bytes : 0] = 0;
    close(pipes[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_stuck_callback_ends_a_run_of_threads(void **state)
{
    (void)state;
    char text[4096];
    int64_t start = weir_clock_ns(), none = 0;
    assert_int_equal(local_run(FAULTY_STUCK, 0, text, sizeof text, &none), 5);
    if (!strstr(text, "rank 1 (process ") || !strstr(text, "is stuck in 1F0 of step 3, node 'fault 1': one call runs for 1."))
        fail_msg("%s", text);
    assert_true(weir_clock_ns() - start > 1000000000);
}

/* It would have to take up what was given to it, and is in no call. */
static void a_thread_that_is_lost_between_steps_ends_a_run_of_threads(void **state)
{
    (void)state;
    char text[4096];
    int64_t none = 0;
    assert_int_equal(local_run(FAULTY_LOST, 0, text, sizeof text, &none), 5);
    if (!strstr(text, "rank 1 (process ") || !strstr(text, "is stuck after ") ||
        !strstr(text, " of step 3: what it waits for has been there for 1."))
        fail_msg("%s", text);
}

/* A call is slow when its kind is: once it took long, twenty times that is waited for. */
static void a_slow_callback_below_the_timeout_is_not_stuck(void **state)
{
    (void)state;
    char text[4096];
    int64_t none = 0;
    assert_int_equal(local_run(FAULTY_SLOW, 700000000, text, sizeof text, &none), 0);
}

static void a_whole_job_that_was_stopped_goes_on(void **state)
{
    (void)state;
    char text[4096];
    int64_t stopped_for_ns = INT64_C(3000000000);
    assert_int_equal(local_run(FAULTY_STOP, 0, text, sizeof text, &stopped_for_ns), 0);
}

static const struct {
    const char *sentence;
    enum faulty_kind kind;
    int code, others; /* exit statuses of the rank and of the others */
    const char *words;
} rows[] = {
    {"a stopped process", FAULTY_STOP, 128 + SIGKILL, 5, "has given no sign of life for 1."},
    {"a stuck callback", FAULTY_STUCK, 5, 5, "is stuck in 1F0 of step 3, node 'fault 1'"},
    {"a lost thread", FAULTY_LOST, 5, 5, "of step 3: what it waits for has been there for 1."},
    {"a killed process", FAULTY_KILL, 128 + SIGKILL, 4, "the process of rank 1 has died"},
    {"a crash", FAULTY_CRASH, 128 + SIGSEGV, 4, "the process of rank 1 has died"},
    {"exit(0)", FAULTY_EXIT, 0, 4, "rank 1"},
    {"an error", FAULTY_ERROR, 1, 1, "rank 1 failed: rank 1, 1F0: node 'fault 1': boom"},
};

static void processes_learn_of_every_kind_of_failure_over_shm(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1 << 14];
        int codes[LAUNCHED_MOST];
        launched_run(self, faulty_str(rows[i].kind), FAULTY_LAYERS, rows[i].kind == FAULTY_STOP ? 6 : 60, text, sizeof text, codes);
        if (codes[1] != rows[i].code || codes[0] != rows[i].others || codes[2] != rows[i].others || !strstr(text, rows[i].words))
            fail_msg("%s: statuses %d, %d, %d: %s", rows[i].sentence, codes[0], codes[1], codes[2], text);
    }
}

/* mpirun ends all when one process has failed: of the messages one is sure. */
static void a_stopped_stuck_or_lost_rank_is_named_over_mpi(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* which reports the order of locks within Open MPI */
#endif
    for (int k = 0; k < 3 && WEIR_HAVE_MPI; k++) {
        char text[1 << 14];
        int code = mpi_run("MPI_TIMEOUT=60", 3, self, faulty_str(rows[k].kind), text, sizeof text);
        if (code != 5 || !strstr(text, rows[k].words))
            fail_msg("%s: status %d: %s", rows[k].sentence, code, text);
    }
}

/* Rank 2 is not the first process of its host, which hears of others, and what it awaits comes from another one. */
static void a_lost_rank_is_found_by_what_other_hosts_have_done(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* as above */
#endif
    char text[1 << 14];
    if (!WEIR_HAVE_MPI)
        skip();
    int code = mpi_run("MPI_TIMEOUT=20 WEIR_TEST_HOSTS=0,1,0", 3, self, "lost 2", text, sizeof text);
    if (code != 5 || !strstr(text, "rank 2 (process ") || !strstr(text, "of step 3: what it waits for has been there for 1."))
        fail_msg("status %d: %s", code, text);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1) {
        faulty_plan = (struct faulty_plan){.kind = faulty_find(argv[1]), .layer = argc > 2 ? atoi(argv[2]) : 1, .step = 2};
        _exit(process_run(weir_launch_is_process() ? "shm" : "mpi"));
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stuck_callback_ends_a_run_of_threads),
        cmocka_unit_test(a_thread_that_is_lost_between_steps_ends_a_run_of_threads),
        cmocka_unit_test(a_slow_callback_below_the_timeout_is_not_stuck),
        cmocka_unit_test(a_whole_job_that_was_stopped_goes_on),
        cmocka_unit_test(processes_learn_of_every_kind_of_failure_over_shm),
        cmocka_unit_test(a_stopped_stuck_or_lost_rank_is_named_over_mpi),
        cmocka_unit_test(a_lost_rank_is_found_by_what_other_hosts_have_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
