/* token files: each format, what tells it apart, and what is refused by name.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/data.h"

enum { N = 200, SEQ_LEN = 8, VOCABULARY = 300, ROOM = 1 << 16 };

static unsigned char bytes[ROOM];
static size_t n_bytes;

static int token(int at)
{
    return (at * 37 + 11) % VOCABULARY;
}

static void put(uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        bytes[n_bytes++] = (unsigned char)(i < 8 ? value >> 8 * i : 0);
}

static void put_text(const char *text)
{
    memcpy(bytes + n_bytes, text, strlen(text));
    n_bytes += strlen(text);
}

static void put_tokens(int width, int most)
{
    for (int i = 0; i < N; i++)
        put((uint64_t)(token(i) % most), width);
}

static const char *written(const char *name)
{
    const char *path = testing_path(name);
    assert_ok(weir_file_write(path, bytes, n_bytes));
    n_bytes = 0;
    return path;
}

static weir_status format_open(const char *path, enum weir_data_format format, weir_data **data_out)
{
    return weir_data_open_tokens(&path, 1, format, SEQ_LEN, VOCABULARY, 7, data_out);
}

/* The file holds the N tokens. */
static void holds_tokens(const char *path, enum weir_data_format format, const char *kind, int most)
{
    weir_data *data;
    int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
    assert_ok(format_open(path, format, &data));
    assert_string_equal(weir_data_info(data)->kind, kind);
    assert_int_equal(weir_data_info(data)->n_tokens, N);
    assert_false(weir_data_info(data)->is_text);
    for (int64_t number = 0; number < weir_data_info(data)->n_samples; number++) {
        int from = (int)weir_data_sample(data, number) * SEQ_LEN;
        weir_data_prefetch(data, number, 1);
        assert_ok(weir_data_read(data, number, 1, inputs, targets));
        for (int i = 0; i < SEQ_LEN; i++) {
            assert_int_equal(inputs[i], token(from + i) % most);
            assert_int_equal(targets[i], token(from + i + 1) % most);
        }
    }
    weir_data_close(data);
}

/* The text of the file, read sample by sample. */
static void holds_text(const char *path, enum weir_data_format format, const char *kind, const char *text)
{
    weir_data *data;
    int32_t input, target;
    assert_ok(weir_data_open_tokens(&path, 1, format, 1, 256, 7, &data));
    assert_string_equal(weir_data_info(data)->kind, kind);
    assert_int_equal(weir_data_info(data)->n_tokens, strlen(text));
    assert_true(weir_data_info(data)->is_text);
    for (int64_t number = 0; number < weir_data_info(data)->n_samples; number++) {
        int64_t at = weir_data_sample(data, number);
        assert_ok(weir_data_read(data, number, 1, &input, &target));
        assert_int_equal(input, (unsigned char)text[at]);
        assert_int_equal(target, (unsigned char)text[at + 1]);
    }
    weir_data_close(data);
}

static void refused(const char *path, enum weir_data_format format, const char *words)
{
    weir_data *data = NULL;
    assert_fails(format_open(path, format, &data), WEIR_ERR_INVALID, words);
    assert_non_null(strstr(weir_last_error(), path));
    assert_null(data);
}

/* ---- .bin ---------------------------------------------------------------------------------------------------------- */

static void tokens_of_four_and_eight_bytes_are_read_when_they_are_named(void **state)
{
    (void)state;
    put_tokens(4, VOCABULARY);
    const char *four = written("four.bin");
    refused(four, WEIR_DATA_FORMAT_AUTO, "may hold tokens of 2, 4 or 8 bytes");
    assert_non_null(strstr(weir_last_error(), "u16, u32 or i64)"));
    holds_tokens(four, WEIR_DATA_FORMAT_U32, "uint32", VOCABULARY);
    put_tokens(8, VOCABULARY);
    const char *eight = written("eight.bin");
    refused(eight, WEIR_DATA_FORMAT_AUTO, "may hold tokens of 2, 4 or 8 bytes");
    holds_tokens(eight, WEIR_DATA_FORMAT_I64, "int64", VOCABULARY);
    put_tokens(8, VOCABULARY);
    put(0, 3);
    refused(written("odd.bin"), WEIR_DATA_FORMAT_I64, "ends at byte 1603, within a int64 token that starts at byte 1600");
}

static void tokens_of_two_bytes_need_no_name(void **state)
{
    (void)state;
    put_tokens(2, VOCABULARY);
    holds_tokens(written("two.bin"), WEIR_DATA_FORMAT_AUTO, "uint16", VOCABULARY);
    put_tokens(2, VOCABULARY);
    holds_tokens(written("TWO.BIN"), WEIR_DATA_FORMAT_AUTO, "uint16", VOCABULARY);
    put_tokens(2, 4); /* with ids so small, the words of four bytes are none */
    const char *small = written("small.bin");
    weir_data *data;
    assert_ok(weir_data_open_tokens(&small, 1, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, 4, 7, &data));
    weir_data_close(data);
}

static void a_negative_id_is_found(void **state)
{
    (void)state;
    put_tokens(8, VOCABULARY);
    bytes[8 * 3 + 7] = 0x80;
    refused(written("negative.bin"), WEIR_DATA_FORMAT_I64, "token 3 at byte 24 is -92233720368547756");
}

static void text_called_bin_is_refused_until_it_is_named(void **state)
{
    (void)state;
    static const char text[] = "a text of more than a few letters,\nwhich two bytes at a time would be ids";
    put_text(text);
    const char *path = written("book.bin");
    refused(path, WEIR_DATA_FORMAT_AUTO, "is called .bin and holds text");
    holds_text(path, WEIR_DATA_FORMAT_TEXT, "text", text);
}

/* ---- Megatron ------------------------------------------------------------------------------------------------------ */

struct index {
    int version, dtype, width, sequences, documents, length, beyond;
};

/* Sequences of `length` tokens. */
static void index_write(const char *name, const struct index *x)
{
    memcpy(bytes, "MMIDIDX\0\0", 9);
    n_bytes = 9;
    put((uint64_t)x->version, 8);
    put((uint64_t)x->dtype, 1);
    put((uint64_t)x->sequences, 8);
    put((uint64_t)x->documents, 8);
    for (int s = 0; s < x->sequences; s++)
        put((uint64_t)x->length, 4);
    for (int s = 0; s < x->sequences; s++)
        put((uint64_t)(s * x->length * x->width), 8);
    for (int d = 0; d < x->documents; d++)
        put((uint64_t)d, 8);
    put(0, x->beyond);
    written(name);
}

static void a_megatron_dataset_is_what_its_index_says(void **state)
{
    (void)state;
    static const struct {
        struct index index;
        const char *kind;
    } rows[] = {{{1, 1, 1, 20, 21, 10, 0}, "Megatron uint8"},  {{1, 2, 1, 20, 21, 10, 0}, "Megatron int8"},
                {{1, 3, 2, 20, 21, 10, 0}, "Megatron int16"},  {{1, 4, 4, 20, 21, 10, 0}, "Megatron int32"},
                {{1, 5, 8, 20, 21, 10, 20}, "Megatron int64"}, {{1, 8, 2, 1, 2, 200, 0}, "Megatron uint16"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct index *x = &rows[i].index;
        int most = x->width == 1 ? 128 : VOCABULARY;
        index_write("set.idx", x);
        put_tokens(x->width, most);
        const char *path = written("set.bin");
        holds_tokens(path, WEIR_DATA_FORMAT_AUTO, rows[i].kind, most);
        holds_tokens(path, WEIR_DATA_FORMAT_MEGATRON, rows[i].kind, most);
        weir_data *data;
        assert_ok(format_open(path, WEIR_DATA_FORMAT_AUTO, &data));
        assert_int_equal(weir_data_info(data)->n_documents, x->documents - 1);
        weir_data_close(data);
    }
}

static void an_index_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct index index;
        const char *words;
    } rows[] = {{{0, 4, 4, 20, 21, 10, 0}, "the version at byte 9 is 0"},
                {{1, 6, 4, 20, 21, 10, 0}, "the dtype at byte 17 is 6, tokens are integers"},
                {{1, 200, 4, 20, 21, 10, 0}, "the dtype at byte 17 is 200"},
                {{1, 0, 4, 20, 21, 10, 0}, "the dtype at byte 17 is 0"},
                {{1, 4, 4, 20, 21, 10, 3}, "20 sequences and 21 documents do not fit its"},
                {{1, 4, 4, 0, 0, 10, 0}, "0 sequences and 0 documents do not fit"},
                {{1, 4, 2, 20, 21, 10, 0}, "sequence 1 has 10 tokens and starts at byte 20 of '"},
                {{1, 4, 4, 19, 20, 10, 0}, "do not belong together"},
                {{1, 8, 2, 20, 21, 10, 0}, "do not belong together"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        weir_data *data = NULL;
        index_write("bad.idx", &rows[i].index);
        put_tokens(4, VOCABULARY);
        print_message("%s\n", rows[i].words);
        assert_fails(format_open(written("bad.bin"), WEIR_DATA_FORMAT_AUTO, &data), WEIR_ERR_INVALID, rows[i].words);
        assert_null(data);
    }
    holds_tokens(testing_path("bad.bin"), WEIR_DATA_FORMAT_U32, "uint32", VOCABULARY);
    refused(testing_path("bad.idx"), WEIR_DATA_FORMAT_AUTO, "is the index of a Megatron dataset: name the .bin beside it");
    put_tokens(4, VOCABULARY);
    refused(written("alone.bin"), WEIR_DATA_FORMAT_MEGATRON, "has no .idx beside it");
    put_tokens(2, VOCABULARY);
    written("other.idx");
    put_tokens(2, VOCABULARY);
    assert_fails(format_open(written("other.bin"), WEIR_DATA_FORMAT_AUTO, &(weir_data *){NULL}), WEIR_ERR_INVALID,
                 "other.idx' is no index of Megatron");
}

/* ---- NumPy --------------------------------------------------------------------------------------------------------- */

static void npy_start(int major, const char *header)
{
    memcpy(bytes, "\x93NUMPY", 6);
    n_bytes = 6;
    put((uint64_t)major, 1);
    put(0, 1);
    put(strlen(header), major == 1 ? 2 : 4);
    put_text(header);
}

static void arrays_of_integers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *descr, *kind;
        int width, major;
    } rows[] = {{"|u1", "NumPy uint8", 1, 1}, {"|i1", "NumPy int8", 1, 1},   {"<u2", "NumPy uint16", 2, 1},
                {"<i2", "NumPy int16", 2, 2}, {"<u4", "NumPy uint32", 4, 3}, {"<i4", "NumPy int32", 4, 1},
                {"<u8", "NumPy uint64", 8, 1}, {"<i8", "NumPy int64", 8, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char header[128];
        int most = rows[i].width == 1 ? 128 : VOCABULARY;
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }%*s\n", rows[i].descr, N,
                 (int)i, "");
        npy_start(rows[i].major, header);
        put_tokens(rows[i].width, most);
        const char *path = written(i % 2 ? "array.npy" : "array.bin"); /* the content decides */
        holds_tokens(path, WEIR_DATA_FORMAT_AUTO, rows[i].kind, most);
        holds_tokens(path, WEIR_DATA_FORMAT_NPY, rows[i].kind, most);
    }
}

static void an_array_that_is_no_list_of_tokens_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *header, *words;
        int major;
    } rows[] = {
        {"{'descr': '>u2', 'fortran_order': False, 'shape': (200,), }", "of dtype '>u2', which is big-endian", 1},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (100,), }", "of dtype '<f4': tokens are integers", 1},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (400,), }", "of dtype '|b1': tokens are integers", 1},
        {"{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (200,), }", "an array of integers is needed", 1},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (20, 10), }", "of shape (20, 10): tokens need one dimension", 1},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (), }", "of shape (): tokens need one dimension", 1},
        {"{'descr': '<u2', 'fortran_order': False}", "of shape none: tokens need one dimension", 1},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (201,), }", "asks for 201 elements of 2 bytes, 400 bytes follow", 1},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (-1,), }", "asks for 18446744073709551615 elements", 1},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (200,), }", "NumPy format 9 is not read", 9},
        {"", "an array of integers is needed", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        npy_start(rows[i].major, rows[i].header);
        put_tokens(2, VOCABULARY);
        print_message("%s\n", rows[i].words);
        refused(written("array.npy"), WEIR_DATA_FORMAT_AUTO, rows[i].words);
    }
    npy_start(1, rows[0].header);
    n_bytes -= 8;
    refused(written("cut.npy"), WEIR_DATA_FORMAT_AUTO, "within its NumPy header");
    put_text("no array");
    refused(written("name.npy"), WEIR_DATA_FORMAT_AUTO, "is no .npy file, though its name ends so");
    refused(testing_path("name.npy"), WEIR_DATA_FORMAT_NPY, "does not start as a NumPy array");
}

/* ---- text, JSON Lines ---------------------------------------------------------------------------------------------- */

static void the_texts_of_json_lines_are_read(void **state)
{
    (void)state;
    static const char lines[] = "{\"text\": \"one \\u00e9\\n two\", \"meta\": {\"text\": 3}}\r\n\n  {\"id\":1,\"text\":\"\"}\n{\"text\":\"x\"}";
    static const char text[] = "one \xc3\xa9\n two\n\nx\n";
    put_text(lines);
    holds_text(written("a.jsonl"), WEIR_DATA_FORMAT_AUTO, "JSON Lines", text);
    put_text("\xef\xbb\xbf");
    put_text(lines);
    const char *path = written("data.json"); /* the content decides */
    holds_text(path, WEIR_DATA_FORMAT_AUTO, "JSON Lines", text);
    holds_text(path, WEIR_DATA_FORMAT_JSONL, "JSON Lines", text);
    weir_data *data;
    assert_ok(weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_AUTO, 1, 256, 1, &data));
    assert_int_equal(weir_data_info(data)->n_documents, 3);
    weir_data_close(data);
    put_text("{\"a document\": \"in JSON\"}\n");
    holds_text(written("doc.json"), WEIR_DATA_FORMAT_AUTO, "text", "{\"a document\": \"in JSON\"}\n");
}

static void a_line_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    put_text("{\"text\": \"some words\"}\n\n{\"text\": \"some\n");
    refused(written("cut.jsonl"), WEIR_DATA_FORMAT_AUTO, "line 3 is no JSON: ");
    put_text("{\"text\": \"some words\"}\n{\"content\": \"other words\"}\n");
    refused(written("key.jsonl"), WEIR_DATA_FORMAT_AUTO, "line 2 has no string 'text'");
    put_text("{\"text\": 5}\n");
    refused(written("number.jsonl"), WEIR_DATA_FORMAT_AUTO, "line 1 has no string 'text'");
    put_text("some words\n");
    refused(written("words.jsonl"), WEIR_DATA_FORMAT_AUTO, "line 1 is no JSON: ");
    put_text("\n \n");
    refused(written("blank.jsonl"), WEIR_DATA_FORMAT_JSONL, "has no lines");
}

static void what_is_no_text_is_not_taken_for_text(void **state)
{
    (void)state;
    put_text("\xff\xfeh");
    put(0, 1);
    refused(written("wide.txt"), WEIR_DATA_FORMAT_AUTO, "is text in UTF-16: convert it with 'iconv -f UTF-16 -t UTF-8'");
    put(0xfffe0000u, 4);
    refused(written("wider.txt"), WEIR_DATA_FORMAT_AUTO, "is text in UTF-32: convert it");
    put_tokens(2, 256);
    const char *path = written("tokens");
    refused(path, WEIR_DATA_FORMAT_AUTO, "has byte 0x00 at 1, which no text has");
    holds_tokens(path, WEIR_DATA_FORMAT_U16, "uint16", 256);
    weir_data *data;
    assert_ok(format_open(path, WEIR_DATA_FORMAT_TEXT, &data)); /* every byte as it is */
    assert_int_equal(weir_data_info(data)->n_tokens, 2 * N);
    weir_data_close(data);
}

static void latin_1_and_control_characters_of_texts_are_text(void **state)
{
    (void)state;
    static const char text[] = "caf\xe9\tau lait\r\n\f\x1b[1m\x1a";
    put_text(text);
    holds_text(written("latin"), WEIR_DATA_FORMAT_AUTO, "text", text);
}

static void files_of_other_programs_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *start, *words;
        size_t n;
    } rows[] = {{"PAR1 rows PAR1", "is a Parquet file: write its text to JSON Lines", 14},
                {"ARROW1\0\0", "is an Arrow file", 8},
                {"PK\x03\x04", "is a zip archive, as .npz and PyTorch files are", 4},
                {"\x28\xb5\x2f\xfd", "is a zstd file: unpack it with 'zstd -d'", 4},
                {"\xfd\x37zXZ\0", "is an xz file", 6},
                {"BZh91AY&SY", "is a bzip2 file", 10},
                {"%PDF-1.7", "is a PDF", 8},
                {"\x89HDF\r\n\x1a\n", "is an HDF5 file", 8}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int k = 0; k < 2; k++) {
            memcpy(bytes, rows[i].start, rows[i].n);
            n_bytes = rows[i].n;
            refused(written(k ? "data.bin" : "data"), WEIR_DATA_FORMAT_AUTO, rows[i].words);
        }
    memset(bytes, 'x', 600);
    memcpy(bytes + 257, "ustar", 5);
    n_bytes = 600;
    refused(written("all.tar"), WEIR_DATA_FORMAT_AUTO, "is a tar archive");
    put_text("PAR1, a text about the file format");
    holds_text(written("about"), WEIR_DATA_FORMAT_AUTO, "text", "PAR1, a text about the file format");
}

/* ---- gzip ---------------------------------------------------------------------------------------------------------- */

static const char *packed(const char *name)
{
    gzFile file = gzopen(testing_path(name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)n_bytes), (int)n_bytes);
    assert_int_equal(gzclose(file), Z_OK);
    n_bytes = 0;
    return testing_path(name);
}

static void a_gzip_file_is_what_it_holds(void **state)
{
    (void)state;
    weir_data *data;
    put_text("words and words");
    const char *path = packed("text.txt.gz");
    holds_text(path, WEIR_DATA_FORMAT_AUTO, "text", "words and words");
    assert_ok(weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_AUTO, 1, 256, 1, &data));
    assert_true(weir_data_info(data)->packed);
    weir_data_close(data);
    put_text("words and words");
    holds_text(packed("no_ending"), WEIR_DATA_FORMAT_AUTO, "text", "words and words");
    put_text("{\"text\": \"words\"}\n");
    holds_text(packed("lines.jsonl.gz"), WEIR_DATA_FORMAT_AUTO, "JSON Lines", "words\n");
    put_tokens(2, VOCABULARY);
    holds_tokens(packed("two.bin.gz"), WEIR_DATA_FORMAT_AUTO, "uint16", VOCABULARY);
    put_tokens(4, VOCABULARY);
    path = packed("four.bin.gz");
    refused(path, WEIR_DATA_FORMAT_AUTO, "may hold tokens of 2, 4 or 8 bytes");
    holds_tokens(path, WEIR_DATA_FORMAT_U32, "uint32", VOCABULARY);
    put_text("words");
    refused(written("plain.gz"), WEIR_DATA_FORMAT_AUTO, "is not gzip, though its name ends in .gz");
    refused(packed("empty.gz"), WEIR_DATA_FORMAT_AUTO, "is empty: it has 0 bytes when unpacked");
}

static void a_gzip_file_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    char *all;
    size_t n;
    put_tokens(2, VOCABULARY);
    assert_ok(weir_file_read(packed("whole.bin.gz"), ROOM, &all, &n));
    for (size_t cut = 1; cut < n; cut += 7) {
        weir_data *data = NULL;
        assert_ok(weir_file_write(testing_path("cut.bin.gz"), all, cut));
        if (format_open(testing_path("cut.bin.gz"), WEIR_DATA_FORMAT_AUTO, &data) != WEIR_ERR_INVALID)
            fail_msg("%zu: %s", cut, weir_last_error());
    }
    weir_free(all);
}

/* ---- others' files, allocation ------------------------------------------------------------------------------------- */

static void files_that_people_have_are_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *name, *kind;
        enum weir_data_format format;
        int64_t n_tokens;
    } rows[] = {{"npy.npy", "NumPy uint16", WEIR_DATA_FORMAT_AUTO, 2000},
                {"megatron_int32.bin", "uint32", WEIR_DATA_FORMAT_U32, 2000},
                {"data.jsonl", "JSON Lines", WEIR_DATA_FORMAT_AUTO, 200 * 28}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[128];
        weir_data *data;
        snprintf(name, sizeof name, "reference/cases/data_files/%s", rows[i].name);
        const char *path = testing_data_path(name);
        if (!path)
            skip();
        assert_ok(format_open(path, rows[i].format, &data));
        assert_string_equal(weir_data_info(data)->kind, rows[i].kind);
        assert_int_equal(weir_data_info(data)->n_tokens, rows[i].n_tokens);
        weir_data_close(data);
    }
    assert_fails(format_open(testing_data_path("reference/cases/data_files/megatron_int32.bin"), WEIR_DATA_FORMAT_AUTO,
                             &(weir_data *){NULL}),
                 WEIR_ERR_INVALID, "the version at byte 9 is 0");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    index_write("budget.idx", &(struct index){1, 4, 4, 20, 21, 10, 0});
    put_tokens(4, VOCABULARY);
    const char *paths[2] = {written("budget.bin"), NULL};
    put_text("{\"text\": \"words and words\"}\n");
    paths[1] = packed("budget.jsonl.gz");
    for (int i = 0; i < 2; i++) {
        weir_status status = WEIR_ERR_NOMEM;
        for (int budget = 0; status; budget++) {
            weir_data *data = NULL;
            weir_alloc_set_budget(budget);
            status = format_open(paths[i], WEIR_DATA_FORMAT_AUTO, &data);
            weir_alloc_set_budget(-1);
            assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
            weir_data_close(data);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_four_and_eight_bytes_are_read_when_they_are_named),
        cmocka_unit_test(tokens_of_two_bytes_need_no_name),
        cmocka_unit_test(a_negative_id_is_found),
        cmocka_unit_test(text_called_bin_is_refused_until_it_is_named),
        cmocka_unit_test(a_megatron_dataset_is_what_its_index_says),
        cmocka_unit_test(an_index_that_does_not_fit_is_refused),
        cmocka_unit_test(arrays_of_integers_are_read),
        cmocka_unit_test(an_array_that_is_no_list_of_tokens_is_refused_by_name),
        cmocka_unit_test(the_texts_of_json_lines_are_read),
        cmocka_unit_test(a_line_that_cannot_be_read_is_named),
        cmocka_unit_test(what_is_no_text_is_not_taken_for_text),
        cmocka_unit_test(latin_1_and_control_characters_of_texts_are_text),
        cmocka_unit_test(files_of_other_programs_are_refused_by_name),
        cmocka_unit_test(a_gzip_file_is_what_it_holds),
        cmocka_unit_test(a_gzip_file_that_is_cut_short_is_refused),
        cmocka_unit_test(files_that_people_have_are_what_they_are),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
