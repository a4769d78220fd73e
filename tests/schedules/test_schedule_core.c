/* schedules: kinds, files, lowering, and what check refuses.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "include/weir/schedule.h"
#include "tests/support/parsed_schedule.h"

static struct weir_schedule build(const char *name, int p, int v, int m)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule schedule;
    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = m};
    assert_ok(weir_schedule_kind_find(name, &kind));
    assert_ok(weir_schedule_build(kind, &params, &arena, &schedule));
    return schedule;
}

static const char *print(const struct weir_schedule *schedule)
{
    const char *text;
    assert_ok(weir_schedule_csv_print(schedule, &arena, &text));
    return text;
}

static void a_kind_is_found_by_name_or_a_near_one_is_named(void **state)
{
    (void)state;
    const struct weir_schedule_kind *kind;
    assert_ok(weir_schedule_kind_find("1f1b", &kind));
    assert_string_equal(kind->name, "1f1b");
    assert_fails(weir_schedule_kind_find("gpip", &kind), WEIR_ERR_USAGE, "did you mean 'gpipe'?");
    assert_fails(weir_schedule_kind_find("something", &kind), WEIR_ERR_USAGE, "it is one of gpipe, 1f1b");
}

static void parameters_out_of_range_name_the_number(void **state)
{
    (void)state;
    const struct weir_schedule_kind *kind;
    struct weir_schedule s;
    assert_ok(weir_schedule_kind_find("1f1b", &kind));
    struct weir_schedule_params bad = {.n_ranks = 0, .n_microbatches = 1};
    assert_fails(weir_schedule_build(kind, &bad, &arena, &s), WEIR_ERR_INVALID, "rank count is 0");
    bad = (struct weir_schedule_params){.n_ranks = 2, .n_microbatches = 0};
    assert_fails(weir_schedule_build(kind, &bad, &arena, &s), WEIR_ERR_INVALID, "micro-batch count is 0");
    bad = (struct weir_schedule_params){.n_ranks = 2, .n_microbatches = 1, .n_chunks = 2};
    assert_fails(weir_schedule_build(kind, &bad, &arena, &s), WEIR_ERR_INVALID, "use chunks=1");
}

static void the_1f1b_lists_are_the_published_ones(void **state)
{
    (void)state;
    struct weir_schedule s = build("1f1b", 3, 0, 4);
    assert_string_equal(print(&s), "0F0,0F1,0F2,0B0,0F3,0B1,0B2,0B3\n"
                                   "1F0,1F1,1B0,1F2,1B1,1F3,1B2,1B3\n"
                                   "2F0,2B0,2F1,2B1,2F2,2B2,2F3,2B3\n");
}

static void lowering_puts_receives_before_their_use(void **state)
{
    (void)state;
    struct weir_schedule s = build("gpipe", 2, 0, 2), low;
    assert_ok(weir_schedule_lower(&s, &arena, &low));
    assert_string_equal(print(&low), "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1\n"
                                     "1RECV_F0,1F0,1RECV_F1,1F1,1B0,1SEND_B0,1B1,1SEND_B1\n");
}

static void lowering_keeps_the_order_of_an_edge(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,0F1,0B1,0B0\n1F1,1F0,1B1,1B0\n"), low;
    assert_ok(weir_schedule_lower(&s, &arena, &low));
    assert_string_equal(print(&low), "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B1,0B1,0RECV_B0,0B0\n"
                                     "1RECV_F0,1RECV_F1,1F1,1F0,1B1,1SEND_B1,1B0,1SEND_B0\n");
}

/* Both lowerings keep what is neither compute nor a transfer; the compute-only form drops it. */
static void lowering_keeps_other_actions(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0UNSHARD,0F0,0I0,0W0,0REDUCE_GRAD\n1F0,1B0,1RESHARD\n"), low;
    struct weir_schedule_report report;
    assert_ok(weir_schedule_lower(&s, &arena, &low));
    assert_ok(weir_schedule_check(&low, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_string_equal(print(&low), "0UNSHARD,0F0,0SEND_F0,0RECV_B0,0I0,0W0,0REDUCE_GRAD\n"
                                     "1RECV_F0,1F0,1B0,1SEND_B0,1RESHARD\n");
    assert_ok(weir_schedule_lower_torch_2025(&low, &arena, &s));
    assert_string_equal(print(&s), "0UNSHARD,0F0,0SEND_F0,0RECV_B0,0B0,0REDUCE_GRAD\n"
                                   "1RECV_F0,1F0,1B0,1SEND_B0,1RESHARD\n");
    assert_ok(weir_schedule_compute_only(&low, &arena, &s));
    assert_string_equal(print(&s), "0F0,0I0,0W0\n1F0,1B0\n");
}

static void forwards_keep_their_order_and_are_fused_with_nothing(void **state)
{
    (void)state;
    struct weir_schedule s = parse("0F0,0SEND_F0,(0F1;0B0)OVERLAP_F_B,0SEND_F1,0B1,0REDUCE_GRAD\n1F0,1I0,1W0,1F1,1B1\n");
    assert_ok(weir_schedule_forwards(&s, &arena, &s));
    assert_string_equal(print(&s), "0F0,0F1\n1F0,1F1\n");
}

static void a_file_reads_back_as_it_was_written(void **state)
{
    (void)state;
    const char *text = "0F0,(0F1;1B0)OVERLAP_F_B,1I1,1W1,0B0,0B1,0REDUCE_GRAD,0UNSHARD,1F0,1F1\n";
    struct weir_schedule s = parse(text);
    assert_string_equal(print(&s), text);
    assert_int_equal(s.n_stages, 2);
    assert_int_equal(s.ranks[0].n_actions, 11);
    s = parse("# weir-schedule 1\r\n,0F0, ,0B0\r\n\r\n");
    assert_string_equal(print(&s), "0F0,0B0\n");
    s = parse("# weir-schedule 1 copies=2\n0F0,1F1\n1F0,0F1\n");
    assert_int_equal(s.n_copies, 2);
    assert_string_equal(print(&s), "# weir-schedule 1 copies=2\n0F0,1F1\n1F0,0F1\n");
}

static void the_dialect_of_2024_has_other_letters(void **state)
{
    (void)state;
    struct weir_schedule s;
    const char *old = "0F0,0F1,0B0,0W0,0BW1\n";
    assert_ok(weir_schedule_csv_parse(old, strlen(old), "t", WEIR_CSV_TORCH_2024, &arena, &s));
    assert_string_equal(print(&s), "0F0,0F1,0I0,0W0,0B1\n");
    assert_fails(weir_schedule_csv_parse(old, strlen(old), "t", WEIR_CSV_TORCH, &arena, &s), WEIR_ERR_INVALID,
                 "'0BW1'");
}

static void a_bad_file_names_row_cell_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "empty"},
        {",,\n", "empty"},
        {"0F0junk\n", "row 1, cell 1: '0F0junk' has trailing characters"},
        {"0F0,0F0\n", "'t': row 1, cell 2: 0F0 stands in the schedule twice, the first time in row 1, cell 1"},
        {"0F0,,0F0\n", "row 1, cell 3"},
        {"0F\n", "needs a micro-batch"},
        {"F0\n", "stage number"},
        {"0F0,0B0,0W0\n", "row 1, cell 3: 0W0 repeats a backward: B is I and W in one, but in the dialect torch-2024 only I"},
        {"0X0\n", "no action type"},
        {"0F0,0b0\n", "row 1, cell 2: '0b0' has no action type after the stage: F, I, W, B, SEND_F"},
        {"0F0,0BW0\n", "row 1, cell 2: '0BW0' is of the older dialect, in which B is the input gradient and BW both"},
        {"0REDUCE_GRAD1,0F0\n", "trailing characters"},
        {"0F9999999\n", "micro-batch above"},
        {"99999999F0\n", "stage above"},
        {"1000000F1000000\n", "row 1, cell 1: 1000000F1000000 is a number too large"},
        {"0F0\n0F1\n", "row 2, cell 1: 0F1 is on rank 1, but stage 0 is on rank 0"},
        {"0F0\n2F0\n", "row 2, cell 1: 2F0 is there, but stage 1 is in no row"},
        {"0F0,0F1,0B0\n", "0B1 is missing"},
        {"0F0,0I0\n", "0W0 is missing"},
        {"0F0,0W0\n", "0I0 is missing"},
        {"0F0,0B0,0F2,0B2\n", "row 1, cell 3: 0F2 is there, but micro-batch 1 is in no row"},
        {"0F0,0I0,0W0,0B0\n", "repeats a backward"},
        {"0F0,0I0,0W0,0F1,0I1,0B1\n", "repeats a backward"},
        {"0F0,0F1,0F2,0B0,0B1,0B2\n1F0,1I0,1F1,1I1,1W0,1F2,1I2,1W1,1W3\n",
         "row 2, cell 9: 1W3 is the only action of micro-batch 3"},
        {"0F0,0F1,0B0,0B1\n1F0,1B0,2F1,1B1\n", "row 2, cell 3: 2F1 is the only action of stage 2"},
        {"0F0,0F1,0B0,0B1\n1F0,1B0,1F1,11B1\n", "row 2, cell 4: 11B1 is the only action of stage 11"},
        {"0F0\n\n1F0\n", "row 2 is empty"},
        {"(0F0;0B0)OVERLAP\n", "OVERLAP_F_B"},
        {"(0B0;0F0)OVERLAP_F_B\n", "must overlap a forward with a backward"},
        {"# schedule\n0F0\n", "the first line"},
    };
    struct weir_schedule s;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(weir_schedule_csv_parse(rows[i].text, strlen(rows[i].text), "t", WEIR_CSV_TORCH, &arena, &s),
                     WEIR_ERR_INVALID, rows[i].words);
}

static void an_order_gets_the_slots_that_it_needs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int inputs, gradients; /* of stage 1; of stage 0 */
    } rows[] = {
        {"0F0,0B0,0F1,0B1\n1F0,1B0,1F1,1B1\n", 2, 2},
        {"0F0,0F1,0F2,0B2,0B1,0B0\n1F2,1B2,1F1,1B1,1F0,1B0\n", 3, 2},
        {"0F0,0F1,0F2,0B2,0B1,0B0\n1F0,1F1,1F2,1B0,1B1,1B2\n", 4, 3},
        {"0F0,0F1,0F2,0F3,0B3,0B2,0B1,0B0\n1F0,1F1,1F2,1F3,1B0,1B1,1B2,1B3\n", 5, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_schedule s = parse(rows[i].text);
        struct weir_schedule_report report;
        assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
        assert_int_equal(report.input_slots[1], rows[i].inputs);
        assert_int_equal(report.gradient_slots[0], rows[i].gradients);
    }
}

static void check_refuses_what_cannot_run(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"0B0,0F0\n", "'t.csv': row 1, cell 1: 0B0 comes before the end of 0F0"},
        {"0F0,0W0,0I0\n", "0W0 comes before 0I0"},
        {"1F0,0F0\n", "deadlock: 1F0 (row 1, cell 1) waits for 0F0 (row 1, cell 2), which comes after 1F0 (row 1, cell 1)"},
        {"0F0,0B0,0F1,0B1\n1F1,1B1,1F0,1B0\n",
         "'t.csv': deadlock: 0B0 (row 1, cell 2) waits for 1B0 (row 2, cell 4), which comes after 1F1 (row 2, cell 1), which "
         "waits for 0F1 (row 1, cell 3), which comes after 0B0 (row 1, cell 2)"},
        {"0F0,0B0,,0F1,0B1\n,1F1,1B1,1F0,1B0\n",
         "0B0 (row 1, cell 2) waits for 1B0 (row 2, cell 5), which comes after 1F1 (row 2, cell 2), which waits for 0F1 (row 1, cell 4)"},
        {"0F0,(0F1;0B0)OVERLAP_F_B,0B1\n1F0,1F1,1B1,1B0\n", "waits for 0F1 (row 1, cell 2), which is one with 0B0 (row 1, cell 2)"},
        {"0F0,,0F1,0B0,0B1\n1F0,1B0,,1B1,1F1\n", "row 2, cell 4: 1B1 comes before the end of 1F1"},
        {"0F0,0SEND_F0,0F1,0SEND_F1\n1RECV_F1,1F1,1RECV_F0,1F0\n",
         "row 2, cell 1: 1RECV_F1 is where rank 1 takes what 0SEND_F0 of rank 0 brings"},
        {"0F0,0SEND_F0,0RECV_B0,0B0\n1RECV_F0,1F0,1B0\n", "row 1, cell 3: 0RECV_B0 has no matching 1SEND_B0 on rank 1"},
        {"0F0,0RECV_F0,0SEND_F0\n1RECV_F0,1F0\n", "row 1, cell 2: 0RECV_F0 has no sender: it is of the first stage"},
        {"0F0,0SEND_F0\n1F0,1RECV_F0\n", "1F0 has no input"},
        {"0SEND_F0,0F0\n1RECV_F0,1F0\n", "0SEND_F0 comes before 0F0"},
        {"0F0,0SEND_F0,0F1,0SEND_F1\n1RECV_F1,1F1,1RECV_F0,1F0\n", "an edge keeps its order"},
        {"0F0\n1RECV_F0,1F0\n", "1RECV_F0 has no matching 0SEND_F0"},
        {"0F0,0SEND_F0,0F1,0SEND_F1\n1RECV_F0,1F0,1F1\n", "1F1 has no input"},
        {"0F0,0SEND_F0,1F0\n", "goes to its own rank"},
        {"0F0,0SEND_F0\n", "no receiver"},
        {"0F0,0F1,0B0,0REDUCE_GRAD,0B1\n", "row 1, cell 5: 0B1 comes after the REDUCE_GRAD of its stage"},
        {"0F0,0I0,0REDUCE_GRAD,0W0\n", "row 1, cell 4: 0W0 comes after the REDUCE_GRAD of its stage"},
        {"0F0,0B0,0REDUCE_GRAD,0REDUCE_GRAD\n", "row 1, cell 4: 0REDUCE_GRAD stands in the schedule twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_schedule s = parse(rows[i].text);
        struct weir_schedule_report report;
        assert_fails(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report), WEIR_ERR_INVALID, rows[i].words);
    }
}

static void check_reports_memory_and_order(void **state)
{
    (void)state;
    struct weir_schedule s = build("1f1b", 4, 0, 8);
    struct weir_schedule_report report;
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_true(report.wgrad_ascending && report.trainable);
    for (int r = 0; r < 4; r++) {
        assert_int_equal(report.peak_in_flight_rank[r], 4 - r);
        assert_int_equal(report.peak_in_flight_stage[r], 4 - r);
    }
    s = parse("0F0,0F1,0B1,0B0\n");
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_false(report.wgrad_ascending);
    s = parse("0F0,0F1\n1F0,1F1\n");
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_false(report.trainable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_kind_is_found_by_name_or_a_near_one_is_named, arena_drop),
        cmocka_unit_test_teardown(parameters_out_of_range_name_the_number, arena_drop),
        cmocka_unit_test_teardown(the_1f1b_lists_are_the_published_ones, arena_drop),
        cmocka_unit_test_teardown(lowering_puts_receives_before_their_use, arena_drop),
        cmocka_unit_test_teardown(lowering_keeps_the_order_of_an_edge, arena_drop),
        cmocka_unit_test_teardown(lowering_keeps_other_actions, arena_drop),
        cmocka_unit_test_teardown(forwards_keep_their_order_and_are_fused_with_nothing, arena_drop),
        cmocka_unit_test_teardown(a_file_reads_back_as_it_was_written, arena_drop),
        cmocka_unit_test_teardown(the_dialect_of_2024_has_other_letters, arena_drop),
        cmocka_unit_test_teardown(a_bad_file_names_row_cell_and_reason, arena_drop),
        cmocka_unit_test_teardown(an_order_gets_the_slots_that_it_needs, arena_drop),
        cmocka_unit_test_teardown(check_refuses_what_cannot_run, arena_drop),
        cmocka_unit_test_teardown(check_reports_memory_and_order, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
