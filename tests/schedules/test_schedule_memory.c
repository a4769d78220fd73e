/* schedules: every call survives a failed allocation, whichever it is.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "include/weir/simulate.h"
#include "schedules/schedule_kinds.h"

typedef weir_status (*call_fn)(struct weir_arena *arena);

static const char text[] = "0F0,0F1,1F0,(1F1;1B0)OVERLAP_F_B,1I1,1W1,0B0,0B1\n2F0,2F1,2B0,2B1\n";
static const char short_of_slots[] = "0F0,0F1,0F2,0B2,0B1,0B0\n1F0,1F1,1F2,1B0,1B1,1B2\n";
static const char wide[] = {'0', 0, 'F', 0, '0', 0, ';', 0, '0', 0, 'B', 0, '0', 0};
static const char stuck[] = "0F0,0B0,0F1,0B1\n1F1,1B1,1F0,1B0\n";

static weir_status parse_call(struct weir_arena *arena)
{
    struct weir_schedule s;
    return weir_schedule_csv_parse(text, sizeof text - 1, "t", WEIR_CSV_TORCH, arena, &s);
}

static weir_status build_all(struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; !status && *kind; kind++) {
        struct weir_schedule s, lowered;
        struct weir_schedule_params params = {.n_ranks = 2, .n_chunks = (*kind)->n_chunks, .n_microbatches = 4};
        status = weir_schedule_build(*kind, &params, arena, &s);
        if (!status)
            status = weir_schedule_lower(&s, arena, &lowered);
        if (!status)
            status = weir_schedule_lower_torch_2025(&s, arena, &lowered);
    }
    return status;
}

static weir_status simulate_call(struct weir_arena *arena)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule s;
    struct weir_simulation result;
    struct weir_schedule_report report;
    const char *trace;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .transfer = 1, .overlap_gain = 1};
    struct weir_schedule_params params = {.n_ranks = 2, .n_microbatches = 4};
    weir_status status = weir_schedule_kind_find("zbv", &kind);
    if (!status)
        status = weir_schedule_build(kind, &params, arena, &s);
    for (int model = WEIR_CHANNELS_EDGE; !status && model <= WEIR_CHANNELS_BLOCKING; model++) {
        struct weir_simulation_options options = {(enum weir_channels)model, .keep_path = true, .keep_times = true};
        status = weir_schedule_simulate(&s, &costs, &options, arena, &result);
        if (!status)
            status = weir_schedule_check(&s, options.channels, arena, &report);
        if (!status)
            status = weir_simulation_trace(&result, arena, &trace);
    }
    return status;
}

static weir_status cycle_call(struct weir_arena *arena)
{
    struct weir_schedule s;
    struct weir_schedule_report report;
    weir_status status = weir_schedule_csv_parse(stuck, sizeof stuck - 1, "t", WEIR_CSV_TORCH, arena, &s);
    if (!status)
        status = weir_schedule_check(&s, WEIR_CHANNELS_EDGE, arena, &report);
    return status;
}

static weir_status slots_call(struct weir_arena *arena)
{
    struct weir_schedule s;
    struct weir_schedule_report report;
    weir_status status =
        weir_schedule_csv_parse(short_of_slots, sizeof short_of_slots - 1, "t", WEIR_CSV_TORCH, arena, &s);
    if (!status)
        status = weir_schedule_check(&s, WEIR_CHANNELS_EDGE, arena, &report);
    return status;
}

static weir_status wide_call(struct weir_arena *arena)
{
    struct weir_schedule s;
    return weir_schedule_csv_parse(wide, sizeof wide, "t", WEIR_CSV_TORCH, arena, &s);
}

/* Give the call one allocation more each time, until it says what it says with all the memory it wants. */
static void survives(call_fn call, weir_status wanted)
{
    weir_status status = WEIR_ERR_NOMEM;
    int64_t budget = 0;
    for (; status == WEIR_ERR_NOMEM; budget++) {
        struct weir_arena arena = {0};
        assert_true(budget < 10000);
        weir_alloc_set_budget(budget);
        status = call(&arena);
        weir_alloc_set_budget(-1);
        weir_arena_release(&arena);
    }
    assert_int_equal(status, wanted);
    assert_true(budget > 3);
}

static void no_failed_allocation_is_fatal(void **state)
{
    (void)state;
    survives(parse_call, WEIR_OK);
    survives(build_all, WEIR_OK);
    survives(simulate_call, WEIR_OK);
    survives(cycle_call, WEIR_ERR_INVALID);
    survives(slots_call, WEIR_OK);
    survives(wide_call, WEIR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_allocation_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
