/* What this build and this machine have, as programs see it.
 * labels: pure */
#include "tests/support/testing.h"

#include <string.h>

#include "include/weir/info.h"
#include "weir_libraries.h"

static int place(const char *(*name)(int), const char *wanted)
{
    int i = 0;
    while (name(i) && strcmp(name(i), wanted))
        i++;
    return name(i) ? i : -1;
}

static void lists_are_whole_and_end(void **state)
{
    (void)state;
    for (int i = 0; weir_info_device(i); i++)
        assert_true(weir_info_device_summary(i) && place(weir_info_device, weir_info_device(i)) == i);
    for (int i = 0; weir_info_transport(i); i++)
        assert_true(weir_info_transport_summary(i) && place(weir_info_transport, weir_info_transport(i)) == i);
    for (int i = 0; weir_info_library(i); i++)
        assert_true(weir_info_library_option(i) && place(weir_info_library, weir_info_library(i)) == i);
    assert_true(place(weir_info_device, "cpu") >= 0 && place(weir_info_transport, "local") >= 0);
    assert_true(place(weir_info_library, "oneDNN") >= 0);
}

static void versions_are_those_of_libraries_that_are_there(void **state)
{
    (void)state;
    const char *onednn = weir_info_library_version(place(weir_info_library, "oneDNN"));
    const char *hwloc = weir_info_library_version(place(weir_info_library, "hwloc"));
    assert_int_equal(onednn != NULL, WEIR_HAVE_ONEDNN);
    assert_int_equal(hwloc != NULL, WEIR_HAVE_HWLOC);
    assert_true(weir_info_library_is_used(place(weir_info_library, "oneDNN")));
}

static void beyond_a_list_there_is_nothing(void **state)
{
    (void)state;
    int n = 7;
    for (int i = -1; i < 2000; i += 1000) {
        int beyond = i < 0 ? i : i + 1;
        assert_true(!weir_info_device(beyond) && !weir_info_device_summary(beyond));
        assert_true(!weir_info_transport(beyond) && !weir_info_transport_summary(beyond));
        assert_true(!weir_info_library(beyond) && !weir_info_library_version(beyond) && !weir_info_library_option(beyond));
        assert_false(weir_info_library_is_used(beyond));
        assert_fails(weir_info_device_count(beyond, &n), WEIR_ERR_INVALID, "there is no kind of device");
    }
    assert_int_equal(n, 7);
}

static void the_machine_is_described(void **state)
{
    (void)state;
    char text[256], cut[8];
    int n = 0;
    assert_ok(weir_info_machine(text, sizeof text));
    assert_non_null(strstr(text, "core"));
    assert_ok(weir_info_machine(cut, sizeof cut));
    assert_memory_equal(cut, text, sizeof cut - 1);
    assert_true(weir_info_cores() >= 1 && *weir_info_instructions());
    assert_ok(weir_info_device_count(place(weir_info_device, "cpu"), &n));
    assert_true(n >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_whole_and_end),
        cmocka_unit_test(versions_are_those_of_libraries_that_are_there),
        cmocka_unit_test(beyond_a_list_there_is_nothing),
        cmocka_unit_test(the_machine_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
