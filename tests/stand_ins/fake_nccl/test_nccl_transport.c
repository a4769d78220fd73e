/* What transport nccl promises, on the stand-ins for CUDA and NCCL: every byte of random programs arrives, sums are right, and
 * whoever waits for a lost, silent or failing rank is told.
 *
 * Without arguments the program starts itself under mpi.sh; with one it is one of the processes. */
#include "tests/support/testing.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/transport/transport.h"
#include "tests/support/mpi_rig.h"
#include "tests/support/transport_program.h"
#include "weir_libraries.h"

#if WEIR_HAVE_MPI

static const struct weir_transport_kind *const kind = &weir_transport_nccl;
static const struct weir_device_kind *const gpu = &weir_device_cuda;

enum { TRANSFERS = 40, LARGEST = 3000, RUNS = 5 };

struct rig {
    weir_transport *transport;
    const struct weir_transport_info *info;
    weir_device *device;
    weir_stream *stream;
};

static void rig_make(struct rig *rig, int64_t timeout_ns, int64_t message_ns)
{
    struct weir_transport_config config = {.n_threads = 1, .timeout_ns = timeout_ns, .message_ns = message_ns};
    assert_ok(kind->open(&config, &rig->transport));
    rig->info = kind->info(rig->transport);
    assert_ok(gpu->open(rig->info->local_rank, 1, &rig->device));
    assert_ok(gpu->stream_open(rig->device, WEIR_STREAM_COMPUTE, 1000, &rig->stream));
}

static void rig_end(struct rig *rig)
{
    gpu->stream_close(rig->stream);
    gpu->close(rig->device);
    kind->close(rig->transport);
}

/* As the engine does: poll and look. */
static weir_status watched_sync(const struct rig *rig, weir_link *link)
{
    for (;;) {
        weir_status status = gpu->stream_sync(rig->stream, WEIR_TRANSPORT_LOOK_NS);
        if (status != WEIR_ERR_TIMEOUT)
            return status;
        status = kind->look(link);
        if (status)
            return status;
    }
}

/* ---- random programs ---------------------------------------------------------------------------------------------------- */

static bool receives(const struct program_transfer *t, int rank)
{
    return rank != t->from && (t->to < 0 || t->to == rank);
}

static bool takes_part(const struct program_transfer *t, int rank)
{
    return t->from == rank || receives(t, rank);
}

static int instructions_before(const struct program *p, int rank, int k)
{
    int n = 0;
    for (int j = 0; j < k; j++)
        n += takes_part(&p->transfers[j], rank);
    return n;
}

/* What engine/run/messages.c makes of a program: messages only, those of this rank, in the order of turns. */
static void spec_make(const struct rig *rig, const struct program *p, struct weir_arena *arena, struct weir_link_spec *spec)
{
    struct weir_message *messages;
    struct weir_transport_edge *edges;
    int n = rig->info->n_ranks;
    *spec = p->spec;
    spec->kind = gpu;
    spec->device = rig->device;
    spec->stream = rig->stream;
    spec->n_messages = 0;
    assert_ok(weir_arena_alloc(arena, (size_t)p->spec.n_messages + 1, sizeof *messages, &messages));
    assert_ok(weir_arena_alloc(arena, (size_t)(n * n), sizeof *edges, &edges));
    for (int w = 0; w < p->spec.n_messages; w++) {
        struct weir_message message = p->spec.messages[w];
        if (message.n_regions == 0 || (message.from != rig->info->rank && message.to != rig->info->rank))
            continue;
        message.turn_after = instructions_before(p, message.to, message.event / 2) - 1;
        messages[spec->n_messages++] = message;
    }
    for (int i = 0; i < n * n; i++)
        if (i / n != i % n)
            edges[spec->n_edges++] = (struct weir_transport_edge){i / n, i % n};
    spec->messages = messages;
    spec->edges = edges;
}

static unsigned char byte_of(uint32_t seed, uint32_t run, int k, int region, size_t at)
{
    return (unsigned char)((seed * 31u + run * 2654435761u + (uint32_t)k * 40503u + (uint32_t)region * 9973u +
                            (uint32_t)at * 2246822519u) >> 13);
}

static size_t pinned_at(int k, int region)
{
    return (size_t)(k * PROGRAM_REGIONS + region) * LARGEST;
}

/* The regions of transfer k, between the pinned memory and where this rank finds them. */
static void regions_copy(const struct rig *rig, weir_link *link, const struct program *p, int k, char *pinned, bool out)
{
    const struct program_transfer *t = &p->transfers[k];
    for (int i = 0; i < t->n_regions; i++) {
        const struct weir_message_region *region = &t->regions[i];
        char *there = (char *)kind->memory(link, region->owner, region->block) + region->offset;
        char *here = pinned + pinned_at(k, i);
        assert_ok(gpu->copy(rig->stream, out ? there : here, out ? here : there, region->bytes));
    }
}

static void transfers_fill(const struct program *p, char *pinned, int rank, uint32_t run)
{
    for (int k = 0; k < p->n_transfers; k++)
        for (int i = 0; i < p->transfers[k].n_regions; i++)
            for (size_t at = 0; at < p->transfers[k].regions[i].bytes; at++)
                pinned[pinned_at(k, i) + at] =
                    (char)(p->transfers[k].from == rank ? byte_of(p->seed, run, k, i, at) : 0xee);
}

static void transfers_check(const struct program *p, const char *pinned, int rank, uint32_t run)
{
    for (int k = 0; k < p->n_transfers; k++)
        for (int i = 0; i < p->transfers[k].n_regions && receives(&p->transfers[k], rank); i++)
            for (size_t at = 0; at < p->transfers[k].regions[i].bytes; at++)
                if ((unsigned char)pinned[pinned_at(k, i) + at] != byte_of(p->seed, run, k, i, at))
                    fail_msg("seed %u, run %u, transfer %d: byte %zu of region %d is wrong", p->seed, run, k, at, i);
}

static void program_run_once(const struct rig *rig, weir_link *link, const struct program *p, char *pinned, uint32_t run)
{
    int n = 0, rank = rig->info->rank;
    transfers_fill(p, pinned, rank, run);
    assert_ok(kind->begin(link));
    for (int k = 0; k < p->n_transfers; k++) {
        const struct program_transfer *t = &p->transfers[k];
        if (!takes_part(t, rank))
            continue;
        if (t->from == rank)
            assert_ok(kind->claim(link, 2 * k));
        else
            assert_ok(kind->wait(link, t->from, 2 * k));
        regions_copy(rig, link, p, k, pinned, t->from == rank);
        if (t->from == rank)
            assert_ok(kind->signal(link, 2 * k));
        assert_ok(kind->passed(link, n++));
    }
    assert_ok(watched_sync(rig, link));
    assert_ok(kind->finish(link));
    transfers_check(p, pinned, rank, run);
    assert_ok(kind->exchange(rig->transport, NULL, 0, NULL));
}

/* Two links share communicators and mirrors, and their runs alternate, as training and evaluation do. */
static void random_programs_hand_over_every_byte(void **state)
{
    const struct rig *rig = *state;
    char *pinned;
    assert_ok(gpu->host_alloc(rig->device, (size_t)TRANSFERS * PROGRAM_REGIONS * LARGEST, (void **)(void *)&pinned));
    for (uint32_t seed = 1; seed <= 3; seed++) {
        struct weir_arena arena = {0};
        struct program programs[2];
        weir_link *links[2];
        void *blocks[PROGRAM_PARTS];
        for (int i = 0; i < 2; i++) {
            struct weir_link_spec spec;
            program_make(&arena, 2 * seed + (uint32_t)i, rig->info->n_ranks, TRANSFERS, LARGEST, &programs[i]);
            spec_make(rig, &programs[i], &arena, &spec);
            spec.memory = i ? links[0] : NULL;
            assert_ok(kind->link_open(rig->transport, &spec, &links[i]));
        }
        for (int part = 0; part < PROGRAM_PARTS; part++)
            assert_ok(gpu->memory_alloc(rig->device, programs[0].spec.block_bytes[part], &blocks[part]));
        assert_ok(kind->place(links[0], blocks));
        for (uint32_t run = 0; run < RUNS; run++)
            program_run_once(rig, links[run % 2], &programs[run % 2], pinned, run);
        kind->link_close(links[1]);
        kind->link_close(links[0]);
        for (int part = 0; part < PROGRAM_PARTS; part++)
            gpu->memory_free(rig->device, blocks[part]);
        weir_arena_release(&arena);
    }
    gpu->host_free(rig->device, pinned);
}

/* ---- sums ------------------------------------------------------------------------------------------------------------------ */

enum { NUMBERS = 1000, PARTS = 3 };

static float number_of(int rank, int i)
{
    return (float)((rank + 1) * (i % 97)) / 8; /* sums are exact in any order */
}

/* The members' numbers, in groups of two neighbours: after the collective, what stands at part p. */
static void part_check(const float *numbers, enum weir_collective what, int rank, int part)
{
    int mate = rank ^ 1, root = (rank & ~1) + part % 2;
    for (int i = part * NUMBERS; i < (part + 1) * NUMBERS; i++) {
        float sum = number_of(rank, i) + number_of(mate, i);
        float wanted = what == WEIR_COLLECT_SUM         ? sum
                       : what == WEIR_COLLECT_BROADCAST ? number_of(root, i)
                       : rank == root                   ? sum
                                                        : number_of(rank, i);
        assert_true(numbers[i] == wanted);
    }
}

static void group_collect(const struct rig *rig, weir_link *link, enum weir_collective what, float *device, float *pinned)
{
    struct weir_collective_span spans[PARTS];
    for (int i = 0; i < PARTS * NUMBERS; i++)
        pinned[i] = number_of(rig->info->rank, i);
    for (int p = 0; p < PARTS; p++)
        spans[p] = (struct weir_collective_span){p % 2, device + p * NUMBERS, device + p * NUMBERS, NUMBERS};
    assert_ok(kind->begin(link));
    assert_ok(gpu->copy(rig->stream, device, pinned, sizeof(float) * PARTS * NUMBERS));
    assert_ok(kind->collect(link, WEIR_COLLECT_GROUP, what, WEIR_DTYPE_F32, PARTS, spans));
    assert_ok(kind->collected(link, WEIR_COLLECT_GROUP));
    assert_ok(gpu->copy(rig->stream, pinned, device, sizeof(float) * PARTS * NUMBERS));
    assert_ok(watched_sync(rig, link));
    assert_ok(kind->finish(link));
    for (int p = 0; p < PARTS; p++)
        part_check(pinned, what, rig->info->rank, p);
    assert_ok(kind->exchange(rig->transport, NULL, 0, NULL));
}

/* Everybody puts its own number among zeros. */
static void all_collect(const struct rig *rig, weir_link *link, double *device, double *pinned)
{
    int n = rig->info->n_ranks;
    struct weir_collective_span span = {0, device, device + n, (size_t)n};
    memset(pinned, 0, sizeof(double) * (size_t)n);
    pinned[rig->info->rank] = 1.0 / 3 + rig->info->rank;
    assert_ok(kind->begin(link));
    assert_ok(gpu->copy(rig->stream, device, pinned, sizeof(double) * (size_t)n));
    assert_ok(kind->collect(link, WEIR_COLLECT_ALL, WEIR_COLLECT_SUM, WEIR_DTYPE_F64, 1, &span));
    assert_ok(kind->collected(link, WEIR_COLLECT_ALL));
    assert_ok(gpu->copy(rig->stream, pinned, device + n, sizeof(double) * (size_t)n));
    assert_ok(watched_sync(rig, link));
    assert_ok(kind->finish(link));
    for (int r = 0; r < n; r++)
        assert_true(pinned[r] == 1.0 / 3 + r);
    assert_ok(kind->exchange(rig->transport, NULL, 0, NULL));
}

static void sums_reach_whom_they_should(void **state)
{
    const struct rig *rig = *state;
    int n = rig->info->n_ranks, groups[PROGRAM_MOST_RANKS];
    size_t bytes = sizeof(float) * PARTS * NUMBERS;
    void *device, *pinned;
    weir_link *link;
    if (n % 2)
        skip();
    for (int r = 0; r < n; r++)
        groups[r] = r;
    struct weir_link_spec spec = {.n_blocks = 1, .kind = gpu, .device = rig->device, .stream = rig->stream,
                                  .n_groups = n / 2, .group_size = 2, .groups = groups};
    assert_ok(kind->link_open(rig->transport, &spec, &link));
    assert_ok(gpu->memory_alloc(rig->device, bytes, &device));
    assert_ok(gpu->host_alloc(rig->device, bytes, &pinned));
    for (enum weir_collective what = WEIR_COLLECT_SUM; what <= WEIR_COLLECT_BROADCAST; what++)
        group_collect(rig, link, what, device, pinned);
    all_collect(rig, link, device, pinned);
    kind->link_close(link);
    gpu->memory_free(rig->device, device);
    gpu->host_free(rig->device, pinned);
}

static int suite(void)
{
    struct rig rig;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(random_programs_hand_over_every_byte, &rig),
        cmocka_unit_test_prestate(sums_reach_whom_they_should, &rig),
    };
    rig_make(&rig, WEIR_TRANSPORT_TIMEOUT_NS, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_end(&rig);
    return failed;
}

/* ---- failures -------------------------------------------------------------------------------------------------------------- */

/* Rank 0 and 2 wait for a message of rank 1, which stops, dies or is silent. */
static weir_status failing_link(const struct rig *rig, weir_link **link_out)
{
    size_t bytes[3] = {64, 64, 64};
    struct weir_transport_edge edges[2] = {{1, 0}, {1, 2}};
    struct weir_message_region regions[2] = {{0, 0, 0, 64}, {2, 0, 0, 64}};
    struct weir_message messages[2];
    struct weir_link_spec spec = {.n_blocks = 1, .block_bytes = bytes, .n_events = 1, .messages = messages, .kind = gpu,
                                  .device = rig->device, .stream = rig->stream, .n_edges = 2, .edges = edges};
    for (int i = 0; i < 2; i++)
        if (rig->info->rank == 1 || rig->info->rank == edges[i].to)
            messages[spec.n_messages++] = (struct weir_message){.from = 1, .to = edges[i].to, .post_after = -1, .turn_after = -1,
                                                       .n_regions = 1, .regions = &regions[i]};
    return kind->link_open(rig->transport, &spec, link_out);
}

static weir_status culprit(const struct rig *rig, const char *how)
{
    if (!strcmp(how, "die"))
        raise(SIGKILL);
    if (!strcmp(how, "stop"))
        return WEIR_FAIL(WEIR_ERR_NUMERIC, "boom");
    nanosleep(&(struct timespec){1, 0}, NULL);
    return kind->exchange(rig->transport, NULL, 0, NULL);
}

static weir_status waiter(const struct rig *rig, weir_link *link)
{
    int rank = -1, event = -1;
    weir_status status = kind->begin(link);
    if (status) /* it may have died before */
        return status;
    assert_ok(kind->wait(link, 1, 0));
    status = watched_sync(rig, link);
    assert_true(kind->awaited(link, &rank, &event));
    assert_true(rank == 1 && event == 0);
    return status;
}

/* A run in which rank 1 sends what the others wait for. */
static weir_status whole_run(const struct rig *rig, weir_link *link)
{
    weir_status status = kind->begin(link);
    if (!status)
        status = rig->info->rank == 1 ? kind->claim(link, 0) : kind->wait(link, 1, 0);
    if (!status && rig->info->rank == 1)
        status = kind->signal(link, 0);
    if (!status)
        status = watched_sync(rig, link);
    if (!status)
        status = kind->finish(link);
    return status ? status : kind->exchange(rig->transport, NULL, 0, NULL);
}

static int failing_run(const char *how)
{
    struct rig rig;
    void *block;
    rig_make(&rig, strcmp(how, "silent") ? WEIR_TRANSPORT_TIMEOUT_NS : 400000000, strcmp(how, "later") ? 0 : 200000000);
    weir_link *link;
    assert_ok(failing_link(&rig, &link));
    assert_ok(gpu->memory_alloc(rig.device, 64, &block));
    assert_ok(kind->place(link, &block));
    assert_ok(kind->exchange(rig.transport, NULL, 0, NULL));
    for (int k = 0; k < 2 && !strcmp(how, "later"); k++)
        assert_ok(whole_run(&rig, link));
    weir_status status = rig.info->rank == 1 ? culprit(&rig, how) : waiter(&rig, link);
    printf("rank %d got '%s': %s\n", rig.info->rank, weir_status_str(status), weir_last_error());
    fflush(stdout);
    kind->stop(rig.transport, status);
    bool ended = kind->abort(link);
    assert_true(ended && kind->abort(link));
    assert_ok(gpu->stream_sync(rig.stream, WEIR_TRANSPORT_GRACE_NS)); /* what waited on the device has been let go */
    assert_fails(kind->begin(link), WEIR_ERR_PEER, "given up");
    kind->link_close(link);
    gpu->memory_free(rig.device, block);
    rig_end(&rig);
    return weir_status_exit_code(status);
}

/* The link is never there. */
static int unconnected_run(void)
{
    struct rig rig;
    weir_link *link;
    rig_make(&rig, 400000000, 0);
    weir_status status = failing_link(&rig, &link);
    printf("rank %d got '%s': %s\n", rig.info->rank, weir_status_str(status), weir_last_error());
    fflush(stdout);
    kind->stop(rig.transport, status);
    rig_end(&rig);
    return weir_status_exit_code(status);
}

/* ---- the driver ------------------------------------------------------------------------------------------------------------ */

static const char *self;

static int processes_run(int n, const char *modes, const char *mpi_args, const char *what, char *text, size_t room)
{
    char settings[256];
    snprintf(settings, sizeof settings, "%s MPI_ARGS='%s'", modes, mpi_args);
    return mpi_run(settings, n, self, what, text, room);
}

static void suite_passes(int n, const char *modes)
{
    static char text[1 << 18];
    int code = processes_run(n, modes, "", "suite", text, sizeof text);
    if (code)
        print_error("%s\n", text);
    assert_int_equal(code, 0);
}

static void the_suite_passes_with_two_processes(void **state)
{
    (void)state;
    suite_passes(2, "WEIR_FAKE_MODE=lazy");
}

static void the_suite_passes_with_one_operation_at_a_time(void **state)
{
    (void)state;
    suite_passes(4, "WEIR_FAKE_NCCL=serial");
}

static void the_suite_passes_with_random_pauses(void **state)
{
    (void)state;
    suite_passes(3, "WEIR_FAKE_MODE=random WEIR_FAKE_NCCL=random WEIR_FAKE_SEED=5");
}

/* mpirun, told not to end the others when one process fails, lets each of them find out by itself. */
static void everybody_learns(const char *modes, const char *how, const char *name, const char *words)
{
    char text[1 << 16], line[64];
    processes_run(3, modes, "--enable-recovery", how, text, sizeof text);
    for (int r = 0; r < 3; r += 2) {
        snprintf(line, sizeof line, "rank %d got '%s'", r, name);
        if (!strstr(text, line) || !strstr(text, words))
            print_error("%s\n", text);
        assert_non_null(strstr(text, line));
    }
    assert_non_null(strstr(text, words));
    assert_null(strstr(text, "not finished after"));
}

static void a_rank_that_fails_or_dies_ends_the_waits_of_all(void **state)
{
    (void)state;
    everybody_learns("WEIR_FAKE_NCCL=", "stop", "numerical error", "rank 1 failed: boom");
    everybody_learns("WEIR_FAKE_NCCL=remote", "die", "peer lost", "the process of rank 1 has died");
}

static void silence_is_a_timeout(void **state)
{
    char text[1 << 16];
    (void)state;
    processes_run(3, "WEIR_FAKE_NCCL=", "--enable-recovery", "silent", text, sizeof text);
    if (!strstr(text, "got 'timeout': nothing came in 0.4 s"))
        print_error("%s\n", text);
    assert_non_null(strstr(text, "got 'timeout': nothing came in 0.4 s"));
}

/* The first run may take the ten minutes that a wait has. */
static void silence_is_a_timeout_sooner_once_it_is_known_how_long_messages_take(void **state)
{
    char text[1 << 16];
    (void)state;
    processes_run(3, "WEIR_FAKE_NCCL=", "--enable-recovery", "later", text, sizeof text);
    if (!strstr(text, "got 'timeout': nothing came in "))
        print_error("%s\n", text);
    assert_non_null(strstr(text, "got 'timeout': nothing came in "));
    assert_null(strstr(text, "nothing came in 600.0 s"));
}

static void a_connection_that_never_comes_is_a_timeout_that_names_it(void **state)
{
    char text[1 << 16];
    (void)state;
    processes_run(3, "WEIR_FAKE_NCCL=silent=0", "--enable-recovery", "unconnected", text, sizeof text);
    bool named = strstr(text, "connecting rank 1 to rank 0: nothing came in 0.4 s") ||
                 strstr(text, "connecting rank 1 to rank 2: nothing came in 0.4 s"); /* who notices first says so */
    if (!named)
        print_error("%s\n", text);
    assert_true(named);
    assert_null(strstr(text, "not finished after"));
}

static int driver(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_passes_with_two_processes),
        cmocka_unit_test(the_suite_passes_with_one_operation_at_a_time),
        cmocka_unit_test(the_suite_passes_with_random_pauses),
        cmocka_unit_test(a_rank_that_fails_or_dies_ends_the_waits_of_all),
        cmocka_unit_test(silence_is_a_timeout),
        cmocka_unit_test(silence_is_a_timeout_sooner_once_it_is_known_how_long_messages_take),
        cmocka_unit_test(a_connection_that_never_comes_is_a_timeout_that_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc < 2)
        return driver();
    return !strcmp(argv[1], "suite") ? suite() : !strcmp(argv[1], "unconnected") ? unconnected_run() : failing_run(argv[1]);
}

#else

int main(void)
{
    printf("skipped: this build has no MPI\n");
    return 0;
}

#endif
