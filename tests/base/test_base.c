/* base: statuses, arena, allocator budget, random numbers, text, JSON.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/replace.h"
#include "base/text.h"

static void the_first_detector_records_the_message(void **state)
{
    (void)state;
    assert_int_equal(WEIR_FAIL(WEIR_ERR_NOFIT, "stage %d needs %d bytes", 2, 7), WEIR_ERR_NOFIT);
    assert_string_equal(weir_last_error(), "stage 2 needs 7 bytes");
    weir_error_prefix(WEIR_ERR_NOFIT, "row %d: ", 3);
    assert_string_equal(weir_last_error(), "row 3: stage 2 needs 7 bytes");
    assert_int_equal(weir_status_exit_code(WEIR_ERR_NOFIT), 3);
    for (int s = 0; s < WEIR_STATUS_COUNT; s++)
        assert_string_not_equal(weir_status_str((weir_status)s), "unknown status");
}

static void shout(void *context, const char *name, const char *value, char *out, size_t room)
{
    snprintf(out, room, "%s%s<%s>", (const char *)context, name, value);
}

static void options_in_a_message_are_data(void **state)
{
    (void)state;
    char text[WEIR_ERROR_MAX], name[32] = "", value[32] = "", kept[WEIR_ERROR_MAX];
    WEIR_FAIL(WEIR_ERR_USAGE, "%d layers: use " WEIR_OPTION("stages=%d") " or a smaller " WEIR_OPTION("seq_len"), 3, 2);
    assert_string_equal(weir_last_error(), "3 layers: use stages=2 or a smaller seq_len");
    weir_error_word(shout, (void *)(uintptr_t)"--", text);
    assert_string_equal(text, "3 layers: use --stages<2> or a smaller --seq_len<>");
    assert_int_equal(weir_error_option(0, name, value, sizeof name), 2);
    assert_string_equal(name, "stages");
    assert_string_equal(value, "2");
    assert_int_equal(weir_error_option(1, name, value, sizeof name), 2);
    assert_string_equal(name, "seq_len");
    assert_string_equal(value, "");
    weir_error_prefix(WEIR_ERR_USAGE, "rank 1: ");
    weir_error_take(kept);
    weir_error_put("");
    assert_int_equal(weir_error_option(0, name, value, sizeof name), 0);
    weir_error_put(kept);
    assert_string_equal(weir_last_error(), "rank 1: 3 layers: use stages=2 or a smaller seq_len");
}

static void what_names_bring_into_a_message_is_harmless_for_a_terminal(void **state)
{
    (void)state;
    char text[WEIR_ERROR_MAX];
    WEIR_FAIL(WEIR_ERR_IO, "cannot open '%s': use " WEIR_OPTION("stages=%d"), "a\033[2J\nb\002c\001d", 2);
    assert_string_equal(weir_last_error(), "cannot open 'a\\x1b[2J\\nb\\x02c\\x01d': use stages=2");
    weir_error_prefix(WEIR_ERR_IO, "'%s': ", "\xe2\x80\xae\xff");
    assert_string_equal(weir_last_error(), "'\\u202e\\xff': cannot open 'a\\x1b[2J\\nb\\x02c\\x01d': use stages=2");
    weir_error_word(shout, (void *)(uintptr_t)"--", text);
    assert_non_null(strstr(text, "use --stages<2>"));
    WEIR_FAIL(WEIR_ERR_IO, "'%s'", "\303\251\t");
    assert_string_equal(weir_last_error(), "'\303\251\\t'");
}

static void a_message_cut_within_an_option_is_still_worded(void **state)
{
    (void)state;
    char long_name[WEIR_ERROR_MAX], text[WEIR_ERROR_MAX];
    memset(long_name, 'x', sizeof long_name);
    long_name[WEIR_ERROR_MAX - 6] = 0;
    WEIR_FAIL(WEIR_ERR_USAGE, "%s" WEIR_OPTION("stages=%d"), long_name, 2);
    weir_error_word(shout, (void *)(uintptr_t)"--", text);
    assert_int_equal(strlen(text), WEIR_ERROR_MAX - 1);
    assert_string_equal(weir_last_error() + WEIR_ERROR_MAX - 6, "stag");
}

static void an_arena_keeps_pointers_and_aligns(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    char *blocks[2000];
    for (int i = 0; i < 2000; i++) {
        size_t n = (size_t)(i * 37) % 5000 + 1;
        assert_ok(weir_arena_alloc(&arena, n, 1, &blocks[i]));
        assert_int_equal((uintptr_t)blocks[i] % (n >= 64 ? 64 : 16), 0);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], i & 127, n);
    }
    for (int i = 0; i < 2000; i++)
        assert_int_equal(blocks[i][(size_t)(i * 37) % 5000], i & 127);
    char *huge;
    assert_fails(weir_arena_alloc(&arena, SIZE_MAX / 2, 4, &huge), WEIR_ERR_NOMEM, "out of memory");
    weir_arena_release(&arena);
    assert_int_equal(arena.bytes, 0);
}

static void an_array_in_an_arena_grows_and_keeps_its_items(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    int *items = NULL;
    size_t room = 0;
    for (int n = 0; n < 1000; n++) {
        assert_ok(weir_arena_grow(&arena, &items, &room, (size_t)n + 1, sizeof *items));
        assert_int_equal(items[n], 0);
        items[n] = n + 1;
    }
    for (int n = 0; n < 1000; n++)
        assert_int_equal(items[n], n + 1);
    assert_int_equal(room, 1024);
    assert_ok(weir_arena_grow(&arena, &items, &room, 5000, sizeof *items));
    assert_int_equal(room, 5000);
    int *before = items;
    assert_fails(weir_arena_grow(&arena, &items, &room, SIZE_MAX, sizeof *items), WEIR_ERR_NOMEM, "out of memory");
    assert_true(items == before && room == 5000);
    weir_arena_release(&arena);
}

static void a_failed_allocation_is_a_status(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    void *p = &arena;
    weir_alloc_set_budget(0);
    assert_fails(weir_arena_alloc(&arena, 1, 1, &p), WEIR_ERR_NOMEM, "out of memory");
    assert_ptr_equal(p, &arena);
    weir_alloc_set_budget(-1);
    assert_ok(weir_arena_alloc(&arena, 1, 1, &p));
    weir_arena_release(&arena);
}

/* Known answers of the Random123 distribution (kat_vectors, philox 4x32 10). */
static void claims_of_room_add_up_until_they_are_released(void **state)
{
    (void)state;
    const size_t half = (size_t)1 << 46; /* four of it are more than the addresses of a process */
    assert_ok(weir_room_claim(1 << 20));
    assert_fails(weir_room_claim(4 * half), WEIR_ERR_NOMEM, "no room for");
    assert_fails(weir_room_claim(4 * half), WEIR_ERR_NOMEM, "no room for 281474977759232 bytes"); /* with the first claim */
    weir_room_release(1 << 20);
    assert_fails(weir_room_claim(4 * half), WEIR_ERR_NOMEM, "no room for 281474976710656 bytes");
    assert_ok(weir_room_claim(0));
}

static void philox_gives_the_published_numbers(void **state)
{
    (void)state;
    static const struct {
        uint32_t c[4];
        uint64_t key;
        uint32_t v[4];
    } rows[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         0x299f31d0a4093822ull,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_rng_block b =
            weir_rng_philox(rows[i].key, rows[i].c[0], rows[i].c[1], rows[i].c[2], rows[i].c[3]);
        assert_memory_equal(b.v, rows[i].v, sizeof b.v);
    }
}

static void normal_numbers_have_mean_0_and_variance_1(void **state)
{
    (void)state;
    uint64_t key = weir_rng_key(7, "wte.weight");
    assert_int_not_equal(key, weir_rng_key(8, "wte.weight"));
    double sum = 0, squares = 0;
    int n = 200000;
    for (int i = 0; i < n; i++) {
        double x = weir_rng_normal(key, (uint64_t)i);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / n) < 0.01);
    assert_true(fabs(squares / n - 1) < 0.02);
}

static void filling_gives_the_numbers_one_by_one(void **state)
{
    (void)state;
    uint64_t key = weir_rng_key(7, "wte.weight");
    float filled[64];
    static const uint64_t firsts[] = {0, 1, 2, 3, 4, 4294967295u, (1ull << 34) - 2};
    for (size_t k = 0; k < sizeof firsts / sizeof firsts[0]; k++)
        for (int n = 0; n <= 64; n += 7) {
            weir_rng_fill_normal(key, firsts[k], n, 0.02, filled);
            for (int i = 0; i < n; i++) {
                float wanted = (float)((double)weir_rng_normal(key, firsts[k] + (uint64_t)i) * 0.02);
                assert_memory_equal(&filled[i], &wanted, sizeof wanted);
            }
        }
}

static void numbers_are_parsed_strictly(void **state)
{
    (void)state;
    int64_t i;
    double d;
    assert_true(weir_parse_int64("-42", &i) && i == -42);
    static const char *const bad[] = {"", "x", "1x", " 1", "1 ", "0x10", "99999999999999999999", "1e3", "-", "+-1"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        assert_false(weir_parse_int64(bad[k], &i));
    assert_true(weir_parse_double("1e-3", &d) && d == 1e-3);
    assert_false(weir_parse_double("nan", &d) || weir_parse_double("inf", &d) || weir_parse_double("1e-3x", &d));
}

static void a_typo_gets_a_suggestion(void **state)
{
    (void)state;
    static const char *const names[] = {"gpipe", "1f1b", "interleaved", NULL};
    assert_string_equal(weir_suggest("gpip", names), "gpipe");
    assert_string_equal(weir_suggest("interlaeved", names), "interleaved");
    assert_string_equal(weir_suggest("1fb", names), "1f1b");
    assert_null(weir_suggest("completely-else", names));
}

static void an_unknown_word_gets_a_suggestion_or_the_whole_set(void **state)
{
    (void)state;
    static const char *const names[] = {"sgd", "adamw", NULL};
    assert_fails(weir_unknown("optimizer", "adam", names), WEIR_ERR_USAGE,
                 "unknown optimizer 'adam': did you mean 'adamw'?");
    assert_fails(weir_unknown("optimizer", "lion-x-9", names), WEIR_ERR_USAGE,
                 "unknown optimizer 'lion-x-9': it is one of sgd, adamw");
}

static void files_are_written_whole_or_not_at_all(void **state)
{
    (void)state;
    char path[4200];
    snprintf(path, sizeof path, "%s/file", testing_dir());
    assert_ok(weir_file_write(path, "hello", 5));
    char *data;
    size_t bytes;
    assert_ok(weir_file_read(path, 100, &data, &bytes));
    assert_int_equal(bytes, 5);
    assert_string_equal(data, "hello");
    weir_free(data);
    assert_fails(weir_file_read(path, 4, &data, &bytes), WEIR_ERR_INVALID, "larger than");
    snprintf(path, sizeof path, "%s/none/file", testing_dir());
    assert_fails(weir_file_write(path, "x", 1), WEIR_ERR_IO, "No such file");
    assert_fails(weir_file_read(path, 4, &data, &bytes), WEIR_ERR_IO, "cannot open");
}

static void json_errors_name_file_and_line(void **state)
{
    (void)state;
    json_t *root;
    const char *text = "{\n\"a\": 1, \"b\": 2.5, \"c\": \"x\"}";
    assert_ok(weir_json_parse(text, strlen(text), "t.json", &root));
    int64_t i;
    double d;
    assert_ok(weir_json_integer(root, "t.json", "a", &i));
    assert_ok(weir_json_number(root, "t.json", "b", &d));
    assert_fails(weir_json_integer(root, "t.json", "b", &i), WEIR_ERR_INVALID, "'b' is a real");
    assert_fails(weir_json_number(root, "t.json", "z", &d), WEIR_ERR_INVALID, "'z' is missing");
    static const char *const known[] = {"a", "b", "label", NULL};
    assert_fails(weir_json_keys(root, "t.json", known + 1), WEIR_ERR_INVALID, "t.json: unknown key 'a': ");
    assert_fails(weir_json_keys(json_object_get(root, "a"), "a", known), WEIR_ERR_INVALID, "a must be an object");
    json_decref(root);
    assert_fails(weir_json_parse("{\n\"a\":1,\"a\":2}", 15, "t.json", &root), WEIR_ERR_INVALID, "'t.json' line 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_detector_records_the_message),
        cmocka_unit_test(options_in_a_message_are_data),
        cmocka_unit_test(what_names_bring_into_a_message_is_harmless_for_a_terminal),
        cmocka_unit_test(a_message_cut_within_an_option_is_still_worded),
        cmocka_unit_test(an_arena_keeps_pointers_and_aligns),
        cmocka_unit_test(an_array_in_an_arena_grows_and_keeps_its_items),
        cmocka_unit_test(a_failed_allocation_is_a_status),
        cmocka_unit_test(claims_of_room_add_up_until_they_are_released),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(normal_numbers_have_mean_0_and_variance_1),
        cmocka_unit_test(filling_gives_the_numbers_one_by_one),
        cmocka_unit_test(numbers_are_parsed_strictly),
        cmocka_unit_test(a_typo_gets_a_suggestion),
        cmocka_unit_test(an_unknown_word_gets_a_suggestion_or_the_whole_set),
        cmocka_unit_test(files_are_written_whole_or_not_at_all),
        cmocka_unit_test(json_errors_name_file_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
