/* schedules: every kind over p, v and m through check, held to its closed forms.   labels: pure */
#include "testing.h"

#include <stdio.h>

#include "schedules/schedule.h"

static void one_is_held(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params)
{
    struct weir_arena arena = {0};
    struct weir_schedule s;
    struct weir_schedule_report report;
    weir_status status = weir_schedule_build(kind, params, &arena, &s);
    if (status == WEIR_OK) {
        assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
        assert_true(report.wgrad_ascending);
        for (int r = 0; kind->peak_in_flight && r < params->n_ranks; r++) {
            int peak = kind->peak_in_flight(params, r);
            if (peak >= 0 && report.peak_in_flight_rank[r] != peak)
                fail_msg("%s p=%d v=%d m=%d: rank %d holds %d, not %d", kind->name, params->n_ranks, params->n_chunks,
                         params->n_microbatches, r, report.peak_in_flight_rank[r], peak);
        }
    } else {
        assert_int_equal(status, WEIR_ERR_INVALID);
    }
    weir_arena_release(&arena);
}

static void every_kind_passes_check_at_every_size(void **state)
{
    (void)state;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int p = 1; p <= 8; p++)
            for (int v = 1; v <= 4; v++)
                for (int m = 1; m <= 16; m++)
                    one_is_held(*kind, &(struct weir_schedule_params){.n_ranks = p, .n_chunks = v, .n_microbatches = m});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_passes_check_at_every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
