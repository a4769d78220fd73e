/* schedules: the text of every kind at a small size, against tests/golden.   labels: pure
 *
 * WEIR_GOLDEN_REWRITE=1 in the environment writes the files anew; read the difference before you commit it. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/schedule.h"
#include "schedules/schedule_kinds.h"

static void golden_compare(const char *name, const char *text)
{
    char path[4096], *wanted;
    size_t bytes;
    const char *source = getenv("WEIR_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/%s", source ? source : ".", name);
    if (getenv("WEIR_GOLDEN_REWRITE")) {
        assert_ok(weir_file_write(path, text, strlen(text)));
        return;
    }
    assert_ok(weir_file_read(path, 1 << 20, &wanted, &bytes));
    assert_string_equal(text, wanted);
    weir_free(wanted);
}

static void every_kind_has_its_golden_text(void **state)
{
    (void)state;
    static const int sizes[][2] = {{2, 4}, {4, 8}}; /* ranks, micro-batches */
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct weir_arena arena = {0};
            struct weir_schedule s, lowered;
            const char *text, *comms;
            char name[64], *both;
            int chunks = (*kind)->n_chunks ? (*kind)->n_chunks : 2;
            struct weir_schedule_params params = {.n_ranks = sizes[i][0], .n_chunks = chunks, .n_microbatches = sizes[i][1],
                                                  .n_slices = (*kind)->takes_slices ? 2 : 0};
            assert_ok(weir_schedule_build(*kind, &params, &arena, &s));
            assert_ok(weir_schedule_lower(&s, &arena, &lowered));
            assert_ok(weir_schedule_csv_print(&s, &arena, &text));
            assert_ok(weir_schedule_csv_print(&lowered, &arena, &comms));
            assert_ok(weir_arena_alloc(&arena, strlen(text) + strlen(comms) + 2, 1, &both));
            strcat(strcat(strcat(both, text), "\n"), comms);
            snprintf(name, sizeof name, "schedule-%s-p%d-v%d-m%d.txt", (*kind)->name, params.n_ranks, chunks,
                     params.n_microbatches);
            golden_compare(name, both);
            weir_arena_release(&arena);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_its_golden_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
