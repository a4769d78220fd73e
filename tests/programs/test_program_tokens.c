/* What weir tokenize does, by public headers alone: texts become tokens, tokens a file, the file samples.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "include/weir/data.h"
#include "include/weir/tokens.h"
#include "include/weir/weir.h"

enum { END = 256 };

static struct weir_arena arena;

static int teardown(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static const char *written(const char *name, const char *text)
{
    const char *path = testing_path(name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* Byte-level, with a token for "ab" (257) beside some letters and the one that ends a text. */
static const struct weir_tokenizer *small(void)
{
    static const char text[] =
        "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 256, \"content\": \"<|endoftext|>\", \"single_word\": false, \"lstrip\": false, "
        "\"rstrip\": false, \"normalized\": false, \"special\": true}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", "
        "\"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}, \"post_processor\": null, \"decoder\": {\"type\": "
        "\"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}, \"model\": {\"type\": \"BPE\", \"vocab\": "
        "{\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 257, \"\303\203\": 3, \"\302\251\": 4}, \"merges\": [\"a b\"]}}";
    const struct weir_tokenizer *tokenizer;
    assert_ok(weir_tokenizer_parse(text, sizeof text - 1, "small", &arena, &tokenizer));
    return tokenizer;
}

static void a_text_becomes_tokens_and_comes_back(void **state)
{
    (void)state;
    const struct weir_tokenizer *t = small();
    int32_t *tokens;
    int64_t n;
    char *text;
    size_t bytes;
    assert_string_equal(weir_tokenizer_kind(t), "byte-level");
    assert_int_equal(weir_tokenizer_vocabulary(t), 258);
    assert_ok(weir_tokenizer_encode(t, "abcab", 5, WEIR_TOKENS_OF_PART, &arena, &tokens, &n));
    assert_int_equal(n, 3);
    assert_true(tokens[0] == 257 && tokens[1] == 2 && tokens[2] == 257);
    assert_ok(weir_tokenizer_decode(t, tokens, n, true, &arena, &text, &bytes));
    assert_string_equal(text, "abcab");
    assert_true(weir_tokenizer_special(t, END) && !weir_tokenizer_special(t, 257));
    assert_string_equal(weir_tokenizer_token(t, 257, &bytes), "ab");
    assert_int_equal(bytes, 2);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    const struct weir_tokenizer *t = small();
    int32_t *tokens;
    const int32_t *ids;
    int64_t n;
    int n_ids = 7;
    assert_fails(weir_tokenizer_encode(t, "z", 1, WEIR_TOKENS_OF_TEXT, &arena, &tokens, &n), WEIR_ERR_INVALID, "");
    assert_fails(weir_tokenizer_fits(t, 200), WEIR_ERR_INVALID, "tokens up to 257");
    assert_null(weir_tokenizer_token(t, 100, &(size_t){0}));
    assert_fails(weir_tokenizer_load(testing_path("nowhere"), &arena, &t), WEIR_ERR_IO, "nowhere");
    assert_fails(weir_tokenizer_parse("{}", 2, "empty", &arena, &t), WEIR_ERR_INVALID, "empty");
    assert_false(weir_tokenizer_there(testing_path("nowhere")));
    assert_ok(weir_tokens_stop(testing_path("nowhere"), &arena, &ids, &n_ids)); /* neither file says so */
    assert_int_equal(n_ids, 0);
}

static void a_stream_of_bytes_is_cut_at_characters(void **state)
{
    (void)state;
    uint32_t code;
    assert_int_equal(weir_utf8_read((const unsigned char *)"\303\251x", 3, &code), 2);
    assert_int_equal(code, 0xe9);
    assert_true(weir_utf8_read((const unsigned char *)"\303", 1, &code) < 0);
    assert_int_equal(weir_utf8_read((const unsigned char *)"\377", 1, &code), 0);
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

struct writing {
    const struct weir_tokenizer *tokenizer;
    weir_token_writer *writer;
    int n_texts;
};

static weir_status text_write(void *context, const char *text, size_t bytes)
{
    struct writing *w = context;
    static const int32_t end = END;
    int32_t *tokens;
    int64_t n;
    weir_status status = weir_tokenizer_encode(w->tokenizer, text, bytes, WEIR_TOKENS_OF_TEXT, &arena, &tokens, &n);
    if (!status && w->n_texts++)
        status = weir_token_writer_put(w->writer, &end, 1);
    return status ? status : weir_token_writer_put(w->writer, tokens, n);
}

static void json_lines_become_a_file_of_tokens_that_is_read(void **state)
{
    (void)state;
    const char *lines = written("two.jsonl", "{\"text\": \"abab\"}\n{\"text\": \"cab\"}\n"), *path = testing_path("two.bin");
    struct writing w = {.tokenizer = small()};
    enum weir_data_format format = WEIR_DATA_FORMAT_AUTO;
    weir_data *data;
    int32_t inputs[4], targets[4];
    assert_ok(weir_documents_format(lines, &format));
    assert_int_equal(format, WEIR_DATA_FORMAT_JSONL);
    assert_ok(weir_token_writer_open(path, WEIR_DATA_FORMAT_LLMC, weir_tokenizer_vocabulary(w.tokenizer), &w.writer));
    assert_ok(weir_documents_read(lines, format, "text", text_write, &w));
    assert_int_equal(weir_token_writer_count(w.writer), 5);
    assert_int_equal(weir_token_writer_width(w.writer), 2);
    assert_ok(weir_token_writer_commit(w.writer));
    assert_ok(weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_AUTO, 4, 258, 1, &data));
    assert_ok(weir_data_read(data, 0, 1, inputs, targets));
    static const int32_t wanted[] = {257, 257, END, 2, 257};
    assert_memory_equal(inputs, wanted, sizeof inputs);
    assert_memory_equal(targets, wanted + 1, sizeof targets);
    weir_data_close(data);
}

static void a_file_of_tokens_is_whole_or_not_there(void **state)
{
    (void)state;
    const int32_t beyond = 300;
    const char *path = testing_path("none.bin");
    weir_token_writer *writer;
    assert_fails(weir_token_writer_open(path, WEIR_DATA_FORMAT_MEGATRON, 258, &writer), WEIR_ERR_UNSUPPORTED, "megatron");
    assert_fails(weir_token_writer_open(path, WEIR_DATA_FORMAT_U16, 100000, &writer), WEIR_ERR_INVALID, "");
    assert_ok(weir_token_writer_open(path, WEIR_DATA_FORMAT_U16, 258, &writer));
    assert_fails(weir_token_writer_put(writer, &beyond, 1), WEIR_ERR_INVALID, "300");
    weir_token_writer_abort(writer);
    weir_token_writer_abort(NULL);
    assert_null(fopen(path, "r"));
    assert_ok(weir_token_writer_open(path, WEIR_DATA_FORMAT_U16, 258, &writer));
    assert_fails(weir_token_writer_commit(writer), WEIR_ERR_INVALID, "");
    assert_fails(weir_documents_read(testing_path("nowhere"), WEIR_DATA_FORMAT_TEXT, "text", text_write, NULL), WEIR_ERR_IO, "nowhere");
}

static void a_format_that_is_not_there_is_named(void **state)
{
    (void)state;
    const enum weir_data_format none = (enum weir_data_format)77;
    const char *path = written("plain.txt", "abab");
    enum weir_data_format format = none;
    weir_data *data;
    assert_string_equal(weir_data_format_str(none), "?");
    assert_string_equal(weir_data_format_str(WEIR_DATA_FORMATS), "?");
    assert_string_equal(weir_data_format_str((enum weir_data_format)-1), "?");
    assert_string_equal(weir_checkpoint_kind_str((enum weir_checkpoint_kind)77), "?");
    assert_fails(weir_data_open_tokens(&path, 1, none, 2, 256, 1, &data), WEIR_ERR_INVALID, "no data format 77");
    assert_fails(weir_documents_format(path, &format), WEIR_ERR_INVALID, "no data format 77");
    assert_fails(weir_documents_read(path, none, "text", text_write, NULL), WEIR_ERR_INVALID, "no data format 77");
}

static void the_rate_of_a_step_follows_its_schedule(void **state)
{
    (void)state;
    enum weir_lr_schedule schedule;
    assert_ok(weir_lr_schedule_find("cosine", &schedule));
    assert_true(weir_learning_rate(schedule, 1, 10, 4, 100) == 0.5);
    assert_true(weir_learning_rate(schedule, 1, 10, 10, 100) == 1);
    assert_float_equal(weir_learning_rate_to(schedule, 1, 0.25, 10, 99, 100), 0.25, 1e-12);
    assert_fails(weir_lr_schedule_find("linear", &schedule), WEIR_ERR_USAGE, "linear");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_becomes_tokens_and_comes_back),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_stream_of_bytes_is_cut_at_characters),
        cmocka_unit_test(json_lines_become_a_file_of_tokens_that_is_read),
        cmocka_unit_test(a_file_of_tokens_is_whole_or_not_there),
        cmocka_unit_test(a_format_that_is_not_there_is_named),
        cmocka_unit_test(the_rate_of_a_step_follows_its_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
