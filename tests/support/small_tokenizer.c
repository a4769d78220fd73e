#include "tests/support/small_tokenizer.h"

#include <string.h>

#include "tests/support/testing.h"

const char small_byte_level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}";

#define SPLIT(expression)                                                                                              \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" expression           \
    "\"}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "        \
    "\"trim_offsets\": true, \"use_regex\": false}]}"
#define LLAMA3(digits)                                                                                                 \
    SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits                                   \
          "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+")

const char small_gpt2_split[] = SPLIT("'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+");
const char small_llama3_split[] = LLAMA3("\\\\p{N}{1,3}");
const char small_qwen2_split[] = LLAMA3("\\\\p{N}");
const char small_marks_decoder[] =
    "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"▁\"}, \"content\": \" \"}, "
    "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}]}";

#define WORDS "ll he hell hello Ġw or Ġwor Ġworl aa aaaa 'l 's 12 123 Ġhello"
#define MERGES "l l, h e, he ll, hell o, Ġ w, o r, Ġw or, Ġwor l, a a, aa aa, ' l, ' s, 1 2, 12 3"
#define BYTE_DECODER "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}"
#define ADDED(id, text, more) "{\"id\": " id ", \"content\": \"" text "\", \"single_word\": false, " more "}"
#define TWO(end, go)                                                                                                   \
    ADDED(end, "<|end|>", "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true") ", "        \
    ADDED(go, "<|go|>", "\"lstrip\": false, \"rstrip\": true, \"normalized\": true, \"special\": false")

const struct small_tokenizer small_gpt2 = {
    .tokens = WORDS, .merges = MERGES, .added = TWO("271", "272"), .pre_tokenizer = small_byte_level, .decoder = BYTE_DECODER};
const struct small_tokenizer small_llama3 = {
    .pairs = true, .tokens = WORDS, .merges = MERGES, .model = "\"ignore_merges\": true, ", .added = TWO("271", "272"),
    .pre_tokenizer = small_llama3_split, .decoder = BYTE_DECODER,
    .post_processor = "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                      "\"trim_offsets\": false, \"use_regex\": true}, {\"type\": \"TemplateProcessing\", \"single\": "
                      "[{\"SpecialToken\": {\"id\": \"<|end|>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], "
                      "\"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], "
                      "\"special_tokens\": {\"<|end|>\": {\"id\": \"<|end|>\", \"ids\": [271], \"tokens\": [\"<|end|>\"]}}}]}"};
const struct small_tokenizer small_qwen2 = {
    .tokens = WORDS, .merges = MERGES, .added = TWO("271", "272"), .normalizer = "{\"type\": \"NFC\"}",
    .pre_tokenizer = small_qwen2_split, .decoder = BYTE_DECODER};
const struct small_tokenizer small_llama2 = {
    .characters = true, .pairs = true,
    .tokens = "▁ h e l o w r d . é or he ll hell ▁hell ▁hello wor ▁wor ▁▁ ▁world wor▁ ld",
    .merges = "h e, l l, he ll, ▁ hell, ▁hell o, o r, w or, ▁ wor, ▁ ▁, l d, ▁wor ld",
    .model = "\"byte_fallback\": true, \"fuse_unk\": true, \"unk_token\": \"<unk>\", ",
    .added = ADDED("0", "<unk>", "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true") ", "
             ADDED("1", "<s>", "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true") ", "
             TWO("281", "282"),
    .normalizer = "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"▁\"}, "
                  "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"▁\"}]}",
    .post_processor = "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, "
                      "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
                      "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", "
                      "\"ids\": [1], \"tokens\": [\"<s>\"]}}}",
    .decoder = small_marks_decoder};

/* ---- text ---------------------------------------------------------------------------------------------------------- */

void small_letter_append(struct weir_text *text, unsigned byte)
{
    unsigned code = byte;
    if (byte < 33)
        code = 256 + byte;
    else if (byte >= 127 && byte < 161)
        code = 256 + 33 + byte - 127;
    else if (byte == 173)
        code = 256 + 33 + 34;
    if (code < 0x80)
        weir_text_append(text, "%s%c", code == '"' || code == '\\' ? "\\" : "", (int)code);
    else
        weir_text_append(text, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 0x3f)));
}

static int first_tokens_append(struct weir_text *text, bool characters)
{
    if (characters)
        weir_text_append(text, "\"<unk>\": 0, \"<s>\": 1, \"</s>\": 2");
    for (unsigned b = 0; b < 256; b++) {
        weir_text_append(text, "%s\"", b || characters ? ", " : "");
        if (characters)
            weir_text_append(text, "<0x%02X>", b);
        else
            small_letter_append(text, b);
        weir_text_append(text, "\": %u", b + 3 * characters);
    }
    return 256 + 3 * characters;
}

static void tokens_append(struct weir_text *text, const char *tokens, int id)
{
    while (*tokens) {
        size_t n = strcspn(tokens, " ");
        weir_text_append(text, ", \"%.*s\": %d", (int)n, tokens, id++);
        tokens += n + (tokens[n] == ' ');
    }
}

static void merges_append(struct weir_text *text, const char *merges, bool pairs)
{
    for (int i = 0; *merges; i++) {
        size_t n = strcspn(merges, ","), left = strcspn(merges, " ");
        if (pairs)
            weir_text_append(text, "%s[\"%.*s\", \"%.*s\"]", i ? ", " : "", (int)left, merges, (int)(n - left - 1), merges + left + 1);
        else
            weir_text_append(text, "%s\"%.*s\"", i ? ", " : "", (int)n, merges);
        merges += n + 2 * (merges[n] == ',');
    }
}

static const char *or_null(const char *text)
{
    return text ? text : "null";
}

const char *small_tokenizer_text(const struct small_tokenizer *small, struct weir_arena *arena)
{
    struct weir_text text = {0};
    const char *copy;
    weir_text_append(&text, "{\"version\": \"1.0\", \"added_tokens\": [%s], \"normalizer\": %s, \"pre_tokenizer\": %s, ",
                     small->added ? small->added : "", or_null(small->normalizer), or_null(small->pre_tokenizer));
    weir_text_append(&text, "\"post_processor\": %s, \"decoder\": %s, \"model\": {\"type\": \"BPE\", %s\"vocab\": {",
                     or_null(small->post_processor), or_null(small->decoder), small->model ? small->model : "");
    tokens_append(&text, small->tokens, first_tokens_append(&text, small->characters));
    weir_text_append(&text, "}, \"merges\": [");
    merges_append(&text, small->merges, small->pairs);
    weir_text_append(&text, "]}}");
    assert_ok(text.status);
    assert_ok(weir_arena_strdup(arena, text.data, &copy));
    weir_text_release(&text);
    return copy;
}
