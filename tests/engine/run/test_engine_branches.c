/* Skips of one, two and five layers, a U that adds and one that concatenates, layers that split what they make, an encoder that
 * every later layer reads, two towers: the bits of one stage under every schedule.
 * labels: threads */
#include <string.h>

#include "schedules/schedule_kinds.h"
#include "tests/support/branch_rig.h"
#include "tests/support/testing.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { MOST_MICROBATCHES = 9, MOST_REPLICAS = 2 };

static struct branch_outcome references[BRANCH_GRAPHS][MOST_REPLICAS + 1][MOST_MICROBATCHES + 1]; /* made when first asked for */

static int references_free(void **state)
{
    (void)state;
    for (int g = 0; g < BRANCH_GRAPHS; g++)
        for (int d = 0; d <= MOST_REPLICAS; d++)
            for (int m = 0; m <= MOST_MICROBATCHES; m++)
                branch_release(&references[g][d][m]);
    return 0;
}

static const struct branch_outcome *one_stage(enum branch_graph which, int replicas, int m)
{
    struct branch_outcome *reference = &references[which][replicas][m];
    if (!reference->params)
        branch_train(which, &(struct branch_run){.schedule = "gpipe", .stages = 1, .microbatches = m, .replicas = replicas},
                     reference);
    return reference;
}

static void compare(enum branch_graph which, const struct branch_run *run)
{
    struct branch_outcome out;
    branch_train(which, run, &out);
    if (!branch_equal(&out, one_stage(which, run->replicas, run->microbatches)))
        fail_msg("graph %d, %s, %d stages, %d micro-batches, %d replicas%s, recompute %s: not the bits of one stage", (int)which,
                 run->schedule, run->stages, run->microbatches, run->replicas, run->zero ? " with ZeRO-1" : "",
                 run->recompute ? run->recompute : "none");
    branch_release(&out);
}

/* One copy of the weights, and backwards. */
static bool trains(const struct weir_schedule_kind *kind, int v, int p, int m)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = m};
    bool fine = strcmp(kind->name, "inference") && weir_schedule_build(kind, &params, &arena, &schedule) == WEIR_OK &&
                schedule.n_copies == 1;
    weir_arena_release(&arena);
    return fine;
}

static void every_built_in_schedule_has_the_bits_of_one_stage(void **state)
{
    (void)state;
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int g = 0; g < BRANCH_GRAPHS; g++)
            for (int m = 1 + g % 3; m <= MOST_MICROBATCHES; m += SANITIZED ? 7 : 3) { /* all: tests/soak/every_branch.sh */
                int v = weir_schedule_kind_chunks(*kind), p = 8 / v;
                if (!trains(*kind, v, p, m))
                    continue;
                compare((enum branch_graph)g, &(struct branch_run){.schedule = (*kind)->name, .stages = p * v, .chunks = v,
                                                                   .microbatches = m, .replicas = 1,
                                                                   .recompute = n % 3 ? NULL : "full"});
                n++;
            }
    assert_true(n > (SANITIZED ? 50 : 150));
}

static void replicas_have_the_bits_of_replicas_of_one_stage(void **state)
{
    (void)state;
    static const char *const schedules[] = {"1f1b", "zbv", "gpipe", "zb-h1", "zbv", "interleaved", "interleaved", "1f1b"};
    for (int g = 0; g < BRANCH_GRAPHS; g++)
        for (int zero = 0; zero < 2; zero++)
            compare((enum branch_graph)g, &(struct branch_run){.schedule = schedules[g], .stages = 4, .microbatches = 4,
                                                               .replicas = 2, .zero = zero,
                                                               .recompute = !zero ? NULL : g == BRANCH_U || g == BRANCH_U_CONCAT ? "fc2,fc4" : "layer2,layer3"});
}

/* Two copies of the weights are two replicas. */
static void two_copies_have_the_bits_of_two_replicas_of_one_stage(void **state)
{
    (void)state;
    for (int g = 0; g < BRANCH_GRAPHS; g++) {
        struct branch_outcome out;
        branch_train((enum branch_graph)g, &(struct branch_run){.schedule = g % 2 ? "dualpipe" : "chimera", .stages = 4,
                                                                .microbatches = 8}, &out);
        assert_true(branch_equal(&out, one_stage((enum branch_graph)g, 2, 4)));
        branch_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_built_in_schedule_has_the_bits_of_one_stage),
        cmocka_unit_test(replicas_have_the_bits_of_replicas_of_one_stage),
        cmocka_unit_test(two_copies_have_the_bits_of_two_replicas_of_one_stage),
    };
    return cmocka_run_group_tests(tests, NULL, references_free);
}
