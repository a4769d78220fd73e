/* Byte-pair encoding: words, merges in their order, and any bytes there and back.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/json.h"
#include "base/text.h"
#include "models/tokens/bpe.h"
#include "models/tokens/unicode.h"
#include "models/tokens/words.h"
#include "tests/support/small_tokenizer.h"

static struct weir_arena arena;

static int arena_drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

/* ---- a small tokenizer --------------------------------------------------------------------------------------------- */

/* {"!": 0, ...}: byte b has the id b; bytes that do not print stand at 256 and up. */
static void bytes_write(struct weir_text *text)
{
    weir_text_append(text, "{");
    for (unsigned b = 0; b < 256; b++) {
        weir_text_append(text, "%s\"", b ? ", " : "");
        small_letter_append(text, b);
        weir_text_append(text, "\": %u", b);
    }
}

static const char merges[] = "#version: 0.2\nl l\nh e\nhe ll\nhell o\nĠ w\no r\nĠw or\nĠwor l\na a\naa aa\n";
static const char *const merged[] = {"ll", "he", "hell", "hello", "Ġw", "or", "Ġwor", "Ġworl", "aa", "aaaa", "<|endoftext|>"};
enum { LL = 256, HE, HELL, HELLO, GW, OR, GWOR, GWORL, AA, AAAA, END, TOKENS };

static const char *vocabulary_text(const char *more)
{
    struct weir_text text = {0};
    const char *copy;
    bytes_write(&text);
    for (int i = 0; i < TOKENS - 256; i++)
        weir_text_append(&text, ", \"%s\": %d", merged[i], 256 + i);
    weir_text_append(&text, "%s}", more);
    assert_ok(text.status);
    assert_ok(weir_arena_strdup(&arena, text.data, &copy));
    weir_text_release(&text);
    return copy;
}

static weir_status parse(const char *vocabulary, const char *merge_lines, struct weir_bpe *bpe)
{
    json_t *ids;
    weir_status status = weir_json_parse(vocabulary, strlen(vocabulary), "vocab.json", &ids);
    if (status)
        return status;
    *bpe = (struct weir_bpe){0};
    status = weir_bpe_files_read(bpe, ids, NULL, merge_lines, strlen(merge_lines), &arena);
    json_decref(ids);
    return status;
}

static struct weir_bpe small(void)
{
    struct weir_bpe bpe;
    assert_ok(parse(vocabulary_text(""), merges, &bpe));
    return bpe;
}

static void words_encode(const struct weir_bpe *bpe, const char *text, size_t bytes, int32_t **tokens_out, int64_t *n_out)
{
    struct weir_merger merger = {0};
    struct weir_token_list out = {0};
    for (size_t n; bytes; text += n, bytes -= n) {
        n = weir_word_bytes(WEIR_WORDS_GPT2, text, bytes);
        assert_ok(weir_bpe_word_append(bpe, text, n, &merger, &out));
    }
    assert_ok(weir_token_list_copy(&out, &arena, tokens_out, n_out));
    weir_merger_release(&merger);
    weir_free(out.tokens);
}

static void encodes_to(const char *text, int64_t n, const int32_t *wanted)
{
    struct weir_bpe bpe = small();
    int32_t *tokens;
    int64_t found;
    words_encode(&bpe, text, strlen(text), &tokens, &found);
    assert_int_equal(found, n);
    assert_memory_equal(tokens, wanted, (size_t)n * sizeof *tokens);
}

static void merges_are_made_in_the_order_of_the_file(void **state)
{
    (void)state;
    encodes_to("hello world", 3, (int32_t[]){HELLO, GWORL, 'd'});
    encodes_to("hell", 1, (int32_t[]){HELL});
    encodes_to("helo", 3, (int32_t[]){HE, 'l', 'o'});
    encodes_to("shell", 2, (int32_t[]){'s', HELL});
    encodes_to("hel lo", 5, (int32_t[]){HE, 'l', ' ', 'l', 'o'});
    encodes_to("aaaaa", 2, (int32_t[]){AAAA, 'a'});
    encodes_to("aaaaaaa", 3, (int32_t[]){AAAA, AA, 'a'});
    encodes_to("", 0, NULL);
}

static void words_are_those_of_the_published_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words; /* ends of words marked by | */
    } cases[] = {
        {"Hello, world", "Hello|,| world|"},
        {"we're they'll I'd it's", "we|'re| they|'ll| I|'d| it|'s|"},
        {"'S 'sx", "'|S| '|sx|"},
        {"in 1984 and42", "in| 1984| and|42|"},
        {"a  b", "a| | b|"},
        {"a \n b", "a| \n| b|"},
        {"a\nb", "a|\n|b|"},
        {"end   ", "end|   |"},
        {"  ", "  |"},
        {" ", " |"},
        {"x!?... y", "x|!?...| y|"},
        {" ' s", " '| s|"},
        {"na\xc3\xafve \xe4\xb8\xad\xe6\x96\x87\xd9\xa3\xd9\xa4", "na\xc3\xafve| \xe4\xb8\xad\xe6\x96\x87|\xd9\xa3\xd9\xa4|"},
        {"a\xc2\xa0" "b", "a|\xc2\xa0|b|"},
        {"\xff\xfe" "a", "\xff\xfe|a|"},
        {"\xc3", "\xc3|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char found[128] = "";
        for (const char *at = cases[i].text; *at;) {
            size_t n = weir_word_bytes(WEIR_WORDS_GPT2, at, strlen(at));
            assert_true(n >= 1 && n <= strlen(at));
            strncat(found, at, n);
            strcat(found, "|");
            at += n;
        }
        assert_string_equal(found, cases[i].words);
    }
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    struct weir_bpe bpe = small();
    char text[300], back[300];
    for (uint32_t round = 0; round < 2000; round++) {
        size_t n = weir_rng_philox(1, round, 0, 0, 0).v[0] % sizeof text, used = 0;
        for (size_t i = 0; i < n; i++) {
            struct weir_rng_block b = weir_rng_philox(2, (uint32_t)i, round, 0, 0);
            text[i] = b.v[1] % 3 ? "hello world's aa \n"[b.v[0] % 18] : (char)b.v[0];
        }
        int32_t *tokens;
        int64_t count;
        words_encode(&bpe, text, n, &tokens, &count);
        for (int64_t i = 0; i < count; i++) {
            const struct weir_token *token = &bpe.vocabulary.tokens[tokens[i]];
            memcpy(back + used, token->bytes, token->n);
            used += token->n;
        }
        assert_int_equal(used, n);
        assert_memory_equal(text, back, n);
    }
}

static void tokens_are_the_bytes_that_letters_stand_for(void **state)
{
    (void)state;
    struct weir_bpe bpe;
    assert_ok(parse(vocabulary_text(", \"he  \": 300"), merges, &bpe)); /* spaces are not written so: an added token */
    assert_int_equal(bpe.vocabulary.n_tokens, 301);
    assert_int_equal(bpe.vocabulary.tokens[GWORL].n, 5);
    assert_memory_equal(bpe.vocabulary.tokens[GWORL].bytes, " worl", 5);
    assert_memory_equal(bpe.vocabulary.tokens[300].bytes, "he  ", 4);
    assert_null(bpe.vocabulary.tokens[299].bytes);
    assert_int_equal(weir_vocabulary_find(&bpe.vocabulary, "he  ", 4), WEIR_NO_TOKEN);
    assert_int_equal(weir_vocabulary_find(&bpe.vocabulary, " worl", 5), GWORL);
}

/* ---- what is wrong with the files ---------------------------------------------------------------------------------- */

static void refused(const char *vocabulary, const char *merge_lines, const char *words)
{
    struct weir_bpe bpe;
    assert_fails(parse(vocabulary, merge_lines, &bpe), WEIR_ERR_INVALID, words);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    const char *good = vocabulary_text("");
    refused("[]", "", "vocab.json is not an object");
    refused("{", "", "vocab.json");
    refused("{\"a\": 0}", "", "no token for byte 0");
    refused("{\"a\": -1}", "", "token 'a' has no id");
    refused("{\"a\": 1e3}", "", "token 'a' has no id");
    refused("{\"a\": 99999999999}", "", "token 'a' has no id");
    refused(vocabulary_text(", \"twice\": 256"), "", "id 256 of token 'twice'");
    refused(good, "l l\nl\n", "merges.txt:2: 'l' is not a pair");
    refused(good, "l l l\n", "merges.txt:1: 'l l l' is not a pair");
    refused(good, " l\n", "not a pair");
    refused(good, "l l\nq q\n", "merges.txt:2: 'qq' is not in vocab.json");
    refused(good, "lq l\n", "merges.txt:1: 'lq' is not in vocab.json");
    refused(good, "l l\nh e\nl l\n", "merges.txt:3: 'l l' stands there twice");
}

/* ---- UTF-8 --------------------------------------------------------------------------------------------------------- */

static void utf8_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int size;
        uint32_t code;
    } cases[] = {
        {"A", 1, 'A'},           {"\xc3\xa9", 2, 0xe9},         {"\xe2\x82\xac", 3, 0x20ac}, {"\xf0\x9f\x98\x80", 4, 0x1f600},
        {"\x80", 0, 0},          {"\xc0\xaf", 0, 0},            {"\xc1\x80", 0, 0},          {"\xe0\x80\x80", 0, 0},
        {"\xed\xa0\x80", 0, 0},  {"\xf4\x90\x80\x80", 0, 0},    {"\xf5\x80\x80\x80", 0, 0},  {"\xc3", -2, 0},
        {"\xe2\x82", -3, 0},     {"\xf0\x9f\x98", -4, 0},       {"\xc3(", 0, 0},             {"\xe2(", 0, 0},
        {"\xed\x9f\xbf", 3, 0xd7ff}, {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t code = 0;
        assert_int_equal(weir_utf8_read((const unsigned char *)cases[i].text, strlen(cases[i].text), &code), cases[i].size);
        assert_int_equal(code, cases[i].code);
    }
}

static void characters_have_classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        enum weir_unicode_class class;
    } cases[] = {{'A', WEIR_UNICODE_LETTER},    {'z', WEIR_UNICODE_LETTER},    {'0', WEIR_UNICODE_NUMBER},
                 {'_', WEIR_UNICODE_OTHER},     {' ', WEIR_UNICODE_SPACE},     {0, WEIR_UNICODE_OTHER},
                 {0x1f, WEIR_UNICODE_OTHER},    {0x85, WEIR_UNICODE_SPACE},    {0xaa, WEIR_UNICODE_LETTER},
                 {0xbd, WEIR_UNICODE_NUMBER},   {0x301, WEIR_UNICODE_OTHER},   {0x663, WEIR_UNICODE_NUMBER},
                 {0x4e2d, WEIR_UNICODE_LETTER}, {0x2167, WEIR_UNICODE_NUMBER}, {0x3000, WEIR_UNICODE_SPACE},
                 {0x1f600, WEIR_UNICODE_OTHER}, {0x2fa1d, WEIR_UNICODE_LETTER}, {0x10ffff, WEIR_UNICODE_OTHER}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(weir_unicode_class(cases[i].code), cases[i].class);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(merges_are_made_in_the_order_of_the_file, arena_drop),
        cmocka_unit_test_teardown(words_are_those_of_the_published_pattern, arena_drop),
        cmocka_unit_test_teardown(any_bytes_come_back, arena_drop),
        cmocka_unit_test_teardown(tokens_are_the_bytes_that_letters_stand_for, arena_drop),
        cmocka_unit_test_teardown(bad_files_are_named, arena_drop),
        cmocka_unit_test_teardown(utf8_is_read_strictly, arena_drop),
        cmocka_unit_test_teardown(characters_have_classes, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
