/* Flight records are written without waiting for long. */
#include "tests/support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "engine/run/flight_write.h"

enum { LONG = 300000 }; /* more than a pipe takes */

static char folder[] = "/tmp/weir-flight.XXXXXX", path[64];

/* In place of the C library's. */
static _Atomic int n_syncs;
int fsync(int file)
{
    (void)file;
    n_syncs++;
    return 0;
}

static struct weir_text text_of(int n)
{
    struct weir_text text = {0};
    for (int i = 0; i < n / 10; i++)
        weir_text_append(&text, "%09d\n", i);
    return text;
}

static void a_record_is_a_file_of_its_text(void **state)
{
    (void)state;
    struct weir_text text = text_of(1000);
    char *read;
    size_t bytes;
    assert_ok(weir_flight_write(path, &text));
    assert_null(text.data);
    assert_ok(weir_file_read(path, LONG, &read, &bytes));
    assert_int_equal(bytes, 1000);
    assert_memory_equal(read + 990, "000000099\n", 10);
    weir_free(read);
    assert_int_equal(n_syncs, 0); /* no disk is waited for */
    assert_ok(weir_file_write(path, "x", 1));
    assert_int_equal(n_syncs, 2); /* the file and its folder: they are counted */
    unlink(path);
}

static void a_record_that_cannot_be_written_says_why(void **state)
{
    (void)state;
    struct weir_text text = text_of(10);
    assert_int_equal(weir_flight_write("/nowhere/at/all", &text), WEIR_ERR_IO);
    assert_non_null(strstr(weir_last_error(), "/nowhere/at/all"));
    assert_null(text.data);
}

/* Who asks goes on while nobody takes what is written; what is left behind still comes to its end. */
static void a_file_that_takes_nothing_holds_nobody_up(void **state)
{
    (void)state;
    struct weir_text text = text_of(LONG);
    char some[4096];
    size_t got = 0;
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(weir_flight_write(path, &text), WEIR_ERR_IO);
    assert_non_null(strstr(weir_last_error(), "its disk stands still"));
    while (got < LONG) {
        ssize_t n = read(reader, some, sizeof some);
        assert_true(n != 0);
        got += n > 0 ? (size_t)n : 0;
        if (n < 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    close(reader);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_a_file_of_its_text),
        cmocka_unit_test(a_record_that_cannot_be_written_says_why),
        cmocka_unit_test(a_file_that_takes_nothing_holds_nobody_up),
    };
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/record", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
