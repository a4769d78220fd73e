/* A test program's arena, and schedules in it that are written as text. */
#ifndef WEIR_TESTS_SUPPORT_PARSED_SCHEDULE_H
#define WEIR_TESTS_SUPPORT_PARSED_SCHEDULE_H

#include <string.h>

#include "include/weir/schedule.h"
#include "tests/support/testing.h"

static struct weir_arena arena; /* empty after every test that has arena_drop as its teardown */

static int arena_drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static struct weir_schedule parse(const char *text)
{
    struct weir_schedule schedule;
    assert_ok(weir_schedule_csv_parse(text, strlen(text), "t.csv", WEIR_CSV_TORCH, &arena, &schedule));
    return schedule;
}

#endif
