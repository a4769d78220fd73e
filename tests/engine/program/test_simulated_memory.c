/* engine/program: what simulate says about activations, beside what the compiler packs.   labels: pure */
#include "tests/support/program_fixture.h"
#include "tests/support/testing.h"

#include <string.h>

#include "schedules/simulate/simulate.h"

/* What a stage of the program keeps of a micro-batch, as costs. */
static struct weir_stage_costs stage_costs(const struct weir_stage_program *stage)
{
    double fi = (double)stage->act_bytes[0], fw = (double)stage->act_bytes[1], iw = (double)stage->act_bytes[2];
    return (struct weir_stage_costs){1, 1, 1, .mem_backward = fi + fw, .mem_weight = fw + iw, .mem_made = iw};
}

/* Bytes that are held at once cannot lie in fewer; gaps between the parts of two stages cost up to a quarter. */
static const double MOST_BY_GAPS = 1.25;

static void peaks_compare(const struct weir_schedule_kind *kind, const char *recompute)
{
    enum { RANKS = 4, MICROBATCHES = 16, MOST_CHUNKS = 2 };
    struct program_fixture f;
    struct weir_simulation s;
    struct weir_stage_costs costs[RANKS * MOST_CHUNKS];
    int v = weir_schedule_kind_chunks(kind), stages = RANKS * v;
    program_fixture_recompute(&f, kind->name, stages, v, MICROBATCHES, recompute);
    for (int i = 0; i < stages; i++)
        costs[i] = stage_costs(&f.program->stages[i]);
    struct weir_schedule_costs all = {1, 1, 1, 1, 1, .overlap_gain = 1, .stages = costs, .n_stages = stages};
    assert_ok(weir_schedule_simulate(&f.schedule, &all, &(struct weir_simulation_options){0}, &f.arena, &s));
    for (int r = 0; r < RANKS; r++) {
        double packed = (double)f.program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS], most = v > 1 ? MOST_BY_GAPS : 1;
        if (packed < s.peak_memory[r] || packed > most * s.peak_memory[r])
            fail_msg("%s rank %d: %.0f bytes are simulated, %.0f packed", kind->name, r, s.peak_memory[r], packed);
    }
    weir_arena_release(&f.arena);
}

static void simulated_peaks_are_the_packed_bytes(void **state)
{
    (void)state;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        if ((*kind)->n_copies < 2 && strcmp((*kind)->name, "inference") != 0) {
            peaks_compare(*kind, NULL);
            peaks_compare(*kind, "full");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_peaks_are_the_packed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
