/* Actions, costs and made schedules, as a program has them.   labels: pure */
#include "tests/support/testing.h"

#include "include/weir/auto.h"

static void an_action_is_made_and_read_without_its_bit_fields(void **state)
{
    (void)state;
    static const struct {
        int stage, mb;
        enum weir_action_type type;
        bool fused;
        const char *text;
    } rows[] = {{3, 7, WEIR_F, false, "3F7"}, {0, 0, WEIR_B, true, "0B0"}, {511, (1 << 20) - 1, WEIR_RECV_B, false, "511RECV_B1048575"},
                {2, -1, WEIR_REDUCE_GRAD, false, "2REDUCE_GRAD"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_action action;
        enum weir_action_type type;
        char text[WEIR_ACTION_TEXT];
        int stage, mb;
        bool fused;
        weir_action_set(&action, rows[i].stage, rows[i].type, rows[i].mb, rows[i].fused);
        weir_action_get(&action, &stage, &type, &mb, &fused);
        assert_true(stage == rows[i].stage && type == rows[i].type && mb == rows[i].mb && fused == rows[i].fused);
        assert_string_equal(weir_action_str(&action, text), rows[i].text);
    }
}

static double makespan_of(double overlap_gain)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_simulation simulation;
    const struct weir_schedule_costs costs = {.forward = 1, .input = 1, .weight = 1, .overlap_gain = overlap_gain};
    assert_ok(weir_pipeline_schedule("dualpipev", 8, 0, 8, &arena, &schedule));
    assert_ok(weir_schedule_simulate(&schedule, &costs, &(struct weir_simulation_options){.n_replicas = 1}, &arena, &simulation));
    double makespan = simulation.makespan;
    assert_true(simulation.bubble >= 0 || overlap_gain == 0.5);
    weir_arena_release(&arena);
    return makespan;
}

static void an_overlap_gain_that_is_not_said_is_none(void **state)
{
    (void)state;
    assert_true(makespan_of(0) == makespan_of(1) && makespan_of(0.5) < makespan_of(1));
}

static void a_schedule_is_not_made_for_no_costs(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_auto_result made;
    const struct weir_auto_request request = {.n_ranks = 2, .n_microbatches = 4};
    assert_fails(weir_schedule_auto(&request, &arena, &made), WEIR_ERR_INVALID, "the request has none");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_action_is_made_and_read_without_its_bit_fields),
        cmocka_unit_test(an_overlap_gain_that_is_not_said_is_none),
        cmocka_unit_test(a_schedule_is_not_made_for_no_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
