/* What every transport that crosses processes promises.
 *
 * Without arguments the program starts itself: under mpi.sh (mpi) as one, three and four processes, on one host and on pretended
 * ones, and as `weir launch` does (shm).  With an argument it is one of these processes: `suite` runs the tests, the others fail
 * on purpose. */
#include "tests/support/testing.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/transport/bootstrap/weir_launch.h"
#include "tests/support/launched_rig.h"
#include "tests/support/mpi_rig.h"
#include "tests/support/transport_program.h"
#include "weir_libraries.h"

static const struct weir_transport_kind *kind;

static weir_transport *transport_open(int64_t timeout_ns)
{
    weir_transport *transport;
    struct weir_transport_config config = {.n_threads = 1, .timeout_ns = timeout_ns};
    assert_ok(kind->open(&config, &transport));
    return transport;
}

/* ---- the suite: all processes together ------------------------------------------------------------------------------ */

static void everybody_knows_who_is_where(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    int local = 0, hosts = 0;
    assert_true(info->rank >= 0 && info->rank < info->n_ranks);
    for (int r = 0; r < info->n_ranks; r++) {
        local += info->host_of[r] == info->host;
        hosts = info->host_of[r] + 1 > hosts ? info->host_of[r] + 1 : hosts;
        assert_true(r == 0 ? info->host_of[r] == 0 : info->host_of[r] >= 0);
    }
    assert_int_equal(info->host_of[info->rank], info->host);
    assert_int_equal(local, info->n_local);
    assert_int_equal(hosts, info->n_hosts);
    const char *wanted = getenv("WEIR_TEST_HOSTS");
    assert_int_equal(info->n_hosts, !wanted ? 1 : wanted[strlen(wanted) - 1] - '0' + 1);
}

static void an_exchange_gives_everybody_everything(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    static unsigned char mine[WEIR_EXCHANGE_MAX], all[PROGRAM_MOST_RANKS * WEIR_EXCHANGE_MAX];
    for (int turn = 0; turn < 300; turn++) {
        size_t bytes = (size_t)turn * 37 % (WEIR_EXCHANGE_MAX + 1);
        memset(mine, turn + info->rank, bytes);
        assert_ok(kind->exchange(*state, mine, bytes, all));
        for (int r = 0; r < info->n_ranks; r++)
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(all[(size_t)r * bytes + i], (unsigned char)(turn + r));
    }
    assert_fails(kind->exchange(*state, mine, WEIR_EXCHANGE_MAX + 1, all), WEIR_ERR_INTERNAL, "the most are");
}

static void a_broadcast_reaches_everybody(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    static const size_t sizes[] = {0, 1, 4096, 3 << 20};
    unsigned char *data = malloc(3 << 20);
    assert_non_null(data);
    for (int root = 0; root < info->n_ranks; root++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            memset(data, root == info->rank ? 17 * root + (int)s : 255, 3 << 20);
            assert_ok(kind->broadcast(*state, root, data, sizes[s]));
            for (size_t i = 0; i < sizes[s]; i += 1 + sizes[s] / 1000)
                assert_int_equal(data[i], (unsigned char)(17 * root + (int)s));
        }
    free(data);
}

/* As weir_world_agree does when one has failed: its message is broadcast, and the next turn begins.  Who broadcasts waits for
 * nobody, and may be a turn ahead of one that has yet to read what was exchanged before. */
static void a_broadcast_between_exchanges_lets_nobody_overtake(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    static unsigned char mine[WEIR_EXCHANGE_MAX], all[PROGRAM_MOST_RANKS * WEIR_EXCHANGE_MAX], word[64];
    for (int turn = 0; turn < 4000; turn++) {
        memset(mine, turn + 7 * info->rank, sizeof mine);
        assert_ok(kind->exchange(*state, mine, sizeof mine, all));
        for (int r = 0; r < info->n_ranks; r++)
            assert_true(all[(size_t)r * sizeof mine] == (unsigned char)(turn + 7 * r) &&
                        all[(size_t)(r + 1) * sizeof mine - 1] == (unsigned char)(turn + 7 * r));
        int root = turn / 2 % info->n_ranks;
        memset(word, root == info->rank ? turn : 0, sizeof word);
        assert_ok(kind->broadcast(*state, root, word, sizeof word));
        assert_true(word[0] == (unsigned char)turn && word[sizeof word - 1] == (unsigned char)turn);
    }
}

/* Two links at once, whose runs alternate, as training and evaluation do. */
static void random_programs_hand_over_every_byte(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    for (uint32_t seed = 1; seed <= 4; seed++) {
        struct weir_arena arena = {0};
        struct program programs[2];
        weir_link *links[2];
        for (int i = 0; i < 2; i++) {
            program_make(&arena, 2 * seed + (uint32_t)i, info->n_ranks, 60, i ? 300000 : 9000, &programs[i]);
            assert_ok(kind->link_open(*state, &programs[i].spec, &links[i]));
        }
        for (uint32_t run = 0; run < 8; run++)
            assert_ok(program_run(&programs[run % 2], kind, *state, links[run % 2], info->rank, run));
        for (int i = 0; i < 2; i++)
            kind->link_close(links[i]);
        weir_arena_release(&arena);
    }
}

/* Flags start 256 below 2^32. */
static void counters_wrap(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    struct weir_arena arena = {0};
    struct program program;
    weir_link *link;
    program_make(&arena, 99, info->n_ranks, 12, 100, &program);
    assert_ok(kind->link_open(*state, &program.spec, &link));
    for (uint32_t run = 0; run < 300; run++)
        assert_ok(program_run(&program, kind, *state, link, info->rank, run));
    kind->link_close(link);
    weir_arena_release(&arena);
}

static void memory_starts_as_zero_and_own_blocks_differ(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    size_t bytes[PROGRAM_MOST_RANKS * 3];
    weir_link *link;
    for (int i = 0; i < info->n_ranks * 3; i++)
        bytes[i] = i % 3 == 1 ? 0 : (size_t)(i + 1) << 18;
    struct weir_link_spec spec = {.n_blocks = 3, .block_bytes = bytes};
    assert_ok(kind->link_open(*state, &spec, &link));
    for (int r = 0; r < info->n_ranks; r++)
        for (int part = 0; part < 3; part++) {
            const char *block = kind->memory(link, r, part);
            assert_true((part == 1) == (block == NULL));
            assert_true((uintptr_t)block % 64 == 0);
            for (size_t i = 0; block && i < bytes[3 * r + part]; i += 509)
                assert_int_equal(block[i], 0);
        }
    assert_int_equal(kind->mirror_bytes(link), 0);
    assert_ok(kind->exchange(*state, NULL, 0, NULL));
    kind->link_close(link);
}

static void numbers_out_of_range_are_refused(void **state)
{
    const struct weir_transport_info *info = kind->info(*state);
    size_t bytes[PROGRAM_MOST_RANKS];
    struct weir_message_region region = {0, 0, 90, 20};
    struct weir_message message = {.to = 1, .post_after = -1, .n_regions = 1, .regions = &region};
    struct weir_link_spec spec = {.n_blocks = 1, .block_bytes = bytes, .n_events = 1, .n_messages = 1, .messages = &message};
    weir_link *link;
    for (int r = 0; r < info->n_ranks; r++)
        bytes[r] = 100;
    assert_fails(kind->link_open(*state, &spec, &link), WEIR_ERR_INVALID, "event 0 from rank 0 to rank 1");
    region.bytes = 10;
    message.event = 1;
    assert_fails(kind->link_open(*state, &spec, &link), WEIR_ERR_INVALID, "out of range");
    message.event = 0;
    message.to = 0;
    assert_fails(kind->link_open(*state, &spec, &link), WEIR_ERR_INVALID, "out of range");
}

static void a_transport_can_be_opened_again(void **state)
{
    int n_ranks = kind->info(*state)->n_ranks;
    for (int i = 0; i < 3; i++) {
        weir_transport *again = transport_open(WEIR_TRANSPORT_TIMEOUT_NS);
        assert_int_equal(kind->info(again)->n_ranks, n_ranks);
        assert_ok(kind->exchange(again, NULL, 0, NULL));
        kind->close(again);
    }
    kind->close(NULL);
    kind->link_close(NULL);
}

static int suite_open(void **state)
{
    *state = transport_open(WEIR_TRANSPORT_TIMEOUT_NS);
    return 0;
}

static int suite_close(void **state)
{
    kind->close(*state);
    return 0;
}

static int suite_run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_knows_who_is_where),
        cmocka_unit_test(an_exchange_gives_everybody_everything),
        cmocka_unit_test(a_broadcast_reaches_everybody),
        cmocka_unit_test(a_broadcast_between_exchanges_lets_nobody_overtake),
        cmocka_unit_test(random_programs_hand_over_every_byte),
        cmocka_unit_test(counters_wrap),
        cmocka_unit_test(memory_starts_as_zero_and_own_blocks_differ),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(a_transport_can_be_opened_again),
    };
    return cmocka_run_group_tests(tests, suite_open, suite_close);
}

/* ---- processes that fail on purpose --------------------------------------------------------------------------------- */

static int report(int rank, weir_status status)
{
    printf("rank %d got '%s': %s\n", rank, weir_status_str(status), weir_last_error());
    fflush(stdout);
    return weir_status_exit_code(status);
}

/* Rank 1 stops, dies, leaves or is silent; everybody else waits for an event of rank 1, or of somebody who does. */
static int failing_run(const char *how)
{
    int64_t timeout = strcmp(how, "silent") ? WEIR_TRANSPORT_TIMEOUT_NS : 400000000;
    weir_transport *transport = transport_open(timeout);
    const struct weir_transport_info *info = kind->info(transport);
    struct weir_message messages[PROGRAM_MOST_RANKS];
    size_t bytes[PROGRAM_MOST_RANKS] = {0};
    struct weir_link_spec spec = {.n_blocks = 1, .block_bytes = bytes, .n_events = 1, .messages = messages};
    weir_link *link;
    for (int r = 0; r < info->n_ranks; r++)
        if (r != 1)
            messages[spec.n_messages++] = (struct weir_message){.from = r == 0 ? 1 : r - 1, .to = r == 0 ? 0 : r, .post_after = -1};
    assert_ok(kind->link_open(transport, &spec, &link));
    assert_ok(kind->begin(link));
    weir_status status;
    if (strcmp(how, "die"))
        assert_ok(kind->exchange(transport, NULL, 0, NULL));
    if (info->rank != 1) {
        status = kind->wait(link, info->rank == 0 ? 1 : info->rank - 1, 0);
    } else if (!strcmp(how, "die")) {
        raise(SIGKILL);
        status = WEIR_OK;
    } else if (!strcmp(how, "silent")) {
        nanosleep(&(struct timespec){1, 0}, NULL);
        status = kind->exchange(transport, NULL, 0, NULL);
    } else {
        status = !strcmp(how, "leave") ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NUMERIC, "boom");
    }
    int code = report(info->rank, status);
    if (status) {
        kind->stop(transport, status);
        printf("rank %d %s\n", info->rank, info->is_told ? "is quiet" : "tells");
        fflush(stdout);
    }
    kind->link_close(link);
    kind->close(transport);
    return code;
}

/* Rank 1 has done its part and leaves; rank 2 waits for rank 0, which is late by more than two looks at the others. */
static int late_run(void)
{
    weir_transport *transport = transport_open(WEIR_TRANSPORT_TIMEOUT_NS);
    const struct weir_transport_info *info = kind->info(transport);
    const struct weir_message message = {.from = 0, .to = 2, .post_after = -1};
    size_t bytes[PROGRAM_MOST_RANKS] = {0};
    struct weir_link_spec spec = {.n_blocks = 1, .block_bytes = bytes, .n_events = 1, .n_messages = 1, .messages = &message};
    weir_link *link;
    assert_ok(kind->link_open(transport, &spec, &link));
    assert_ok(kind->begin(link));
    assert_ok(kind->exchange(transport, NULL, 0, NULL));
    weir_status status = WEIR_OK;
    if (info->rank == 0) {
        nanosleep(&(struct timespec){0, 250000000}, NULL);
        status = kind->signal(link, 0);
    } else if (info->rank == 2) {
        status = kind->wait(link, 0, 0);
    }
    int code = report(info->rank, status);
    kind->link_close(link);
    kind->close(transport);
    return code;
}

/* ---- the driver ------------------------------------------------------------------------------------------------------ */

static const char *self;

/* Runs `mode` as `n` processes; returns the exit status, and what they printed. */
static int processes_run(int n, const char *hosts, const char *mpi_args, const char *mode, char *text, size_t room)
{
    char settings[256];
    snprintf(settings, sizeof settings, "%s%s MPI_ARGS='%s'", hosts ? "WEIR_TEST_HOSTS=" : "", hosts ? hosts : "", mpi_args);
    return mpi_run(settings, n, self, mode, text, room);
}

static void suite_passes(int n, const char *hosts)
{
    static char text[1 << 18];
    int code = processes_run(n, hosts, "", "suite", text, sizeof text);
    if (code)
        print_error("%s\n", text);
    assert_int_equal(code, 0);
}

static void the_suite_passes_with_one_process(void **state)
{
    (void)state;
    suite_passes(1, NULL);
}

static void the_suite_passes_on_one_host(void **state)
{
    (void)state;
    suite_passes(4, NULL);
}

static void the_suite_passes_on_two_hosts(void **state)
{
    (void)state;
    suite_passes(4, "0,0,1,1");
}

static void the_suite_passes_with_a_host_for_each(void **state)
{
    (void)state;
    suite_passes(3, "0,1,2");
}

static void wrong_hosts_are_refused(void **state)
{
    (void)state;
    char text[1 << 16];
    int code = processes_run(2, "0,x", "", "suite", text, sizeof text);
    assert_int_not_equal(code, 0);
    assert_non_null(strstr(text, "WEIR_TEST_HOSTS='0,x' has no host for rank 1"));
}

/* mpirun ends the others when one process fails, as it should; told not to, it lets each of them find out by itself. */
static void everybody_learns(const char *how, const char *hosts, weir_status wanted, const char *words)
{
    char text[1 << 16], line[64];
    processes_run(3, hosts, "--enable-recovery", how, text, sizeof text);
    for (int r = 0; r < 3; r += 2) {
        snprintf(line, sizeof line, "rank %d got '%s'", r, weir_status_str(wanted));
        if (!strstr(text, line) || !strstr(text, words))
            print_error("%s\n", text);
        assert_non_null(strstr(text, line));
    }
    assert_non_null(strstr(text, words));
}

/* Some rank's words about it, and the exit status of the run: that of the rank which failed first.  When it died without a
 * word (`lost`) it may be that of one that lost it, should mpirun hear of that one's end before. */
static void the_run_ends(const char *how, int wanted, bool lost, const char *words)
{
    char text[1 << 16];
    int code = processes_run(3, NULL, "", how, text, sizeof text);
    int second = lost ? weir_status_exit_code(WEIR_ERR_PEER) : wanted;
    if ((code != wanted && code != second) || !strstr(text, words))
        print_error("status %d\n%s\n", code, text);
    assert_true(code == wanted || code == second);
    assert_non_null(strstr(text, words));
    assert_null(strstr(text, "not finished after"));
}

static void a_rank_that_stops_ends_the_waits_of_all(void **state)
{
    (void)state;
    everybody_learns("stop", NULL, WEIR_ERR_NUMERIC, "rank 1 failed: boom");
    everybody_learns("stop", "0,1,2", WEIR_ERR_NUMERIC, "rank 1 failed: boom");
    the_run_ends("stop", weir_status_exit_code(WEIR_ERR_NUMERIC), false, "boom");
}

static void a_rank_that_dies_ends_the_waits_of_all(void **state)
{
    (void)state;
    everybody_learns("die", NULL, WEIR_ERR_PEER, "the process of rank 1 has died");
    the_run_ends("die", 128 + SIGKILL, true, "signal 9");
}

static void a_rank_that_leaves_ends_the_waits_of_all(void **state)
{
    (void)state;
    the_run_ends("leave", weir_status_exit_code(WEIR_ERR_PEER), true, "rank 1 has left the run");
}

static void silence_is_a_timeout(void **state)
{
    (void)state;
    the_run_ends("silent", weir_status_exit_code(WEIR_ERR_TIMEOUT), true, "got 'timeout': nothing came in 0.4 s");
}

/* ---- the same, started as `weir launch` does ---------------------------------------------------------------------------- */

static void the_suite_passes_over_shm(void **state)
{
    (void)state;
    static char text[1 << 18];
    int codes[LAUNCHED_MOST];
    for (int n = 1; n <= 4; n += n == 1 ? 2 : 1) {
        if (launched_run(self, "suite", n, 100, text, sizeof text, codes))
            fail_msg("%d processes: %s", n, text);
    }
}

/* Each of the others has its words; code: with which rank 1 ended. */
static void all_learn_over_shm(const char *how, int code, weir_status wanted, const char *words)
{
    char text[1 << 16], line[64];
    int codes[LAUNCHED_MOST];
    launched_run(self, how, 3, 100, text, sizeof text, codes);
    assert_int_equal(codes[1], code);
    for (int r = 0; r < 3; r += 2) {
        snprintf(line, sizeof line, "rank %d got '%s'", r, weir_status_str(wanted));
        if (!strstr(text, line) || !strstr(text, words) || codes[r] != weir_status_exit_code(wanted))
            fail_msg("rank %d ended with %d: %s", r, codes[r], text);
    }
}

static void a_failure_over_shm_is_learnt_by_all(void **state)
{
    (void)state;
    all_learn_over_shm("stop", weir_status_exit_code(WEIR_ERR_NUMERIC), WEIR_ERR_NUMERIC, "rank 1 failed: boom");
    all_learn_over_shm("die", 128 + SIGKILL, WEIR_ERR_PEER, "the process of rank 1 has died");
    all_learn_over_shm("leave", 0, WEIR_ERR_PEER, "rank 1 has left the run");
}

/* It may be starved for longer than is waited for what a peer that has left could have sent: one of three runs is enough.  (When
 * nobody waits for it, all three fail.) */
static void a_rank_that_leaves_in_order_ends_no_wait_for_another(void **state)
{
    (void)state;
    char text[1 << 16];
    int codes[LAUNCHED_MOST], code = 1;
    for (int i = 0; i < 3 && code; i++)
        code = launched_run(self, "late", 3, 100, text, sizeof text, codes);
    if (code)
        fail_msg("%s", text);
}

static int count_of(const char *text, const char *word)
{
    int n = 0;
    while ((text = strstr(text, word)) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

static void of_a_lost_rank_one_of_the_others_tells(void **state)
{
    (void)state;
    static const struct {
        const char *how;
        int tell, are_quiet;
    } ways[] = {{"die", 1, 3}, {"leave", 1, 3}, {"stop", 5, 0}}; /* whoever failed by itself is no lost rank */
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char text[1 << 16];
        int codes[LAUNCHED_MOST];
        launched_run(self, ways[i].how, 5, 100, text, sizeof text, codes);
        if (count_of(text, " tells\n") != ways[i].tell || count_of(text, " is quiet\n") != ways[i].are_quiet)
            fail_msg("%s: %s", ways[i].how, text);
    }
}

/* It has gone before there is a lobby to look at: its end is the launcher's to tell. */
static void a_rank_that_never_joins_is_learnt_by_all(void **state)
{
    (void)state;
    char text[1 << 16];
    int codes[LAUNCHED_MOST];
    launched_run(self, "absent", 3, 100, text, sizeof text, codes);
    assert_int_equal(codes[0], weir_status_exit_code(WEIR_ERR_PEER));
    assert_int_equal(codes[2], weir_status_exit_code(WEIR_ERR_PEER));
    assert_non_null(strstr(text, "the process of rank 1 has ended"));
}

static void shm_outside_of_a_launch_is_refused(void **state)
{
    (void)state;
    weir_transport *transport;
    struct weir_transport_config config = {.n_threads = 1, .timeout_ns = 1000};
    assert_fails(weir_transport_shm.open(&config, &transport), WEIR_ERR_USAGE, "use 'weir launch");
    setenv(WEIR_LAUNCH_RANK, "0", 1);
    setenv(WEIR_LAUNCH_SIZE, "2", 1);
    static const char *const files[] = {"0:1,1:2", "", "900:5,901:5", "x"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        setenv(WEIR_LAUNCH_FILES, files[i], 1);
        assert_fails(weir_transport_shm.open(&config, &transport), WEIR_ERR_USAGE, "names descriptors that this process has not");
    }
    unsetenv(WEIR_LAUNCH_FILES);
    unsetenv(WEIR_LAUNCH_RANK);
    unsetenv(WEIR_LAUNCH_SIZE);
}

static int shm_run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_passes_over_shm),
        cmocka_unit_test(a_failure_over_shm_is_learnt_by_all),
        cmocka_unit_test(a_rank_that_leaves_in_order_ends_no_wait_for_another),
        cmocka_unit_test(of_a_lost_rank_one_of_the_others_tells),
        cmocka_unit_test(a_rank_that_never_joins_is_learnt_by_all),
        cmocka_unit_test(shm_outside_of_a_launch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int driver_run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_passes_with_one_process),
        cmocka_unit_test(the_suite_passes_on_one_host),
        cmocka_unit_test(the_suite_passes_on_two_hosts),
        cmocka_unit_test(the_suite_passes_with_a_host_for_each),
        cmocka_unit_test(wrong_hosts_are_refused),
        cmocka_unit_test(a_rank_that_stops_ends_the_waits_of_all),
        cmocka_unit_test(a_rank_that_dies_ends_the_waits_of_all),
        cmocka_unit_test(a_rank_that_leaves_ends_the_waits_of_all),
        cmocka_unit_test(silence_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int absent_run(void)
{
    weir_transport *transport;
    struct weir_transport_config config = {.n_threads = 1, .timeout_ns = WEIR_TRANSPORT_TIMEOUT_NS};
    const char *rank = getenv(WEIR_LAUNCH_RANK);
    return rank && !strcmp(rank, "1") ? 0 : report(rank ? atoi(rank) : -1, kind->open(&config, &transport));
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc < 2) {
        int failed = shm_run();
        if (!WEIR_HAVE_MPI)
            printf("skipped: the suite over mpi: this build has no MPI\n");
        return WEIR_HAVE_MPI ? failed + driver_run() : failed;
    }
    if (weir_transport_find(weir_launch_is_process() ? "shm" : "mpi", &kind))
        return 1;
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = {{"suite", suite_run}, {"absent", absent_run}, {"late", late_run}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(argv[1], modes[i].name))
            return modes[i].run();
    return failing_run(argv[1]);
}
