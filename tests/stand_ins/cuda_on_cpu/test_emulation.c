/* running CUDA kernels on the processor: mistakes that were put into kernels are found.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>

#include "emulation.h"
#include "seeded.h"

enum { N = 64 };

static void fill(float x[N])
{
    for (int i = 0; i < N; i++)
        x[i] = (float)i;
}

static void right_kernels_run(void **state)
{
    (void)state;
    float x[N];
    fill(x);
    assert_ok(seeded_launch(SEEDED_REVERSE, N, x));
    for (int i = 0; i < N; i++)
        assert_true(x[i] == (float)(N - 1 - i));
    fill(x);
    assert_ok(seeded_launch(SEEDED_WARP_REVERSE, N, x));
    for (int i = 0; i < N; i++)
        assert_true(x[i] == (float)(i / 32 * 32 + 31 - i % 32));
    fill(x);
    assert_ok(seeded_launch(SEEDED_TOGETHER, N, x));
    assert_true(x[0] == 32 * 32 + 31 * 16); /* of the second warp */
    assert_true(x[1] == 7 && x[2] == 10 && x[3] == 34 && x[4] == 33);
}

static void mistakes_are_found(void **state)
{
    (void)state;
    static const struct {
        enum seeded_kernel kernel;
        const char *words;
    } rows[] = {
        {SEEDED_REVERSE_RACE, "of a shared array with no barrier between"},
        {SEEDED_SHIFT_RACE, "of a shared array with no barrier between"},
        {SEEDED_WARP_REVERSE_RACE, "of a shared array with no barrier between"},
        {SEEDED_TWO_WARPS_RACE, "of a shared array with no barrier between"},
        {SEEDED_HALF_BARRIER, "thread 0 waits in __syncthreads at seeded.cu:"},
        {SEEDED_TWO_BARRIERS, "thread 0 waits in __syncthreads at seeded.cu:"},
        {SEEDED_MISSING_LANES, "that do not come"},
        {SEEDED_OUTSIDE_MASK, "which leaves itself out"},
        {SEEDED_UNNAMED_SOURCE, "which the mask 0xffff leaves out"},
        {SEEDED_PAST_THE_END, "thread 63 uses element 63 of a shared array of 63"},
    };
    for (int order = 0; order < 2; order++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            float x[N];
            fill(x);
            weir_emulated_set_order(order ? WEIR_EMULATED_DESCENDING : WEIR_EMULATED_ASCENDING);
            if (order && (rows[i].kernel == SEEDED_HALF_BARRIER || rows[i].kernel == SEEDED_TWO_BARRIERS))
                continue;
            assert_fails(seeded_launch(rows[i].kernel, N, x), WEIR_ERR_INTERNAL, rows[i].words);
            fill(x);
            assert_ok(seeded_launch(SEEDED_REVERSE, N, x)); /* the next launch is not harmed */
        }
    weir_emulated_set_order(WEIR_EMULATED_ASCENDING);
}

static void shared_memory_begins_as_nan(void **state)
{
    (void)state;
    float x[N];
    fill(x);
    assert_ok(seeded_launch(SEEDED_REVERSE, N, x));
    assert_ok(seeded_launch(SEEDED_UNWRITTEN, N, x));
    for (int i = 0; i < N; i++)
        assert_true(isnan(x[i]));
}

static void impossible_launches_are_refused(void **state)
{
    (void)state;
    float x[N];
    assert_fails(seeded_launch(SEEDED_REVERSE, 0, x), WEIR_ERR_INTERNAL, "which no device has");
    assert_fails(seeded_launch(SEEDED_REVERSE, 1056, x), WEIR_ERR_INTERNAL, "which no device has");
}

static int fibers_release(void **state)
{
    (void)state;
    weir_emulated_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_kernels_run),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(shared_memory_begins_as_nan),
        cmocka_unit_test(impossible_launches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, fibers_release);
}
