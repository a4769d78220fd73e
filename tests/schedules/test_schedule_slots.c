/* schedules: as many slots as no rank waits for when all times are alike, and no more.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "schedules/check/flow.h"
#include "schedules/schedule_kinds.h"

enum { MICROBATCHES = 4, TRIALS = 1000 };

static void shuffle(int *order, int n, uint64_t *state)
{
    for (int i = 0; i < n; i++)
        order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        int j = (int)((*state >> 33) % (unsigned)(i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* Rank 0 sends in any order and takes gradients in another; rank 1 has its own for both. */
static struct weir_schedule random_orders(uint64_t *state, struct weir_arena *arena)
{
    int order[MICROBATCHES];
    char text[256];
    size_t n = 0;
    for (int rank = 0; rank < 2; rank++) {
        for (int type = 0; type < 2; type++) {
            shuffle(order, MICROBATCHES, state);
            for (int i = 0; i < MICROBATCHES; i++)
                n += (size_t)snprintf(text + n, sizeof text - n, "%d%c%d,", rank, type ? 'B' : 'F', order[i]);
        }
        text[n - 1] = '\n';
    }
    struct weir_schedule s;
    assert_ok(weir_schedule_csv_parse(text, n, "t.csv", WEIR_CSV_TORCH, arena, &s));
    return s;
}

/* With the slots of the scan a rank waits for one, or comes as near to it as can be, when all times are alike. */
static bool is_tight(const struct weir_scan *scan, struct weir_arena *arena)
{
    struct weir_schedule_edges edges;
    struct weir_flow flow;
    assert_ok(weir_schedule_edges_build(scan, arena, &edges));
    assert_ok(weir_flow_open(&flow, WEIR_CHANNELS_EDGE, scan, &edges, false, arena));
    assert_ok(weir_unit_times(scan->schedule->n_stages, arena, &flow.costs.type));
    weir_status status = weir_flow_run(&flow);
    assert_true(!status || flow.tight); /* nothing but a slot is ever missing here */
    return flow.tight;
}

/* The number of units that were given more slots than the list says; each of those is held to be needed. */
static int given(const struct weir_schedule *s, struct weir_arena *arena)
{
    struct weir_scan before, scan;
    struct weir_schedule_edges edges;
    int n = 0;
    assert_ok(weir_scan_build(s, arena, &before));
    assert_ok(weir_scan_build(s, arena, &scan));
    assert_ok(weir_schedule_edges_build(&scan, arena, &edges));
    assert_ok(weir_slots_count(&scan, &edges));
    assert_false(is_tight(&scan, arena));
    for (int u = 0; u < s->n_stages * s->n_copies; u++)
        for (int d = 0; d < 2; d++) {
            int has = scan.units[u].slots[d];
            assert_true(has >= before.units[u].slots[d]);
            if (has == before.units[u].slots[d])
                continue;
            scan.units[u].slots[d]--;
            assert_true(is_tight(&scan, arena));
            scan.units[u].slots[d] = has;
            n++;
        }
    assert_int_equal(n > 0, is_tight(&before, arena));
    return n;
}

static void with_the_slots_of_a_random_order_no_rank_waits_and_with_one_less_it_does(void **state)
{
    (void)state;
    uint64_t random = 7;
    int n = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        struct weir_arena arena = {0};
        struct weir_schedule s = random_orders(&random, &arena);
        n += given(&s, &arena);
        weir_arena_release(&arena);
    }
    assert_true(n > TRIALS / 2);
}

static void with_the_slots_of_a_kind_no_rank_waits_and_with_one_less_it_does(void **state)
{
    (void)state;
    for (int k = 0; weir_schedule_kinds[k]; k++)
        for (int p = 1; p <= 4; p++)
            for (int m = p; m <= 12; m += p) {
                struct weir_arena arena = {0};
                struct weir_schedule s;
                struct weir_schedule_params params = {.n_ranks = p, .n_microbatches = m};
                if (!weir_schedule_build(weir_schedule_kinds[k], &params, &arena, &s))
                    given(&s, &arena);
                weir_arena_release(&arena);
            }
}

static struct weir_schedule_report report_of(const char *name, int p, int v, int m, struct weir_arena *arena)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule s;
    struct weir_schedule_report report;
    assert_ok(weir_schedule_kind_find(name, &kind));
    assert_ok(weir_schedule_build(kind, &(struct weir_schedule_params){.n_ranks = p, .n_chunks = v, .n_microbatches = m}, arena, &s));
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, arena, &report));
    return report;
}

static void two_gradients_are_enough_for_1f1b_however_many_micro_batches(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    for (int m = 4; m <= 64; m *= 2) {
        struct weir_schedule_report report = report_of("1f1b", 4, 0, m, &arena);
        for (int s = 0; s < 4; s++) {
            assert_int_equal(report.gradient_slots[s], 2);
            assert_int_equal(report.input_slots[s], s ? report.peak_in_flight_stage[s] + 1 : report.input_slots[0]);
        }
    }
    weir_arena_release(&arena);
}

/* All gradients of a stage but the last are made before the first is read. */
static void breadth_first_has_a_gradient_slot_for_every_micro_batch_between_chunks(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule_report report = report_of("bfs", 2, 2, 8, &arena);
    assert_int_equal(report.gradient_slots[0], 2);
    assert_int_equal(report.gradient_slots[1], 8);
    assert_int_equal(report.gradient_slots[2], 2);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_slots_of_a_random_order_no_rank_waits_and_with_one_less_it_does),
        cmocka_unit_test(with_the_slots_of_a_kind_no_rank_waits_and_with_one_less_it_does),
        cmocka_unit_test(two_gradients_are_enough_for_1f1b_however_many_micro_batches),
        cmocka_unit_test(breadth_first_has_a_gradient_slot_for_every_micro_batch_between_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
