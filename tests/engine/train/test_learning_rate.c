/* Learning-rate schedules, held to their formulas.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>

#include "include/weir/weir.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-15;
}

static void warm_up_is_linear_and_ends_at_the_full_rate(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++)
        for (int64_t step = 0; step < 10; step++)
            assert_true(near(weir_learning_rate((enum weir_lr_schedule)s, 0.01, 10, step, 100), 0.001 * (double)(step + 1)));
    assert_true(near(weir_learning_rate(WEIR_LR_CONSTANT, 0.01, 0, 0, 100), 0.01));
    assert_true(near(weir_learning_rate(WEIR_LR_CONSTANT, 0.01, 10, 99, 100), 0.01));
}

static void cosine_falls_to_a_tenth_at_the_last_step(void **state)
{
    (void)state;
    assert_true(near(weir_learning_rate(WEIR_LR_COSINE, 0.01, 10, 10, 111), 0.01));
    assert_true(near(weir_learning_rate(WEIR_LR_COSINE, 0.01, 10, 60, 111), 0.0055)); /* half way: the mean of both ends */
    assert_true(near(weir_learning_rate(WEIR_LR_COSINE, 0.01, 10, 110, 111), 0.001));
    assert_true(near(weir_learning_rate(WEIR_LR_COSINE, 0.01, 10, 500, 111), 0.001));
    for (int64_t step = 11; step < 111; step++)
        assert_true(weir_learning_rate(WEIR_LR_COSINE, 0.01, 10, step, 111) <
                    weir_learning_rate(WEIR_LR_COSINE, 0.01, 10, step - 1, 111));
    assert_true(near(weir_learning_rate(WEIR_LR_COSINE, 0.01, 0, 0, 1), 0.001)); /* one step is the last */
}

static void a_lowest_rate_is_where_the_cosine_ends(void **state)
{
    (void)state;
    for (int64_t step = 0; step < 120; step++)
        for (int s = 0; s < 2; s++)
            assert_true(near(weir_learning_rate_to((enum weir_lr_schedule)s, 0.01, 0.001, 10, step, 111),
                             weir_learning_rate((enum weir_lr_schedule)s, 0.01, 10, step, 111)));
    assert_true(near(weir_learning_rate_to(WEIR_LR_COSINE, 0.01, 0, 10, 110, 111), 0));
    assert_true(near(weir_learning_rate_to(WEIR_LR_COSINE, 0.01, 0.01, 10, 60, 111), 0.01));
    assert_true(near(weir_learning_rate_to(WEIR_LR_COSINE, 0.01, 0.004, 10, 60, 111), 0.007));
}

static void names_are_found(void **state)
{
    (void)state;
    enum weir_lr_schedule schedule;
    assert_ok(weir_lr_schedule_find("cosine", &schedule));
    assert_int_equal(schedule, WEIR_LR_COSINE);
    assert_fails(weir_lr_schedule_find("cosin", &schedule), WEIR_ERR_USAGE, "did you mean 'cosine'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warm_up_is_linear_and_ends_at_the_full_rate),
        cmocka_unit_test(cosine_falls_to_a_tenth_at_the_last_step),
        cmocka_unit_test(a_lowest_rate_is_where_the_cosine_ends),
        cmocka_unit_test(names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
