/* Nodes that take one value twice on the stand-in for the CUDA runtime: close to the CPU's, and the bits of one stage on one GPU. */
#include <math.h>

#include "fake_cuda.h"
#include "tests/support/testing.h"
#include "tests/support/twice_rig.h"

static void machine_set(int n_devices, enum weir_fake_mode mode, uint64_t seed)
{
    struct weir_fake_machine machine = {n_devices, (size_t)1 << 30, 1, mode, seed};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
}

static void gradients_are_close_to_those_of_the_cpu(void **state)
{
    (void)state;
    static struct twice_outcome cpu, cuda;
    struct twice_run run = {.schedule = "gpipe", .stages = 1, .microbatches = 3, .drops = true};
    machine_set(1, WEIR_FAKE_EAGER, 1);
    twice_train(&run, &cpu);
    run.device = "cuda";
    twice_train(&run, &cuda);
    double most = 0, apart = 0;
    for (size_t i = 0; i < cpu.n; i++) {
        most = fmax(most, fabs((double)cpu.gradients[i]));
        apart = fmax(apart, fabs((double)cpu.gradients[i] - (double)cuda.gradients[i]));
    }
    assert_true(most > 0 && apart <= 1e-5 * most);
    assert_true(fabs(cpu.losses[1] - cuda.losses[1]) <= 1e-5 * cpu.losses[1]);
}

static void every_layout_has_the_bits_of_one_stage(void **state)
{
    (void)state;
    static const struct twice_run one = {.device = "cuda", .schedule = "gpipe", .stages = 1, .microbatches = 3, .drops = true}, runs[] = {
        {.device = "cuda:1,cuda:0,cuda:1,cuda:0", .schedule = "zb-h1", .stages = 4, .microbatches = 3, .drops = true},
        {.device = "cuda:0,cuda:1", .schedule = "zbv", .stages = 4, .chunks = 2, .microbatches = 3, .drops = true},
        {.device = "cuda:0", .schedule = "1f1b", .recompute = "full", .stages = 8, .microbatches = 3, .drops = true},
    };
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_LAZY, WEIR_FAKE_RANDOM, WEIR_FAKE_EAGER};
    for (int k = 0; k < 3; k++) {
        machine_set(2, modes[k], (uint64_t)k);
        twice_compare(&one, &runs[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_close_to_those_of_the_cpu),
        cmocka_unit_test(every_layout_has_the_bits_of_one_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
