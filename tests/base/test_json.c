/* base: JSON documents that are printed.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/replace.h"

static void assert_prints(json_t *root, const char *wanted)
{
    struct weir_text text = {0};
    weir_json_append(&text, root, 15);
    assert_ok(text.status);
    assert_string_equal(text.data, wanted);
    weir_text_release(&text);
}

static void numbers_have_no_more_characters_than_they_need(void **state)
{
    (void)state;
    const double values[] = {3, 0.25, 1e-05, 1e300, -0.5, 1.0 / 3};
    assert_prints(weir_json_reals(values, 6), "[3, 0.25, 1e-05, 1e+300, -0.5, 0.333333333333333]");
}

static void a_number_that_is_not_finite_is_null(void **state)
{
    (void)state;
    const double values[] = {INFINITY, NAN, 1};
    assert_prints(weir_json_reals(values, 3), "[null, null, 1]");
}

static void a_document_stands_in_one_line_in_the_order_of_its_keys(void **state)
{
    (void)state;
    assert_prints(json_pack("{s:b, s:n, s:i, s:{s:s}, s:[]}", "b", 1, "a", "n", 7, "in", "k", "v", "none"),
                  "{\"b\": true, \"a\": null, \"n\": 7, \"in\": {\"k\": \"v\"}, \"none\": []}");
}

static void a_string_of_any_bytes_is_a_string(void **state)
{
    (void)state;
    assert_prints(weir_json_utf8("a\"b\\c\n\xc3\xa4"), "\"a\\\"b\\\\c\\n\xc3\xa4\"");
    assert_prints(weir_json_utf8("0F\xff\xfe"), "\"0F??\"");
}

static void a_document_that_could_not_be_built_is_an_error(void **state)
{
    (void)state;
    struct weir_text text = {0};
    weir_json_append(&text, NULL, 15);
    assert_int_equal(text.status, WEIR_ERR_NOMEM);
    weir_text_release(&text);
}

static int passed = -1; /* allocations of jansson that are left; negative: no limit */

static void integers_of_any_size_are_read_where_they_may_be(void **state)
{
    (void)state;
    static const char text[] = "{\"model_max_length\": 1000000000000000019884624838656}";
    json_t *root;
    assert_ok(weir_file_write(testing_path("wide.json"), text, strlen(text)));
    assert_fails(weir_json_load(testing_path("wide.json"), &root), WEIR_ERR_INVALID, "too big integer");
    assert_ok(weir_json_load_wide(testing_path("wide.json"), &root));
    assert_true(json_number_value(json_object_get(root, "model_max_length")) == 1e30);
    json_decref(root);
}

static void a_file_with_nothing_in_it_is_said_to_be_empty(void **state)
{
    (void)state;
    json_t *root;
    assert_ok(weir_file_write(testing_path("empty.json"), "", 0));
    assert_fails(weir_json_load(testing_path("empty.json"), &root), WEIR_ERR_INVALID, "empty.json' is empty: it needs a JSON document");
    assert_fails(weir_json_parse(" \n", 2, "blank", &root), WEIR_ERR_INVALID, "'blank' is empty");
    assert_fails(weir_json_parse("\0", 1, "zero", &root), WEIR_ERR_INVALID, "'zero' line 1");
}

static void *json_malloc(size_t bytes)
{
    if (!passed)
        return NULL;
    passed -= passed > 0;
    return malloc(bytes);
}

static int fails_at = -1; /* the allocation of jansson that fails, from 0; negative: none */

static void *json_fail_once(size_t bytes)
{
    return fails_at-- == 0 ? NULL : malloc(bytes);
}

/* Memory that gives out never costs a document a member. */
static void a_document_is_printed_whole_or_not_at_all(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const char *whole = "", *text = "";
    int failed = 0;
    json_set_alloc_funcs(json_malloc, free);
    for (int n = -1; n < 200; n++) {
        json_t *root = json_pack("{s:i, s:[i, i], s:s}", "a long name of a member", 1, "shape", 2, 3, "text", "value");
        json_t *more = json_pack("{s:i, s:i}", "another name", 4, "one more name", 5);
        passed = n;
        weir_status status = weir_json_print(weir_json_joined(root, more), 2, &arena, &text);
        passed = -1;
        if (n < 0)
            whole = text;
        failed += status != WEIR_OK;
        if (status)
            assert_int_equal(status, WEIR_ERR_NOMEM);
        else
            assert_string_equal(text, whole);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(failed > 0);
    weir_arena_release(&arena);
}

/* Built in steps, none of which is looked at. */
static json_t *steps_build(void)
{
    json_t *root = json_object(), *list = json_array();
    for (int i = 0; i < 12; i++)
        weir_json_push(&list, json_integer(i));
    weir_json_set(&root, "a long name of a member", list);
    weir_json_set(&root, "another name", json_string("value"));
    return root;
}

static void a_document_that_is_built_in_steps_is_whole_or_none(void **state)
{
    (void)state;
    int built = 0;
    json_set_alloc_funcs(json_malloc, free);
    json_t *whole = steps_build();
    for (passed = 0; built == 0; passed++) {
        int kept = passed;
        json_t *root = steps_build();
        passed = kept;
        if (root)
            assert_true(json_equal(root, whole));
        built += root != NULL;
        json_decref(root);
    }
    assert_true(passed > 12);
    passed = -1;
    json_decref(whole);
    json_set_alloc_funcs(malloc, free);
}

/* jansson's own reading loses a byte at some of these. */
static void a_text_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char text[] = "{\"a name that is longer than sixteen bytes\": \"and a value that is longer than thirty-two bytes\"}";
    json_t *whole = NULL, *root = NULL;
    json_set_alloc_funcs(json_fail_once, free);
    fails_at = -1;
    assert_ok(weir_json_parse(text, strlen(text), "it", &whole));
    int n_allocations = -1 - fails_at;
    assert_in_range(n_allocations, 6, 60);
    for (int n = 0; n < n_allocations; n++) {
        fails_at = n;
        assert_fails(weir_json_parse(text, strlen(text), "it", &root), WEIR_ERR_NOMEM, "no memory to read 'it'");
    }
    assert_ok(weir_json_parse(text, strlen(text), "it", &root));
    assert_true(json_equal(root, whole));
    json_decref(root);
    json_decref(whole);
    json_set_alloc_funcs(malloc, free);
}

static void a_text_that_there_is_no_memory_to_read_is_not_called_wrong(void **state)
{
    (void)state;
    json_t *root = NULL;
    json_set_alloc_funcs(json_malloc, free);
    passed = 0;
    weir_status status = weir_json_parse("{}", 2, "it", &root);
    passed = -1;
    json_set_alloc_funcs(malloc, free);
    assert_fails(status, WEIR_ERR_NOMEM, "no memory to read 'it'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_no_more_characters_than_they_need),
        cmocka_unit_test(a_number_that_is_not_finite_is_null),
        cmocka_unit_test(a_document_stands_in_one_line_in_the_order_of_its_keys),
        cmocka_unit_test(a_string_of_any_bytes_is_a_string),
        cmocka_unit_test(a_document_that_could_not_be_built_is_an_error),
        cmocka_unit_test(integers_of_any_size_are_read_where_they_may_be),
        cmocka_unit_test(a_file_with_nothing_in_it_is_said_to_be_empty),
        cmocka_unit_test(a_document_is_printed_whole_or_not_at_all),
        cmocka_unit_test(a_document_that_is_built_in_steps_is_whole_or_none),
        cmocka_unit_test(a_text_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_text_that_there_is_no_memory_to_read_is_not_called_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
