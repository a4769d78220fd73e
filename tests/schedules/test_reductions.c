/* Gradients that are added over replicas: where REDUCE_GRAD stands, how long it takes, what overlaps and what does not.
 * labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "include/weir/simulate.h"
#include "schedules/schedule_kinds.h"
#include "tests/support/parsed_schedule.h"

static void assert_near(double value, double wanted)
{
    if (fabs(value - wanted) > 1e-9 * (1 + fabs(wanted)))
        fail_msg("%.12g, not %.12g", value, wanted);
}

static const struct weir_schedule_costs unit = {1, 1, 1, 1, 1, .overlap_gain = 1};

/* Unit costs and a reduction of `time` per stage over two replicas: half of the bytes in each of two phases. */
static struct weir_schedule_costs with_reduction(double time)
{
    struct weir_schedule_costs costs = unit;
    costs.grad_bytes = time;
    costs.reduce_bandwidth = 1;
    return costs;
}

static struct weir_simulation simulate(const struct weir_schedule *schedule, const struct weir_schedule_costs *costs,
                                       int n_replicas, bool shard)
{
    struct weir_simulation result;
    struct weir_simulation_options options = {
        .keep_path = true, .keep_times = true, .n_replicas = n_replicas, .shard_optimizer = shard};
    assert_ok(weir_schedule_simulate(schedule, costs, &options, &arena, &result));
    return result;
}

static void one_reduction_takes_what_the_formula_says(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,0B0\n");
    struct weir_schedule_costs costs = unit;
    costs.grad_bytes = 800;
    costs.reduce_bandwidth = 100;
    costs.reduce_latency = 0.25;
    assert_near(simulate(&s, &costs, 0, false).makespan, 3);
    assert_near(simulate(&s, &costs, 1, false).makespan, 3);
    assert_near(simulate(&s, &costs, 4, false).makespan, 3 + 2 * (0.25 + 0.75 * 8));
    assert_near(simulate(&s, &costs, 2, false).makespan, 3 + 2 * (0.25 + 0.5 * 8));
    costs.bucket_bytes = 300; /* three buckets: three latencies, the same bytes */
    assert_near(simulate(&s, &costs, 4, false).makespan, 3 + 2 * (0.75 + 0.75 * 8));
    costs.reduce_bandwidth = 0;
    assert_near(simulate(&s, &costs, 4, false).makespan, 3 + 2 * 0.75);
    costs.grad_bytes = 0;
    assert_near(simulate(&s, &costs, 4, false).makespan, 3);
}

static void sharding_the_optimizer_moves_a_phase_behind_it(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,0B0\n1F0,1B0\n");
    struct weir_stage_costs stages[2] = {{1, 1, 1, 1, 1, .param_bytes = 400, .grad_bytes = 800, .optimizer_bytes = 1600},
                                         {1, 1, 1, 1, 1, .param_bytes = 200, .grad_bytes = 400, .optimizer_bytes = 800}};
    struct weir_schedule_costs costs = unit;
    costs.stages = stages;
    costs.n_stages = 2;
    costs.reduce_bandwidth = 100;
    costs.optimizer = 8;
    struct weir_simulation plain = simulate(&s, &costs, 4, false), sharded = simulate(&s, &costs, 4, true);
    assert_near(plain.makespan, 6 + 2 * 6 + 8);
    assert_near(plain.optimizer_start, 18);
    assert_near(plain.gather[0], 0);
    assert_near(sharded.makespan, 6 + 6 + 8 / 4. + 3);
    assert_near(sharded.optimizer, 2);
    assert_near(sharded.gather[0], 3);
    assert_near(sharded.gather[1], 1.5);
    for (int i = 0; i < 2; i++) {
        const struct weir_simulation *result = i ? &sharded : &plain;
        assert_near(result->state[0], 2800);
        assert_near(result->state[1], 1400);
        assert_near(result->state_sharded[0], 400 + 800 + 400);
        assert_near(result->state_sharded[1], 200 + 400 + 200);
    }
}

/* One stream per rank: stage 1's runs beside 0B0, stage 0's has nothing to hide behind. */
static void a_reduction_overlaps_what_is_left_of_the_backward(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,1F0,1B0,0B0\n");
    struct weir_schedule_costs costs = with_reduction(1.5);
    struct weir_simulation result = simulate(&s, &costs, 2, false);
    assert_near(result.makespan, 6 + 1.5);
    assert_near(result.reduction[0], 3);
    assert_near(result.reduction_exposed[0], 1.5);
    assert_near(result.busy[0], 7.5);
    costs = with_reduction(3); /* longer than 0B0: the second waits for the first */
    result = simulate(&s, &costs, 2, false);
    assert_near(result.makespan, 4 + 3 + 3);
    assert_near(result.reduction_exposed[0], 4);
    s = parse("0F0,1F0,1B0,0B0,1REDUCE_GRAD,0REDUCE_GRAD\n"); /* where the list says so, it starts late */
    assert_near(simulate(&s, &costs, 2, false).makespan, 6 + 3 + 3);
}

/* Rank 0 of 1f1b and gpipe ends last, with the backward of stage 0; every other rank has two time units more per stage
 * for its reduction.  So exactly one reduction shows, however long it is. */
static void with_one_chunk_only_the_first_stage_shows(void **state)
{
    (void)state;
    static const char *const names[] = {"1f1b", "gpipe"};
    for (int n = 0; n < 2; n++)
        for (int p = 1; p <= 6; p++)
            for (int m = 1; m <= 9; m += 4)
                for (double time = 0.5; time < 40; time *= 3) {
                    const struct weir_schedule_kind *kind;
                    struct weir_schedule s;
                    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = 1, .n_microbatches = m};
                    struct weir_schedule_costs costs = with_reduction(time);
                    assert_ok(weir_schedule_kind_find(names[n], &kind));
                    assert_ok(weir_schedule_build(kind, &params, &arena, &s));
                    struct weir_simulation result = simulate(&s, &costs, 2, false);
                    assert_near(result.makespan, kind->makespan(&params) + time);
                    for (int r = 0; r < p; r++)
                        assert_near(result.reduction_exposed[r], time);
                }
}

/* The place of every added REDUCE_GRAD: behind the last W or B of its stage and its sends, nothing else between. */
static void places_hold(const struct weir_schedule *s)
{
    for (int r = 0; r < s->n_ranks; r++)
        for (size_t i = 0; i < s->ranks[r].n_actions; i++) {
            const struct weir_action *list = s->ranks[r].actions, *a = &list[i], *before = a - 1;
            if (a->type != WEIR_REDUCE_GRAD)
                continue;
            while (before->type == WEIR_SEND_F || before->type == WEIR_SEND_B)
                before--;
            assert_true(before >= list && before->stage == a->stage);
            assert_true(before->type == WEIR_W || before->type == WEIR_B);
            for (size_t k = i; k < s->ranks[r].n_actions; k++)
                assert_false(list[k].stage == a->stage && (list[k].type == WEIR_W || list[k].type == WEIR_B));
        }
}

static void kind_holds(const struct weir_schedule *plain, enum weir_channels channels)
{
    struct weir_schedule s, again;
    struct weir_schedule_report report;
    assert_ok(weir_schedule_add_reductions(plain, &arena, &s));
    assert_ok(weir_schedule_check(&s, channels, &arena, &report));
    assert_int_equal(report.n_reductions, report.trainable ? s.n_stages * s.n_copies : 0);
    places_hold(&s);
    assert_ok(weir_schedule_add_reductions(&s, &arena, &again));
    for (int r = 0; r < s.n_ranks; r++)
        assert_int_equal(again.ranks[r].n_actions, s.ranks[r].n_actions);
    struct weir_schedule_costs costs = with_reduction(0.7);
    struct weir_simulation_options options = {.channels = channels, .keep_path = true, .n_replicas = 2};
    struct weir_simulation with, without;
    assert_ok(weir_schedule_simulate(plain, &costs, &options, &arena, &with));
    options.n_replicas = 1;
    assert_ok(weir_schedule_simulate(plain, &costs, &options, &arena, &without));
    double sum = 0;
    for (size_t i = 0; i < with.n_path; i++)
        sum += with.critical_path[i].duration;
    assert_near(sum, with.makespan);
    if (!report.trainable)
        return;
    assert_true(with.makespan >= without.makespan + 0.7 - 1e-9);
    assert_int_equal(with.critical_path[with.n_path - 1].action.type, WEIR_REDUCE_GRAD);
    for (int r = 0; r < s.n_ranks; r++)
        assert_true(with.makespan <= without.makespan + with.reduction[r] + 1e-9);
}

static void every_schedule_takes_reductions(void **state)
{
    (void)state;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int p = 1; p <= 4; p++) {
            struct weir_schedule s, lowered;
            struct weir_schedule_params params = {.n_ranks = p, .n_microbatches = 8};
            params.n_chunks = (*kind)->n_chunks ? 0 : 2;
            if (weir_schedule_build(*kind, &params, &arena, &s))
                continue;
            for (int model = WEIR_CHANNELS_EDGE; model <= WEIR_CHANNELS_BLOCKING; model++)
                kind_holds(&s, (enum weir_channels)model);
            assert_ok(weir_schedule_lower(&s, &arena, &lowered));
            kind_holds(&lowered, WEIR_CHANNELS_EDGE);
            weir_arena_release(&arena);
        }
}

static void what_is_missing_is_added_and_what_is_there_stays(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,1F0,1B0,0B0,1REDUCE_GRAD\n"), out;
    const char *text;
    assert_ok(weir_schedule_add_reductions(&s, &arena, &out));
    assert_ok(weir_schedule_csv_print(&out, &arena, &text));
    assert_string_equal(text, "0F0,1F0,1B0,0B0,0REDUCE_GRAD,1REDUCE_GRAD\n");
    s = parse("0F0,0F1\n");
    assert_ok(weir_schedule_add_reductions(&s, &arena, &out));
    assert_int_equal(out.ranks[0].n_actions, 2);
}

static void the_trace_shows_reductions_and_optimizer(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,1F0,1B0,0B0\n");
    struct weir_schedule_costs costs = with_reduction(1.5);
    costs.optimizer = 2;
    costs.param_bytes = 4;
    struct weir_simulation result = simulate(&s, &costs, 2, true);
    const char *text;
    assert_ok(weir_simulation_trace(&result, &arena, &text));
    /* one phase of 0.75 from the end of 1B0 on, another from the end of 0B0; optimizer 1, two parameters of 2 */
    assert_non_null(strstr(text, "\"tid\":2,\"ts\":4000,\"dur\":750,\"cat\":\"copy\",\"name\":\"1REDUCE_GRAD\""));
    assert_non_null(strstr(text, "\"tid\":2,\"ts\":6000,\"dur\":750,\"cat\":\"copy\",\"name\":\"0REDUCE_GRAD\""));
    assert_non_null(strstr(text, "\"tid\":0,\"ts\":6750,\"dur\":1000,\"cat\":\"optimizer\",\"name\":\"optimizer\""));
    assert_non_null(strstr(text, "\"tid\":2,\"ts\":7750,\"dur\":4000,\"cat\":\"copy\",\"name\":\"parameters\""));
    assert_near(result.makespan, 11.75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_reduction_takes_what_the_formula_says, arena_drop),
        cmocka_unit_test_teardown(sharding_the_optimizer_moves_a_phase_behind_it, arena_drop),
        cmocka_unit_test_teardown(a_reduction_overlaps_what_is_left_of_the_backward, arena_drop),
        cmocka_unit_test_teardown(with_one_chunk_only_the_first_stage_shows, arena_drop),
        cmocka_unit_test_teardown(every_schedule_takes_reductions, arena_drop),
        cmocka_unit_test_teardown(what_is_missing_is_added_and_what_is_there_stays, arena_drop),
        cmocka_unit_test_teardown(the_trace_shows_reductions_and_optimizer, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
