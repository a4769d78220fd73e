/* schedules: files as spreadsheets and editors save them.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "include/weir/schedule.h"

enum { ROOM = 4096 };

static struct weir_arena arena;

static int arena_drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static const char plain[] = "# weir-schedule 1 copies=1\n"
                            "0F0,0F1,,1F0,(1F1;1B0)OVERLAP_F_B,1I1,1W1,0B0,0B1\n"
                            "2F0,2F1,2B0,2B1,,,,,\n";

struct file {
    char bytes[ROOM];
    size_t n;
};

static void put(struct file *file, const char *text, size_t n)
{
    assert_true(file->n + n < ROOM);
    memcpy(file->bytes + file->n, text, n);
    file->n += n;
}

/* How a program saves a table. */
struct form {
    const char *separator, *row_end;
    bool quotes;
    enum { UTF_8, UTF_8_MARKED, UTF_16_LITTLE, UTF_16_BIG } encoding;
    bool marked;      /* UTF-16 with its byte-order mark */
    const char *pads; /* put around every cell */
};

/* Cells with the separator inside are quoted in any case, but for those in parentheses, which need not be. */
static void cell_put(struct file *file, const struct form *form, const char *cell, size_t n)
{
    const char *quote = form->quotes && n ? "\"" : "";
    put(file, form->pads, strlen(form->pads));
    put(file, quote, strlen(quote));
    put(file, cell, n);
    put(file, quote, strlen(quote));
    put(file, form->pads, strlen(form->pads));
}

static void table_put(struct file *file, const struct form *form, const char *text)
{
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, ",\n");
        cell_put(file, form, at, n);
        at += n;
        if (*at == ',')
            put(file, form->separator, strlen(form->separator));
        else
            put(file, form->row_end, strlen(form->row_end));
        at++;
    }
}

static void encode(struct file *file, const struct form *form)
{
    struct file from = *file;
    file->n = 0;
    if (form->encoding == UTF_8_MARKED)
        put(file, "\xef\xbb\xbf", 3);
    if (form->encoding <= UTF_8_MARKED) {
        put(file, from.bytes, from.n);
        return;
    }
    bool big = form->encoding == UTF_16_BIG;
    if (form->marked)
        put(file, big ? "\xfe\xff" : "\xff\xfe", 2);
    for (size_t i = 0; i < from.n; i++)
        put(file, (char[2]){big ? 0 : from.bytes[i], big ? from.bytes[i] : 0}, 2);
}

static void assert_reads(const struct file *file, const char *what)
{
    struct weir_schedule wanted, s;
    const char *a, *b;
    assert_ok(weir_schedule_csv_parse(plain, strlen(plain), "plain", WEIR_CSV_TORCH, &arena, &wanted));
    if (weir_schedule_csv_parse(file->bytes, file->n, "t.csv", WEIR_CSV_TORCH, &arena, &s))
        fail_msg("%s: %s", what, weir_last_error());
    assert_ok(weir_schedule_csv_print(&wanted, &arena, &a));
    assert_ok(weir_schedule_csv_print(&s, &arena, &b));
    assert_string_equal(a, b);
}

static void a_schedule_is_read_from_every_form_in_which_it_is_saved(void **state)
{
    (void)state;
    static const char *const separators[] = {",", ";", "\t"}, *const row_ends[] = {"\n", "\r\n", "\r"};
    static const char *const pads[] = {"", " "};
    for (int i = 0; i < 3 * 3 * 2 * 4 * 2 * 2; i++) {
        struct form form = {separators[i % 3],      row_ends[i / 3 % 3],  .quotes = i / 9 % 2,
                            .encoding = i / 18 % 4, .marked = i / 72 % 2, .pads = pads[i / 144]};
        struct file file = {.n = 0};
        char what[64];
        table_put(&file, &form, plain);
        encode(&file, &form);
        snprintf(what, sizeof what, "form %d", i);
        assert_reads(&file, what);
    }
}

static void the_header_is_read_with_what_spreadsheets_add(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "# weir-schedule 1 copies=2",         "# weir-schedule 1 copies=2,,,",
        "\"# weir-schedule 1 copies=2\",,",   "# weir-schedule 1 copies=2  ",
        "#  weir-schedule  1   copies=2 , ,", "\xef\xbb\xbf# weir-schedule 1 copies=2",
        "  # weir-schedule 1 copies=2,\t",    "\" # weir-schedule 1 copies=2 \",\"\"",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char text[256];
        struct weir_schedule s;
        snprintf(text, sizeof text, "%s\n0F0,1F1\n1F0,0F1\n", headers[i]);
        assert_ok(weir_schedule_csv_parse(text, strlen(text), "t.csv", WEIR_CSV_TORCH, &arena, &s));
        assert_int_equal(s.n_copies, 2);
        assert_int_equal(s.n_ranks, 2);
    }
}

static void what_is_not_seen_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n; /* 0: up to the terminator */
        const char *words;
    } rows[] = {
        {"0F0,0\xc2\xa0"
         "F1\n",
         0, "'t.csv': row 1, cell 2: character 2 of '0<U+00A0>F1' is U+00A0 (no-break space)"},
        {"0F0\n\"1F0\xe2\x80\x8b\"\n", 0, "row 2, cell 1: character 4 of '1F0<U+200B>' is U+200B (zero-width space)"},
        {"0F0,\"0\xef\xbb\xbf"
         "F1\"\n",
         0, "row 1, cell 2: character 2 of '0<U+FEFF>F1' is U+FEFF (byte-order mark)"},
        {"0F0,\xef\xbc\x90"
         "F1\n",
         0, "character 1 of '<U+FF10>F1' is U+FF10"},
        {"0F0,0\0F1\n", 9, "character 2 of '0<U+0000>F1' is U+0000 (NUL)"},
        {"0F0,0\xff"
         "F1\n",
         0, "character 2 of '0<0xFF>F1' is byte 0xff"},
        {"0F0,\"0F\n1\"\n", 0, "character 3 of '0F<U+000A>1' is U+000A (line feed)"},
        {"0F0,0F\t1\n", 0, "character 3 of '0F<U+0009>1' is U+0009 (tab)"},
        {"0F0\x1a\n", 0, "is U+001A"},
        {"#\xc2\xa0weir-schedule 1\n0F0\n", 0, "character 2 of '#<U+00A0>weir-schedule 1' is U+00A0"},
        {"0F0,\"0F1\n1F0\n", 0, "row 1, cell 2: the quote is not closed"},
        {"\"0F0\"x,0F1\n", 0, "row 1, cell 1: '\"0F0\"x' does not start with a stage number"},
        {"# weir-schedule 1,0F0\n1F0\n", 0, "cell 2 of the first line must be blank"},
        {"0F0;0F1\n1F0,1F1\n", 0, "row 1, cell 1: '0F0;0F1' has trailing characters"},
        {"\xff\xfe"
         "0\0F",
         5, "'t.csv': the file is UTF-16 and ends in the middle of a character"},
        {"\xff\xfe"
         "0\0F\0\xa0\0"
         "0\0",
         10, "character 3 of '0F<U+00A0>0' is U+00A0 (no-break space)"},
        {"\xff\xfe"
         "0\0\x3d\xd8\x00\xde"
         "0\0",
         10, "character 2 of '0<U+1F600>0' is U+1F600"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_schedule s;
        size_t n = rows[i].n ? rows[i].n : strlen(rows[i].text);
        assert_fails(weir_schedule_csv_parse(rows[i].text, n, "t.csv", WEIR_CSV_TORCH, &arena, &s), WEIR_ERR_INVALID,
                     rows[i].words);
    }
}

static void a_long_cell_full_of_strangers_is_cut(void **state)
{
    (void)state;
    char text[2048];
    struct weir_schedule s;
    memset(text, 0xa0, sizeof text);
    assert_fails(weir_schedule_csv_parse(text, sizeof text, "t.csv", WEIR_CSV_TORCH, &arena, &s), WEIR_ERR_INVALID,
                 "character 1 of '<0xA0><0xA0>");
    memset(text, 'F', sizeof text);
    assert_fails(weir_schedule_csv_parse(text, sizeof text, "t.csv", WEIR_CSV_TORCH, &arena, &s), WEIR_ERR_INVALID,
                 "row 1, cell 1: 2048 bytes that are no action");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_schedule_is_read_from_every_form_in_which_it_is_saved, arena_drop),
        cmocka_unit_test_teardown(the_header_is_read_with_what_spreadsheets_add, arena_drop),
        cmocka_unit_test_teardown(what_is_not_seen_is_named_with_its_place, arena_drop),
        cmocka_unit_test_teardown(a_long_cell_full_of_strangers_is_cut, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
