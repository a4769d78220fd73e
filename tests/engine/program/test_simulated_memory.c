/* engine/program: what simulate says about activations, beside what the compiler packs.   labels: pure */
#include "schedules/schedule_kinds.h"
#include "tests/support/program_fixture.h"
#include "tests/support/testing.h"

#include <string.h>

#include "include/weir/plan.h"

/* Bytes that are held at once cannot lie in fewer; gaps between the parts of two stages cost up to a quarter. */
static const double MOST_BY_GAPS = 1.25;

static void peaks_compare(const struct weir_schedule_kind *kind, const char *recompute)
{
    enum { RANKS = 4, MICROBATCHES = 16 };
    struct program_fixture f;
    struct weir_simulation s;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_ceilings ceilings = {1e9, 1e9, 1e9};
    int v = weir_schedule_kind_chunks(kind), stages = RANKS * v;
    program_fixture_recompute(&f, kind->name, stages, v, MICROBATCHES, recompute);
    config.graph = f.graph;
    config.recompute = recompute;
    struct weir_schedule_costs all = {1, 1, 1, 1, 1, .overlap_gain = 1, .n_stages = stages};
    assert_ok(weir_stage_costs_find(&config, stages, &ceilings, &f.arena, &all.stages));
    assert_ok(weir_schedule_simulate(&f.schedule, &all, &(struct weir_simulation_options){0}, &f.arena, &s));
    for (int r = 0; r < RANKS; r++) {
        double packed = (double)weir_program_worker_block(f.program, r, WEIR_MEMORY_ACTIVATIONS);
        double most = v > 1 || kind->n_copies > 1 ? MOST_BY_GAPS : 1;
        if (packed < s.peak_memory[r] || packed > most * s.peak_memory[r])
            fail_msg("%s rank %d: %.0f bytes are simulated, %.0f packed", kind->name, r, s.peak_memory[r], packed);
    }
    weir_arena_release(&f.arena);
}

static void simulated_peaks_are_the_packed_bytes(void **state)
{
    (void)state;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        if (strcmp((*kind)->name, "inference") != 0) {
            peaks_compare(*kind, NULL);
            peaks_compare(*kind, "full");
        }
}

static void times_and_state_of_stages_are_those_of_their_layers(void **state)
{
    (void)state;
    struct program_fixture f;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_ceilings ceilings = {1e9, 1e9, 1e9};
    const struct weir_stage_costs *one, *four;
    double forward = 0, weight = 0, grads = 0;
    program_fixture_build(&f, "1f1b", 1, 1, 1);
    config.graph = f.graph;
    assert_ok(weir_stage_costs_find(&config, 1, &ceilings, &f.arena, &one));
    assert_ok(weir_stage_costs_find(&config, 4, &ceilings, &f.arena, &four));
    for (int s = 0; s < 4; s++) {
        forward += four[s].forward;
        weight += four[s].weight;
        grads += four[s].grad_bytes;
    }
    assert_true(forward > 0 && forward < one->forward * (1 + 1e-9) && forward > one->forward * (1 - 1e-9));
    assert_true(weight > 0 && weight < one->weight * (1 + 1e-9) && weight > one->weight * (1 - 1e-9));
    assert_true(grads == one->grad_bytes);
    assert_fails(weir_stage_costs_find(&config, 99, &ceilings, &f.arena, &four), WEIR_ERR_NOFIT, "only 14 layers");
    weir_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_peaks_are_the_packed_bytes),
        cmocka_unit_test(times_and_state_of_stages_are_those_of_their_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
