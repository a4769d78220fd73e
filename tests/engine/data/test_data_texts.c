/* texts that an encoder turns into tokens: which tokens, in which order, and what is refused.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/replace.h"
#include "include/weir/data.h"

enum { SEQ_LEN = 2, VOCABULARY = 1000, END = 900, WORD = 500, MOST = 64 };

/* A word is WORD plus its length, anything else is its byte; a text starts with `first`. */
struct letters {
    int first;
    int n_begun;
    bool is_bytes;
    weir_status fails;
    struct weir_data_encoder encoder;
};

static weir_status encode(void *context, const char *text, size_t bytes, struct weir_arena *arena, int32_t **tokens_out,
                          int64_t *n_out)
{
    const struct letters *letters = context;
    int32_t *tokens;
    int64_t n = 0;
    weir_status status = weir_arena_alloc(arena, bytes + 1, sizeof *tokens, &tokens);
    if (status)
        return status;
    tokens[n++] = letters->first;
    for (size_t at = 0, word; at < bytes; at += word ? word : 1) {
        word = 0;
        while (at + word < bytes && text[at + word] >= 'a' && text[at + word] <= 'z')
            word++;
        tokens[n++] = word ? WORD + (int32_t)word : (unsigned char)text[at];
    }
    *tokens_out = tokens;
    *n_out = n;
    return WEIR_OK;
}

static weir_status begin(struct weir_data_encoder *encoder)
{
    struct letters *letters = encoder->context;
    letters->n_begun++;
    if (letters->fails)
        return WEIR_FAIL(letters->fails, "no such tokenizer");
    encoder->encode = letters->is_bytes ? NULL : encode;
    return WEIR_OK;
}

static struct letters letters_of(int end)
{
    return (struct letters){.first = 7, .encoder = {.begin = begin, .name = "letters", .vocabulary = 901, .end = end}};
}

static const char *written(const char *name, const char *text)
{
    const char *path = testing_path(name);
    assert_ok(weir_file_write(path, text, strlen(text)));
    return path;
}

static weir_status texts_open(const char *const *paths, int n_paths, struct letters *letters, weir_data **data_out)
{
    letters->encoder.context = letters;
    return weir_data_open_texts(paths, n_paths, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, &letters->encoder, 3, data_out);
}

/* The tokens of a source in order, from its samples; those that no sample reaches are left out. */
static int tokens_read(const weir_data *data, int32_t tokens[MOST])
{
    int64_t n = weir_data_info(data)->n_samples;
    for (int64_t number = 0; number < n; number++) {
        int64_t from = weir_data_sample(data, number) * SEQ_LEN;
        int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
        assert_ok(weir_data_read(data, number, 1, inputs, targets));
        memcpy(tokens + from, inputs, sizeof inputs);
        tokens[from + SEQ_LEN] = targets[SEQ_LEN - 1];
    }
    return (int)n * SEQ_LEN + 1;
}

static void holds(const char *const *paths, int n_paths, struct letters *letters, const int32_t *wanted, int n)
{
    weir_data *data;
    int32_t tokens[MOST];
    assert_ok(texts_open(paths, n_paths, letters, &data));
    assert_int_equal(weir_data_info(data)->n_tokens, n);
    assert_false(weir_data_info(data)->is_text);
    assert_string_equal(weir_data_info(data)->tokenizer, "letters");
    int n_read = tokens_read(data, tokens);
    assert_true(n - n_read < SEQ_LEN);
    for (int i = 0; i < n_read; i++)
        assert_int_equal(tokens[i], wanted[i]);
    weir_data_close(data);
}

static void a_text_has_the_tokens_of_its_encoder(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    const char *path = written("plain.txt", "one, three\n");
    const int32_t wanted[] = {7, WORD + 3, ',', ' ', WORD + 5, '\n'};
    holds(&path, 1, &letters, wanted, 6);
    assert_int_equal(letters.n_begun, 1);
}

static void the_end_token_stands_between_lines_and_between_files(void **state)
{
    (void)state;
    struct letters letters = letters_of(END), silent = letters_of(-1);
    const char *lines[] = {written("a.jsonl", "{\"text\": \"one\"}\n\n {\"text\": \"\"}\n{\"text\": \"four\", \"id\": 1}"),
                           written("b.jsonl", "{\"text\": \"x\\ny\"}\n")};
    const int32_t wanted[] = {7, WORD + 3, END, 7, END, 7, WORD + 4, END, 7, WORD + 1, '\n', WORD + 1};
    holds(lines, 2, &letters, wanted, 12);
    const int32_t bare[] = {7, WORD + 3, 7, 7, WORD + 4, 7, WORD + 1, '\n', WORD + 1};
    holds(lines, 2, &silent, bare, 9);
    const char *plain[] = {written("a.txt", "one\n"), written("b.txt", "two")};
    const int32_t of_plain[] = {7, WORD + 3, '\n', END, 7, WORD + 3};
    struct letters again = letters_of(END);
    holds(plain, 2, &again, of_plain, 6);
}

static void a_text_that_ends_by_itself_gets_no_second_end(void **state)
{
    (void)state;
    struct letters letters = letters_of(WORD + 3);
    const char *path = written("ends.jsonl", "{\"text\": \"a one\"}\n{\"text\": \"one b\"}\n{\"text\": \"c\"}\n");
    const int32_t wanted[] = {7, WORD + 1, ' ', WORD + 3, 7, WORD + 3, ' ', WORD + 1, WORD + 3, 7, WORD + 1};
    holds(&path, 1, &letters, wanted, 11);
}

static void a_byte_order_mark_is_no_part_of_a_text(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    const char *plain = written("mark.txt", "\xef\xbb\xbfone,two"), *lines = written("mark.jsonl", "\xef\xbb\xbf{\"text\": \"one,two\"}\n");
    const int32_t wanted[] = {7, WORD + 3, ',', WORD + 3};
    holds(&plain, 1, &letters, wanted, 4);
    holds(&lines, 1, &letters, wanted, 4);
    weir_data *data;
    int32_t tokens[MOST];
    assert_ok(weir_data_open_text(plain, SEQ_LEN, 1, &data)); /* as bytes */
    assert_int_equal(weir_data_info(data)->n_tokens, 7);
    assert_int_equal(tokens_read(data, tokens), 7);
    assert_memory_equal(tokens, ((int32_t[]){'o', 'n', 'e', ',', 't', 'w', 'o'}), 7 * sizeof *tokens);
    weir_data_close(data);
}

static void a_gzip_text_is_unpacked_first(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    const char *path = testing_path("packed.txt.gz");
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzputs(file, "one, three\n"), 11);
    gzclose(file);
    const int32_t wanted[] = {7, WORD + 3, ',', ' ', WORD + 5, '\n'};
    holds(&path, 1, &letters, wanted, 6);
}

static void files_of_tokens_need_no_encoder(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    letters.fails = WEIR_ERR_INVALID;
    const char *path = testing_path("tokens.bin");
    assert_ok(weir_file_write(path, ((uint16_t[]){300, 2, 301, 4, 302}), 10));
    weir_data *data;
    assert_ok(texts_open(&path, 1, &letters, &data));
    assert_int_equal(letters.n_begun, 0);
    assert_null(weir_data_info(data)->tokenizer);
    weir_data_close(data);
    path = written("text.txt", "one two three");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "no such tokenizer");
}

static void an_encoder_that_declines_leaves_bytes(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    letters.is_bytes = true;
    const char *path = written("bytes.txt", "one two");
    weir_data *data;
    assert_ok(texts_open(&path, 1, &letters, &data));
    assert_true(weir_data_info(data)->is_text);
    assert_null(weir_data_info(data)->tokenizer);
    assert_int_equal(weir_data_info(data)->n_tokens, 7);
    weir_data_close(data);
}

static void ids_that_the_model_has_no_room_for_are_refused_with_both_numbers(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    letters.encoder.vocabulary = 1001;
    const char *path = written("large.txt", "one two three");
    weir_data *data;
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID,
                 "tokenizer 'letters' has ids up to 1000, the model's end at 999");
}

static void what_is_no_text_is_refused_by_file_and_line(void **state)
{
    (void)state;
    struct letters letters = letters_of(END);
    weir_data *data;
    const char *path = written("latin.txt", "one\ntwo caf\xe9 three\n");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "line 2 is no UTF-8: byte 0xe9 at 11");
    path = written("cut.txt", "one two \xe2\x82");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "line 1 is no UTF-8: byte 0xe2 at 8");
    path = written("no.jsonl", "{\"text\": \"one\"}\n{\"body\": \"two\"}\n");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "line 2 has no string 'text'");
    path = written("broken.jsonl", "{\"text\": \"one\"}\n{\"text\": \"tw\n");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "line 2 is no JSON");
    path = written("blank.jsonl", "\n \n");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "has no lines");
    path = written("short.txt", "a");
    assert_fails(texts_open(&path, 1, &letters, &data), WEIR_ERR_INVALID, "has 2 tokens of tokenizer 'letters', sequence length 2 needs at least 3");
    const char *both[] = {written("x.txt", "one two"), written("y.jsonl", "{\"text\": \"one\"}\n")};
    assert_fails(texts_open(both, 2, &letters, &data), WEIR_ERR_INVALID, "must be of one kind");
    both[1] = both[0];
    assert_fails(texts_open(both, 2, &letters, &data), WEIR_ERR_INVALID, "are the same file");
}

/* ---- documents ------------------------------------------------------------------------------------------------------ */

static weir_status count_take(void *context, const char *text, size_t bytes)
{
    assert_int_equal(text[bytes], 0);
    ((size_t *)context)[0]++;
    ((size_t *)context)[1] += bytes;
    return WEIR_OK;
}

static void lines_longer_than_what_is_read_at_a_time_are_whole(void **state)
{
    (void)state;
    enum { LENGTH = 700000 };
    const char *path = testing_path("long.jsonl");
    FILE *file = fopen(path, "w");
    for (int line = 0; line < 3; line++)
        fprintf(file, "{\"body\": \"%0*d\"}\n", LENGTH, line);
    fclose(file);
    size_t counts[2] = {0, 0};
    assert_ok(weir_documents_read(path, WEIR_DATA_FORMAT_JSONL, "body", count_take, counts));
    assert_int_equal(counts[0], 3);
    assert_int_equal(counts[1], 3 * LENGTH);
    path = testing_path("ids.bin");
    assert_ok(weir_file_write(path, ((uint16_t[]){300, 2, 301}), 6));
    assert_fails(weir_documents_read(path, WEIR_DATA_FORMAT_AUTO, "body", count_take, counts), WEIR_ERR_INVALID,
                 "is uint16, not text: it has tokens already");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *paths[] = {written("m0.jsonl", "{\"text\": \"one two\"}\n{\"text\": \"three\"}\n"),
                           written("m1.jsonl", "{\"text\": \"four five\"}\n")};
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        struct letters letters = letters_of(END);
        weir_data *data = NULL;
        weir_alloc_set_budget(budget);
        status = texts_open(paths, 2, &letters, &data);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
        weir_data_close(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_has_the_tokens_of_its_encoder),
        cmocka_unit_test(the_end_token_stands_between_lines_and_between_files),
        cmocka_unit_test(a_text_that_ends_by_itself_gets_no_second_end),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_a_text),
        cmocka_unit_test(a_gzip_text_is_unpacked_first),
        cmocka_unit_test(files_of_tokens_need_no_encoder),
        cmocka_unit_test(an_encoder_that_declines_leaves_bytes),
        cmocka_unit_test(ids_that_the_model_has_no_room_for_are_refused_with_both_numbers),
        cmocka_unit_test(what_is_no_text_is_refused_by_file_and_line),
        cmocka_unit_test(lines_longer_than_what_is_read_at_a_time_are_whole),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
