/* engine/program: schedules by name or file for a number of stages.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/replace.h"
#include "base/text.h"
#include "include/weir/schedule.h"

static struct weir_arena arena;

static int arena_drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static void a_schedule_has_its_own_number_of_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n_ranks;
    } rows[] = {{"1f1b", 8}, {"bfs", 4}, {"interleaved", 4}, {"interleaved-zb", 4}, {"zbv", 4}, {"hanayo", 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_schedule s;
        assert_ok(weir_pipeline_schedule(rows[i].name, 8, 0, 8, &arena, &s));
        assert_int_equal(s.n_ranks, rows[i].n_ranks);
    }
}

/* As data: the caller words options. */
static void what_does_not_go_together_names_options_and_values(void **state)
{
    (void)state;
    struct weir_schedule s;
    char name[64], value[64];
    assert_fails(
        weir_pipeline_schedule("bfs", 3, 0, 4, &arena, &s), WEIR_ERR_USAGE,
        "schedule 'bfs' with 2 stages on each rank cannot have 3 stages: use stages=4 or another number of chunks");
    assert_int_equal(weir_error_option(0, name, value, sizeof name), 2);
    assert_string_equal(name, "stages");
    assert_string_equal(value, "4");
    assert_fails(weir_pipeline_schedule("zbv", 3, 0, 4, &arena, &s), WEIR_ERR_USAGE,
                 "cannot have 3 stages: use stages=4");
    assert_fails(weir_pipeline_schedule("zbv", 4, 3, 4, &arena, &s), WEIR_ERR_USAGE, "not 3: use chunks=2");
    assert_fails(weir_pipeline_schedule("1f1b", 0, 0, 4, &arena, &s), WEIR_ERR_USAGE,
                 "cannot have 0 stages: use stages=1");
    assert_fails(weir_pipeline_schedule("chimera", 3, 0, 4, &arena, &s), WEIR_ERR_INVALID, "use ranks=4");
    assert_fails(weir_pipeline_schedule("dualpipev", 4, 0, 3, &arena, &s), WEIR_ERR_INVALID, "use microbatches=4");
    char path[4200];
    snprintf(path, sizeof path, "%s/s.csv", testing_dir());
    assert_ok(weir_file_write(path, "0F0,0B0\n1F0,1B0\n", 16));
    assert_ok(weir_pipeline_schedule(path, 2, 1, 1, &arena, &s));
    assert_fails(weir_pipeline_schedule(path, 3, 0, 0, &arena, &s), WEIR_ERR_USAGE,
                 "has 2 stages, but stages=3 was given");
    assert_fails(weir_pipeline_schedule(path, 0, 2, 0, &arena, &s), WEIR_ERR_USAGE,
                 "on 2 ranks, but chunks=2 was given");
    assert_fails(weir_pipeline_schedule(path, 0, 0, 2, &arena, &s), WEIR_ERR_USAGE,
                 "has 1 micro-batches, but microbatches=2 was given");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_schedule_has_its_own_number_of_chunks, arena_drop),
        cmocka_unit_test_teardown(what_does_not_go_together_names_options_and_values, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
