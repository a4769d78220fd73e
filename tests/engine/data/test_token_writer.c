/* token files that are written: what train reads, whole or not at all.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "include/weir/data.h"

enum { N = 70000 }; /* more than is written at a time */

static int32_t tokens[N];

static void tokens_make(int vocabulary)
{
    for (int i = 0; i < N; i++)
        tokens[i] = (int32_t)((i * 7919ll + 5) % vocabulary);
}

static weir_status file_make(const char *path, enum weir_data_format format, int64_t vocabulary)
{
    weir_token_writer *writer;
    weir_status status = weir_token_writer_open(path, format, vocabulary, &writer);
    if (status)
        return status;
    for (int at = 0; at < N && !status; at += N / 10)
        status = weir_token_writer_put(writer, tokens + at, N / 10);
    if (!status)
        return weir_token_writer_commit(writer);
    weir_token_writer_abort(writer);
    return status;
}

/* The file has the tokens, read as `format`, and is of that kind. */
static void holds(const char *path, enum weir_data_format format, const char *kind, int vocabulary)
{
    weir_data *data;
    static int32_t inputs[N - 1], targets[N - 1];
    assert_ok(weir_data_open_tokens(&path, 1, format, N - 1, vocabulary, 1, &data));
    assert_string_equal(weir_data_info(data)->kind, kind);
    assert_int_equal(weir_data_info(data)->n_tokens, N);
    assert_ok(weir_data_read(data, 0, 1, inputs, targets));
    assert_memory_equal(inputs, tokens, sizeof inputs);
    assert_int_equal(targets[N - 2], tokens[N - 1]);
    weir_data_close(data);
}

static void every_format_is_read_back(void **state)
{
    (void)state;
    static const struct {
        enum weir_data_format format, read;
        int vocabulary;
        const char *kind;
    } rows[] = {
        {WEIR_DATA_FORMAT_LLMC, WEIR_DATA_FORMAT_AUTO, 65536, "llm.c uint16"},
        {WEIR_DATA_FORMAT_LLMC, WEIR_DATA_FORMAT_AUTO, 65537, "llm.c uint32"},
        {WEIR_DATA_FORMAT_U16, WEIR_DATA_FORMAT_AUTO, 50257, "uint16"},
        {WEIR_DATA_FORMAT_U32, WEIR_DATA_FORMAT_U32, 128256, "uint32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = testing_path("made.bin");
        tokens_make(rows[i].vocabulary);
        assert_ok(file_make(path, rows[i].format, rows[i].vocabulary));
        holds(path, rows[i].read, rows[i].kind, rows[i].vocabulary);
    }
}

static void what_cannot_be_written_leaves_the_old_file(void **state)
{
    (void)state;
    const char *path = testing_path("kept.bin");
    weir_token_writer *writer;
    tokens_make(300);
    assert_ok(file_make(path, WEIR_DATA_FORMAT_LLMC, 300));
    assert_fails(file_make(path, WEIR_DATA_FORMAT_LLMC, 200), WEIR_ERR_INVALID, "the ids end at 199");
    assert_fails(file_make(path, WEIR_DATA_FORMAT_U16, 65537), WEIR_ERR_INVALID, "ids end at 65536, uint16 at 65535");
    assert_fails(file_make(path, WEIR_DATA_FORMAT_NPY, 300), WEIR_ERR_UNSUPPORTED, "format npy is read, and not written");
    assert_ok(weir_token_writer_open(path, WEIR_DATA_FORMAT_LLMC, 300, &writer));
    assert_fails(weir_token_writer_commit(writer), WEIR_ERR_INVALID, "would have no tokens");
    assert_ok(weir_token_writer_open(path, WEIR_DATA_FORMAT_LLMC, 300, &writer));
    assert_fails(weir_token_writer_put(writer, tokens, INT64_C(1) << 31), WEIR_ERR_INVALID, "its header can count");
    weir_token_writer_abort(writer);
    holds(path, WEIR_DATA_FORMAT_AUTO, "llm.c uint16", 300);
}

static void a_put_takes_all_tokens_or_none(void **state)
{
    (void)state;
    const int32_t good[] = {1, 2, 3}, last_bad[] = {4, 5, 300}, first_bad[] = {-1, 5, 6};
    const char *path = testing_path("all.bin");
    weir_token_writer *writer;
    weir_data *data;
    int32_t inputs[5], targets[5];
    assert_ok(weir_token_writer_open(path, WEIR_DATA_FORMAT_LLMC, 300, &writer));
    assert_ok(weir_token_writer_put(writer, good, 3));
    assert_fails(weir_token_writer_put(writer, last_bad, 3), WEIR_ERR_INVALID, "token 5 is 300, the ids end at 299");
    assert_fails(weir_token_writer_put(writer, first_bad, 3), WEIR_ERR_INVALID, "token 3 is -1");
    assert_fails(weir_token_writer_put(writer, good, -1), WEIR_ERR_INVALID, "-1 tokens");
    assert_fails(weir_token_writer_put(writer, NULL, 1), WEIR_ERR_INVALID, "1 tokens at NULL");
    assert_ok(weir_token_writer_put(writer, NULL, 0));
    assert_int_equal(weir_token_writer_count(writer), 3);
    assert_ok(weir_token_writer_put(writer, good, 3));
    assert_ok(weir_token_writer_commit(writer));
    assert_ok(weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_LLMC, 5, 300, 1, &data));
    assert_int_equal(weir_data_info(data)->n_tokens, 6);
    assert_ok(weir_data_read(data, 0, 1, inputs, targets));
    static const int32_t wanted[] = {1, 2, 3, 1, 2, 3};
    assert_memory_equal(inputs, wanted, sizeof inputs);
    assert_memory_equal(targets, wanted + 1, sizeof targets);
    weir_data_close(data);
}

static void a_writer_that_lost_tokens_commits_nothing(void **state)
{
    (void)state;
    weir_token_writer *writer;
    tokens_make(300);
    assert_ok(weir_token_writer_open("/dev/full", WEIR_DATA_FORMAT_U16, 300, &writer));
    assert_fails(weir_token_writer_put(writer, tokens, N), WEIR_ERR_IO, "No space left");
    assert_int_equal(weir_token_writer_count(writer), 0);
    assert_fails(weir_token_writer_put(writer, tokens, 1), WEIR_ERR_IO, "'/dev/full' lacks tokens");
    assert_fails(weir_token_writer_commit(writer), WEIR_ERR_IO, "'/dev/full' lacks tokens");
}

static void numbers_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    weir_token_writer *writer = NULL;
    const char *path = testing_path("numbers.bin");
    assert_fails(weir_token_writer_open(path, WEIR_DATA_FORMAT_U16, 0, &writer), WEIR_ERR_INVALID, "the vocabulary is 0");
    assert_fails(weir_token_writer_open(path, WEIR_DATA_FORMAT_U16, -9, &writer), WEIR_ERR_INVALID, "the vocabulary is -9");
    assert_fails(weir_token_writer_open(path, (enum weir_data_format)44, 300, &writer), WEIR_ERR_INVALID, "no data format 44");
    assert_null(writer);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_full_device_and_a_pipe_are_named(void **state)
{
    (void)state;
    tokens_make(300);
    assert_fails(file_make("/dev/full", WEIR_DATA_FORMAT_U16, 300), WEIR_ERR_IO, "cannot write '/dev/full': No space left");
    assert_fails(file_make("/dev/null", WEIR_DATA_FORMAT_LLMC, 300), WEIR_ERR_INVALID, "'/dev/null' is no regular file");
    assert_fails(file_make("/nowhere/x.bin", WEIR_DATA_FORMAT_LLMC, 300), WEIR_ERR_IO, "cannot write '/nowhere/x.bin'");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    weir_status status = WEIR_ERR_NOMEM;
    tokens_make(300);
    for (int budget = 0; status; budget++) {
        const char *path = testing_path("budget.bin");
        weir_alloc_set_budget(budget);
        status = file_make(path, WEIR_DATA_FORMAT_LLMC, 300);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
        assert_int_equal(access(path, F_OK) == 0, status == WEIR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_read_back),
        cmocka_unit_test(what_cannot_be_written_leaves_the_old_file),
        cmocka_unit_test(a_put_takes_all_tokens_or_none),
        cmocka_unit_test(a_writer_that_lost_tokens_commits_nothing),
        cmocka_unit_test(numbers_that_mean_nothing_are_refused),
        cmocka_unit_test(a_full_device_and_a_pipe_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
