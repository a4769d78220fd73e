/* token files: formats, several files, damage, dealing to replicas.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "base/text.h"
#include "include/weir/data.h"

enum { VOCABULARY = 50257, SEQ_LEN = 8 };

/* Token `at` of file number `file`: ids of two bytes and all different below VOCABULARY. */
static uint32_t token(int file, int at)
{
    return (uint32_t)(at * 1021 + file * 17 + 300) % VOCABULARY;
}

/* The same as a letter, for texts. */
static uint32_t letter(int file, int at)
{
    return 'a' + token(file, at) % 26;
}

static void put(unsigned char *bytes, size_t at, uint32_t value, int width)
{
    for (int i = 0; i < width; i++)
        bytes[at + (size_t)i] = (unsigned char)(value >> 8 * i);
}

struct format {
    const char *kind;
    uint32_t magic, version; /* 0: no header */
    int width;
};

static const struct format formats[] = {
    {"uint16", 0, 0, 2}, {"llm.c uint16", 20240520, 1, 2}, {"llm.c uint32", 20240801, 7, 4}, {"text", 0, 0, 1}};

static unsigned char content[1024 + 4 * 3000];

/* Fill `content` with `n` tokens; returns its bytes. */
static size_t file_fill(const struct format *format, int file, int n)
{
    size_t start = format->magic ? 1024 : 0;
    memset(content, 0, sizeof content);
    if (format->magic) {
        put(content, 0, format->magic, 4);
        put(content, 4, format->version, 4);
        put(content, 8, (uint32_t)n, 4);
    }
    for (int i = 0; i < n; i++)
        put(content, start + (size_t)(i * format->width), format->width == 1 ? letter(file, i) : token(file, i),
            format->width);
    return start + (size_t)(n * format->width);
}

static const char *file_make(const struct format *format, const char *name, int file, int n)
{
    size_t bytes = file_fill(format, file, n);
    const char *path = testing_path(name);
    assert_ok(weir_file_write(path, content, bytes));
    return path;
}

static weir_status one_open(const char *path, weir_data **data_out)
{
    return weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 7, data_out);
}

/* ---- what is read -------------------------------------------------------------------------------------------------- */

static void every_format_reads_what_was_written(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        weir_data *data;
        int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
        uint32_t (*wanted)(int, int) = formats[f].width == 1 ? letter : token;
        assert_ok(one_open(file_make(&formats[f], formats[f].width == 1 ? "one.txt" : "one.bin", 3, 1000), &data));
        assert_string_equal(weir_data_info(data)->kind, formats[f].kind);
        assert_int_equal(weir_data_info(data)->n_samples, 999 / SEQ_LEN);
        assert_int_equal(weir_data_info(data)->n_classes, VOCABULARY);
        for (int64_t number = 0; number < 200; number++) {
            int from = (int)weir_data_sample(data, number) * SEQ_LEN;
            assert_ok(weir_data_read(data, number, 1, inputs, targets));
            for (int i = 0; i < SEQ_LEN; i++) {
                assert_int_equal(inputs[i], wanted(3, from + i));
                assert_int_equal(targets[i], wanted(3, from + i + 1));
            }
        }
        weir_data_close(data);
    }
}

static void text_opened_as_text_is_text_whatever_its_name(void **state)
{
    (void)state;
    weir_data *data;
    assert_ok(weir_data_open_text(file_make(&formats[1], "text.bin", 0, 100), SEQ_LEN, 1, &data));
    assert_string_equal(weir_data_info(data)->kind, "text");
    assert_int_equal(weir_data_info(data)->n_samples, (1024 + 200 - 1) / SEQ_LEN);
    weir_data_close(data);
}

/* Lengths that leave 0 to SEQ_LEN tokens over; every sample of every file comes once and none spans two. */
static void samples_of_several_files_come_once_and_do_not_span(void **state)
{
    (void)state;
    static const int lengths[] = {9, 16, 17, 100, 10, 1000, 25};
    enum { FILES = sizeof lengths / sizeof lengths[0] };
    const char *paths[FILES];
    bool seen[FILES][1000 / SEQ_LEN] = {{false}};
    weir_data *data;
    int64_t n = 0;
    int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
    for (int i = 0; i < FILES; i++) {
        char name[20];
        snprintf(name, sizeof name, "part%d.bin", i);
        paths[i] = file_make(&formats[1], name, i, lengths[i]);
        n += (lengths[i] - 1) / SEQ_LEN;
    }
    assert_ok(weir_data_open_tokens(paths, FILES, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 5, &data));
    assert_int_equal(weir_data_info(data)->n_samples, n);
    for (int64_t number = 0; number < n; number++) {
        int found = 0;
        assert_ok(weir_data_read(data, number, 1, inputs, targets));
        for (int f = 0; f < FILES; f++)
            for (int s = 0; s < (lengths[f] - 1) / SEQ_LEN; s++)
                if (inputs[0] == (int32_t)token(f, s * SEQ_LEN)) {
                    for (int i = 0; i < SEQ_LEN; i++) {
                        assert_int_equal(inputs[i], token(f, s * SEQ_LEN + i));
                        assert_int_equal(targets[i], token(f, s * SEQ_LEN + i + 1));
                    }
                    assert_false(seen[f][s]);
                    seen[f][s] = true;
                    found++;
                }
        assert_int_equal(found, 1);
    }
    weir_data_close(data);
}

static void prefetching_changes_nothing_and_takes_any_numbers(void **state)
{
    (void)state;
    weir_data *data;
    int32_t before[2][4 * SEQ_LEN], after[2][4 * SEQ_LEN];
    assert_ok(one_open(file_make(&formats[1], "ahead.bin", 1, 500), &data));
    assert_ok(weir_data_read(data, 60, 4, before[0], before[1]));
    uint64_t allocations = weir_alloc_count();
    weir_data_prefetch(data, 60, 4);
    weir_data_prefetch(data, 0, 1000);
    weir_data_prefetch(data, -1, 1);
    weir_data_prefetch(data, 3, -1);
    weir_data_prefetch(data, INT64_MAX, 1);
    assert_ok(weir_data_read(data, 60, 4, after[0], after[1]));
    assert_int_equal(weir_alloc_count(), allocations);
    assert_memory_equal(before, after, sizeof before);
    weir_data_close(data);
}

/* ---- dealing ------------------------------------------------------------------------------------------------------- */

/* Over three epochs and a bit: the numbers of all steps and replicas are 0, 1, 2 .. without overlap or gap, and what they
 * stand for is every sample once in each epoch. */
static void deal_check(const weir_data *data, int n_replicas, int n_mb, int batch)
{
    int64_t n = weir_data_info(data)->n_samples, each = (int64_t)n_mb * batch, next = 0, in_epoch = 0;
    bool *seen = calloc((size_t)n, 1);
    for (int64_t step = 0; next < 3 * n + 5; step++)
        for (int replica = 0; replica < n_replicas; replica++)
            for (int mb = 0; mb < n_mb; mb++)
                for (int b = 0; b < batch; b++) {
                    int64_t number = weir_data_first(step, replica, n_replicas, each) + (int64_t)mb * batch + b;
                    int64_t sample = weir_data_sample(data, number);
                    assert_int_equal(number, next++);
                    assert_false(seen[sample]);
                    seen[sample] = true;
                    if (++in_epoch == n) {
                        memset(seen, 0, (size_t)n);
                        in_epoch = 0;
                    }
                }
    free(seen);
}

static void replicas_share_every_epoch_without_overlap_or_gap(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {4, 2}, {3, 5}};
    weir_data *data;
    assert_ok(one_open(file_make(&formats[0], "deal.bin", 1, 1000), &data)); /* 124 samples: steps cross epochs */
    for (int n_replicas = 1; n_replicas <= 4; n_replicas *= 2)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            deal_check(data, n_replicas, sizes[i][0], sizes[i][1]);
    weir_data_close(data);
}

/* 8 micro-batches of one replica are 4 of each of two, or 2 of each of four. */
static void the_number_of_replicas_does_not_change_a_step(void **state)
{
    (void)state;
    for (int64_t step = 0; step < 50; step++)
        for (int n_replicas = 1; n_replicas <= 8; n_replicas *= 2)
            assert_int_equal(weir_data_first(step, 0, n_replicas, 16 / n_replicas), step * 16);
    assert_int_equal(weir_data_first(3, 1, 2, 10), 70);
}

static void numbers_beyond_int64_are_refused_by_the_read(void **state)
{
    (void)state;
    weir_data *data;
    int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
    assert_int_equal(weir_data_first(INT64_MAX / 2, 0, 1, 2), INT64_MAX - 1);
    assert_int_equal(weir_data_first(INT64_MAX / 2 + 1, 0, 1, 2), -1);
    assert_int_equal(weir_data_first(INT64_MAX / 2 + 1, 0, 2, 1), -1);
    assert_int_equal(weir_data_first(INT64_MAX, 1, 1, 1), -1);
    assert_ok(one_open(file_make(&formats[0], "far.bin", 1, 100), &data));
    assert_fails(weir_data_read(data, weir_data_first(INT64_MAX, 1, 1, 1), 1, inputs, targets), WEIR_ERR_INVALID, "number -1");
    weir_data_close(data);
}

/* ---- rejects ------------------------------------------------------------------------------------------------------- */

static void a_damaged_file_names_itself_and_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int format, n; /* tokens written */
        int at;        /* byte where `word` (4 bytes) is put, -1: nowhere */
        uint32_t word;
        int bytes; /* of the file, -1: as it is */
        const char *words;
    } rows[] = {
        {"empty", 0, 0, -1, 0, 0, "bad.bin' is empty: it has 0 bytes"},
        {"one byte", 0, 100, -1, 0, 1, "ends at byte 1, within a uint16 token that starts at byte 0"},
        {"half a token", 0, 100, -1, 0, 199, "ends at byte 199, within a uint16 token that starts at byte 198"},
        {"too few without a header", 0, 8, -1, 0, -1, "has 8 tokens and ends at byte 16, sequence length 8 needs at least 9"},
        {"too few with a header", 1, 8, -1, 0, -1, "has 8 tokens and ends at byte 1040"},
        {"too few of four bytes", 2, 8, -1, 0, -1, "has 8 tokens and ends at byte 1056"},
        {"the magic and no more", 1, 100, -1, 0, 4, "ends at byte 4, within its header of 1024 bytes: it is cut short"},
        {"the header cut", 1, 100, -1, 0, 1023, "ends at byte 1023, within its header"},
        {"tokens cut", 1, 100, -1, 0, 1024 + 198, "count 100 at byte 8 asks for 1224 bytes, but it ends at byte 1222: it is cut short"},
        {"half a token behind a header", 1, 100, -1, 0, 1024 + 199, "ends at byte 1223: it is cut short"},
        {"one token more", 1, 100, -1, 0, 1024 + 202, "ends at byte 1226: it is too long"},
        {"no tokens", 1, 0, -1, 0, -1, "holds no tokens: its count at byte 8 is 0"},
        {"very many tokens", 1, 100, 8, UINT32_MAX, -1, "count 4294967295 at byte 8 asks for 8589935614 bytes"},
        {"very many of four bytes", 2, 100, 8, UINT32_MAX, -1, "asks for 17179870204 bytes"},
        {"version of tomorrow", 1, 100, 4, 2, -1, "version at byte 4 is 2, not 1"},
        {"version of the other", 2, 100, 4, 1, -1, "version at byte 4 is 1, not 7"},
        {"the magic by chance", 0, 100, 0, 20240520, -1, "if these are tokens without a header that start so by chance"},
        {"the other by chance", 0, 600, 0, 20240801, -1, "if these are tokens without a header that start so by chance"},
        {"a model of llm.c", 0, 100, 0, 20240326, -1, "starts with 20240326 at byte 0, as llm.c's files of a GPT-2 model do"},
        {"a tokenizer of llm.c", 0, 100, 0, 20240328, -1, "files of a tokenizer do"},
        {"an id in the first sample", 1, 100, 1024 + 14, 50257, -1, "bad.bin': token 7 at byte 1038 is 50257, the model's ids end at 50256"},
        {"the last of the first sample", 0, 100, 16, 65535, -1, "token 8 at byte 16 is 65535"},
        {"a negative id", 2, 100, 1024 + 8, UINT32_MAX, -1, "token 2 at byte 1032 is 4294967295"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        weir_data *data = NULL;
        size_t bytes = file_fill(&formats[rows[i].format], 0, rows[i].n);
        if (rows[i].at >= 0)
            put(content, (size_t)rows[i].at, rows[i].word, 4);
        assert_ok(weir_file_write(testing_path("bad.bin"), content, rows[i].bytes >= 0 ? (size_t)rows[i].bytes : bytes));
        print_message("%s\n", rows[i].name);
        assert_fails(one_open(testing_path("bad.bin"), &data), WEIR_ERR_INVALID, rows[i].words);
        assert_null(data);
    }
}

/* Every sample but the one with the bad id can be read; that one names file, token, byte and id. */
static void an_id_beyond_the_vocabulary_is_found_when_it_is_read(void **state)
{
    (void)state;
    weir_data *data;
    int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
    int n_bad = 0;
    size_t bytes = file_fill(&formats[1], 0, 1000);
    put(content, 1024 + 2 * 804, VOCABULARY, 2); /* token 804: input of sample 100 and of no other, target of none but it */
    assert_ok(weir_file_write(testing_path("late.bin"), content, bytes));
    assert_ok(one_open(testing_path("late.bin"), &data));
    for (int64_t number = 0; number < weir_data_info(data)->n_samples; number++) {
        bool bad = weir_data_sample(data, number) == 804 / SEQ_LEN;
        n_bad += bad;
        if (bad)
            assert_fails(weir_data_read(data, number, 1, inputs, targets), WEIR_ERR_INVALID,
                         "late.bin': token 804 at byte 2632 is 50257, the model's ids end at 50256");
        else
            assert_ok(weir_data_read(data, number, 1, inputs, targets));
    }
    assert_int_equal(n_bad, 1);
    weir_data_close(data);
}

static void the_last_target_of_a_sample_is_checked_too(void **state)
{
    (void)state;
    weir_data *data;
    int32_t inputs[SEQ_LEN], targets[SEQ_LEN];
    size_t bytes = file_fill(&formats[0], 0, 17); /* two samples: token 16 is the last target of the second */
    put(content, 2 * 16, 60000, 2);
    assert_ok(weir_file_write(testing_path("edge.bin"), content, bytes));
    assert_ok(one_open(testing_path("edge.bin"), &data));
    for (int64_t number = 0; number < 2; number++) {
        weir_status status = weir_data_read(data, number, 1, inputs, targets);
        assert_int_equal(status, weir_data_sample(data, number) ? WEIR_ERR_INVALID : WEIR_OK);
    }
    weir_data_close(data);
}

static void text_is_held_to_a_small_vocabulary_too(void **state)
{
    (void)state;
    weir_data *data = NULL;
    const char *path = testing_path("small.txt");
    assert_ok(weir_file_write(path, "aaaaaaaaaaaaaaab", 16));
    assert_fails(weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_AUTO, 15, 'b', 1, &data), WEIR_ERR_INVALID, "token 15 at byte 15 is 98");
    assert_ok(weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_AUTO, 15, 'b' + 1, 1, &data));
    weir_data_close(data);
}

/* A cut is found by the next read; a file that was removed or replaced stays what it was. */
static void a_file_that_is_cut_while_open_is_an_error(void **state)
{
    (void)state;
    weir_data *data;
    int32_t before[2][SEQ_LEN], after[2][SEQ_LEN];
    const char *path = file_make(&formats[0], "cut.bin", 1, 3000);
    assert_ok(one_open(path, &data));
    assert_ok(weir_data_read(data, 5, 1, before[0], before[1]));
    file_make(&formats[0], "cut.bin", 2, 100); /* by a rename */
    assert_ok(weir_data_read(data, 5, 1, after[0], after[1]));
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(unlink(testing_path("cut.bin")), 0);
    assert_ok(weir_data_read(data, 5, 1, after[0], after[1]));
    assert_memory_equal(before, after, sizeof before);
    weir_data_close(data);
    assert_ok(one_open(file_make(&formats[0], "cut.bin", 1, 3000), &data));
    assert_int_equal(truncate(testing_path("cut.bin"), 100), 0);
    weir_data_prefetch(data, 0, 100);
    assert_fails(weir_data_read(data, 5, 1, after[0], after[1]), WEIR_ERR_IO,
                 "cut.bin' was cut from 6000 to 100 bytes while it is in use");
    weir_data_close(data);
}

/* It would be another hash, and a run could not go on with its own data. */
static void data_that_cannot_be_read_have_no_hash(void **state)
{
    (void)state;
    weir_data *data;
    uint64_t hash = 7, whole = 0;
    assert_ok(one_open(file_make(&formats[0], "cut.bin", 1, 3000), &data));
    assert_ok(weir_data_hash(data, &whole));
    assert_int_equal(truncate(testing_path("cut.bin"), 100), 0);
    assert_fails(weir_data_hash(data, &hash), WEIR_ERR_IO, "cut.bin' was cut from 6000 to 100 bytes");
    assert_int_equal(hash, 7);
    assert_int_not_equal(whole, 0);
    weir_data_close(data);
}

static void files_must_be_of_one_kind_and_different(void **state)
{
    (void)state;
    weir_data *data = NULL;
    const char *paths[3] = {file_make(&formats[1], "a.bin", 0, 100), file_make(&formats[1], "b.bin", 1, 100),
                            file_make(&formats[0], "c.bin", 2, 100)};
    assert_fails(weir_data_open_tokens(paths, 3, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data), WEIR_ERR_INVALID,
                 "a.bin' is llm.c uint16 and '");
    paths[2] = file_make(&formats[3], "c.txt", 2, 100);
    assert_fails(weir_data_open_tokens(paths, 3, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data), WEIR_ERR_INVALID,
                 "c.txt' is text");
    assert_int_equal(symlink(paths[0], testing_path("d.bin")), 0);
    paths[2] = testing_path("d.bin");
    assert_fails(weir_data_open_tokens(paths, 3, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data), WEIR_ERR_INVALID,
                 "are the same file");
    paths[2] = testing_path("none.bin");
    assert_fails(weir_data_open_tokens(paths, 3, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data), WEIR_ERR_IO,
                 "No such file");
    paths[2] = file_make(&formats[1], "e.bin", 2, 5);
    assert_fails(weir_data_open_tokens(paths, 3, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data), WEIR_ERR_INVALID,
                 "e.bin' has 5 tokens");
    assert_fails(weir_data_open_tokens(paths, 0, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data), WEIR_ERR_INVALID,
                 "at least one file");
    assert_fails(weir_data_open_tokens(paths, 1, WEIR_DATA_FORMAT_AUTO, 0, VOCABULARY, 1, &data), WEIR_ERR_INVALID,
                 "sequence length is 0");
    assert_fails(weir_data_open_tokens(paths, 1, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, 0, 1, &data), WEIR_ERR_INVALID,
                 "vocabulary is 0");
    assert_null(data);
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

/* `text`, with % for the test's folder, names `wanted`. */
static void paths_check(const char *text, int n_wanted, const char *const *wanted)
{
    struct weir_text full = {0};
    struct weir_arena arena = {0};
    const char *const *paths;
    int n = 0;
    for (const char *c = text; *c; c++)
        weir_text_append(&full, *c == '%' ? "%s" : "%.1s", *c == '%' ? testing_path("names") : c);
    assert_ok(weir_data_paths(full.data, &arena, &paths, &n));
    assert_int_equal(n, n_wanted);
    for (int i = 0; i < n; i++)
        assert_string_equal(strrchr(paths[i], '/') + 1, wanted[i]);
    weir_text_release(&full);
    weir_arena_release(&arena);
}

static void names_and_patterns_are_listed_in_order(void **state)
{
    (void)state;
    static const char *const files[] = {"b_2.bin", "b_10.bin", "a.bin", "B.bin", "x,y.bin", "[z].bin"};
    assert_int_equal(mkdir(testing_path("names"), 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char name[40];
        snprintf(name, sizeof name, "names/%s", files[i]);
        assert_ok(weir_file_write(testing_path(name), "x", 1));
    }
    paths_check("%/a.bin", 1, (const char *const[]){"a.bin"});
    paths_check("%/none.bin", 1, (const char *const[]){"none.bin"});
    paths_check("%/b_*.bin", 2, (const char *const[]){"b_10.bin", "b_2.bin"});
    paths_check("%/[ab]*.bin", 3, (const char *const[]){"a.bin", "b_10.bin", "b_2.bin"});
    paths_check("%/b_?.bin,%/a.bin,%/none", 3, (const char *const[]){"b_2.bin", "a.bin", "none"});
    paths_check("%/?.bin", 2, (const char *const[]){"B.bin", "a.bin"});
    paths_check("%/x,y.bin", 1, (const char *const[]){"x,y.bin"});
    paths_check("%/[z].bin", 1, (const char *const[]){"[z].bin"});
}

static void names_that_name_nothing_say_so(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const char *const *paths;
    int n;
    assert_fails(weir_data_paths("/nowhere/t_*.bin", &arena, &paths, &n), WEIR_ERR_IO, "no file matches '/nowhere/t_*.bin'");
    assert_fails(weir_data_paths("", &arena, &paths, &n), WEIR_ERR_USAGE, "empty name");
    assert_fails(weir_data_paths("a,,b", &arena, &paths, &n), WEIR_ERR_USAGE, "'a,,b' has an empty name");
    assert_fails(weir_data_paths("a,", &arena, &paths, &n), WEIR_ERR_USAGE, "empty name");
    weir_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *paths[] = {file_make(&formats[1], "m0.bin", 0, 100), file_make(&formats[1], "m1.bin", 1, 100)};
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        weir_data *data = NULL;
        struct weir_arena arena = {0};
        const char *const *found;
        int n;
        weir_alloc_set_budget(budget);
        status = weir_data_paths("/,/,/de?", &arena, &found, &n);
        if (!status)
            status = weir_data_open_tokens(paths, 2, WEIR_DATA_FORMAT_AUTO, SEQ_LEN, VOCABULARY, 1, &data);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
        weir_data_close(data);
        weir_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_reads_what_was_written),
        cmocka_unit_test(text_opened_as_text_is_text_whatever_its_name),
        cmocka_unit_test(samples_of_several_files_come_once_and_do_not_span),
        cmocka_unit_test(prefetching_changes_nothing_and_takes_any_numbers),
        cmocka_unit_test(replicas_share_every_epoch_without_overlap_or_gap),
        cmocka_unit_test(the_number_of_replicas_does_not_change_a_step),
        cmocka_unit_test(numbers_beyond_int64_are_refused_by_the_read),
        cmocka_unit_test(a_damaged_file_names_itself_and_the_byte),
        cmocka_unit_test(an_id_beyond_the_vocabulary_is_found_when_it_is_read),
        cmocka_unit_test(the_last_target_of_a_sample_is_checked_too),
        cmocka_unit_test(text_is_held_to_a_small_vocabulary_too),
        cmocka_unit_test(a_file_that_is_cut_while_open_is_an_error),
        cmocka_unit_test(data_that_cannot_be_read_have_no_hash),
        cmocka_unit_test(files_must_be_of_one_kind_and_different),
        cmocka_unit_test(names_and_patterns_are_listed_in_order),
        cmocka_unit_test(names_that_name_nothing_say_so),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
