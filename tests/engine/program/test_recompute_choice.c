/* Choosing layers to recompute, against every choice there is.
 * labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "engine/program/recompute_choice.h"

enum { MOST = 12 };

static double least_time(const double *time, const double *saved, int n, double need)
{
    double least = INFINITY;
    for (int set = 0; set < 1 << n; set++) {
        double t = 0, s = 0;
        for (int i = 0; i < n; i++)
            if (set >> i & 1)
                t += time[i], s += saved[i];
        least = s >= need ? fmin(least, t) : least;
    }
    return least;
}

static void test_no_choice_saves_enough_in_less_time(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 400; round++) {
        double time[MOST], saved[MOST], t = 0, s = 0, all = 0;
        bool chosen[MOST];
        int n = 1 + (int)(round % MOST);
        for (int i = 0; i < n; i++) {
            struct weir_rng_block block = weir_rng_philox(7, round, (uint32_t)i, 3, 0);
            time[i] = 1 + block.v[0] % 5;
            saved[i] = block.v[1] % 7;
            all += saved[i];
        }
        double need = floor(all * (double)(round % 11) / 9);
        bool found = weir_recompute_choose(time, saved, n, need, chosen);
        assert_int_equal(found, need <= all);
        for (int i = 0; i < n; i++)
            if (chosen[i])
                t += time[i], s += saved[i];
        if (found) {
            assert_true(s >= need);
            assert_float_equal(t, least_time(time, saved, n, need), 1e-9);
        } else {
            assert_true(s == 0 && t == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_choice_saves_enough_in_less_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
