/* Tokenizers of a model's folder: tokens as the package tokenizers 0.23.3 gives them for the same files.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/replace.h"
#include "base/rng.h"
#include "include/weir/tokens.h"
#include "tests/support/small_tokenizer.h"

static struct weir_arena arena;

static int arena_drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static const struct weir_tokenizer *opened(const struct small_tokenizer *small)
{
    const struct weir_tokenizer *t = NULL;
    const char *text = small_tokenizer_text(small, &arena);
    assert_ok(weir_tokenizer_parse(text, strlen(text), "small.json", &arena, &t));
    return t;
}

/* ---- tokens -------------------------------------------------------------------------------------------------------- */

struct row {
    const char *text;
    int64_t n;
    int32_t tokens[24];
};

static void encodes_as(const struct small_tokenizer *small, const struct row *rows, size_t n_rows)
{
    const struct weir_tokenizer *t = opened(small);
    for (size_t i = 0; i < n_rows; i++) {
        int32_t *tokens;
        int64_t n;
        assert_ok(weir_tokenizer_encode(t, rows[i].text, strlen(rows[i].text), WEIR_TOKENS_OF_TEXT, &arena, &tokens, &n));
        if (n != rows[i].n || memcmp(tokens, rows[i].tokens, (size_t)n * sizeof *tokens) != 0)
            fail_msg("'%s' has other tokens", rows[i].text);
    }
}

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])

static void gpt2_has_the_tokens_of_the_package(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"hello world", 3, {259, 263, 100}},
        {"hello  world\n\nhello 12345", 11, {259, 32, 263, 100, 10, 10, 259, 32, 269, 52, 53}},
        {"HE'LL it's 'S 1234", 15, {72, 69, 39, 76, 76, 32, 105, 116, 267, 32, 39, 83, 32, 269, 52}},
        {"<|end|>hello<|go|>  world", 7, {271, 259, 272, 119, 261, 108, 100}},
        {" hello", 2, {32, 259}},
        {"e\xcc\x81 \xc3\xa9 \xe4\xb8\xad\xd9\xa3\xd9\xa4", 14, {101, 204, 129, 32, 195, 169, 32, 228, 184, 173, 217, 163, 217, 164}},
        {"", 0, {0}},
        {"aaaaa  aaaaaaa", 7, {265, 97, 32, 32, 265, 264, 97}},
        {"<s>hello</s>", 8, {60, 115, 62, 259, 60, 47, 115, 62}},
    };
    encodes_as(&small_gpt2, ROWS(rows));
    struct small_tokenizer split = small_gpt2;
    split.pre_tokenizer = small_gpt2_split;
    encodes_as(&split, ROWS(rows));
}

static void llama3_has_the_tokens_of_the_package(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"hello world", 4, {271, 259, 263, 100}},
        {"hello  world\n\nhello 12345", 12, {271, 259, 32, 263, 100, 10, 10, 259, 32, 269, 52, 53}},
        {"HE'LL it's 'S 1234", 16, {271, 72, 69, 39, 76, 76, 32, 105, 116, 267, 32, 39, 83, 32, 269, 52}},
        {"<|end|>hello<|go|>  world", 8, {271, 271, 259, 272, 119, 261, 108, 100}},
        {" hello", 2, {271, 270}}, /* a word that is a token, though no merge makes it */
        {"  hello", 3, {271, 32, 270}},
        {"", 1, {271}},
        {"\xc2\xa0hello", 4, {271, 194, 160, 259}},
    };
    encodes_as(&small_llama3, ROWS(rows));
}

static void qwen2_has_the_tokens_of_the_package(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"hello  world\n\nhello 12345", 13, {259, 32, 263, 100, 10, 10, 259, 32, 49, 50, 51, 52, 53}},
        {"<|end|>hello<|go|>  world", 7, {271, 259, 272, 119, 261, 108, 100}},
        {"e\xcc\x81 \xc3\xa9 \xe4\xb8\xad\xd9\xa3\xd9\xa4", 13, {195, 169, 32, 195, 169, 32, 228, 184, 173, 217, 163, 217, 164}},
    };
    encodes_as(&small_qwen2, ROWS(rows));
}

static void llama2_has_the_tokens_of_the_package(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"hello world", 3, {1, 274, 278}},
        {"hello  world\n\nhello 12345", 14, {1, 274, 259, 278, 13, 13, 272, 263, 259, 52, 53, 54, 55, 56}},
        {"<|end|>hello<|go|>  world", 11, {1, 281, 274, 63, 127, 106, 263, 127, 65, 259, 278}},
        {" hello", 3, {1, 259, 274}},
        {"  hello", 3, {1, 277, 274}},
        {"e\xcc\x81 \xc3\xa9 \xe4\xb8\xad\xd9\xa3", 13, {1, 259, 261, 207, 132, 259, 268, 259, 231, 187, 176, 220, 166}},
        {"", 1, {1}},
        {" ", 2, {1, 277}},
        {"world \xe2\x82\xac.", 7, {1, 278, 259, 229, 133, 175, 267}},
        {"\xc2\xa0hello", 6, {1, 259, 197, 163, 272, 263}},
        {"<s>hello</s>", 7, {1, 1, 274, 63, 50, 118, 65}},
    };
    encodes_as(&small_llama2, ROWS(rows));
}

static void a_part_of_a_text_has_no_tokens_around_it(void **state)
{
    (void)state;
    int32_t *tokens;
    int64_t n;
    assert_ok(weir_tokenizer_encode(opened(&small_llama2), "hello", 5, WEIR_TOKENS_OF_PART, &arena, &tokens, &n));
    assert_int_equal(n, 1);
    assert_int_equal(tokens[0], 274);
}

static void what_the_kinds_say_of_spaces_is_kept(void **state)
{
    (void)state;
    static const char always[] = "{\"type\": \"Metaspace\", \"replacement\": \"▁\", \"prepend_scheme\": \"always\", \"split\": true}";
    static const char first[] = "{\"type\": \"Metaspace\", \"replacement\": \"▁\", \"prepend_scheme\": \"first\", \"split\": false}";
    static const char prefixed[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}";
    struct small_tokenizer small = small_llama2, bytes = small_gpt2;
    small.normalizer = small.post_processor = NULL;
    small.pre_tokenizer = always;
    encodes_as(&small, (struct row[]){{"hello  world<|end|>hello", 5, {274, 259, 278, 281, 274}}}, 1);
    small.pre_tokenizer = first;
    encodes_as(&small, (struct row[]){{"hello  world<|end|>hello", 6, {274, 259, 278, 281, 272, 263}}}, 1);
    bytes.pre_tokenizer = prefixed;
    encodes_as(&bytes, (struct row[]){{"world<|end|> world", 5, {263, 100, 271, 263, 100}}}, 1);
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static void tokens_become_the_text_again(void **state)
{
    (void)state;
    static const struct {
        const struct small_tokenizer *small;
        const char *text, *back, *said; /* said: without special tokens */
    } cases[] = {
        {&small_gpt2, "<|end|>hello<|go|>  w\xc3\xb6rld", "<|end|>hello<|go|>w\xc3\xb6rld", "hello<|go|>w\xc3\xb6rld"},
        {&small_qwen2, "o\xcc\x88  x", "\xc3\xb6  x", "\xc3\xb6  x"},
        {&small_llama2, "hello  world", "<s> hello  world", "hello  world"},
        {&small_llama2, "  hello \xe2\x82\xac", "<s>   hello \xe2\x82\xac", "  hello \xe2\x82\xac"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct weir_tokenizer *t = opened(cases[i].small);
        int32_t *tokens;
        int64_t n;
        char *back;
        size_t bytes;
        assert_ok(weir_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), WEIR_TOKENS_OF_TEXT, &arena, &tokens, &n));
        assert_ok(weir_tokenizer_decode(t, tokens, n, false, &arena, &back, &bytes));
        assert_string_equal(back, cases[i].back);
        assert_int_equal(bytes, strlen(back));
        assert_ok(weir_tokenizer_decode(t, tokens, n, true, &arena, &back, &bytes));
        assert_string_equal(back, cases[i].said);
    }
}

/* Bytes of a few characters that merges know, of special tokens, and any. */
static size_t bytes_draw(uint32_t round, char *text, size_t most)
{
    size_t n = weir_rng_philox(1, round, 0, 0, 0).v[0] % most;
    for (size_t i = 0; i < n; i++) {
        struct weir_rng_block b = weir_rng_philox(2, (uint32_t)i, round, 0, 0);
        text[i] = b.v[1] % 3 ? "hello world's aa \n<|end|>\xe2\x96\x81"[b.v[0] % 28] : (char)b.v[0];
    }
    return n;
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    struct small_tokenizer marks = small_llama2;
    marks.normalizer = "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"▁\"}";
    marks.decoder = "{\"type\": \"ByteFallback\"}";
    const struct small_tokenizer *kinds[] = {&small_gpt2, &small_llama3, &marks};
    char text[300];
    for (size_t kind = 0; kind < 3; kind++) {
        struct small_tokenizer small = *kinds[kind];
        small.post_processor = NULL;
        small.added = NULL;
        const struct weir_tokenizer *t = opened(&small);
        for (uint32_t round = 0; round < 1000; round++) {
            size_t n = bytes_draw(round, text, sizeof text), n_back;
            int32_t *tokens;
            int64_t count;
            char *back;
            for (size_t i = 0; i < n && kind == 2; i++)
                text[i] = text[i] == ' ' ? 'x' : text[i]; /* this kind writes spaces as marks */
            assert_ok(weir_tokenizer_encode(t, text, n, WEIR_TOKENS_OF_TEXT, &arena, &tokens, &count));
            assert_ok(weir_tokenizer_decode(t, tokens, count, false, &arena, &back, &n_back));
            assert_int_equal(n_back, n);
            assert_memory_equal(text, back, n);
        }
        weir_arena_release(&arena);
    }
}

static void tokens_have_names(void **state)
{
    (void)state;
    const struct weir_tokenizer *t = opened(&small_llama2);
    size_t n;
    assert_string_equal(weir_tokenizer_kind(t), "sentencepiece");
    assert_string_equal(weir_tokenizer_kind(opened(&small_gpt2)), "byte-level");
    assert_int_equal(weir_tokenizer_vocabulary(t), 283);
    assert_memory_equal(weir_tokenizer_token(t, 274, &n), " hello", 6);
    assert_int_equal(n, 6);
    assert_memory_equal(weir_tokenizer_token(t, 3 + 0xe2, &n), "\xe2", 1);
    assert_int_equal(n, 1);
    assert_null(weir_tokenizer_token(t, 283, &n));
    assert_null(weir_tokenizer_token(t, -1, &n));
    assert_true(weir_tokenizer_special(t, 1));
    assert_false(weir_tokenizer_special(t, 282));
    assert_false(weir_tokenizer_special(t, 999));
    assert_ok(weir_tokenizer_fits(t, 283));
    assert_fails(weir_tokenizer_fits(t, 282), WEIR_ERR_INVALID, "'small.json' has tokens up to 282, the model's vocabulary ends at 281");
}

/* ---- what is refused ----------------------------------------------------------------------------------------------- */

static void refused_text(const char *text, weir_status wanted, const char *words)
{
    const struct weir_tokenizer *t = NULL;
    assert_fails(weir_tokenizer_parse(text, strlen(text), "small.json", &arena, &t), wanted, words);
    assert_non_null(strstr(weir_last_error(), "small.json"));
    assert_null(t);
}

static void refused(const struct small_tokenizer *small, weir_status wanted, const char *words)
{
    refused_text(small_tokenizer_text(small, &arena), wanted, words);
}

static void parts_that_are_not_read_are_named(void **state)
{
    (void)state;
    static const struct {
        struct small_tokenizer change; /* of small_gpt2 */
        const char *words;
    } cases[] = {
        {{.normalizer = "{\"type\": \"Lowercase\"}"}, "normalizer 'Lowercase' is not read"},
        {{.normalizer = "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"NFKC\"}]}"}, "normalizer 'NFKC'"},
        {{.normalizer = "{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"b\"}"}, "'Replace' with content 'b'"},
        {{.normalizer = "{\"type\": \"Prepend\", \"prepend\": \"x\"}"}, "'Prepend' with prepend 'x'"},
        {{.pre_tokenizer = "{\"type\": \"Whitespace\"}"}, "pre-tokenizer 'Whitespace' is not read"},
        {{.pre_tokenizer = "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\w+\"}, \"behavior\": \"Isolated\"}"}, "the pattern '\\w+'"},
        {{.pre_tokenizer = "{\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, \"behavior\": \"Isolated\"}"}, "pattern ' '"},
        {{.pre_tokenizer = "{\"type\": \"Metaspace\", \"replacement\": \"_\"}"}, "replacement '_'"},
        {{.pre_tokenizer = "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"ByteLevel\"}, {\"type\": \"Digits\"}]}"},
         "'Digits' after 'ByteLevel'"},
        {{.post_processor = "{\"type\": \"BertProcessing\"}"}, "post-processor 'BertProcessing' is not read"},
        {{.decoder = "{\"type\": \"WordPiece\"}"}, "decoder 'WordPiece' is not read"},
        {{.model = "\"dropout\": 0.1, "}, "dropout 0.1"},
        {{.model = "\"end_of_word_suffix\": \"</w>\", "}, "end_of_word_suffix '</w>'"},
        {{.added = "{\"id\": 271, \"content\": \"x y\", \"single_word\": true}"}, "'x y' with single_word"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct small_tokenizer *change = &cases[i].change;
        struct small_tokenizer small = small_gpt2;
        small.normalizer = change->normalizer;
        small.post_processor = change->post_processor;
        small.model = change->model;
        small.added = change->added;
        small.pre_tokenizer = change->pre_tokenizer ? change->pre_tokenizer : small.pre_tokenizer;
        small.decoder = change->decoder ? change->decoder : small.decoder;
        refused(&small, WEIR_ERR_UNSUPPORTED, cases[i].words);
    }
    struct small_tokenizer no_decoder = small_gpt2;
    no_decoder.decoder = NULL;
    refused(&no_decoder, WEIR_ERR_UNSUPPORTED, "no decoder");
    refused_text("{\"model\": {\"type\": \"Unigram\", \"vocab\": []}}", WEIR_ERR_UNSUPPORTED, "model 'Unigram' is not read");
}

static void bad_files_are_named(void **state)
{
    (void)state;
    struct small_tokenizer small = small_gpt2;
    char deep[6000] = "";
    memset(deep, '[', sizeof deep - 1);
    refused_text("", WEIR_ERR_INVALID, "small.json");
    refused_text("[]", WEIR_ERR_INVALID, "it is no object");
    refused_text("{}", WEIR_ERR_INVALID, "it has no model");
    refused_text(deep, WEIR_ERR_INVALID, "maximum parsing depth");
    refused_text("{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": []}}", WEIR_ERR_INVALID, "model.vocab has no tokens");
    refused_text("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 99999999999}}}", WEIR_ERR_INVALID, "token 'a' has no id");
    refused_text("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}", WEIR_ERR_INVALID, "model.merges is no list");
    small.merges = "l l, q q";
    refused(&small, WEIR_ERR_INVALID, "merge 2: 'qq' is not in model.vocab");
    small.merges = "l l, h e, l l";
    refused(&small, WEIR_ERR_INVALID, "merge 3: 'l l' stands there twice");
    small.merges = "l";
    refused(&small, WEIR_ERR_INVALID, "merge 1: 'l' is not a pair");
    small = small_gpt2;
    small.added = "{\"id\": 270, \"content\": \"<x>\"}";
    refused(&small, WEIR_ERR_INVALID, "added token '<x>': its id 270 is taken");
    small.added = "{\"id\": 271, \"content\": \"hello\"}";
    refused(&small, WEIR_ERR_INVALID, "added token 'hello' has the ids 271 and 259");
    small.added = "{\"id\": 271, \"content\": \"<x>\"}, {\"id\": 271, \"content\": \"<x>\"}";
    refused(&small, WEIR_ERR_INVALID, "added token '<x>' stands there twice");
    small.added = "{\"id\": 271, \"content\": \"\"}";
    refused(&small, WEIR_ERR_INVALID, "added token 271 has no content");
    small.added = "{\"id\": 1099511627776, \"content\": \"<x>\"}";
    refused(&small, WEIR_ERR_INVALID, "token '<x>' has no id from 0 to");
    small = small_llama2;
    small.post_processor = "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<x>\"}}, {\"Sequence\": {}}]}";
    refused(&small, WEIR_ERR_INVALID, "special token '<x>' has no ids");
    small = small_gpt2;
    small.model = "\"byte_fallback\": true, ";
    refused(&small, WEIR_ERR_INVALID, "no token '<0x00>'");
}

static void a_character_without_a_token_is_named(void **state)
{
    (void)state;
    struct small_tokenizer small = small_llama2;
    int32_t *tokens;
    int64_t n;
    small.model = NULL;
    assert_fails(weir_tokenizer_encode(opened(&small), "h\xe2\x82\xac", 4, WEIR_TOKENS_OF_TEXT, &arena, &tokens, &n), WEIR_ERR_INVALID,
                 "no token for U+20AC");
    small.model = "\"unk_token\": \"<unk>\", \"fuse_unk\": false, ";
    encodes_as(&small, (struct row[]){{"h\xe2\x82\xac\xe2\x82\xac", 5, {1, 259, 260, 0, 0}}}, 1);
    small.model = "\"unk_token\": \"<unk>\", \"fuse_unk\": true, ";
    encodes_as(&small, (struct row[]){{"h\xe2\x82\xac\xe2\x82\xac", 4, {1, 259, 260, 0}}}, 1);
}

/* ---- folders ------------------------------------------------------------------------------------------------------- */

static void file_put(const char *name, const char *text)
{
    assert_ok(weir_file_write(testing_path(name), text, strlen(text)));
}

/* vocab.json of the bytes with two more. */
static void vocabulary_put(void)
{
    struct weir_text text = {0};
    for (unsigned b = 0; b < 256; b++) {
        weir_text_append(&text, "%s\"", b ? ", " : "{");
        small_letter_append(&text, b);
        weir_text_append(&text, "\": %u", b);
    }
    weir_text_append(&text, ", \"ab\": 256, \"<|endoftext|>\": 257}");
    assert_ok(text.status);
    file_put("vocab.json", text.data);
    weir_text_release(&text);
    file_put("merges.txt", "#version: 0.2\na b\n");
}

static const struct weir_tokenizer *folder_opened(void)
{
    const struct weir_tokenizer *t = NULL;
    assert_ok(weir_tokenizer_load(testing_dir(), &arena, &t));
    return t;
}

static void folder_encodes(const char *text, int64_t n, const int32_t *wanted)
{
    int32_t *tokens;
    int64_t found;
    assert_ok(weir_tokenizer_encode(folder_opened(), text, strlen(text), WEIR_TOKENS_OF_TEXT, &arena, &tokens, &found));
    assert_int_equal(found, n);
    assert_memory_equal(tokens, wanted, (size_t)n * sizeof *tokens);
}

static void a_folder_is_read_by_its_files(void **state)
{
    (void)state;
    const struct weir_tokenizer *t;
    assert_false(weir_tokenizer_there(testing_dir()));
    assert_fails(weir_tokenizer_load(testing_dir(), &arena, &t), WEIR_ERR_IO, "has no tokenizer");
    file_put("tokenizer.model", "");
    assert_true(weir_tokenizer_there(testing_dir()));
    assert_fails(weir_tokenizer_load(testing_dir(), &arena, &t), WEIR_ERR_UNSUPPORTED, "save_pretrained");
    vocabulary_put();
    assert_int_equal(remove(testing_path("merges.txt")), 0);
    assert_fails(weir_tokenizer_load(testing_dir(), &arena, &t), WEIR_ERR_IO, "merges.txt");
    vocabulary_put();
    assert_int_equal(remove(testing_path("vocab.json")), 0);
    assert_fails(weir_tokenizer_load(testing_dir(), &arena, &t), WEIR_ERR_IO, "vocab.json");
    vocabulary_put();
    folder_encodes("ab<|endoftext|>1", 3, (int32_t[]){256, 257, '1'});
    assert_int_equal(weir_tokenizer_end(folder_opened()), 257);
    assert_int_equal(weir_tokenizer_begin(folder_opened()), -1);
    file_put("added_tokens.json", "{\"<|im_start|>\": 258}");
    file_put("tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\", \"add_bos_token\": true, "
                                      "\"bos_token\": {\"content\": \"<|im_start|>\"}, \"eos_token\": \"<|im_end|>\", "
                                      "\"added_tokens_decoder\": {\"259\": {\"content\": \"<|im_end|>\", \"special\": true}}}");
    folder_encodes("ab<|im_end|>", 3, (int32_t[]){258, 256, 259});
    assert_int_equal(weir_tokenizer_begin(folder_opened()), 258);
    assert_int_equal(weir_tokenizer_end(folder_opened()), 259);
    assert_true(weir_tokenizer_special(folder_opened(), 259));
    file_put("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2Tokenizer\"}");
    folder_encodes("e\xcc\x81", 2, (int32_t[]){0xc3, 0xa9});
    file_put("tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizer\"}");
    assert_fails(weir_tokenizer_load(testing_dir(), &arena, &t), WEIR_ERR_UNSUPPORTED, "'RobertaTokenizer'");
    file_put("tokenizer_config.json", "[]");
    assert_fails(weir_tokenizer_load(testing_dir(), &arena, &t), WEIR_ERR_INVALID, "tokenizer_config.json' is not an object");
    file_put("tokenizer_config.json", "{\"model_max_length\": 1000000000000000019884624838656, \"bos_token\": \"<s>\", \"eos_token\": \"<|end|>\"}");
    file_put("tokenizer.json", small_tokenizer_text(&small_llama2, &arena));
    folder_encodes("hello", 2, (int32_t[]){1, 274});
    assert_int_equal(weir_tokenizer_begin(folder_opened()), 1);
    assert_int_equal(weir_tokenizer_end(folder_opened()), 281);
    assert_ok(weir_tokenizer_load(testing_path("tokenizer.json"), &arena, &t));
    assert_int_equal(weir_tokenizer_end(t), 281);
    assert_fails(weir_tokenizer_load(testing_path("none.json"), &arena, &t), WEIR_ERR_IO, "none.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(gpt2_has_the_tokens_of_the_package, arena_drop),
        cmocka_unit_test_teardown(llama3_has_the_tokens_of_the_package, arena_drop),
        cmocka_unit_test_teardown(qwen2_has_the_tokens_of_the_package, arena_drop),
        cmocka_unit_test_teardown(llama2_has_the_tokens_of_the_package, arena_drop),
        cmocka_unit_test_teardown(a_part_of_a_text_has_no_tokens_around_it, arena_drop),
        cmocka_unit_test_teardown(what_the_kinds_say_of_spaces_is_kept, arena_drop),
        cmocka_unit_test_teardown(tokens_become_the_text_again, arena_drop),
        cmocka_unit_test_teardown(any_bytes_come_back, arena_drop),
        cmocka_unit_test_teardown(tokens_have_names, arena_drop),
        cmocka_unit_test_teardown(parts_that_are_not_read_are_named, arena_drop),
        cmocka_unit_test_teardown(bad_files_are_named, arena_drop),
        cmocka_unit_test_teardown(a_character_without_a_token_is_named, arena_drop),
        cmocka_unit_test_teardown(a_folder_is_read_by_its_files, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
