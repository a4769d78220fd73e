/* schedules: figures that others have published, and PyTorch's own files cell by cell.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "include/weir/simulate.h"

static struct weir_schedule build(const char *name, int p, int v, int m, struct weir_arena *arena)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule schedule;
    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = m};
    assert_ok(weir_schedule_kind_find(name, &kind));
    assert_ok(weir_schedule_build(kind, &params, arena, &schedule));
    return schedule;
}

static double largest(const double *values, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, values[i]);
    return most;
}

/* p = 8, m = 32, F = I = W = 1 per rank, free transfers; the ideal is 96. */
static void the_schedules_compare_as_published(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int v;
        double makespan, peak; /* peak in activations of a whole rank */
    } rows[] = {
        {"gpipe", 1, 117, 32},           {"1f1b", 1, 117, 8},
        {"interleaved", 2, 106.5, 11.5}, {"interleaved", 4, 101.25, 9.75},
        {"bfs", 2, 106.5, 32},           {"zb-h1", 1, 103, 8},
        {"zb-h2", 1, 103, 15},           {"interleaved-zb", 2, 99.5, 8},
        {"interleaved-zb", 4, 97.75, 8}, {"zbv", 2, 99.5, 8},
        {"dualpipev", 2, 103, 8.5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        struct weir_simulation result;
        struct weir_simulation_options options = {0};
        double unit = 1.0 / rows[i].v;
        struct weir_schedule_costs costs = {unit, unit, unit, 1, 1, .overlap_gain = 1};
        struct weir_schedule s = build(rows[i].name, 8, rows[i].v, 32, &arena);
        assert_ok(weir_schedule_simulate(&s, &costs, &options, &arena, &result));
        if (result.makespan != rows[i].makespan || largest(result.peak_activations, 8) != rows[i].peak * rows[i].v)
            fail_msg("%s v=%d: %g/%g, published %g/%g", rows[i].name, rows[i].v, result.makespan,
                     largest(result.peak_activations, 8) / rows[i].v, rows[i].makespan, rows[i].peak);
        weir_arena_release(&arena);
    }
}

/* Groups of p/2: the memory of v-half, or a little more, in less time. */
static void interleaved_zb_in_groups_of_half_the_ranks(void **state)
{
    (void)state;
    static const struct {
        int v;
        double makespan, peak;
    } rows[] = {{4, 101.5, 5}, {2, 103, 6}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        const struct weir_schedule_kind *kind;
        struct weir_schedule s;
        struct weir_simulation result;
        struct weir_simulation_options options = {0};
        struct weir_schedule_params params = {.n_ranks = 8, .n_chunks = rows[i].v, .n_microbatches = 32, .group_size = 4};
        double unit = 1.0 / rows[i].v;
        struct weir_schedule_costs costs = {unit, unit, unit, unit, unit, .overlap_gain = 1};
        assert_ok(weir_schedule_kind_find("interleaved-zb", &kind));
        assert_ok(weir_schedule_build(kind, &params, &arena, &s));
        assert_ok(weir_schedule_simulate(&s, &costs, &options, &arena, &result));
        assert_true(result.makespan == rows[i].makespan && largest(result.peak_activations, 8) == rows[i].peak);
        weir_arena_release(&arena);
    }
}

/* DualPipeV when overlapping gains 15 %: 90.85, less than the 96 of one after the other. */
static void overlap_can_beat_the_ideal_of_serial_work(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_simulation result;
    struct weir_simulation_options options = {0};
    struct weir_schedule_costs costs = {0.5, 0.5, 0.5, 1, 1, .overlap_gain = 0.85};
    struct weir_schedule s = build("dualpipev", 8, 2, 32, &arena);
    assert_ok(weir_schedule_simulate(&s, &costs, &options, &arena, &result));
    assert_true(fabs(result.makespan - 90.85) < 1e-9);
    assert_true(fabs(result.bubble - (1 - 96 / 90.85)) < 1e-9); /* -5.7 % */
    weir_arena_release(&arena);
}

/* Qi et al., arXiv 2401.10241, table 5 (bubble rates) from the costs of table 6 (milliseconds). */
static const struct {
    int p, m;
    double f, i, w, comm;
    double bubble[3]; /* 1f1b, zb-h1, zb-h2 */
} zb_rows[] = {
    {8, 24, 18.522, 18.086, 9.337, 0.601, {0.2431, 0.1585, 0.1083}},
    {8, 32, 18.513, 18.086, 9.331, 0.626, {0.1985, 0.1242, 0.0837}},
    {8, 64, 18.546, 18.097, 9.321, 0.762, {0.1240, 0.0674, 0.0444}},
    {8, 24, 29.718, 29.444, 19.927, 0.527, {0.2347, 0.1323, 0.0698}},
    {8, 32, 29.802, 29.428, 19.530, 0.577, {0.1898, 0.1045, 0.0559}},
    {8, 64, 29.935, 29.621, 19.388, 0.535, {0.1091, 0.0554, 0.0294}},
    {16, 48, 11.347, 11.248, 8.132, 0.377, {0.2552, 0.1397, 0.0672}},
    {16, 64, 11.307, 11.254, 8.101, 0.379, {0.2082, 0.1088, 0.0516}},
    {16, 128, 11.325, 11.308, 8.109, 0.378, {0.1251, 0.0576, 0.0266}},
    {32, 96, 10.419, 10.207, 7.715, 0.408, {0.2646, 0.1421, 0.0641}},
    {32, 128, 10.408, 10.204, 7.703, 0.408, {0.2168, 0.1106, 0.0490}},
    {32, 256, 10.402, 10.248, 7.698, 0.460, {0.1352, 0.0594, 0.0257}},
};

static void the_zero_bubble_papers_rates_come_out(void **state)
{
    (void)state;
    static const char *const names[] = {"1f1b", "zb-h1", "zb-h2"};
    for (size_t i = 0; i < sizeof zb_rows / sizeof zb_rows[0]; i++)
        for (int k = 0; k < 3; k++) {
            struct weir_arena arena = {0};
            struct weir_simulation result;
            struct weir_simulation_options options = {0};
            struct weir_schedule_costs costs = {
                zb_rows[i].f, zb_rows[i].i, zb_rows[i].w, 1, 1, .transfer = zb_rows[i].comm, .overlap_gain = 1};
            struct weir_schedule s = build(names[k], zb_rows[i].p, 1, zb_rows[i].m, &arena);
            assert_ok(weir_schedule_simulate(&s, &costs, &options, &arena, &result));
            if (fabs(result.bubble_span - zb_rows[i].bubble[k]) > 0.5e-4)
                fail_msg("row %zu, %s: %.6f, published %.4f", i, names[k], result.bubble_span, zb_rows[i].bubble[k]);
            weir_arena_release(&arena);
        }
}

/* What one channel for all transfers of a rank costs: bubbles in percent, transfers at 2 % of a rank's F, receives
 * placed as PyTorch places them; computed independently from the definition of a rendezvous FIFO. */
static void one_channel_for_everything_costs_what_it_does(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int p, v, m;
        double shared, edge;
    } rows[] = {
        {"interleaved", 4, 2, 8, 30.0, 16.6},
        {"interleaved", 4, 4, 8, 30.5, 10.6},
        {"interleaved-zb", 4, 2, 8, 20.2, 7.0},
        {"interleaved-zb", 4, 4, 8, 24.9, 4.9},
        {"zbv", 4, 2, 8, 13.9, 6.8},
        {"dualpipev", 4, 2, 8, 32.2, 12.6},
        {"bfs", 4, 2, 8, 37.1, 16.1},
        {"1f1b", 4, 1, 8, 28.1, 28.0},
        {"zb-h1", 4, 1, 8, 11.9, 11.9},
        {"interleaved", 8, 2, 32, 28.4, 10.4},
        {"interleaved", 8, 4, 32, 33.0, 6.3},
        {"interleaved-zb", 8, 2, 32, 23.4, 4.2},
        {"interleaved-zb", 8, 4, 32, 30.5, 2.8},
        {"zbv", 8, 2, 32, 9.8, 4.2},
        {"dualpipev", 8, 2, 32, 37.1, 8.8},
        {"bfs", 8, 2, 32, 54.6, 10.1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int edge = 0; edge < 2; edge++) {
            struct weir_arena arena = {0};
            struct weir_simulation result;
            struct weir_simulation_options options = {.channels = edge ? WEIR_CHANNELS_EDGE : WEIR_CHANNELS_SHARED};
            double unit = 1.0 / rows[i].v, wanted = edge ? rows[i].edge : rows[i].shared;
            struct weir_schedule_costs costs = {unit, unit, unit, 1, 1, .transfer = 0.02, .overlap_gain = 1};
            struct weir_schedule s = build(rows[i].name, rows[i].p, rows[i].v, rows[i].m, &arena);
            assert_ok(weir_schedule_simulate(&s, &costs, &options, &arena, &result));
            if (fabs(100 * result.bubble - wanted) > 0.0501)
                fail_msg("%s v=%d p=%d %s: %.3f, not %.1f", rows[i].name, rows[i].v, rows[i].p,
                         weir_channels_str(options.channels), 100 * result.bubble, wanted);
            weir_arena_release(&arena);
        }
}

static char *file_text(const char *name)
{
    const char *path = testing_data_path(name);
    char *text;
    size_t bytes;
    if (!path)
        skip();
    assert_ok(weir_file_read(path, 1 << 20, &text, &bytes));
    return text;
}

static struct weir_schedule parse(const char *text, enum weir_csv_dialect dialect, struct weir_arena *arena)
{
    struct weir_schedule schedule;
    assert_ok(weir_schedule_csv_parse(text, strlen(text), "file", dialect, arena, &schedule));
    return schedule;
}

static void prints_as(const struct weir_schedule *schedule, const char *text, struct weir_arena *arena)
{
    const char *printed;
    assert_ok(weir_schedule_csv_print(schedule, arena, &printed));
    assert_string_equal(printed, text);
}

static void pytorchs_lowering_is_equal_cell_by_cell(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    char *compute = file_text("reference/torch_csv/zb1p_2rank_2stagep_compute.csv");
    char *comms = file_text("reference/torch_csv/zb1p_2rank_2stagep_comms.csv");
    struct weir_schedule s = parse(compute, WEIR_CSV_TORCH, &arena), lowered;
    size_t steps;
    assert_ok(weir_schedule_lower_torch_2025(&s, &arena, &lowered));
    prints_as(&lowered, comms, &arena);
    assert_ok(weir_schedule_count_steps(&lowered, &steps));
    assert_int_equal(steps, 113);
    s = parse(comms, WEIR_CSV_TORCH, &arena);
    assert_ok(weir_schedule_count_steps(&s, &steps));
    assert_int_equal(steps, 113);
    weir_free(compute);
    weir_free(comms);
    weir_arena_release(&arena);
}

static void the_files_of_2024_read_the_same(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    char *old = file_text("reference/torch_csv/old_syntax/zb1p_2rank_2stagep_comms.2024.csv");
    char *comms = file_text("reference/torch_csv/zb1p_2rank_2stagep_comms.csv");
    struct weir_schedule s = parse(old, WEIR_CSV_TORCH_2024, &arena);
    prints_as(&s, comms, &arena);
    weir_free(old);
    weir_free(comms);
    weir_arena_release(&arena);
}

static void dualpipev_is_pytorchs(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    char *text = file_text("reference/torch_csv/dualpipev_4rank_10mb.csv");
    struct weir_schedule s = build("dualpipev", 4, 2, 10, &arena);
    prints_as(&s, text, &arena);
    weir_free(text);
    weir_arena_release(&arena);
}

static void a_custom_schedule_of_torchtitan_is_sound(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule_report report;
    char *text = file_text("reference/torch_csv/torchtitan_custom_schedule.csv");
    struct weir_schedule s = parse(text, WEIR_CSV_TORCH, &arena);
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_true(report.wgrad_ascending);
    weir_free(text);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schedules_compare_as_published),
        cmocka_unit_test(interleaved_zb_in_groups_of_half_the_ranks),
        cmocka_unit_test(overlap_can_beat_the_ideal_of_serial_work),
        cmocka_unit_test(the_zero_bubble_papers_rates_come_out),
        cmocka_unit_test(one_channel_for_everything_costs_what_it_does),
        cmocka_unit_test(pytorchs_lowering_is_equal_cell_by_cell),
        cmocka_unit_test(the_files_of_2024_read_the_same),
        cmocka_unit_test(dualpipev_is_pytorchs),
        cmocka_unit_test(a_custom_schedule_of_torchtitan_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
