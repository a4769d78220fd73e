/* Structs of programs that were compiled with other headers.   labels: pure */
#include "tests/support/testing.h"

#include <string.h>

#include "base/grown.h"

struct old {
    size_t struct_bytes;
    int a;
    int b;
};

struct grown {
    size_t struct_bytes;
    int a;
    int b;
    double added;
};

static void a_smaller_struct_is_taken_and_what_it_lacks_is_zero(void **state)
{
    (void)state;
    struct old old = {sizeof old, 1, 2};
    struct grown own;
    memset(&own, 0x55, sizeof own);
    assert_ok(weir_grown_take("weir_x", "begin", &old, old.struct_bytes, &own, sizeof own));
    assert_true(own.a == 1 && own.b == 2 && own.added == 0);
}

static void a_larger_struct_is_taken_when_what_is_unknown_is_zero(void **state)
{
    (void)state;
    struct grown grown = {sizeof grown, 1, 2, 0};
    struct old own;
    assert_ok(weir_grown_take("weir_x", "begin", &grown, grown.struct_bytes, &own, sizeof own));
    assert_true(own.a == 1 && own.b == 2);
}

static void an_unknown_field_that_is_set_is_named(void **state)
{
    (void)state;
    struct grown grown = {sizeof grown, 1, 2, 0};
    struct old own;
    ((char *)&grown)[21] = 1;
    assert_fails(weir_grown_take("weir_x", "begin", &grown, grown.struct_bytes, &own, sizeof own), WEIR_ERR_INVALID,
                 "weir_x has 24 bytes, this library knows 16 of them, and byte 21 is set");
    assert_int_equal(own.a, 0);
}

static void a_size_that_no_version_has_says_how_to_begin(void **state)
{
    (void)state;
    struct old own, old = {0, 1, 2};
    assert_fails(weir_grown_take("weir_x", "start with f", &old, 0, &own, sizeof own), WEIR_ERR_INVALID, "start with f");
    assert_fails(weir_grown_take("weir_x", "start with f", &old, (size_t)-1, &own, sizeof own), WEIR_ERR_INVALID, "start with f");
    assert_fails(weir_grown_take("weir_x", "start with f", NULL, 0, &own, sizeof own), WEIR_ERR_INVALID, "it is NULL");
}

static void a_program_is_given_as_much_as_it_knows(void **state)
{
    (void)state;
    struct grown own[2] = {{0, 1, 2, 3.0}, {0, 4, 5, 6.0}}, same[2];
    struct old few[3];
    struct {
        struct grown known;
        int64_t beyond;
    } more[2];
    memset(few, 0x55, sizeof few);
    memset(more, 0x55, sizeof more);
    weir_grown_give_all(own, sizeof own[0], 2, few, sizeof few[0]);
    assert_true(few[0].a == 1 && few[0].b == 2 && few[1].a == 4 && few[1].b == 5 && few[2].a == 0x55555555);
    weir_grown_give_all(own, sizeof own[0], 2, more, sizeof more[0]);
    assert_true(more[0].known.added == 3.0 && more[1].known.added == 6.0 && more[0].beyond == 0 && more[1].beyond == 0);
    weir_grown_give_all(own, sizeof own[0], 2, same, sizeof same[0]);
    assert_memory_equal(own, same, sizeof own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_smaller_struct_is_taken_and_what_it_lacks_is_zero),
        cmocka_unit_test(a_larger_struct_is_taken_when_what_is_unknown_is_zero),
        cmocka_unit_test(an_unknown_field_that_is_set_is_named),
        cmocka_unit_test(a_size_that_no_version_has_says_how_to_begin),
        cmocka_unit_test(a_program_is_given_as_much_as_it_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
