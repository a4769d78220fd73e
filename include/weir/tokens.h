/* Text to a model's tokens and back, as the files in the model's folder say.
 *
 *     const struct weir_tokenizer *t;
 *     weir_tokenizer_load("llama/", &arena, &t);               tokenizer.json, else vocab.json and merges.txt
 *     weir_tokenizer_encode(t, text, bytes, WEIR_TOKENS_OF_TEXT, &arena, &tokens, &n);
 *     weir_tokenizer_decode(t, tokens, n, false, &arena, &text, &bytes);
 *
 * Read are tokenizers of byte pairs (Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", 2016)
 * of two kinds:
 *
 *     kind           words start as   words are cut                        models
 *     byte-level     bytes            by GPT-2's, Llama 3's or Qwen 2's    GPT-2, Llama 3, Qwen 2
 *                                     pattern
 *     sentencepiece  characters       at spaces, written ▁, or not at all  Llama 2, Mistral, TinyLlama
 *
 * Tokens are those of the packages tokenizers and transformers, special tokens in a text too: "<|endoftext|>" is one
 * token.  What a file asks for beyond this (another model, normalizer, pre-tokenizer or decoder) is refused by name.
 * Settings for truncation and padding are not looked at.
 *
 * Byte-level tokenizers give any bytes back.  Form C (Qwen) changes how a character is written, and tokenizers of the other
 * kind put a space before the text, which decoding takes away again.
 *
 * A text that is generated token by token ends with weir_tokens_stop, and is shown character by character: a token may end within
 * one.  What weir_tokenizer_token gives is appended to what is pending, and weir_utf8_read says how much of that is whole.
 *
 * A tokenizer lives in its arena and does not change: any number of threads may use it. */
#ifndef WEIR_TOKENS_H
#define WEIR_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

struct weir_tokenizer;

enum weir_tokens_of {
    WEIR_TOKENS_OF_TEXT, /* with the tokens that the file puts around a text, as transformers does: <s> of Llama */
    WEIR_TOKENS_OF_PART, /* those of the text alone, as with add_special_tokens=False */
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Whether a folder has files of a tokenizer, of a kind that is read or not. */
bool weir_tokenizer_there(const char *folder);

/* From a folder, or a file like its tokenizer.json.  The tokens that begin and end a text are named by tokenizer_config.json
 * or special_tokens_map.json beside it; without a name the end is <|endoftext|> where there is such a token.
 * WEIR_ERR_IO: no such files.  WEIR_ERR_UNSUPPORTED: a part that is not read, by name.  WEIR_ERR_INVALID: no id or one
 * that is doubled or out of range, a merge of or into an unknown token. */
weir_status weir_tokenizer_load(const char *path, struct weir_arena *arena, const struct weir_tokenizer **tokenizer_out);

/* The same from the text of a tokenizer.json, which has no names of begin and end; `name` is what messages call it. */
weir_status weir_tokenizer_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 const struct weir_tokenizer **tokenizer_out);

/* "byte-level" or "sentencepiece". */
const char *weir_tokenizer_kind(const struct weir_tokenizer *tokenizer);

/* One more than the largest id. */
int64_t weir_tokenizer_vocabulary(const struct weir_tokenizer *tokenizer);

/* WEIR_ERR_INVALID: there are ids that a model with this vocabulary has not; names file and both numbers. */
weir_status weir_tokenizer_fits(const struct weir_tokenizer *tokenizer, int64_t vocabulary);

/* The tokens that begin and end a text, or -1. */
int32_t weir_tokenizer_begin(const struct weir_tokenizer *tokenizer);
int32_t weir_tokenizer_end(const struct weir_tokenizer *tokenizer);

/* Marked as special by the file: not part of what a text says. */
bool weir_tokenizer_special(const struct weir_tokenizer *tokenizer, int32_t token);

/* Tokens of any bytes, in the arena.  WEIR_ERR_INVALID: a character or byte that has no token, where the file names no
 * token for those. */
weir_status weir_tokenizer_encode(const struct weir_tokenizer *tokenizer, const char *text, size_t bytes,
                                  enum weir_tokens_of of, struct weir_arena *arena, int32_t **tokens_out, int64_t *n_out);

/* The bytes of a token within a text, not terminated; NULL: there is no such token. */
const char *weir_tokenizer_token(const struct weir_tokenizer *tokenizer, int32_t token, size_t *bytes_out);

/* The text of tokens, terminated, in the arena; bytes that are no UTF-8 are there as they are.  Ids of no token are left
 * out, and with `skip_special` special tokens. */
weir_status weir_tokenizer_decode(const struct weir_tokenizer *tokenizer, const int32_t *tokens, int64_t n, bool skip_special,
                                  struct weir_arena *arena, char **text_out, size_t *bytes_out);

/* The tokens that end a text of the model in `folder`: what its generation_config.json, else its config.json, says of eos_token_id,
 * one id or a list.  They are in the arena; none when neither file is there or says so: then weir_tokenizer_end is what ends a text.
 * WEIR_ERR_INVALID: a file that is no JSON object, an id that is no number from 0 to 2^31 - 1 (names file and key).  WEIR_ERR_IO,
 * WEIR_ERR_NOMEM. */
weir_status weir_tokens_stop(const char *folder, struct weir_arena *arena, const int32_t **ids_out, int *n_out);

/* The character at the start of text[0..bytes), bytes >= 1: its length, 1 to 4, and code.  0: no character starts so.
 * Negative: the first bytes of one of that length, cut off. */
int weir_utf8_read(const unsigned char *text, size_t bytes, uint32_t *code_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
