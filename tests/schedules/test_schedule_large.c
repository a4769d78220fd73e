/* schedules: what large ones take grows with their size: entries that are looked at, bytes that are held.
 * labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/large.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/simulate.h"

static struct weir_schedule made(const char *name, int p, int m, struct weir_arena *arena)
{
    const struct weir_schedule_kind *kind;
    struct weir_schedule schedule;
    assert_ok(weir_schedule_kind_find(name, &kind));
    assert_ok(weir_schedule_build(kind, &(struct weir_schedule_params){.n_ranks = p, .n_microbatches = m}, arena, &schedule));
    return schedule;
}

/* Entries looked at to find the critical path, per entry of the lists. */
static double looked(const char *name, int p, int m, enum weir_channels channels, double transfer)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule = made(name, p, m, &arena);
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .transfer = transfer, .overlap_gain = 1};
    struct weir_simulation_options options = {.channels = channels, .keep_path = true};
    struct weir_simulation s;
    assert_ok(weir_schedule_simulate(&schedule, &costs, &options, &arena, &s));
    double entries = 0;
    for (int r = 0; r < p; r++)
        entries += (double)s.lowered.ranks[r].n_actions;
    weir_arena_release(&arena);
    return (double)s.n_looked / entries;
}

static void the_critical_path_is_found_in_time_that_grows_with_the_lists(void **state)
{
    (void)state;
    static const char *const names[] = {"gpipe", "1f1b", "interleaved", "bfs", "zb-h2", "zbv", "hanayo", "chimera"};
    static const double transfers[] = {0, 0.3, 3};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int channels = WEIR_CHANNELS_EDGE; channels <= WEIR_CHANNELS_BLOCKING; channels++)
            for (int t = 0; t < 3; t++) {
                double few = looked(names[i], 8, 64, (enum weir_channels)channels, transfers[t]);
                double many = looked(names[i], 8, 1024, (enum weir_channels)channels, transfers[t]);
                if (many > 6 || many > 2 * few + 1)
                    fail_msg("%s, %s channels, transfers of %g: %.2f entries looked at for each of 64 micro-batches, %.2f of "
                             "1024", names[i], weir_channels_str((enum weir_channels)channels), transfers[t], few, many);
            }
}

static void an_action_takes_eight_bytes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct weir_action), 8);
    struct weir_action a = {.stage = 1048575, .mb = 1048575, .type = WEIR_ACTION_TYPES - 1, .fused = 1};
    assert_int_equal(a.mb, 1048575);
    assert_int_equal(a.type, WEIR_ACTION_TYPES - 1);
    a.mb = -1;
    assert_int_equal(a.mb, -1);
}

static void a_file_without_blank_cells_is_held_once(void **state)
{
    (void)state;
    struct weir_arena making = {0}, arena = {0};
    struct weir_schedule schedule = made("dualpipev", 8, 256, &making), back;
    const char *text;
    size_t n = 0;
    assert_ok(weir_schedule_csv_print(&schedule, &making, &text));
    assert_ok(weir_schedule_csv_parse(text, strlen(text), "t.csv", WEIR_CSV_TORCH, &arena, &back));
    for (int r = 0; r < 8; r++) {
        assert_int_equal(back.ranks[r].n_actions, schedule.ranks[r].n_actions);
        assert_memory_equal(back.ranks[r].actions, schedule.ranks[r].actions,
                            schedule.ranks[r].n_actions * sizeof(struct weir_action));
        n += back.ranks[r].n_actions;
    }
    assert_in_range(arena.bytes, n * sizeof(struct weir_action), n * sizeof(struct weir_action) + 200000);
    weir_arena_release(&arena);
    weir_arena_release(&making);
}

static void pages_given_back_are_those_between_and_no_others(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20, PART = 3 << 20 };
    char *block;
    assert_ok(weir_alloc(BYTES, 1, &block));
    memset(block, 'x', BYTES);
    assert_ptr_equal(weir_pages_give_back(block, block + 1000), block); /* too few to bother */
    char *from = weir_pages_give_back(block, block + PART);
    assert_in_range(from - block, PART - 8192, PART);
    assert_int_equal(block[1 << 20], 0);
    for (char *at = from; at < block + BYTES; at++)
        assert_int_equal(*at, 'x');
    assert_ptr_equal(weir_pages_give_back(from, from), from);
    weir_free(block);
}

/* The most memory that this process has had, in KB. */
static long high_water(void)
{
    char line[256];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes;
}

static size_t file_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) ? 0 : (size_t)info.st_size;
}

/* 0 when reading and checking took less than 1.5 times the file. */
static int file_check(const char *path)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_report report;
    long before = high_water();
    if (weir_schedule_csv_load(path, WEIR_CSV_TORCH, &arena, &schedule) ||
        weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, &arena, &report))
        return 1;
    return (double)(high_water() - before) * 1024 < 1.5 * (double)file_bytes(path) ? 0 : 2;
}

static int file_make(const char *path)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule = made("interleaved", 128, 1024, &arena);
    const char *text;
    return weir_schedule_lower(&schedule, &arena, &schedule) || weir_schedule_csv_print(&schedule, &arena, &text) ||
           weir_file_write(path, text, strlen(text));
}

/* In a process of its own, which starts with as little memory as this one has. */
static int apart(int (*run)(const char *path), const char *path)
{
    int how = 0;
    pid_t child = fork();
    if (!child)
        _exit(run(path));
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
    return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
    return false;
#endif
}

static void a_check_takes_less_than_one_and_a_half_times_the_file(void **state)
{
    (void)state;
    if (is_sanitized() || !high_water()) {
        print_message("skipped: a sanitizer keeps memory of its own, or /proc/self/status has no VmHWM\n");
        skip();
    }
    const char *path = testing_path("large.csv");
    assert_int_equal(apart(file_make, path), 0);
    assert_int_equal(apart(file_check, path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_takes_less_than_one_and_a_half_times_the_file), /* first: while this process is small */
        cmocka_unit_test(the_critical_path_is_found_in_time_that_grows_with_the_lists),
        cmocka_unit_test(an_action_takes_eight_bytes),
        cmocka_unit_test(a_file_without_blank_cells_is_held_once),
        cmocka_unit_test(pages_given_back_are_those_between_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
