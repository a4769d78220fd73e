/* schedules: the number of slots that a message says is needed.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "schedules/check/flow.h"

enum { MICROBATCHES = 4, TRIALS = 3000 };

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

/* Run with the slots of the scan.  When one is missing: whose, and how many it says are needed. */
static bool runs(const struct weir_scan *scan, struct weir_arena *arena, int *stage, int *direction, int *needed)
{
    struct weir_schedule_edges edges;
    struct weir_flow flow;
    char kind[16], rest[64];
    int has, rank;
    assert_ok(weir_schedule_edges_build(scan, arena, &edges));
    assert_ok(weir_flow_open(&flow, WEIR_CHANNELS_EDGE, scan, &edges, arena));
    if (!weir_flow_run(&flow))
        return true;
    int n = sscanf(weir_last_error(), "'t.csv': row %*d, cell %*d: stage %d has %d %15s slots, and %63s on rank %d needs %d:", stage, &has,
                   kind, rest, &rank, needed);
    assert_int_equal(n, 6); /* these orders have no circle: with slots enough they run */
    *direction = strcmp(kind, "input") != 0;
    assert_int_equal(scan->units[*stage].slots[*direction], has);
    assert_true(*needed > has);
    return false;
}

static void so_many_slots_are_enough_and_one_less_is_not(void **state)
{
    (void)state;
    uint64_t random = 7;
    int n_short = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        struct weir_arena arena = {0};
        struct weir_scan scan;
        int stage, direction, needed, again_stage, again_direction, again;
        struct weir_schedule s = random_orders(&random, &arena);
        assert_ok(weir_scan_build(&s, &arena, &scan));
        scan.units[1].slots[0] = 1; /* fewer than there are, so that something is short */
        while (!runs(&scan, &arena, &stage, &direction, &needed)) {
            int *slots = &scan.units[stage].slots[direction];
            *slots = needed - 1;
            assert_false(runs(&scan, &arena, &again_stage, &again_direction, &again));
            if (again_stage == stage && again_direction == direction)
                assert_int_equal(again, needed);
            *slots = needed;
            n_short++;
        }
        weir_arena_release(&arena);
    }
    assert_true(n_short > TRIALS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_slots_are_enough_and_one_less_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
