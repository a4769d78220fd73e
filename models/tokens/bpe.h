/* Byte-pair encoding: words to tokens, as GPT-2 does it (Radford et al., 2019, section 2.2; Sennrich et al., "Neural machine
 * translation of rare words with subword units", 2016).
 *
 * A word starts as one token per byte, or per character; the pair of neighbours that stands first in the list of merges becomes
 * one token wherever it occurs, until no pair is in the list.  Bytes are written in files as models/tokens/byte_letters.h
 * says. */
#ifndef WEIR_MODELS_TOKENS_BPE_H
#define WEIR_MODELS_TOKENS_BPE_H

#include <jansson.h>

#include "models/tokens/merges.h"
#include "models/tokens/token_list.h"
#include "models/tokens/vocabulary.h"

enum { WEIR_BYTES = 256, WEIR_MOST_TOKENIZER_FILE = 1 << 28 };

struct weir_bpe {
    struct weir_vocabulary vocabulary;
    struct weir_merges merges;
    bool characters;   /* a word starts as its characters of UTF-8; else as its bytes */
    bool whole_words;  /* a word that is a token is not taken apart */
    bool fuse_unknown; /* unknown symbols in a row are one */
    int32_t unknown;   /* the token of a symbol without one, or WEIR_NO_TOKEN: such text is refused */
    int32_t of_byte[WEIR_BYTES];  /* tokens of symbols of one byte, or WEIR_NO_TOKEN */
    int32_t fallback[WEIR_BYTES]; /* tokens of the bytes of characters without one, or WEIR_NO_TOKEN */
};

/* A token's text in a file as the bytes that it stands for, in the arena; text that stands for none (*found_out false)
 * stands for itself. */
weir_status weir_bpe_text_read(const struct weir_bpe *bpe, const char *text, size_t size, struct weir_arena *arena,
                               const char **bytes_out, size_t *n_out, bool *found_out);

/* {"token": id, ...}, with room for the ids of `added` more, [{"id": ...}, ...], which may be NULL; `where` names the
 * object.  bpe->characters says how tokens are written. */
weir_status weir_bpe_vocabulary_read(struct weir_bpe *bpe, json_t *ids, const json_t *added, const char *where,
                                     struct weir_arena *arena);

/* The next merge; `where` is the vocabulary's name. */
weir_status weir_bpe_merge_add(struct weir_bpe *bpe, const char *left, size_t n_left, const char *right, size_t n_right,
                               const char *where, struct weir_arena *arena);

/* "left right" */
weir_status weir_bpe_merge_add_text(struct weir_bpe *bpe, const char *text, size_t n, const char *where,
                                    struct weir_arena *arena);

/* vocab.json and the text of merges.txt; room for the ids of `added` as above.  WEIR_ERR_INVALID: an id that is doubled or out of
 * range, a byte without a token, a merge of or into an unknown token (file, line or token). */
weir_status weir_bpe_files_read(struct weir_bpe *bpe, json_t *ids, const json_t *added, const char *merges, size_t merges_bytes,
                                struct weir_arena *arena);

/* Append the tokens of a word of any bytes.  WEIR_ERR_INVALID: a symbol has no token, and there is no unknown one. */
weir_status weir_bpe_word_append(const struct weir_bpe *bpe, const char *word, size_t bytes, struct weir_merger *merger,
                                 struct weir_token_list *out);

#endif
