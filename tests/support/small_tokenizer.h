/* Small tokenizers as the text of a tokenizer.json, for tests of what reads them. */
#ifndef WEIR_TESTS_SUPPORT_SMALL_TOKENIZER_H
#define WEIR_TESTS_SUPPORT_SMALL_TOKENIZER_H

#include "base/arena.h"
#include "base/text.h"

struct small_tokenizer {
    bool characters;   /* tokens are those of sentencepiece: <unk>, <s>, </s>, bytes as <0x41>; else letters for bytes */
    bool pairs;        /* merges are written as ["a", "b"], else as "a b" */
    const char *tokens; /* behind those 256 or 259, in the order of their ids, with spaces between them */
    const char *merges; /* "a b, ab c" */
    const char *model;  /* more members of the model: "\"ignore_merges\": true, " */
    const char *added;  /* the list of added tokens without its brackets */
    const char *normalizer, *pre_tokenizer, *post_processor, *decoder; /* NULL: null */
};

extern const char small_byte_level[], small_gpt2_split[], small_llama3_split[], small_qwen2_split[]; /* pre-tokenizers */
extern const char small_marks_decoder[];

/* Tokens of the example "hello world", and behind them the added tokens <|end|> and <|go|>. */
extern const struct small_tokenizer small_gpt2, small_llama3, small_qwen2, small_llama2;

/* The text, in the arena. */
const char *small_tokenizer_text(const struct small_tokenizer *small, struct weir_arena *arena);

/* The letter of a byte. */
void small_letter_append(struct weir_text *text, unsigned byte);

#endif
