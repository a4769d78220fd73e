/* Every built-in schedule on graphs with branches (tests/support/branch_rig.h), 1 to 9 micro-batches, with recomputation, replicas and
 * ZeRO-1: the bits of one stage, or of as many replicas of it, in one process.
 *
 *     branch_ranks TRANSPORT DEVICE RANKS FIRST LAST        cases FIRST to LAST; tests/soak/every_branch.sh starts it
 *     branch_ranks                                          how many cases there are
 *
 * As random_ranks.c: with transport local all ranks are in this process, else it is one of RANKS processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/branch_rig.h"
#include "tests/support/testing.h"
#include "schedules/schedule_kinds.h"

enum { MOST_MICROBATCHES = 9, WAYS = 6 }; /* kept or recomputed; one replica, two, two with ZeRO-1 */

static struct {
    const char *transport, *device;
    int n_ranks, first, last;
} asked;

static int n_kinds(void)
{
    int n = 0;
    while (weir_schedule_kinds[n])
        n++;
    return n;
}

static int n_cases(void)
{
    return n_kinds() * BRANCH_GRAPHS * MOST_MICROBATCHES * WAYS;
}

struct a_case {
    enum branch_graph graph;
    struct branch_run run;
    int copies;
};

/* false: the kind has no such schedule, or it cannot train whole samples. */
static bool case_make(int number, struct a_case *c)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    const struct weir_schedule_kind *kind = weir_schedule_kinds[number / (BRANCH_GRAPHS * MOST_MICROBATCHES * WAYS)];
    int way = number % WAYS, m = 1 + number / WAYS % MOST_MICROBATCHES, replicas = way % 3 ? 2 : 1, v = weir_schedule_kind_chunks(kind);
    int p = asked.n_ranks / replicas;
    c->graph = (enum branch_graph)(number / (WAYS * MOST_MICROBATCHES) % BRANCH_GRAPHS);
    c->copies = kind->n_copies > 1 ? 2 : 1;
    c->run = (struct branch_run){.device = asked.device, .transport = asked.transport, .schedule = kind->name, .stages = p * v, .chunks = v,
                                 .microbatches = m, .replicas = replicas, .zero = way % 3 == 2, .recompute = way / 3 ? "full" : NULL};
    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = m};
    bool is_ordered = replicas * c->copies <= 2 || strcmp(asked.transport, "nccl") != 0; /* NCCL adds more in an order of its own */
    bool fine = is_ordered && strcmp(kind->name, "inference") && !kind->takes_slices && !weir_schedule_build(kind, &params, &arena, &schedule) &&
                p * v <= 8; /* layers of the U */
    weir_arena_release(&arena);
    return fine;
}

static void reference_train(const struct a_case *c, struct branch_outcome *out)
{
    bool cuda = !strncmp(asked.device, "cuda", 4);
    branch_train(c->graph, &(struct branch_run){.device = cuda ? "cuda:0" : "cpu", .schedule = "gpipe", .stages = 1,
                                                .microbatches = c->run.microbatches / c->copies, .replicas = c->run.replicas * c->copies}, out);
}

static void every_case_gives_the_bits_of_one_stage(void **state)
{
    (void)state;
    int ran = 0;
    for (int number = asked.first; number <= asked.last && number < n_cases(); number++) {
        struct a_case c;
        struct branch_outcome one, out;
        if (!case_make(number, &c))
            continue;
        reference_train(&c, &one);
        branch_train(c.graph, &c.run, &out);
        if (!branch_equal(&one, &out))
            fail_msg("case %d: graph %d, %s, %d stages, %d micro-batches, %d replicas%s, recompute %s: not the bits of one stage", number,
                     (int)c.graph, c.run.schedule, c.run.stages, c.run.microbatches, c.run.replicas, c.run.zero ? " with ZeRO-1" : "",
                     c.run.recompute ? c.run.recompute : "none");
        branch_release(&one);
        branch_release(&out);
        ran++;
    }
    print_message("%d cases ran\n", ran);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_gives_the_bits_of_one_stage)};
    if (argc != 6) {
        printf("%d\n", n_cases());
        return argc > 1 ? 2 : 0;
    }
    asked.transport = argv[1];
    asked.device = argv[2];
    asked.n_ranks = atoi(argv[3]);
    asked.first = atoi(argv[4]);
    asked.last = atoi(argv[5]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
