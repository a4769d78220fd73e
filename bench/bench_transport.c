/* bench_transport: what it costs to hand over between two processes.
 *
 *     mpirun -n 2 bench_transport [repetitions]          default 200; WEIR_TEST_HOSTS=0,1 measures messages
 *
 * pair       one way of a there-and-back, for messages of several sizes.  On one host nothing is copied: a signal and a
 *            wait.  Between hosts: a message.
 * computing  between hosts, while both processes compute: panels of so many microseconds, with a look at the messages between
 *            them.  From the signal until the receiver finds the message, for which it never waits: it goes on computing and
 *            looks after each panel.
 * barrier    an exchange of nothing
 *
 * Every row is min, median and max over the repetitions; each repetition checks first and last byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/transport/transport.h"
#include "weir_libraries.h"

enum { MOST = 100000, SIZES = 6, PANEL_US = 50 };

static const size_t sizes[SIZES] = {0, 4 << 10, 64 << 10, 1 << 20, 3 << 20, 12 << 20};

struct rig {
    const struct weir_transport_kind *kind;
    weir_transport *transport;
    weir_link *link;
    int rank, repetitions;
    double samples[MOST];
};

/* A benchmark has nobody to hand an error to. */
static void must(weir_status status)
{
    if (status) {
        fprintf(stderr, "bench_transport: %s: %s\n", weir_status_str(status), weir_last_error());
        exit(weir_status_exit_code(status));
    }
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void samples_print(struct rig *rig, const char *name, size_t bytes)
{
    qsort(rig->samples, (size_t)rig->repetitions, sizeof rig->samples[0], double_compare);
    double median = rig->samples[rig->repetitions / 2];
    if (rig->rank != 0)
        return;
    printf("%-12s %10zu B %10.1f %10.1f %10.1f us", name, bytes, rig->samples[0], median,
           rig->samples[rig->repetitions - 1]);
    if (bytes && rig->kind->info(rig->transport)->n_hosts > 1) /* on one host nothing is moved */
        printf(" %8.2f GB/s", (double)bytes / median * 1e-3);
    printf("\n");
}

/* Event 0 of rank 0 goes there with `bytes`, event 0 of rank 1 comes back with as many. */
static void link_open(struct rig *rig, size_t bytes)
{
    size_t blocks[2] = {bytes, bytes};
    struct weir_message_region regions[2] = {{1, 0, 0, bytes}, {0, 0, 0, bytes}};
    struct weir_message messages[2] = {{.to = 1, .post_after = -1, .n_regions = bytes > 0, .regions = &regions[0]},
                                 {.from = 1, .post_after = -1, .n_regions = bytes > 0, .regions = &regions[1]}};
    struct weir_link_spec spec = {
        .n_blocks = 1, .block_bytes = blocks, .n_events = 1, .n_messages = 2, .messages = messages};
    must(rig->kind->link_open(rig->transport, &spec, &rig->link));
}

static void block_check(const struct rig *rig, size_t bytes, int value)
{
    const char *block = rig->kind->memory(rig->link, rig->rank, 0);
    if (bytes && (block[0] != (char)value || block[bytes - 1] != (char)value))
        must(WEIR_FAIL(WEIR_ERR_INTERNAL, "a message of %zu bytes came with other bytes", bytes));
}

static void block_mark(const struct rig *rig, size_t bytes, int value)
{
    char *block = rig->kind->memory(rig->link, 1 - rig->rank, 0);
    if (bytes)
        block[0] = block[bytes - 1] = (char)value;
}

/* ---- pair ------------------------------------------------------------------------------------------------------------ */

static double pair_once(const struct rig *rig, size_t bytes, int value)
{
    int64_t start = weir_clock_ns();
    must(rig->kind->begin(rig->link));
    if (rig->rank == 1)
        must(rig->kind->wait(rig->link, 0, 0));
    block_mark(rig, bytes, value);
    must(rig->kind->signal(rig->link, 0));
    if (rig->rank == 0)
        must(rig->kind->wait(rig->link, 1, 0));
    double one_way = (double)(weir_clock_ns() - start) * 0.5e-3;
    block_check(rig, bytes, value);
    must(rig->kind->finish(rig->link));
    must(rig->kind->exchange(rig->transport, NULL, 0, NULL));
    return one_way;
}

static void pair_measure(struct rig *rig, size_t bytes)
{
    link_open(rig, bytes);
    for (int i = 0; i < 10; i++)
        pair_once(rig, bytes, i);
    for (int i = 0; i < rig->repetitions; i++)
        rig->samples[i] = pair_once(rig, bytes, i);
    samples_print(rig, "pair", bytes);
    rig->kind->link_close(rig->link);
}

/* ---- computing ------------------------------------------------------------------------------------------------------- */

static void panel_compute(void)
{
    int64_t end = weir_clock_ns() + PANEL_US * 1000;
    while (weir_clock_ns() < end)
        ;
}

/* Rank 0 signals after a panel; rank 1 looks at the last byte after each of its own. */
static double posted_once(const struct rig *rig, size_t bytes, int value)
{
    volatile char *last = (volatile char *)rig->kind->memory(rig->link, 1, 0) + bytes - 1;
    int64_t times[2] = {0, 0}, mine = 0;
    must(rig->kind->begin(rig->link));
    must(rig->kind->exchange(rig->transport, NULL, 0, NULL));
    panel_compute();
    if (rig->rank == 0) {
        block_mark(rig, bytes, value);
        mine = weir_clock_ns();
        must(rig->kind->signal(rig->link, 0));
    }
    for (int panel = 0; panel < 100000 && (rig->rank == 0 ? panel < 400 : *last != (char)value); panel++) {
        panel_compute();
        must(rig->kind->progress(rig->link));
    }
    if (rig->rank == 1) {
        mine = weir_clock_ns();
        must(rig->kind->wait(rig->link, 0, 0));
        must(rig->kind->signal(rig->link, 0));
    } else {
        must(rig->kind->wait(rig->link, 1, 0));
    }
    must(rig->kind->finish(rig->link));
    must(rig->kind->exchange(rig->transport, &mine, sizeof mine, times));
    return (double)(times[1] - times[0]) * 1e-3;
}

static void posted_measure(struct rig *rig, size_t bytes)
{
    int all = rig->repetitions;
    rig->repetitions = all < 50 ? all : 50;
    link_open(rig, bytes);
    for (int i = 0; i < 3; i++)
        posted_once(rig, bytes, i + 1);
    for (int i = 0; i < rig->repetitions; i++)
        rig->samples[i] = posted_once(rig, bytes, i + 4);
    samples_print(rig, "computing", bytes);
    rig->kind->link_close(rig->link);
    rig->repetitions = all;
}

static void barrier_measure(struct rig *rig)
{
    for (int i = 0; i < rig->repetitions; i++) {
        int64_t start = weir_clock_ns();
        must(rig->kind->exchange(rig->transport, NULL, 0, NULL));
        rig->samples[i] = (double)(weir_clock_ns() - start) * 1e-3;
    }
    samples_print(rig, "barrier", 0);
}

int main(int argc, char **argv)
{
    static struct rig rig;
    struct weir_transport_config config = {.n_threads = 1, .timeout_ns = WEIR_TRANSPORT_TIMEOUT_NS};
    rig.repetitions = argc > 1 ? atoi(argv[1]) : 200;
    if (rig.repetitions < 1 || rig.repetitions > MOST) {
        fprintf(stderr, "usage: bench_transport [repetitions], from 1 to %d\n", MOST);
        return 2;
    }
    must(weir_transport_find("mpi", &rig.kind));
    must(rig.kind->open(&config, &rig.transport));
    const struct weir_transport_info *info = rig.kind->info(rig.transport);
    rig.rank = info->rank;
    if (info->n_ranks != 2)
        must(WEIR_FAIL(WEIR_ERR_USAGE, "%d processes: start 2", info->n_ranks));
    if (rig.rank == 0)
        printf("weir %s, 2 processes on %d host%s%s, panels of %d us\n%-12s %12s %10s %10s %10s\n", WEIR_VERSION,
               info->n_hosts, info->n_hosts > 1 ? "s" : "", info->crowded ? ", more threads than cores" : "", PANEL_US,
               "what", "bytes", "min", "median", "max");
    for (int s = 0; s < SIZES; s++)
        pair_measure(&rig, sizes[s]);
    for (int s = 1; s < SIZES && info->n_hosts > 1; s++)
        posted_measure(&rig, sizes[s]);
    barrier_measure(&rig);
    rig.kind->close(rig.transport);
    return 0;
}
