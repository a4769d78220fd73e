/* trace: a document that viewers can read, exact times, whole files.   labels: pure */
#include "tests/support/testing.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/trace.h"

static const struct weir_trace_row rows[] = {{0, 0, "compute"}, {0, 1, "to rank 1"}, {1, 0, "compute \"quoted\"\n"}};

enum { BASE_NS = 1000000000 };

#define EVENT(name_, rank_, stream_, category_, stage_, mb_, step_, start_, end_)                                        \
    .name = name_, .rank = rank_, .stream = stream_, .category = category_, .stage = stage_, .mb = mb_, .step = step_,   \
    .start_ns = BASE_NS + start_, .end_ns = BASE_NS + end_

static const struct weir_trace_event events[] = {
    {EVENT("0F0", 0, 0, WEIR_TRACE_FORWARD, 0, 0, 7, 1, 2000)},
    {EVENT("0SEND_F0", 0, 1, WEIR_TRACE_COPY, 0, 0, 7, 2000, 2500)},
    {EVENT("1F0", 1, 0, WEIR_TRACE_WAIT, 1, 0, 7, 0, 2500), .cause = "input", .peer = 0, .awaited = "0F0", .way_ns = 500},
    {EVENT("1F0", 1, 0, WEIR_TRACE_FORWARD, 1, 0, 7, 2500, 9999)},
    {EVENT("1B0", 1, 0, WEIR_TRACE_BACKWARD, 1, 0, 7, 9999, 30001)},
    {EVENT("1W0", 1, 0, WEIR_TRACE_WEIGHT, 1, 0, 7, 30001, 30001)},
    {EVENT("optimizer", 1, 0, WEIR_TRACE_OPTIMIZER, -1, -1, 7, 40000, 50000)},
    {EVENT("setup", 1, 0, WEIR_TRACE_COPY, -1, -1, -1, 60000, 70000)},
};

enum { N_EVENTS = sizeof events / sizeof events[0], N_ROWS = 3 };

static json_t *document(const char *name)
{
    weir_trace *trace;
    json_t *root;
    assert_ok(weir_trace_open(testing_path(name), rows, N_ROWS, N_EVENTS, &trace));
    uint64_t before = weir_alloc_count();
    weir_trace_add(trace, events, 3);
    weir_trace_add(trace, events + 3, N_EVENTS - 3);
    assert_int_equal(weir_alloc_count(), before);
    assert_int_not_equal(access(testing_path(name), F_OK), 0); /* nothing before it is whole */
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    assert_ok(weir_json_load(testing_path(name), &root));
    return root;
}

static const char *text_of(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text ? text : "";
}

static json_int_t number_of(const json_t *item, const char *key)
{
    const json_t *value = json_object_get(item, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static int64_t ns_of(const json_t *item, const char *key)
{
    return llround(json_number_value(json_object_get(item, key)) * 1000);
}

/* The next item with phase `phase` from *at on. */
static const json_t *item_next(const json_t *root, const char *phase, size_t *at)
{
    const json_t *items = json_object_get(root, "traceEvents");
    while (*at < json_array_size(items)) {
        const json_t *item = json_array_get(items, (*at)++);
        if (!strcmp(text_of(item, "ph"), phase))
            return item;
    }
    return NULL;
}

static void every_event_is_there_with_exact_times(void **state)
{
    (void)state;
    json_t *root = document("times.json");
    size_t at = 0;
    for (int i = 0; i < N_EVENTS; i++) {
        const json_t *item = item_next(root, "X", &at), *args = json_object_get(item, "args");
        const struct weir_trace_event *event = &events[i];
        assert_non_null(item);
        assert_int_equal(ns_of(item, "ts"), event->start_ns - BASE_NS);
        assert_int_equal(ns_of(item, "dur"), event->end_ns - event->start_ns);
        assert_int_equal(number_of(item, "pid"), event->rank);
        assert_int_equal(number_of(item, "tid"), event->stream);
        assert_int_equal(json_object_size(args), (event->stage >= 0) + (event->mb >= 0) + (event->step >= 0) + (event->cause ? 4 : 0));
        if (event->stage >= 0) {
            assert_int_equal(number_of(args, "stage"), event->stage);
            assert_int_equal(number_of(args, "mb"), event->mb);
            assert_int_equal(number_of(args, "step"), event->step);
        }
    }
    assert_null(item_next(root, "X", &at));
    json_decref(root);
}

static void waiting_is_told_apart_from_working(void **state)
{
    (void)state;
    json_t *root = document("wait.json");
    size_t at = 0;
    int n_waits = 0;
    for (const json_t *item; (item = item_next(root, "X", &at));) {
        bool wait = !strcmp(text_of(item, "cat"), "wait");
        n_waits += wait;
        assert_int_equal(wait, !strcmp(text_of(item, "cname"), "grey"));
        assert_int_equal(wait, !strncmp(text_of(item, "name"), "wait ", 5));
        const json_t *args = json_object_get(item, "args");
        assert_string_equal(text_of(args, "cause"), wait ? "input" : "");
        assert_string_equal(text_of(args, "awaited"), wait ? "0F0" : "");
        assert_true(!wait || (number_of(args, "peer") == 0 && ns_of(args, "way_us") == 500));
    }
    assert_int_equal(n_waits, 1);
    json_decref(root);
}

static void rows_have_names_in_order(void **state)
{
    (void)state;
    json_t *root = document("rows.json");
    size_t at = 0;
    int n_processes = 0, n_threads = 0;
    for (const json_t *item; (item = item_next(root, "M", &at));) {
        const json_t *args = json_object_get(item, "args");
        if (!strcmp(text_of(item, "name"), "process_name"))
            assert_string_equal(text_of(args, "name"), n_processes++ == 0 ? "rank 0" : "rank 1");
        if (!strcmp(text_of(item, "name"), "thread_name"))
            assert_string_equal(text_of(args, "name"), rows[n_threads++].name);
        if (!strcmp(text_of(item, "name"), "thread_sort_index"))
            assert_int_equal(number_of(args, "sort_index"), n_threads - 1);
    }
    assert_int_equal(n_processes, 2);
    assert_int_equal(n_threads, N_ROWS);
    json_decref(root);
}

/* On each row, an event starts after the one before it has ended: in written times, not only in ours. */
static void events_of_a_row_nest(void **state)
{
    (void)state;
    json_t *root = document("nest.json");
    int64_t ends[2][2] = {{0}};
    size_t at = 0;
    for (const json_t *item; (item = item_next(root, "X", &at));) {
        int64_t *end = &ends[number_of(item, "pid")][number_of(item, "tid")];
        assert_true(ns_of(item, "ts") >= *end);
        *end = ns_of(item, "ts") + ns_of(item, "dur");
    }
    json_decref(root);
}

static void a_wait_has_an_arrow_from_whom_it_awaited(void **state)
{
    (void)state;
    json_t *root = document("arrow.json");
    size_t at = 0;
    const json_t *from = item_next(root, "s", &at), *to = item_next(root, "f", &at);
    assert_true(number_of(from, "id") == number_of(to, "id"));
    assert_true(number_of(from, "pid") == 0 && number_of(to, "pid") == 1);
    assert_int_equal(ns_of(from, "ts"), 1999); /* within 0F0, which ends at 2000 */
    assert_int_equal(ns_of(to, "ts"), 2500);
    assert_string_equal(text_of(to, "bp"), "e");
    assert_null(item_next(root, "f", &at));
    json_decref(root);
}

static void what_the_run_was_goes_along(void **state)
{
    (void)state;
    weir_trace *trace;
    json_t *root;
    assert_ok(weir_trace_open(testing_path("about.json"), rows, N_ROWS, 3, &trace));
    assert_ok(weir_trace_about(trace, "{\"ranks\": 2}"));
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    assert_ok(weir_json_load(testing_path("about.json"), &root));
    assert_int_equal(number_of(json_object_get(root, "otherData"), "ranks"), 2);
    json_decref(root);
}

static void events_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    weir_trace *trace;
    json_t *root;
    assert_ok(weir_trace_open(testing_path("limit.json"), rows, N_ROWS, 3, &trace));
    weir_trace_add(trace, events, 2);
    weir_trace_add(trace, events, 2);
    weir_trace_add(trace, events, 2);
    assert_int_equal(weir_trace_lost(trace), 3);
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    assert_ok(weir_json_load(testing_path("limit.json"), &root));
    assert_int_equal(number_of(root, "lostEvents"), 3);
    json_decref(root);
}

static void an_empty_trace_is_a_document(void **state)
{
    (void)state;
    weir_trace *trace;
    json_t *root;
    assert_ok(weir_trace_open(testing_path("bare.json"), NULL, 0, 0, &trace));
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    assert_ok(weir_json_load(testing_path("bare.json"), &root));
    assert_int_equal(json_array_size(json_object_get(root, "traceEvents")), 0);
    json_decref(root);
}

static int files_with(const char *words)
{
    int n = 0;
    DIR *folder = opendir(testing_dir());
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += strstr(entry->d_name, words) != NULL;
    closedir(folder);
    return n;
}

static void a_trace_that_is_not_written_leaves_nothing(void **state)
{
    (void)state;
    weir_trace *trace;
    assert_ok(weir_file_write(testing_path("old.json"), "old", 3));
    assert_ok(weir_trace_open(testing_path("old.json"), rows, N_ROWS, 10, &trace));
    assert_int_equal(files_with("old.json"), 1);
    weir_trace_close(trace);
    assert_int_equal(files_with("old.json"), 1);
    char *text;
    size_t bytes;
    assert_ok(weir_file_read(testing_path("old.json"), 100, &text, &bytes));
    assert_string_equal(text, "old");
    weir_free(text);
    weir_trace_close(NULL);
}

static void a_link_stays_a_link_and_permissions_stay(void **state)
{
    (void)state;
    weir_trace *trace;
    struct stat info;
    const char *path = testing_path("link.json"), *target = testing_path("linked.json");
    assert_ok(weir_file_write(target, "old", 3));
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(symlink("linked.json", path), 0);
    assert_ok(weir_trace_open(path, rows, N_ROWS, 10, &trace));
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(lstat(target, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_true(S_ISREG(info.st_mode) && info.st_size > 3);
}

/* A trace of a good event and this one. */
static weir_status written_with(struct weir_trace_event event)
{
    weir_trace *trace;
    assert_ok(weir_trace_open(testing_path("flaw.json"), rows, N_ROWS, 2, &trace));
    weir_trace_add(trace, events, 1);
    weir_trace_add(trace, &event, 1);
    weir_status status = weir_trace_write(trace);
    weir_trace_close(trace);
    return status;
}

static void an_event_that_cannot_be_is_named(void **state)
{
    (void)state;
    const struct weir_trace_event good = events[2];
    struct weir_trace_event event = good;
    event.end_ns = event.start_ns - 1;
    assert_fails(written_with(event), WEIR_ERR_INVALID, "event 1, '1F0', ends before it starts");
    event = good;
    event.name = NULL;
    assert_fails(written_with(event), WEIR_ERR_INVALID, "event 1, '', has no name");
    event.name = "\xff";
    assert_fails(written_with(event), WEIR_ERR_INVALID, "no UTF-8");
    event = good;
    event.awaited = NULL;
    assert_fails(written_with(event), WEIR_ERR_INVALID, "has a cause, and no name of what it waited for");
    event = good;
    event.category = (enum weir_trace_category)55;
    assert_fails(written_with(event), WEIR_ERR_INVALID, "category 55");
    event = good;
    event.stream = 7;
    assert_fails(written_with(event), WEIR_ERR_INVALID, "of a row that was not given: rank 1, stream 7");
    event = good;
    event.start_ns = INT64_MIN;
    event.end_ns = INT64_MAX;
    assert_fails(written_with(event), WEIR_ERR_INVALID, "100 years");
    assert_int_equal(files_with("flaw.json"), 0);
}

static void every_text_and_time_of_an_event_is_json(void **state)
{
    (void)state;
    struct weir_trace_event event = events[2];
    json_t *root;
    size_t at = 0;
    event.cause = "\"slot\"";
    event.way_ns = -1500;
    assert_ok(written_with(event));
    assert_ok(weir_json_load(testing_path("flaw.json"), &root));
    item_next(root, "X", &at);
    const json_t *args = json_object_get(item_next(root, "X", &at), "args");
    assert_string_equal(text_of(args, "cause"), "\"slot\"");
    assert_int_equal(ns_of(args, "way_us"), -1500);
    json_decref(root);
}

static void what_a_trace_is_of_is_looked_at(void **state)
{
    (void)state;
    static const struct weir_trace_row nameless = {0, 0, NULL};
    weir_trace *trace = NULL;
    const char *path = testing_path("of.json");
    json_t *root;
    assert_fails(weir_trace_open(path, rows, -1, 3, &trace), WEIR_ERR_INVALID, "-1 rows");
    assert_fails(weir_trace_open(path, NULL, 2, 3, &trace), WEIR_ERR_INVALID, "2 rows at NULL");
    assert_fails(weir_trace_open(path, &nameless, 1, 3, &trace), WEIR_ERR_INVALID, "row 0 of the trace has no name");
    assert_null(trace);
    assert_ok(weir_trace_open(path, rows, N_ROWS, 3, &trace));
    assert_ok(weir_trace_about(trace, "{\"ranks\": 2}"));
    assert_fails(weir_trace_about(trace, NULL), WEIR_ERR_INVALID, "NULL");
    assert_fails(weir_trace_about(trace, ""), WEIR_ERR_INVALID, "empty");
    assert_fails(weir_trace_about(trace, "[1]"), WEIR_ERR_INVALID, "JSON object, not '[1]'");
    assert_fails(weir_trace_about(trace, "{\"ranks\": 3"), WEIR_ERR_INVALID, "what the trace is about");
    assert_fails(weir_trace_about(trace, "{}, \"a\": {}"), WEIR_ERR_INVALID, "what the trace is about");
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    assert_ok(weir_json_load(path, &root));
    assert_int_equal(number_of(json_object_get(root, "otherData"), "ranks"), 2);
    json_decref(root);
}

static void an_unwritable_place_is_known_at_once(void **state)
{
    (void)state;
    weir_trace *trace = NULL;
    assert_fails(weir_trace_open(testing_path("none/t.json"), rows, N_ROWS, 10, &trace), WEIR_ERR_IO,
                 "none/t.json': No such file");
    assert_fails(weir_trace_open(testing_dir(), rows, N_ROWS, 10, &trace), WEIR_ERR_IO, "Is a directory");
    assert_fails(weir_trace_open(testing_path("unwritten.json"), rows, N_ROWS, SIZE_MAX / 4, &trace), WEIR_ERR_NOMEM,
                 "out of memory");
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        weir_alloc_set_budget(budget);
        status = weir_trace_open(testing_path("unwritten.json"), rows, N_ROWS, 10, &trace);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
    }
    weir_trace_close(trace);
    assert_int_equal(files_with("unwritten.json"), 0);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    weir_trace *trace;
    assert_ok(weir_trace_open("/dev/full", rows, N_ROWS, N_EVENTS, &trace));
    weir_trace_add(trace, events, N_EVENTS);
    assert_fails(weir_trace_write(trace), WEIR_ERR_IO, "'/dev/full': No space left on device");
    weir_trace_close(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_is_there_with_exact_times),
        cmocka_unit_test(waiting_is_told_apart_from_working),
        cmocka_unit_test(rows_have_names_in_order),
        cmocka_unit_test(events_of_a_row_nest),
        cmocka_unit_test(a_wait_has_an_arrow_from_whom_it_awaited),
        cmocka_unit_test(what_the_run_was_goes_along),
        cmocka_unit_test(events_beyond_the_limit_are_counted),
        cmocka_unit_test(an_empty_trace_is_a_document),
        cmocka_unit_test(a_trace_that_is_not_written_leaves_nothing),
        cmocka_unit_test(a_link_stays_a_link_and_permissions_stay),
        cmocka_unit_test(an_event_that_cannot_be_is_named),
        cmocka_unit_test(every_text_and_time_of_an_event_is_json),
        cmocka_unit_test(what_a_trace_is_of_is_looked_at),
        cmocka_unit_test(an_unwritable_place_is_known_at_once),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
