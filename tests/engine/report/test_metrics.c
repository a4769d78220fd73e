/* metrics: numbers read back, lines are whole, files that cannot be written.   labels: pure */
#include "tests/support/testing.h"

#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/metrics.h"

static const int64_t peaks[] = {3145728, 9007199254740993, 0};

static struct weir_metrics_step step_make(int64_t step)
{
    return (struct weir_metrics_step){.step = step,
                                      .loss = 5.5 / (double)(step + 1),
                                      .grad_norm = 0.1f,
                                      .lr = 1e-3,
                                      .tokens_per_s = 41250.5,
                                      .step_ms = 49.6,
                                      .bubble = 0.125,
                                      .peak_bytes = peaks};
}

static char *content(const char *path)
{
    char *data;
    size_t bytes;
    assert_ok(weir_file_read(path, 1 << 20, &data, &bytes));
    return data;
}

static void a_line_is_an_object_with_all_fields(void **state)
{
    (void)state;
    weir_metrics *metrics;
    const char *path = testing_path("fields.jsonl");
    struct weir_metrics_step step = step_make(12);
    assert_ok(weir_metrics_open(path, 3, &metrics));
    uint64_t before = weir_alloc_count();
    assert_ok(weir_metrics_write(metrics, &step));
    assert_int_equal(weir_alloc_count(), before);
    char *line = content(path); /* there before the file is closed */
    assert_string_equal(line, "{\"step\": 12, \"loss\": 0.4230769230769231, \"grad_norm\": 0.10000000149011612, \"lr\": 0.001, "
                              "\"tokens_per_s\": 41250.5, \"step_ms\": 49.6, \"bubble\": 0.125, "
                              "\"peak_bytes\": [3145728, 9007199254740993, 0]}\n");
    weir_free(line);
    weir_metrics_close(metrics);
}

static void flops_and_their_share_stand_where_they_are_said(void **state)
{
    (void)state;
    weir_metrics *metrics;
    const char *path = testing_path("flops.jsonl");
    struct weir_metrics_step step = step_make(0);
    assert_ok(weir_metrics_open(path, 1, &metrics));
    step.data_wait_ms = 0.25;
    step.flops = 8053063680;
    assert_ok(weir_metrics_write(metrics, &step));
    step.mfu = 0.5;
    assert_ok(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    char *lines = content(path);
    assert_non_null(strstr(lines, "\"bubble\": 0.125, \"data_wait_ms\": 0.25, \"flops\": 8053063680, \"peak_bytes\": [3145728]}\n{"));
    assert_non_null(strstr(lines, "\"flops\": 8053063680, \"mfu\": 0.5, \"peak_bytes\": [3145728]}\n"));
    weir_free(lines);
}

static void a_validation_loss_stands_on_the_lines_that_have_one(void **state)
{
    (void)state;
    weir_metrics *metrics;
    const char *path = testing_path("validated.jsonl");
    const double losses[] = {3.25, NAN};
    assert_ok(weir_metrics_open(path, 1, &metrics));
    for (int i = 0; i < 3; i++) {
        struct weir_metrics_step step = step_make((1 << i) - 1); /* losses are exact */
        step.step = i;
        step.val_loss = i ? &losses[i - 1] : NULL;
        assert_ok(weir_metrics_write(metrics, &step));
    }
    weir_metrics_close(metrics);
    char *lines = content(path);
    assert_string_equal(lines, "{\"step\": 0, \"loss\": 5.5, \"grad_norm\": 0.10000000149011612, \"lr\": 0.001, "
                               "\"tokens_per_s\": 41250.5, \"step_ms\": 49.6, \"bubble\": 0.125, \"peak_bytes\": [3145728]}\n"
                               "{\"step\": 1, \"loss\": 2.75, \"grad_norm\": 0.10000000149011612, \"lr\": 0.001, "
                               "\"tokens_per_s\": 41250.5, \"step_ms\": 49.6, \"bubble\": 0.125, \"val_loss\": 3.25, "
                               "\"peak_bytes\": [3145728]}\n"
                               "{\"step\": 2, \"loss\": 1.375, \"grad_norm\": 0.10000000149011612, \"lr\": 0.001, "
                               "\"tokens_per_s\": 41250.5, \"step_ms\": 49.6, \"bubble\": 0.125, \"val_loss\": null, "
                               "\"peak_bytes\": [3145728]}\n");
    weir_free(lines);
}

static void the_first_line_says_what_the_run_is(void **state)
{
    (void)state;
    weir_metrics *metrics;
    const char *path = testing_path("run.jsonl");
    struct weir_metrics_step step = step_make(0);
    step.step = 1;
    step.time_s = 0.25;
    step.tokens = 9007199254740993;
    assert_ok(weir_file_write(path, "old", 3));
    assert_ok(weir_metrics_open(path, 1, &metrics));
    assert_ok(weir_metrics_run(metrics, "{\"model\": \"small\"}"));
    assert_ok(weir_metrics_run(metrics, "{\"model\": \"large\"}")); /* the last one counts */
    char *text = content(path);
    assert_string_equal(text, "old");
    weir_free(text);
    uint64_t before = weir_alloc_count();
    assert_ok(weir_metrics_write(metrics, &step));
    assert_ok(weir_metrics_write(metrics, &step));
    assert_int_equal(weir_alloc_count(), before);
    weir_metrics_close(metrics);
    text = content(path);
    static const char line[] = "{\"step\": 1, \"time_s\": 0.25, \"tokens\": 9007199254740993, \"loss\": 5.5, ";
    static const char run[] = "{\"run\": {\"model\": \"large\"}}\n";
    assert_memory_equal(text, run, strlen(run));
    assert_memory_equal(text + strlen(run), line, strlen(line));
    assert_null(strstr(strchr(text, '\n'), "run"));
    weir_free(text);
    assert_true(weir_metrics_is_file(path));
}

static void numbers_read_back_to_the_same_bits(void **state)
{
    (void)state;
    static const double special[] = {0,      -0.0,     1,         0.1,   1.0 / 3,        1e300,   5e-324, 1.7976931348623157e308,
                                     0.1f,   3.4e38f,  1.4e-45f,  1e22,  123456789012.0, -2.5e-7};
    char text[32];
    for (uint32_t i = 0; i < 100000; i++) {
        double value;
        if (i < sizeof special / sizeof special[0]) {
            value = special[i];
        } else {
            struct weir_rng_block block = weir_rng_philox(1, i, 0, 0, 0);
            memcpy(&value, block.v, sizeof value);
            if (!isfinite(value))
                continue;
        }
        weir_metrics_number(value, text);
        double back = strtod(text, NULL);
        assert_memory_equal(&back, &value, sizeof value);
    }
    weir_metrics_number(0.1, text);
    assert_string_equal(text, "0.1");
}

static void what_json_cannot_say_is_null(void **state)
{
    (void)state;
    weir_metrics *metrics;
    json_t *root;
    struct weir_metrics_step step = step_make(0);
    step.loss = NAN;
    step.grad_norm = INFINITY;
    assert_ok(weir_metrics_open(testing_path("null.jsonl"), 1, &metrics));
    assert_ok(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    assert_ok(weir_json_load(testing_path("null.jsonl"), &root));
    assert_true(json_is_null(json_object_get(root, "loss")) && json_is_null(json_object_get(root, "grad_norm")));
    assert_int_equal(json_array_size(json_object_get(root, "peak_bytes")), 1);
    json_decref(root);
}

static void a_point_stays_a_point_in_every_locale(void **state)
{
    (void)state;
    char text[32];
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
        print_message("skipped: there is no locale with a decimal comma here\n");
        skip();
    }
    weir_metrics_number(2.5, text);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(text, "2.5");
}

static void what_was_there_stays_until_the_first_step(void **state)
{
    (void)state;
    weir_metrics *metrics;
    const char *path = testing_path("kept.jsonl");
    struct weir_metrics_step step = step_make(0);
    assert_ok(weir_file_write(path, "a long line of an earlier run ........................................"
                                    "..................................................................\n", 131));
    assert_ok(weir_metrics_open(path, 1, &metrics));
    weir_metrics_close(metrics);
    char *text = content(path);
    assert_int_equal(strlen(text), 131);
    weir_free(text);
    assert_ok(weir_metrics_open(path, 1, &metrics));
    assert_ok(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    text = content(path);
    assert_memory_equal(text, "{\"step\": 0", 10);
    assert_int_equal(strcspn(text, "\n") + 1, strlen(text));
    weir_free(text);
}

static void a_file_made_for_nothing_is_removed(void **state)
{
    (void)state;
    weir_metrics *metrics;
    assert_ok(weir_metrics_open(testing_path("nothing.jsonl"), 1, &metrics));
    assert_int_equal(access(testing_path("nothing.jsonl"), F_OK), 0);
    weir_metrics_close(metrics);
    assert_int_not_equal(access(testing_path("nothing.jsonl"), F_OK), 0);
    assert_int_equal(symlink("nothing.jsonl", testing_path("link.jsonl")), 0);
    assert_ok(weir_metrics_open(testing_path("link.jsonl"), 1, &metrics));
    assert_int_equal(access(testing_path("nothing.jsonl"), F_OK), 0);
    weir_metrics_close(metrics);
    assert_int_not_equal(access(testing_path("nothing.jsonl"), F_OK), 0);
    char target[32];
    assert_int_equal(readlink(testing_path("link.jsonl"), target, sizeof target), 13);
}

static void a_metrics_file_is_told_from_others(void **state)
{
    (void)state;
    weir_metrics *metrics;
    const char *path = testing_path("told.jsonl");
    struct weir_metrics_step step = step_make(0);
    assert_true(weir_metrics_is_file(path));
    assert_ok(weir_file_write(path, "", 0));
    assert_true(weir_metrics_is_file(path));
    assert_ok(weir_file_write(path, "{\"step\"", 7));
    assert_false(weir_metrics_is_file(path));
    assert_ok(weir_file_write(path, "notes of a week", 15));
    assert_false(weir_metrics_is_file(path));
    assert_ok(weir_metrics_open(path, 1, &metrics));
    assert_ok(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    assert_true(weir_metrics_is_file(path));
    assert_true(weir_metrics_is_file("/dev/null"));
}

static void two_writers_of_one_file_are_told(void **state)
{
    (void)state;
    weir_metrics *metrics, *second = NULL;
    const char *path = testing_path("locked.jsonl");
    struct weir_metrics_step step = step_make(0);
    assert_ok(weir_metrics_open(path, 1, &metrics));
    assert_fails(weir_metrics_open(path, 1, &second), WEIR_ERR_IO, "locked.jsonl' is being written by another run");
    pid_t child = fork(); /* another process is refused too, and the file stays */
    if (!child)
        _exit(weir_metrics_open(testing_path("locked.jsonl"), 1, &second) == WEIR_ERR_IO ? 0 : 1);
    int outcome;
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_true(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);
    assert_ok(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    assert_ok(weir_metrics_open(path, 1, &second));
    weir_metrics_close(second);
}

static void an_unwritable_place_is_known_at_once(void **state)
{
    (void)state;
    weir_metrics *metrics = NULL;
    assert_fails(weir_metrics_open(testing_path("none/m.jsonl"), 1, &metrics), WEIR_ERR_IO,
                 "none/m.jsonl': No such file");
    assert_fails(weir_metrics_open(testing_dir(), 1, &metrics), WEIR_ERR_IO, "Is a directory");
    for (int budget = 0; budget < 3; budget++) {
        weir_alloc_set_budget(budget);
        assert_fails(weir_metrics_open(testing_path("m.jsonl"), 1, &metrics), WEIR_ERR_NOMEM, "out of memory");
        weir_alloc_set_budget(-1);
    }
    assert_null(metrics);
    weir_metrics_close(NULL);
}

static void numbers_of_no_run_are_refused(void **state)
{
    (void)state;
    weir_metrics *metrics = NULL;
    const char *path = testing_path("numbers.jsonl");
    assert_fails(weir_metrics_open(path, 0, &metrics), WEIR_ERR_INVALID, "metrics of 0 ranks");
    assert_fails(weir_metrics_open(path, -3, &metrics), WEIR_ERR_INVALID, "metrics of -3 ranks");
    assert_null(metrics);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(weir_metrics_open(path, 1, &metrics));
    assert_fails(weir_metrics_continue(metrics, -1), WEIR_ERR_INVALID, "after -1 steps");
    weir_metrics_close(metrics);
}

static void a_run_is_one_object_on_one_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL, "", "tiny", "[1]", "{", "{\"a\": 1}, \"b\": 2", "{\"a\":\n1}", "{} {}"};
    weir_metrics *metrics;
    const char *path = testing_path("object.jsonl");
    struct weir_metrics_step step = step_make(0);
    step.peak_bytes = NULL; /* not said */
    assert_ok(weir_metrics_open(path, 2, &metrics));
    assert_ok(weir_metrics_run(metrics, " {\"a\": 1}"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_fails(weir_metrics_run(metrics, wrong[i]), WEIR_ERR_INVALID, "what ");
    assert_ok(weir_metrics_write(metrics, &step));
    weir_metrics_close(metrics);
    char *text = content(path);
    assert_string_equal(text, "{\"run\": {\"a\": 1}}\n{\"step\": 0, \"loss\": 5.5, \"grad_norm\": 0.10000000149011612, \"lr\": 0.001, "
                              "\"tokens_per_s\": 41250.5, \"step_ms\": 49.6, \"bubble\": 0.125}\n");
    weir_free(text);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    weir_metrics *metrics;
    struct weir_metrics_step step = step_make(0);
    assert_ok(weir_metrics_open("/dev/full", 1, &metrics));
    assert_fails(weir_metrics_write(metrics, &step), WEIR_ERR_IO, "'/dev/full': No space left on device");
    weir_metrics_close(metrics);
}

/* A limit on the size of files plays the disk that fills up in the middle of a line. */
static void a_line_that_does_not_fit_is_taken_back(void **state)
{
    (void)state;
    weir_metrics *metrics;
    struct rlimit old, small;
    struct weir_metrics_step step = step_make(0);
    const char *path = testing_path("limited.jsonl");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_ok(weir_metrics_open(path, 1, &metrics));
    assert_ok(weir_metrics_write(metrics, &step));
    char *before = content(path);
    small = old;
    small.rlim_cur = strlen(before) + 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    weir_status status = weir_metrics_write(metrics, &step);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, WEIR_ERR_IO);
    assert_non_null(strstr(weir_last_error(), "limited.jsonl': File too large"));
    weir_metrics_close(metrics);
    char *after = content(path);
    assert_string_equal(before, after);
    weir_free(before);
    weir_free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_an_object_with_all_fields),
        cmocka_unit_test(flops_and_their_share_stand_where_they_are_said),
        cmocka_unit_test(a_validation_loss_stands_on_the_lines_that_have_one),
        cmocka_unit_test(the_first_line_says_what_the_run_is),
        cmocka_unit_test(numbers_read_back_to_the_same_bits),
        cmocka_unit_test(what_json_cannot_say_is_null),
        cmocka_unit_test(a_point_stays_a_point_in_every_locale),
        cmocka_unit_test(what_was_there_stays_until_the_first_step),
        cmocka_unit_test(a_file_made_for_nothing_is_removed),
        cmocka_unit_test(a_metrics_file_is_told_from_others),
        cmocka_unit_test(two_writers_of_one_file_are_told),
        cmocka_unit_test(an_unwritable_place_is_known_at_once),
        cmocka_unit_test(numbers_of_no_run_are_refused),
        cmocka_unit_test(a_run_is_one_object_on_one_line),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_line_that_does_not_fit_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
