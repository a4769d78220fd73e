/* stragglers: who is found, who is not, with made-up times.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>

#include "include/weir/metrics.h"

enum { RANKS = 3 };
static const int64_t usual_ns[RANKS] = {200000000, 300000000, 100000000}, step_ns = 400000000;

struct found {
    int n, step, rank;
    double factor;
    bool over_plan;
};

/* `n` steps in which rank `slow` (-1: all) takes `factor` times as long. */
static void steps_take(struct weir_stragglers *s, int n, int slow, double factor, int64_t took_ns, struct found *found)
{
    for (int i = 0; i < n; i++) {
        int64_t times[RANKS];
        for (int r = 0; r < RANKS; r++)
            times[r] = (int64_t)((double)usual_ns[r] * (slow == r || slow < 0 ? factor : 1));
        found->step++;
        struct weir_straggler one;
        if (!weir_stragglers_look(s, times, took_ns, &one))
            continue;
        found->n++;
        found->rank = one.rank;
        found->factor = one.factor;
        found->over_plan = one.over_plan;
    }
}

static struct weir_stragglers *opened(struct found *found)
{
    struct weir_stragglers *s;
    assert_ok(weir_stragglers_open(RANKS, NULL, &s));
    *found = (struct found){.rank = -1};
    steps_take(s, 50, -1, 1, step_ns, found);
    return s;
}

static void a_rank_that_becomes_slow_is_found_after_twenty_steps_once(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = opened(&found);
    steps_take(s, 19, 1, 2, step_ns, &found);
    assert_int_equal(found.n, 0);
    steps_take(s, 1, 1, 2, step_ns, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.rank, 1);
    assert_true(fabs(found.factor - 2) < 0.1);
    steps_take(s, 10, 1, 2, step_ns, &found);
    assert_int_equal(found.n, 1);
    steps_take(s, 20, 1, 1, step_ns, &found);
    steps_take(s, 20, 1, 3, step_ns, &found);
    assert_int_equal(found.n, 2);
    weir_stragglers_close(s);
}

static void a_pause_begins_the_count_anew(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = opened(&found);
    for (int k = 0; k < 5; k++) {
        steps_take(s, 19, 2, 2, step_ns, &found);
        steps_take(s, 1, 2, 1, step_ns, &found);
    }
    assert_int_equal(found.n, 0);
    weir_stragglers_close(s);
}

static void a_machine_that_becomes_slow_for_all_has_no_straggler(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = opened(&found);
    steps_take(s, 100, -1, 3, step_ns, &found);
    assert_int_equal(found.n, 0);
    weir_stragglers_close(s);
}

static void short_steps_are_followed_for_five_seconds(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = opened(&found);
    steps_take(s, 499, 0, 2, 10000000, &found);
    assert_int_equal(found.n, 0);
    steps_take(s, 1, 0, 2, 10000000, &found);
    assert_int_equal(found.n, 1);
    weir_stragglers_close(s);
}

static void ten_thousand_steps_of_which_one_in_ten_is_slow_have_no_straggler(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = opened(&found);
    uint32_t seed = 1;
    for (int i = 0; i < 10000; i++) {
        seed = seed * 1664525u + 1013904223u;
        steps_take(s, 1, (int)(seed >> 24) % RANKS, (seed >> 16 & 255) < 26 ? 5 : 1, step_ns, &found);
    }
    assert_int_equal(found.n, 0);
    weir_stragglers_close(s);
}

/* What a plan says of the three, `by` times what they take. */
static struct weir_stragglers *planned(double by, struct found *found)
{
    struct weir_stragglers *s;
    int64_t ns[RANKS];
    for (int r = 0; r < RANKS; r++)
        ns[r] = (int64_t)((double)usual_ns[r] * by);
    assert_ok(weir_stragglers_open(RANKS, ns, &s));
    *found = (struct found){.rank = -1};
    return s;
}

static void a_rank_that_is_slower_than_planned_from_its_first_step_on_is_found_once(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = planned(1, &found);
    steps_take(s, 19, 2, 1.8, step_ns, &found);
    assert_int_equal(found.n, 0);
    steps_take(s, 1000, 2, 1.8, step_ns, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.rank, 2);
    assert_true(found.over_plan && fabs(found.factor - 1.8) < 0.01);
    weir_stragglers_close(s);
}

static void a_rank_that_becomes_slow_is_told_of_once_though_it_is_over_its_plan_too(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = planned(1, &found);
    steps_take(s, 50, -1, 1, step_ns, &found);
    steps_take(s, 100, 0, 2, step_ns, &found);
    assert_int_equal(found.n, 1);
    assert_true(found.rank == 0 && !found.over_plan);
    weir_stragglers_close(s);
}

static void a_plan_for_a_faster_machine_makes_no_straggler(void **state)
{
    (void)state;
    struct found found;
    struct weir_stragglers *s = planned(0.2, &found);
    steps_take(s, 200, -1, 1, step_ns, &found);
    steps_take(s, 200, 1, 1.4, step_ns, &found);
    assert_int_equal(found.n, 0);
    steps_take(s, 20, 1, 1.7, step_ns, &found);
    assert_true(found.n == 1 && found.rank == 1);
    weir_stragglers_close(s);
}

static void a_rank_alone_is_not_over_its_plan(void **state)
{
    (void)state;
    struct weir_stragglers *s;
    struct weir_straggler one;
    int64_t time = 100000000, half = time / 2;
    assert_ok(weir_stragglers_open(1, &half, &s));
    for (int i = 0; i < 200; i++)
        assert_false(weir_stragglers_look(s, &time, step_ns, &one));
    weir_stragglers_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_that_becomes_slow_is_found_after_twenty_steps_once),
        cmocka_unit_test(a_pause_begins_the_count_anew),
        cmocka_unit_test(a_machine_that_becomes_slow_for_all_has_no_straggler),
        cmocka_unit_test(short_steps_are_followed_for_five_seconds),
        cmocka_unit_test(ten_thousand_steps_of_which_one_in_ten_is_slow_have_no_straggler),
        cmocka_unit_test(a_rank_that_is_slower_than_planned_from_its_first_step_on_is_found_once),
        cmocka_unit_test(a_rank_that_becomes_slow_is_told_of_once_though_it_is_over_its_plan_too),
        cmocka_unit_test(a_plan_for_a_faster_machine_makes_no_straggler),
        cmocka_unit_test(a_rank_alone_is_not_over_its_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
