/* schedules: every kind over p, v and m through check and lowering, held to its closed forms.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "include/weir/simulate.h"
#include "schedules/schedule_kinds.h"

static void peaks_are_held(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params,
                           const struct weir_schedule_report *report)
{
    for (int r = 0; kind->peak_in_flight && r < params->n_ranks; r++) {
        int peak = kind->peak_in_flight(params, r);
        if (peak >= 0 && report->peak_in_flight_rank[r] != peak)
            fail_msg("%s p=%d v=%d m=%d: rank %d holds %d, not %d", kind->name, params->n_ranks, params->n_chunks,
                     params->n_microbatches, r, report->peak_in_flight_rank[r], peak);
    }
}

static void makespan_is_held(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params,
                             const struct weir_schedule *schedule, struct weir_arena *arena)
{
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_simulation_options options = {.keep_path = true};
    struct weir_simulation result;
    assert_ok(weir_schedule_simulate(schedule, &costs, &options, arena, &result));
    double makespan = kind->makespan ? kind->makespan(params) : -1;
    if (makespan >= 0 && result.makespan != makespan)
        fail_msg("%s p=%d v=%d m=%d: makespan is %g, not %g", kind->name, params->n_ranks, params->n_chunks,
                 params->n_microbatches, result.makespan, makespan);
    assert_true(result.bubble >= 0 && result.bubble < 1);
    assert_true(result.bubble_span >= -1e-12 && result.bubble_span <= result.bubble + 1e-12);
}

/* What was lowered is sound as well, under edge with either lowering and under all models with PyTorch's. */
static void lowered_is_sound(const struct weir_schedule *schedule, struct weir_arena *arena)
{
    struct weir_schedule lowered;
    struct weir_schedule_report report;
    assert_ok(weir_schedule_lower(schedule, arena, &lowered));
    assert_ok(weir_schedule_check(&lowered, WEIR_CHANNELS_EDGE, arena, &report));
    assert_ok(weir_schedule_lower_torch_2025(schedule, arena, &lowered));
    for (int model = WEIR_CHANNELS_EDGE; model <= WEIR_CHANNELS_BLOCKING; model++)
        assert_ok(weir_schedule_check(&lowered, (enum weir_channels)model, arena, &report));
    assert_ok(weir_schedule_check(schedule, WEIR_CHANNELS_SHARED, arena, &report));
    assert_ok(weir_schedule_check(schedule, WEIR_CHANNELS_BLOCKING, arena, &report));
}

static bool one_is_held(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params)
{
    struct weir_arena arena = {0};
    struct weir_schedule s;
    struct weir_schedule_report report;
    weir_status status = weir_schedule_build(kind, params, &arena, &s);
    if (status == WEIR_OK) {
        assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
        assert_true(report.wgrad_ascending);
        assert_int_equal(report.trainable, strcmp(kind->name, "inference") != 0);
        peaks_are_held(kind, params, &report);
        makespan_is_held(kind, params, &s, &arena);
        lowered_is_sound(&s, &arena);
    } else {
        assert_int_equal(status, WEIR_ERR_INVALID);
        char option[32] = "", value[32] = "";
        assert_true(weir_error_option(0, option, value, sizeof option) > 0);
        assert_true(*option && *value); /* the number to change */
    }
    weir_arena_release(&arena);
    return status == WEIR_OK;
}

static void every_kind_is_sound_at_every_size(void **state)
{
    (void)state;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++) {
        int n = 0;
        for (int p = 1; p <= 8; p++)
            for (int v = 1; v <= 4; v++)
                for (int m = 1; m <= 16; m++)
                    n += one_is_held(*kind,
                                     &(struct weir_schedule_params){.n_ranks = p, .n_chunks = v, .n_microbatches = m});
        print_message("%-15s %d sizes\n", (*kind)->name, n);
        assert_true(n >= 16);
    }
}

/* (local stages, micro-batches, ranks): the grid of PyTorch's schedule tests. */
static void the_grid_of_pytorch_is_sound(void **state)
{
    (void)state;
    static const int grid[][3] = {{2, 2, 2},   {2, 4, 4},    {2, 8, 2},  {2, 8, 4},  {2, 8, 8},  {4, 4, 4},
                                  {4, 8, 4},   {4, 8, 8},    {4, 16, 4}, {4, 32, 4}, {4, 64, 4}, {4, 16, 16},
                                  {4, 32, 32}, {4, 128, 64}, {3, 2, 2},  {3, 8, 2},  {3, 12, 4}, {4, 6, 3},
                                  {4, 10, 5},  {2, 3, 4},    {2, 10, 4}, {2, 15, 4}};
    static const char *const names[] = {"interleaved", "interleaved-zb", "bfs", "inference"};
    for (size_t i = 0; i < sizeof grid / sizeof grid[0]; i++)
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            const struct weir_schedule_kind *kind;
            assert_ok(weir_schedule_kind_find(names[k], &kind));
            struct weir_schedule_params params = {
                .n_ranks = grid[i][2], .n_chunks = grid[i][0], .n_microbatches = grid[i][1]};
            assert_true(one_is_held(kind, &params));
            if (params.n_chunks == 2) { /* the schedules in a V have two local stages */
                assert_ok(weir_schedule_kind_find("zbv", &kind));
                assert_true(one_is_held(kind, &params));
            }
        }
}

/* A name that stands for another one's lists until the chunks are given would be compared with itself. */
static void no_two_schedules_are_the_same_without_a_number_of_chunks(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const char *texts[32];
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++, n++) {
        struct weir_schedule s;
        struct weir_schedule_params params = {.n_ranks = 4, .n_microbatches = 8, .n_slices = (*kind)->takes_slices ? 2 : 0};
        assert_ok(weir_schedule_build(*kind, &params, &arena, &s));
        assert_int_equal(s.n_stages, 4 * weir_schedule_kind_chunks(*kind));
        assert_ok(weir_schedule_csv_print(&s, &arena, &texts[n]));
        for (int i = 0; i < n; i++)
            if (!strcmp(texts[i], texts[n]))
                fail_msg("%s and %s are the same", weir_schedule_kinds[i]->name, (*kind)->name);
    }
    weir_arena_release(&arena);
}

static void megatron_groups_follow_its_rules(void **state)
{
    (void)state;
    const struct weir_schedule_kind *kind;
    struct weir_arena arena = {0};
    struct weir_schedule s;
    assert_ok(weir_schedule_kind_find("interleaved", &kind));
    struct weir_schedule_params params = {.n_ranks = 4, .n_chunks = 2, .n_microbatches = 13, .group_size = 4};
    assert_fails(weir_schedule_build(kind, &params, &arena, &s), WEIR_ERR_INVALID,
                 "use microbatches=12 or another group size");
    params.group_size = 9;
    assert_true(one_is_held(kind, &params));
    params.group_size = 3;
    assert_fails(weir_schedule_build(kind, &params, &arena, &s), WEIR_ERR_INVALID, "must be from 4 (ranks) to 13");
    params.group_size = 4;
    params.n_chunks = 1;
    assert_ok(weir_schedule_kind_find("1f1b", &kind));
    assert_fails(weir_schedule_build(kind, &params, &arena, &s), WEIR_ERR_INVALID, "1f1b has no groups");
    assert_ok(weir_schedule_kind_find("interleaved", &kind));
    params.n_chunks = 2;
    params.group_size = 14;
    assert_fails(weir_schedule_build(kind, &params, &arena, &s), WEIR_ERR_INVALID, "must be from 4 (ranks) to 13");
    weir_arena_release(&arena);
}

static int groups_are_held(const struct weir_schedule_kind *kind, int p, int v)
{
    int n = 0;
    for (int g = (p + 1) / 2; g < p; g++)
        for (int m = g; m <= 3 * p; m++)
            n += one_is_held(kind, &(struct weir_schedule_params){
                                       .n_ranks = p, .n_chunks = v, .n_microbatches = m, .group_size = g});
    return n;
}

static void interleaved_zb_is_sound_with_groups_of_half_the_ranks_and_more(void **state)
{
    (void)state;
    const struct weir_schedule_kind *kind;
    struct weir_arena arena = {0};
    struct weir_schedule s;
    int n = 0;
    assert_ok(weir_schedule_kind_find("interleaved-zb", &kind));
    for (int p = 2; p <= 9; p++)
        for (int v = 1; v <= 4; v++)
            n += groups_are_held(kind, p, v);
    assert_true(n > 500);
    struct weir_schedule_params params = {.n_ranks = 8, .n_chunks = 2, .n_microbatches = 32, .group_size = 3};
    assert_fails(weir_schedule_build(kind, &params, &arena, &s), WEIR_ERR_INVALID, "must be from 4 (half the ranks) to");
    params.group_size = 5, params.n_microbatches = 33;
    assert_fails(weir_schedule_build(kind, &params, &arena, &s), WEIR_ERR_INVALID,
                 "leave 3, fewer than half the 8 ranks: use microbatches=30");
    weir_arena_release(&arena);
}

/* Two copies: the bubbles that the paper gives at m = p, for B = F and for B = 2F. */
static void chimera_has_its_published_bubbles(void **state)
{
    (void)state;
    const struct weir_schedule_kind *kind;
    assert_ok(weir_schedule_kind_find("chimera", &kind));
    for (int p = 2; p <= 16; p += 2) {
        struct weir_arena arena = {0};
        struct weir_schedule s;
        struct weir_simulation result;
        struct weir_schedule_report report;
        struct weir_simulation_options options = {0};
        struct weir_schedule_params params = {.n_ranks = p, .n_microbatches = p};
        struct weir_schedule_costs equal = {1, 0.5, 0.5, 1, 1, .overlap_gain = 1},
                                   twice = {1, 1, 1, 1, 1, .overlap_gain = 1};
        assert_ok(weir_schedule_build(kind, &params, &arena, &s));
        assert_ok(weir_schedule_simulate(&s, &equal, &options, &arena, &result));
        assert_true(fabs(result.bubble - (p - 2) / (2.0 * p + p - 2)) < 1e-12);
        assert_ok(weir_schedule_simulate(&s, &twice, &options, &arena, &result));
        assert_true(fabs(result.bubble - (p - 2) / (1.5 * p + p - 2)) < 1e-12);
        assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
        for (int r = 0; r < p; r++)
            assert_in_range(report.peak_in_flight_rank[r], p / 2 + 1, p);
        weir_arena_release(&arena);
    }
}

/* v-min holds at most 2 round(p/3) + 2 chunks on any rank, hanayo p per chunk. */
static void upper_bounds_of_memory_hold(void **state)
{
    (void)state;
    static const char *const names[] = {"v-min", "hanayo"};
    for (int p = 2; p <= 24; p++)
        for (int i = 0; i < 2; i++) {
            struct weir_arena arena = {0};
            const struct weir_schedule_kind *kind;
            struct weir_schedule s;
            struct weir_schedule_report report;
            struct weir_schedule_params params = {.n_ranks = p, .n_microbatches = 4 * p};
            int most = 0;
            assert_ok(weir_schedule_kind_find(names[i], &kind));
            assert_ok(weir_schedule_build(kind, &params, &arena, &s));
            assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
            for (int r = 0; r < p; r++)
                most = report.peak_in_flight_rank[r] > most ? report.peak_in_flight_rank[r] : most;
            assert_int_equal(most, i ? 2 * p : 2 * ((2 * p + 3) / 6) + 2);
            weir_arena_release(&arena);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_sound_at_every_size),
        cmocka_unit_test(the_grid_of_pytorch_is_sound),
        cmocka_unit_test(no_two_schedules_are_the_same_without_a_number_of_chunks),
        cmocka_unit_test(megatron_groups_follow_its_rules),
        cmocka_unit_test(interleaved_zb_is_sound_with_groups_of_half_the_ranks_and_more),
        cmocka_unit_test(upper_bounds_of_memory_hold),
        cmocka_unit_test(chimera_has_its_published_bubbles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
