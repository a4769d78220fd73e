/* schedules: stages that hand to others than the next.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "include/weir/simulate.h"
#include "schedules/schedule_kinds.h"
#include "tests/support/parsed_schedule.h"
#include "tests/support/random_schedule.h"

static const char three_ranks[] = "0F0,0B0\n1F0,1B0\n2F0,2B0\n";

static void bad_boundaries_are_named(void **state)
{
    (void)state;
    static const struct {
        struct weir_schedule_boundary list[3];
        int n;
        const char *message;
    } rows[] = {
        {{{0, 3}}, 1, "boundary 0-3 does not fit: the schedule has stages 0 to 2"},
        {{{-1, 1}}, 1, "boundary -1-1 does not fit: the schedule has stages 0 to 2"},
        {{{2, 1}}, 1, "boundary 2-1 would be read before it is made: it goes from a stage to a later one"},
        {{{1, 1}}, 1, "boundary 1-1 would be read before it is made"},
        {{{0, 1}, {1, 2}, {0, 1}}, 3, "boundary 0-1 is there twice"},
        {{{0, 2}}, 1, "stage 1 is fed by nobody: a boundary into it is missing, such as 0-1"},
        {{{0, 1}, {0, 2}}, 2, "stage 1 feeds nobody: a boundary out of it is missing, such as 1-2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_schedule s = parse(three_ranks);
        weir_status status = weir_schedule_boundaries_set(&s, rows[i].list, rows[i].n, &arena);
        if (!status)
            status = weir_schedule_boundaries_feed(&s);
        assert_fails(status, WEIR_ERR_INVALID, rows[i].message);
    }
}

static void boundaries_are_put_in_order(void **state)
{
    (void)state;
    struct weir_schedule s = parse(three_ranks);
    assert_ok(weir_schedule_boundaries_set(&s, (struct weir_schedule_boundary[]){{1, 2}, {0, 2}, {0, 1}}, 3, &arena));
    assert_ok(weir_schedule_boundaries_feed(&s));
    assert_true(s.boundaries[0].to == 1 && s.boundaries[1].from == 0 && s.boundaries[2].from == 1);
}

static struct weir_simulation simulate(struct weir_schedule *s, double transfer)
{
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .transfer = transfer, .overlap_gain = 1};
    struct weir_simulation_options options = {.keep_path = true, .keep_times = true};
    struct weir_simulation result;
    assert_ok(weir_schedule_simulate(s, &costs, &options, &arena, &result));
    return result;
}

/* Stages 0 and 1 feed stage 2, and nobody else. */
static void what_a_stage_waits_for_follows_from_the_boundaries(void **state)
{
    (void)state;
    struct weir_schedule s = parse(three_ranks);
    assert_true(simulate(&s, 0).makespan == 9);
    assert_ok(weir_schedule_boundaries_set(&s, (struct weir_schedule_boundary[]){{0, 2}, {1, 2}}, 2, &arena));
    struct weir_simulation free = simulate(&s, 0), costly = simulate(&s, 0.5);
    assert_true(free.makespan == 6 && free.n_messages == 4);
    assert_true(costly.makespan == 7 && costly.start[0][1] == 5 && costly.start[2][0] == 1.5);
    assert_int_equal(costly.n_path, 6); /* F of stage 0 or 1, its transfer, F and B of stage 2, the way back */
}

static void a_value_read_before_it_is_made_is_told_as_a_circle(void **state)
{
    (void)state;
    struct weir_schedule_report report;
    struct weir_schedule s = parse("2F0,0F0,2B0,0B0\n1F0,1B0\n");
    assert_ok(weir_schedule_boundaries_set(&s, (struct weir_schedule_boundary[]){{0, 2}, {1, 2}}, 2, &arena));
    assert_fails(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report), WEIR_ERR_INVALID,
                 "deadlock: 2F0 (row 1, cell 1) waits for 0F0 (row 1, cell 2), which comes after 2F0 (row 1, cell 1)");
}

static void send_and_receive_cells_cannot_name_them(void **state)
{
    (void)state;
    struct weir_schedule_report report;
    struct weir_schedule s = parse(three_ranks), lowered;
    const struct weir_schedule_boundary list[] = {{0, 1}, {1, 2}, {0, 2}};
    size_t steps;
    assert_ok(weir_schedule_lower(&s, &arena, &lowered));
    lowered.name = "comms.csv";
    assert_ok(weir_schedule_boundaries_set(&lowered, list, 2, &arena)); /* each to the next: they can */
    assert_ok(weir_schedule_check(&lowered, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_ok(weir_schedule_boundaries_set(&lowered, list, 3, &arena));
    assert_fails(weir_schedule_check(&lowered, WEIR_CHANNELS_EDGE, &arena, &report), WEIR_ERR_INVALID,
                 "'comms.csv': SEND and RECV cells cannot name what goes from stage 0 to stage 2");
    assert_ok(weir_schedule_boundaries_set(&s, list, 3, &arena));
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_fails(weir_schedule_check(&s, WEIR_CHANNELS_SHARED, &arena, &report), WEIR_ERR_INVALID,
                 "shared channels take transfers in the order of SEND and RECV cells");
    assert_fails(weir_schedule_lower(&s, &arena, &lowered), WEIR_ERR_INVALID, "cannot name what goes from stage 0 to stage 2");
    assert_fails(weir_schedule_count_steps(&s, &steps), WEIR_ERR_INVALID, "cannot name what goes from stage 0 to stage 2");
}

/* Each to the next, the first to the last, and some others. */
static void branches_draw(struct weir_schedule *s, uint64_t *random)
{
    struct weir_schedule_boundary list[256];
    int n = 0;
    for (int to = 1; to < s->n_stages; to++)
        for (int from = 0; from < to; from++)
            if (from + 1 == to || (from == 0 && to == s->n_stages - 1) || random_below(random, 4) == 0)
                list[n++] = (struct weir_schedule_boundary){from, to};
    assert_ok(weir_schedule_boundaries_set(s, list, n, &arena));
}

static void path_check(const struct weir_simulation *result)
{
    double sum = 0;
    for (size_t i = 0; i < result->n_path; i++)
        sum += result->critical_path[i].duration;
    assert_true(fabs(sum - result->makespan) < 1e-9);
}

static void branches_check(struct weir_schedule *s, uint64_t *random)
{
    struct weir_schedule_report report;
    const char *trace;
    double chain = simulate(s, 0).makespan, costly = simulate(s, 0.25).makespan;
    branches_draw(s, random);
    assert_ok(weir_schedule_check(s, WEIR_CHANNELS_EDGE, &arena, &report));
    struct weir_simulation result = simulate(s, 0.25);
    assert_true(simulate(s, 0).makespan >= chain - 1e-9 && result.makespan >= costly - 1e-9);
    path_check(&result);
    assert_ok(weir_simulation_trace(&result, &arena, &trace));
}

static void every_schedule_takes_boundaries_of_any_length(void **state)
{
    (void)state;
    uint64_t random = 7;
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int p = 1; p <= 4; p++)
            for (int m = 1; m <= 9; m += 2) {
                struct weir_schedule_params params = {.n_ranks = p, .n_chunks = weir_schedule_kind_chunks(*kind),
                                                      .n_microbatches = m};
                struct weir_schedule s;
                params.n_microbatches += (*kind)->n_copies == 2; /* an even number */
                if (weir_schedule_build(*kind, &params, &arena, &s))
                    continue;
                branches_check(&s, &random);
                n++;
                weir_arena_release(&arena);
            }
    assert_true(n > 150);
}

/* Free transfers: a boundary that only says again what the neighbours say costs nothing. */
static void a_skip_beside_the_neighbours_costs_no_time(void **state)
{
    (void)state;
    struct weir_schedule s;
    const struct weir_schedule_kind *kind;
    assert_ok(weir_schedule_kind_find("1f1b", &kind));
    assert_ok(weir_schedule_build(kind, &(struct weir_schedule_params){.n_ranks = 4, .n_microbatches = 8}, &arena, &s));
    assert_ok(weir_schedule_boundaries_set(&s, (struct weir_schedule_boundary[]){{0, 1}, {1, 2}, {2, 3}, {0, 3}, {0, 2}}, 5, &arena));
    struct weir_simulation result = simulate(&s, 0);
    assert_true(result.makespan == 33);
    assert_int_equal(result.n_messages, 2 * 5 * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bad_boundaries_are_named, arena_drop),
        cmocka_unit_test_teardown(boundaries_are_put_in_order, arena_drop),
        cmocka_unit_test_teardown(what_a_stage_waits_for_follows_from_the_boundaries, arena_drop),
        cmocka_unit_test_teardown(a_value_read_before_it_is_made_is_told_as_a_circle, arena_drop),
        cmocka_unit_test_teardown(send_and_receive_cells_cannot_name_them, arena_drop),
        cmocka_unit_test_teardown(every_schedule_takes_boundaries_of_any_length, arena_drop),
        cmocka_unit_test_teardown(a_skip_beside_the_neighbours_costs_no_time, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
