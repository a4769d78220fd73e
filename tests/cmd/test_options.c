/* options: every number of every command at the edges of what it takes, and the words around them.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/replace.h"
#include "base/text.h"
#include "base/printable.h"
#include "cmd/command.h"

/* A text and what it is as a number. */
static const struct edge {
    const char *text;
    bool number; /* decimal, finite, nothing before or behind it */
    bool digits; /* of an optional sign and digits alone */
    double value;
} edges[] = {
    {"0", true, true, 0},
    {"00", true, true, 0},
    {"-0", true, true, 0},
    {"1", true, true, 1},
    {"+1", true, true, 1},
    {"2", true, true, 2},
    {"-1", true, true, -1},
    {"0.5", true, false, 0.5},
    {"1.5", true, false, 1.5},
    {".5", true, false, 0.5},
    {"1e3", true, false, 1000},
    {"1e-30", true, false, 1e-30},
    {"1e30", true, false, 1e30},
    {"-1e30", true, false, -1e30},
    {"1e400", false, false, 0},
    {"2147483648", true, true, 2147483648.0},
    {"4611686018427387904", true, true, 0x1p62},
    {"9223372036854775807", true, true, 0x1p63},
    {"9223372036854775808", true, false, 0x1p63},
    {"99999999999999999999999", true, false, 1e23},
    {"", false, false, 0},
    {" ", false, false, 0},
    {" 1", false, false, 0},
    {"1 ", false, false, 0},
    {"1x", false, false, 0},
    {"x", false, false, 0},
    {"-", false, false, 0},
    {"--", false, false, 0},
    {"1,5", false, false, 0},
    {"1e", false, false, 0},
    {"1.2.3", false, false, 0},
    {"0x10", false, false, 0},
    {"0x1p3", false, false, 0},
    {"nan", false, false, 0},
    {"-nan", false, false, 0},
    {"inf", false, false, 0},
    {"-inf", false, false, 0},
    {"infinity", false, false, 0},
    {"\n1", false, false, 0},
    {"\xd9\xa3", false, false, 0}, /* a digit of another script */
};

enum { N_EDGES = sizeof edges / sizeof edges[0], VALUES = 8192 };

static bool is_taken(const struct option_row *row, const struct edge *edge)
{
    if (row->kind == OPTION_BYTES)
        return edge->number && edge->value >= 1 && edge->value < 0x1p62 && edge->value == floor(edge->value) &&
               edge->text[0] != '+';
    return edge->number && (row->kind != OPTION_INT || edge->digits) && edge->value >= row->min && edge->value <= row->max;
}

static double value_of(const struct option_row *row, const char *values)
{
    double real;
    int64_t whole;
    memcpy(&real, values + row->offset, sizeof real);
    memcpy(&whole, values + row->offset, sizeof whole);
    return row->kind == OPTION_REAL ? real : (double)whole;
}

static weir_status word_parse(const struct option_table *table, const char *word, char values[VALUES], struct options *options)
{
    char text[256], name[] = "weir", *argv[] = {name, text, NULL};
    int n;
    enum option_outcome outcome;
    const char *positional[1];
    snprintf(text, sizeof text, "%s", word);
    return options_parse(options, table, 2, argv, values, positional, 1, &n, &outcome);
}

static void edge_check(const struct option_table *table, const struct option_row *row, const struct edge *edge)
{
    char word[256], quoted[256];
    _Alignas(16) char values[VALUES] = {0}, before[VALUES] = {0};
    struct options options;
    snprintf(word, sizeof word, "--%s=%s", row->name, edge->text);
    snprintf(quoted, sizeof quoted, "--%s takes ", row->name);
    weir_status status = word_parse(table, word, values, &options);
    bool taken = is_taken(row, edge);
    if (taken != !status || (taken && value_of(row, values) != edge->value))
        fail_msg("%s %s: %s, %.17g: %s", table->command, word, taken ? "must be taken" : "must be refused",
                 value_of(row, values), status ? weir_last_error() : "taken");
    if (!taken) {
        assert_fails(status, WEIR_ERR_USAGE, quoted);
        char shown[64];
        snprintf(quoted, sizeof quoted, "'%s'", weir_printable(edge->text, shown, sizeof shown));
        assert_fails(status, WEIR_ERR_USAGE, quoted);
        assert_memory_equal(values, before, sizeof values);
    }
    options_release(&options);
}

static bool is_number(const struct option_row *row)
{
    return row->kind == OPTION_INT || row->kind == OPTION_REAL || row->kind == OPTION_BYTES;
}

static void every_number_of_every_command_is_held_at_its_edges(void **state)
{
    (void)state;
    int n = 0;
    for (const struct command *const *command = commands; *command; command++)
        for (const struct option_table *const *table = (*command)->tables; *table; table++)
            for (const struct option_row *row = (*table)->rows; row->name; row++)
                for (int i = 0; i < N_EDGES && is_number(row); i++, n++)
                    edge_check(*table, row, &edges[i]);
    assert_true(n > 30 * N_EDGES);
}

static void every_number_has_bounds_and_every_row_its_words(void **state)
{
    (void)state;
    for (const struct command *const *command = commands; *command; command++)
        for (const struct option_table *const *table = (*command)->tables; *table; table++) {
            int n = 0;
            for (const struct option_row *row = (*table)->rows; row->name; row++, n++) {
                if ((row->kind == OPTION_INT || row->kind == OPTION_REAL) && !(row->max > row->min))
                    fail_msg("%s --%s has no bounds", (*table)->command, row->name);
                assert_true(*row->help && (row->kind == OPTION_FLAG) == !row->argument);
                assert_true(row->offset + sizeof(int64_t) <= VALUES);
                for (const struct option_row *other = (*table)->rows; other < row; other++)
                    assert_true(strcmp(other->name, row->name) != 0 && (!row->letter || other->letter != row->letter));
            }
            assert_true(n < OPTIONS_MOST_ROWS);
        }
}

/* ---- a table of its own -------------------------------------------------------------------------------------------- */

struct sample {
    const char *text, *config;
    int64_t whole, bytes;
    double real;
    bool flag, other;
};

static const struct option_row sample_rows[] = {
    {"text", 't', OPTION_TEXT, offsetof(struct sample, text), "T", "a text", 0, 0},
    {"whole", 'w', OPTION_INT, offsetof(struct sample, whole), "N", "a whole number", -5, 5},
    {"bytes", 0, OPTION_BYTES, offsetof(struct sample, bytes), "B", "bytes", 0, 0},
    {"real", 0, OPTION_REAL, offsetof(struct sample, real), "X", "a number", 0, 1},
    {"flag", 'f', OPTION_FLAG, offsetof(struct sample, flag), NULL, "a flag", 0, 0},
    {"other", 'o', OPTION_FLAG, offsetof(struct sample, other), NULL, "another", 0, 0},
    {"config", 'c', OPTION_TEXT, offsetof(struct sample, config), "FILE", "a configuration", 0, 0},
    {0},
};

static const struct option_table sample_table = {"sample", "WORD", "nothing", NULL, sample_rows, NULL};

/* Parse the words of `line`, separated by single blanks. */
static weir_status line_parse(const char *line, struct options *options, struct sample *sample, const char **positional,
                              int *n_out)
{
    static char words[1024];
    char *argv[64] = {words};
    int argc = 1;
    enum option_outcome outcome;
    snprintf(words, sizeof words, "%s", line);
    for (char *at = *line ? words : NULL; at; argc++) {
        argv[argc] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = 0;
    }
    return options_parse(options, &sample_table, argc, argv, sample, positional, 2, n_out, &outcome);
}

static void words_and_letters_mix_as_they_do_elsewhere(void **state)
{
    (void)state;
    struct options options;
    struct sample s = {0};
    const char *positional[2];
    int n;
    assert_ok(line_parse("one -fw-3 --text=a=b --real .25 - -o --bytes 1.5K", &options, &s, positional, &n));
    assert_int_equal(n, 2);
    assert_string_equal(positional[0], "one");
    assert_string_equal(positional[1], "-");
    assert_string_equal(s.text, "a=b");
    assert_true(s.flag && s.other && s.whole == -3 && s.real == 0.25 && s.bytes == 1536);
    assert_true(options_given(&options, "whole") && options_given(&options, "flag") && !options_given(&options, "config"));
    s = (struct sample){0};
    assert_ok(line_parse("-t --flag -- --other", &options, &s, positional, &n));
    assert_string_equal(s.text, "--flag");
    assert_true(n == 1 && !s.flag && !s.other);
    assert_string_equal(positional[0], "--other");
    assert_ok(line_parse("--bytes 3GiB -t =", &options, &s, positional, &n));
    assert_true(s.bytes == (int64_t)3 << 30);
    assert_string_equal(s.text, "=");
}

static void two_command_lines_do_not_know_each_other(void **state)
{
    (void)state;
    struct options first, second;
    struct sample a = {0}, b = {0};
    const char *positional[2];
    int n;
    assert_ok(line_parse("--whole 1", &first, &a, positional, &n));
    assert_ok(line_parse("--real 1", &second, &b, positional, &n));
    assert_true(options_given(&first, "whole") && !options_given(&first, "real"));
    assert_true(options_given(&second, "real") && !options_given(&second, "whole"));
}

static void text_of_a_configuration_lives_as_long_as_the_options(void **state)
{
    (void)state;
    struct options options;
    struct sample s = {0};
    const char *positional[2];
    char line[512];
    int n;
    assert_ok(weir_file_write(testing_path("c.json"), "{\"text\": \"from the file\", \"whole\": 2, \"flag\": true}", 51));
    snprintf(line, sizeof line, "--whole 3 -c %s", testing_path("c.json"));
    assert_ok(line_parse(line, &options, &s, positional, &n));
    assert_string_equal(s.text, "from the file");
    assert_true(s.whole == 3 && s.flag);
    assert_true(options_given(&options, "text") && options_given(&options, "flag"));
    options_release(&options);
    assert_ok(weir_file_write(testing_path("c.json"), "{\"text\": 7}", 11));
    assert_ok(line_parse(line, &options, &s, positional, &n));
    assert_string_equal(s.text, "7");
    options_release(&options);
    assert_ok(weir_file_write(testing_path("c.json"), "{\"bytes\": 0.5}", 14));
    assert_fails(line_parse(line, &options, &s, positional, &n), WEIR_ERR_USAGE, "c.json': --bytes takes bytes");
    options_release(&options);
}

static void what_was_stored_does_not_say_what_is_left_out(void **state)
{
    (void)state;
    struct options options;
    struct sample s = {0};
    const char *positional[2], *left_out[] = {"text", "flag", NULL};
    int n;
    assert_ok(line_parse("--whole 1", &options, &s, positional, &n));
    json_t *stored = json_pack("{s:i, s:i, s:s, s:b, s:i}", "whole", 7, "bytes", 9, "text", "/etc/passwd", "flag", 1, "unknown", 3);
    assert_ok(options_fill(&options, stored, "stored", left_out, &s));
    assert_true(s.whole == 1 && s.bytes == 9 && !s.text && !s.flag);
    assert_false(options_given(&options, "text"));
    options_release(&options);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"--wole 1", "unknown option '--wole': did you mean '--whole'?"},
        {"--whol=1", "unknown option '--whol': did you mean '--whole'?"},
        {"--", ""},
        {"-x", "unknown option '-x'"},
        {"-fx", "unknown option '-x'"},
        {"--whole", "option '--whole' needs a value"},
        {"-fw", "option '-w' needs a value"},
        {"--flag=1", "option '--flag=1' takes no value"},
        {"--help=1", "unknown option '--help'"},
        {"a b c", "unexpected argument 'c'"},
        {"-- a b -c", "unexpected argument '-c'"},
        {"-c a -c b", "--config is given twice"},
        {"--bytes 0", "--bytes takes bytes such as 512M or 4GiB, at least 1, not '0'"},
        {"--bytes 0.0001K", "not '0.0001K'"},
        {"--bytes 1KB3", "not '1KB3'"},
        {"--bytes 9999999T", "not '9999999T'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct options options;
        struct sample s = {0};
        const char *positional[2];
        int n;
        weir_status status = line_parse(rows[i].line, &options, &s, positional, &n);
        if (*rows[i].words)
            assert_fails(status, WEIR_ERR_USAGE, rows[i].words);
        else
            assert_ok(status);
        options_release(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_every_command_is_held_at_its_edges),
        cmocka_unit_test(every_number_has_bounds_and_every_row_its_words),
        cmocka_unit_test(words_and_letters_mix_as_they_do_elsewhere),
        cmocka_unit_test(two_command_lines_do_not_know_each_other),
        cmocka_unit_test(text_of_a_configuration_lives_as_long_as_the_options),
        cmocka_unit_test(what_was_stored_does_not_say_what_is_left_out),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
