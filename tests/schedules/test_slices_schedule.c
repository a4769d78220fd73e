/* Schedules of slices: closed forms, published numbers, what the check demands, and files. */
#include <string.h>

#include "include/weir/schedule.h"
#include "include/weir/simulate.h"
#include "tests/support/testing.h"

static void seq1f1b_make(int p, int m, int k, struct weir_arena *arena, struct weir_schedule *out)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule_params params = {.n_ranks = p, .n_microbatches = m, .n_slices = k};
    assert_ok(weir_schedule_kind_find("seq1f1b", &kind));
    assert_ok(weir_schedule_build(kind, &params, arena, out));
}

static void simulate(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_simulation *out)
{
    struct weir_schedule_costs costs = {.forward = 1, .input = 1, .weight = 1, .mem_backward = 1, .mem_weight = 1,
                                        .overlap_gain = 1};
    assert_ok(weir_schedule_simulate(schedule, &costs, &(struct weir_simulation_options){0}, arena, out));
}

static void slices_make_bubble_and_memory_k_times_smaller(void **state)
{
    (void)state;
    for (int p = 1; p <= 8; p++)
        for (int m = 1; m <= 9; m++)
            for (int k = 1; k <= 5; k++) {
                struct weir_arena arena = {0};
                struct weir_schedule schedule;
                struct weir_schedule_report report;
                struct weir_simulation s;
                seq1f1b_make(p, m, k, &arena, &schedule);
                assert_ok(weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, &arena, &report));
                assert_true(report.trainable && report.wgrad_ascending);
                simulate(&schedule, &arena, &s);
                assert_float_equal(s.makespan, 3.0 * m + 3.0 * (p - 1) / k, 1e-9);
                int peak = p + k - 1 < m * k ? p + k - 1 : m * k;
                assert_int_equal(s.peak_in_flight[0], peak);
                assert_float_equal(s.peak_memory[0], (double)peak / k, 1e-9);
                weir_arena_release(&arena);
            }
}

/* At F = 1 and B = 2 per micro-batch and rank: makespan, and what rank 0 holds. */
static void the_published_schedule_has_these_numbers(void **state)
{
    (void)state;
    static const struct {
        int p, m;
        double makespan[4], peak[4]; /* k = 1, 2, 4, 8 */
    } rows[] = {{4, 8, {33, 28.5, 26.25, 25.125}, {4, 2.5, 1.75, 1.375}},
                {8, 8, {45, 34.5, 29.25, 26.625}, {8, 4.5, 2.75, 1.875}},
                {8, 32, {117, 106.5, 101.25, 98.625}, {8, 4.5, 2.75, 1.875}},
                {16, 32, {141, 118.5, 107.25, 101.625}, {16, 8.5, 4.75, 2.875}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int j = 0; j < 4; j++) {
            struct weir_arena arena = {0};
            struct weir_schedule schedule;
            struct weir_simulation s;
            seq1f1b_make(rows[i].p, rows[i].m, 1 << j, &arena, &schedule);
            simulate(&schedule, &arena, &s);
            assert_float_equal(s.makespan, rows[i].makespan[j], 1e-9);
            assert_float_equal(s.peak_memory[0], rows[i].peak[j], 1e-9);
            weir_arena_release(&arena);
        }
}

static void one_slice_is_1f1b(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_schedule_kind *kind;
    struct weir_schedule sliced, plain;
    const char *a, *b;
    seq1f1b_make(4, 7, 1, &arena, &sliced);
    assert_ok(weir_schedule_kind_find("1f1b", &kind));
    assert_ok(weir_schedule_build(kind, &(struct weir_schedule_params){.n_ranks = 4, .n_microbatches = 7}, &arena, &plain));
    assert_ok(weir_schedule_csv_print(&sliced, &arena, &a));
    assert_ok(weir_schedule_csv_print(&plain, &arena, &b));
    assert_string_equal(a, b);
    weir_arena_release(&arena);
}

static weir_status text_check(const char *text, struct weir_arena *arena, struct weir_schedule_report *report)
{
    struct weir_schedule schedule;
    weir_status status = weir_schedule_csv_parse(text, strlen(text), "s.csv", WEIR_CSV_TORCH, arena, &schedule);
    return status ? status : weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, arena, report);
}

static void slices_out_of_their_order_are_refused_with_row_and_cell(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"# weir-schedule 1 slices=2\n0F1,0F0,0B1,0B0\n", "row 1, cell 1: 0F1 comes before 0F0, slice 0 of the same micro-batch"},
        {"# weir-schedule 1 slices=2\n0F0,0F1,0B0,0B1\n", "row 1, cell 3: 0B0 comes before 0B1, slice 1 of the same micro-batch"},
        {"# weir-schedule 1 slices=2\n0F0,0F1,0I0,0I1,0W0,0W1\n", "row 1, cell 3: 0I0 comes before 0I1"},
        {"# weir-schedule 1 slices=2\n0F0,0B0\n", "2 slices per micro-batch do not go with a number of units"},
        {"# weir-schedule 1 copies=2 slices=2\n0F0,0F1,0B1,0B0\n", "do not go with two copies of the weights"},
        {"# weir-schedule 1 slices=0\n0F0,0B0\n", "the first line must be"},
        {"# weir-schedule 1 slices=2 slices=2\n0F0,0F1,0B1,0B0\n", "the first line must be"},
        {"# weir-schedule 1 slices=2x\n0F0,0F1,0B1,0B0\n", "the first line must be"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        struct weir_schedule_report report;
        assert_fails(text_check(rows[i].text, &arena, &report), WEIR_ERR_INVALID, rows[i].words);
        weir_arena_release(&arena);
    }
}

static void weight_gradients_ascend_by_micro_batch_and_descend_by_slice(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule_report report;
    assert_ok(text_check("# weir-schedule 1 slices=2\n0F0,0F1,0I1,0I0,0W1,0W0\n", &arena, &report));
    assert_true(report.wgrad_ascending);
    assert_ok(text_check("# weir-schedule 1 slices=2\n0F0,0F1,0I1,0I0,0W0,0W1\n", &arena, &report));
    assert_false(report.wgrad_ascending);
    weir_arena_release(&arena);
}

static void a_file_says_how_many_slices_there_are(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule made, read;
    const char *text, *again;
    seq1f1b_make(3, 2, 4, &arena, &made);
    assert_ok(weir_schedule_csv_print(&made, &arena, &text));
    assert_memory_equal(text, "# weir-schedule 1 slices=4\n0F0,", 31);
    assert_ok(weir_schedule_csv_parse(text, strlen(text), "s.csv", WEIR_CSV_TORCH, &arena, &read));
    assert_int_equal(read.n_slices, 4);
    assert_int_equal(read.n_microbatches, 8);
    assert_ok(weir_schedule_lower(&read, &arena, &read));
    assert_ok(weir_schedule_add_reductions(&read, &arena, &read));
    assert_ok(weir_schedule_compute_only(&read, &arena, &read));
    assert_ok(weir_schedule_csv_print(&read, &arena, &again));
    assert_string_equal(text, again);
    weir_arena_release(&arena);
}

static void other_schedules_do_not_cut_sequences(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    const struct weir_schedule_kind *kind;
    assert_ok(weir_schedule_kind_find("zbv", &kind));
    assert_fails(weir_schedule_build(kind, &(struct weir_schedule_params){.n_ranks = 2, .n_microbatches = 4, .n_slices = 2}, &arena,
                                     &schedule), WEIR_ERR_INVALID, "zbv does not cut sequences: use seq1f1b");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_make_bubble_and_memory_k_times_smaller),
        cmocka_unit_test(the_published_schedule_has_these_numbers),
        cmocka_unit_test(one_slice_is_1f1b),
        cmocka_unit_test(slices_out_of_their_order_are_refused_with_row_and_cell),
        cmocka_unit_test(weight_gradients_ascend_by_micro_batch_and_descend_by_slice),
        cmocka_unit_test(a_file_says_how_many_slices_there_are),
        cmocka_unit_test(other_schedules_do_not_cut_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
