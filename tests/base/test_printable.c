/* printable: text of others in one line of a terminal.   labels: pure */
#include "tests/support/testing.h"

#include <string.h>

#include "base/log.h"
#include "base/printable.h"

static void what_a_terminal_would_obey_is_written_out(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"", ""},
        {"plain 'name' with \\ and \"", "plain 'name' with \\ and \""},
        {"a\x1b[2Jb", "a\\x1b[2Jb"},
        {"a\nb\tc\rd\x7f", "a\\nb\\tc\\rd\\x7f"},
        {"\x01\x02", "\\x01\\x02"},
        {"caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"},
        {"\xc2\x9b" "2J", "\\u009b2J"},
        {"x\xe2\x80\xae" "exe.txt", "x\\u202eexe.txt"},
        {"\xe2\x80\xa8", "\\u2028"},
        {"\xff\xc3", "\\xff\\xc3"},
        {"\xc0\x8a", "\\xc0\\x8a"},         /* an overlong newline */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* half of a pair */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
        {"\xe2\x80", "\\xe2\\x80"},
        {"\x80", "\\x80"},
    };
    char out[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(weir_printable(rows[i].text, out, sizeof out), rows[i].shown);
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(weir_printable("abc\x1b" "d", out, 8), "abc\\x1b");
    assert_string_equal(weir_printable("abcd\x1b", out, 8), "abcd");
    assert_string_equal(weir_printable("abcdef\xc3\xa9", out, 8), "abcdef");
    assert_string_equal(weir_printable("abc", out, 1), "");
}

static void keep(enum weir_log_level level, const char *message, void *context)
{
    (void)level;
    strcpy(context, message);
}

static void a_log_line_is_one_line(void **state)
{
    (void)state;
    char message[4096] = "";
    weir_log_set(keep, message);
    weir_log(WEIR_LOG_ERROR, "'%s' is odd", "a\nb\x1b");
    weir_log_set(NULL, NULL);
    assert_string_equal(message, "'a\\nb\\x1b' is odd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_terminal_would_obey_is_written_out),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(a_log_line_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
