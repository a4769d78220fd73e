/* Byte-pair encoding: text to tokens and back, as GPT-2 does it (Radford et al., 2019, section 2.2; Sennrich et al.,
 * "Neural machine translation of rare words with subword units", 2016).
 *
 *     const struct weir_bpe *bpe;
 *     weir_bpe_load("gpt2/", &arena, &bpe);                    the folder's vocab.json and merges.txt
 *     weir_bpe_encode(bpe, text, strlen(text), &arena, &tokens, &n);
 *     const char *piece = weir_bpe_token(bpe, tokens[0], &bytes);
 *
 * Text is cut into words first: contractions, runs of letters, of numbers, of other characters, each with a space before
 * it, and runs of white space.  A word starts as one token per byte; the pair of neighbours that stands first in merges.txt
 * becomes one token wherever it occurs, until no pair is in the list.  Every byte has a token, so that any bytes can be
 * encoded, and decoding gives them back.  In the files a byte is written as a printable character: itself if it is one,
 * else 256 and up in order. */
#ifndef WEIR_MODELS_TOKENS_BPE_H
#define WEIR_MODELS_TOKENS_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

struct weir_bpe;

#ifdef __cplusplus
extern "C" {
#endif

/* From the files of a folder, into the arena.  WEIR_ERR_IO names the file that is missing.  WEIR_ERR_INVALID: an id that is
 * doubled or out of range, a byte without a token, a merge of or into an unknown token (file, line or token). */
weir_status weir_bpe_load(const char *folder, struct weir_arena *arena, const struct weir_bpe **bpe_out);

/* The same from the texts of both files. */
weir_status weir_bpe_parse(const char *vocabulary, size_t vocabulary_bytes, const char *merges, size_t merges_bytes,
                           struct weir_arena *arena, const struct weir_bpe **bpe_out);

/* One more than the largest id. */
int64_t weir_bpe_vocabulary(const struct weir_bpe *bpe);

/* The token that ends a text, "<|endoftext|>", or -1. */
int32_t weir_bpe_end(const struct weir_bpe *bpe);

/* Tokens of any bytes, in the arena. */
weir_status weir_bpe_encode(const struct weir_bpe *bpe, const char *text, size_t bytes, struct weir_arena *arena,
                            int32_t **tokens_out, int64_t *n_out);

/* The bytes of a token, not terminated; NULL: there is no such token. */
const char *weir_bpe_token(const struct weir_bpe *bpe, int32_t token, size_t *bytes_out);

/* Bytes of the first word of text[0..bytes), bytes >= 1. */
size_t weir_bpe_word(const char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
