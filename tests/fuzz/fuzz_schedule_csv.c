/* Fuzz target: the parser of schedule files in both dialects, and what reads its result.
 *
 * What parses must print and parse back to the same text, also from UTF-16 with semicolons; check, lower and simulate
 * must end with a status. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "include/weir/simulate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Printed text in UTF-16 with semicolons between cells. */
static void other_form(const char *text, bool big, struct weir_arena *arena)
{
    size_t n = strlen(text);
    const char *again;
    char *wide;
    struct weir_schedule copy;
    require(weir_arena_alloc(arena, n, 2, &wide) == WEIR_OK);
    for (size_t i = 0; i < n; i++)
        wide[2 * i + big] = (char)(text[i] == ',' ? ';' : text[i]);
    require(weir_schedule_csv_parse(wide, 2 * n, "fuzz", WEIR_CSV_TORCH, arena, &copy) == WEIR_OK);
    require(weir_schedule_csv_print(&copy, arena, &again) == WEIR_OK);
    require(!strcmp(text, again));
}

static void round_trip(const struct weir_schedule *schedule, struct weir_arena *arena)
{
    const char *text, *again;
    struct weir_schedule copy;
    require(weir_schedule_csv_print(schedule, arena, &text) == WEIR_OK);
    require(weir_schedule_csv_parse(text, strlen(text), "fuzz", WEIR_CSV_TORCH, arena, &copy) == WEIR_OK);
    require(weir_schedule_csv_print(&copy, arena, &again) == WEIR_OK);
    require(!strcmp(text, again));
    other_form(text, false, arena);
    other_form(text, true, arena);
}

static void use(const struct weir_schedule *schedule, struct weir_arena *arena)
{
    struct weir_schedule lowered;
    struct weir_schedule_report report;
    struct weir_simulation simulation;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .transfer = 0.5, .overlap_gain = 1};
    size_t steps;
    for (int model = WEIR_CHANNELS_EDGE; model <= WEIR_CHANNELS_BLOCKING; model++) {
        struct weir_simulation_options options = {(enum weir_channels)model, .keep_path = true, .keep_times = true};
        weir_status status = weir_schedule_check(schedule, options.channels, arena, &report);
        require(weir_schedule_simulate(schedule, &costs, &options, arena, &simulation) == status);
    }
    if (weir_schedule_lower(schedule, arena, &lowered) == WEIR_OK)
        round_trip(&lowered, arena);
    (void)weir_schedule_one_copy(schedule, arena, &lowered);
    (void)weir_schedule_lower_torch_2025(schedule, arena, &lowered);
    if (weir_schedule_lower_torch(schedule, arena, &lowered) == WEIR_OK)
        round_trip(&lowered, arena);
    (void)weir_schedule_count_steps(schedule, &steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    for (int dialect = WEIR_CSV_TORCH; dialect <= WEIR_CSV_TORCH_2024; dialect++)
        if (!weir_schedule_csv_parse((const char *)data, size, "fuzz", (enum weir_csv_dialect)dialect, &arena,
                                     &schedule)) {
            round_trip(&schedule, &arena);
            use(&schedule, &arena);
        }
    weir_arena_release(&arena);
    return 0;
}
