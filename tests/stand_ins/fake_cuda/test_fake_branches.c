/* Graphs with branches on the stand-in for the CUDA runtime: the bits of one stage on one GPU. */
#include "fake_cuda.h"
#include "tests/support/branch_rig.h"
#include "tests/support/testing.h"

static void machine_set(int n_devices, enum weir_fake_mode mode, uint64_t seed)
{
    struct weir_fake_machine machine = {n_devices, (size_t)1 << 30, 1, mode, seed};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
}

static void every_layout_has_the_bits_of_one_stage(void **state)
{
    (void)state;
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_LAZY, WEIR_FAKE_RANDOM, WEIR_FAKE_EAGER};
    static const struct branch_run runs[] = {
        {.device = "cuda:1,cuda:0,cuda:1,cuda:0", .schedule = "zb-h1", .stages = 4, .microbatches = 3},
        {.device = "cuda:0,cuda:1", .schedule = "zbv", .stages = 4, .microbatches = 3},
        {.device = "cuda:0", .schedule = "1f1b", .recompute = "full", .stages = 4, .microbatches = 3},
    };
    for (int g = 0; g < BRANCH_GRAPHS; g++) {
        struct branch_outcome one, out;
        machine_set(1, WEIR_FAKE_EAGER, 1);
        branch_train((enum branch_graph)g, &(struct branch_run){.device = "cuda", .schedule = "gpipe", .stages = 1, .microbatches = 3},
                     &one);
        machine_set(2, modes[g % 3], (uint64_t)g);
        branch_train((enum branch_graph)g, &runs[g % 3], &out);
        assert_true(branch_equal(&one, &out));
        branch_release(&one);
        branch_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_layout_has_the_bits_of_one_stage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
