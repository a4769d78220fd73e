/* Fuzz target: any text is a file of costs, or refused; a schedule can be simulated with what is read, or is refused. */
#include <stddef.h>
#include <stdint.h>

#include "include/weir/simulate.h"
#include "tests/fuzz/scratch_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void simulate(const struct weir_schedule_costs *costs, int n_stages, struct weir_arena *arena)
{
    struct weir_schedule_params params = {.n_ranks = n_stages, .n_microbatches = 3};
    struct weir_schedule schedule;
    struct weir_simulation simulation;
    const struct weir_schedule_kind *kind;
    if (weir_schedule_kind_find("1f1b", &kind) || weir_schedule_build(kind, &params, arena, &schedule))
        abort();
    (void)weir_schedule_simulate(&schedule, costs, &(struct weir_simulation_options){0}, arena, &simulation);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *path;
    struct weir_arena arena = {0};
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    if (!path)
        path = scratch_path("costs.json");
    scratch_write(path, bytes, n);
    if (!weir_schedule_costs_load(path, &arena, &costs))
        simulate(&costs, costs.n_stages > 0 && costs.n_stages < 9 ? costs.n_stages : 2, &arena);
    weir_arena_release(&arena);
    return 0;
}
