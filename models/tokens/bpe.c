/* Tokens and merges into a struct weir_bpe, and words through it. */
#include "models/tokens/bpe.h"

#include <stdio.h>

#include "models/tokens/byte_letters.h"
#include "models/tokens/unicode.h"

/* ---- tokens -------------------------------------------------------------------------------------------------------- */

static weir_status id_check(const json_t *id, const char *token, const char *where, json_int_t *most)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= WEIR_MOST_TOKENS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: token '%.200s' has no id from 0 to %d", where, token, WEIR_MOST_TOKENS - 1);
    *most = json_integer_value(id) > *most ? json_integer_value(id) : *most;
    return WEIR_OK;
}

static weir_status ids_check(json_t *ids, const json_t *added, const char *where, json_int_t *most)
{
    const char *key;
    json_t *id;
    weir_status status = WEIR_OK;
    if (!json_is_object(ids))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is not an object of tokens and their ids", where);
    if (!json_object_size(ids))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s has no tokens", where);
    for (void *at = json_object_iter(ids); at && !status; at = json_object_iter_next(ids, at)) {
        key = json_object_iter_key(at);
        id = json_object_iter_value(at);
        status = id_check(id, key, where, most);
    }
    for (size_t i = 0; i < json_array_size(added) && !status; i++) {
        id = json_object_get(json_array_get(added, i), "id");
        key = json_string_value(json_object_get(json_array_get(added, i), "content"));
        status = id_check(id, key ? key : "", "added_tokens", most);
    }
    return status;
}

weir_status weir_bpe_text_read(const struct weir_bpe *bpe, const char *text, size_t size, struct weir_arena *arena,
                               const char **bytes_out, size_t *n_out, bool *found_out)
{
    char *bytes;
    weir_status status = weir_arena_alloc(arena, size + 1, 1, &bytes);
    if (status)
        return status;
    *n_out = size;
    *found_out = bpe->characters || weir_letters_read(text, size, bytes, n_out);
    if (bpe->characters || !*found_out)
        memcpy(bytes, text, size);
    *bytes_out = bytes;
    return WEIR_OK;
}

static weir_status token_add(struct weir_bpe *bpe, const char *key, int32_t id, const char *where, struct weir_arena *arena)
{
    const char *bytes;
    size_t n;
    bool found;
    weir_status status = weir_bpe_text_read(bpe, key, strlen(key), arena, &bytes, &n, &found);
    if (status)
        return status;
    if (bpe->vocabulary.tokens[id].bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: id %d of token '%.200s' is taken by another", where, id, key);
    if (!weir_vocabulary_add(&bpe->vocabulary, id, bytes, n, found))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: token '%.200s' stands for the same bytes as another", where, key);
    return WEIR_OK;
}

static void bytes_find(struct weir_bpe *bpe)
{
    for (int byte = 0; byte < WEIR_BYTES; byte++) {
        char text[8] = {(char)byte};
        bool symbol = !bpe->characters || byte < 0x80;
        bpe->of_byte[byte] = symbol ? weir_vocabulary_find(&bpe->vocabulary, text, 1) : WEIR_NO_TOKEN;
        bpe->fallback[byte] = WEIR_NO_TOKEN;
    }
}

weir_status weir_bpe_vocabulary_read(struct weir_bpe *bpe, json_t *ids, const json_t *added, const char *where,
                                     struct weir_arena *arena)
{
    json_int_t most = -1;
    weir_status status = ids_check(ids, added, where, &most);
    if (!status)
        status = weir_vocabulary_init(&bpe->vocabulary, (int32_t)most + 1, arena);
    for (void *at = json_object_iter(ids); at && !status; at = json_object_iter_next(ids, at))
        status = token_add(bpe, json_object_iter_key(at), (int32_t)json_integer_value(json_object_iter_value(at)), where, arena);
    if (!status)
        bytes_find(bpe);
    bpe->unknown = WEIR_NO_TOKEN;
    return status;
}

/* ---- merges -------------------------------------------------------------------------------------------------------- */

static weir_status part_find(const struct weir_bpe *bpe, const char *text, size_t n, const char *where,
                             struct weir_arena *arena, int32_t *token_out)
{
    const char *bytes;
    size_t n_bytes;
    bool found;
    weir_status status = weir_bpe_text_read(bpe, text, n, arena, &bytes, &n_bytes, &found);
    if (status)
        return status;
    *token_out = found ? weir_vocabulary_find(&bpe->vocabulary, bytes, n_bytes) : WEIR_NO_TOKEN;
    if (*token_out == WEIR_NO_TOKEN)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%.*s' is not in %s", n < 200 ? (int)n : 200, text, where);
    return WEIR_OK;
}

weir_status weir_bpe_merge_add(struct weir_bpe *bpe, const char *left, size_t n_left, const char *right, size_t n_right,
                               const char *where, struct weir_arena *arena)
{
    int32_t first = 0, second = 0, result = 0;
    char *whole;
    weir_status status = weir_arena_alloc(arena, n_left + n_right + 1, 1, &whole);
    if (status)
        return status;
    memcpy(whole, left, n_left);
    memcpy(whole + n_left, right, n_right);
    status = part_find(bpe, left, n_left, where, arena, &first);
    if (!status)
        status = part_find(bpe, right, n_right, where, arena, &second);
    if (!status)
        status = part_find(bpe, whole, n_left + n_right, where, arena, &result);
    if (!status && !weir_merges_add(&bpe->merges, first, second, result))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%.*s %.*s' stands there twice", n_left < 200 ? (int)n_left : 200, left,
                           n_right < 200 ? (int)n_right : 200, right);
    return status;
}

weir_status weir_bpe_merge_add_text(struct weir_bpe *bpe, const char *text, size_t n, const char *where,
                                    struct weir_arena *arena)
{
    const char *space = memchr(text, ' ', n), *end = text + n;
    if (!space || space == text || space == end - 1 || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%.*s' is not a pair of tokens", n < 200 ? (int)n : 200, text);
    return weir_bpe_merge_add(bpe, text, (size_t)(space - text), space + 1, (size_t)(end - space - 1), where, arena);
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

static weir_status symbol_refuse(const char *symbol, size_t n)
{
    uint32_t code;
    if (n > 1 && weir_utf8_read((const unsigned char *)symbol, n, &code) > 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the tokenizer has no token for U+%04X ('%.*s') and no unknown token", (unsigned)code,
                         (int)n, symbol);
    return WEIR_FAIL(WEIR_ERR_INVALID, "the tokenizer has no token for byte 0x%02X and no unknown token",
                     (unsigned char)symbol[0]);
}

/* A symbol that has no token of its own. */
static weir_status strange_append(const struct weir_bpe *bpe, const char *symbol, size_t n, bool after_unknown,
                                  struct weir_token_list *out)
{
    weir_status status = WEIR_OK;
    if (bpe->fallback[0] != WEIR_NO_TOKEN) {
        for (size_t i = 0; i < n && !status; i++)
            status = weir_token_append(out, bpe->fallback[(unsigned char)symbol[i]]);
        return status;
    }
    if (bpe->unknown == WEIR_NO_TOKEN)
        return symbol_refuse(symbol, n);
    return after_unknown && bpe->fuse_unknown ? WEIR_OK : weir_token_append(out, bpe->unknown);
}

static size_t symbol_bytes(const struct weir_bpe *bpe, const char *text, size_t bytes)
{
    uint32_t code;
    int n = bpe->characters ? weir_utf8_read((const unsigned char *)text, bytes, &code) : 1;
    return n > 0 ? (size_t)n : 1;
}

static weir_status symbols_append(const struct weir_bpe *bpe, const char *word, size_t bytes, struct weir_token_list *out)
{
    weir_status status = WEIR_OK;
    bool unknown = false;
    for (size_t at = 0, n; at < bytes && !status; at += n) {
        n = symbol_bytes(bpe, word + at, bytes - at);
        int32_t token = n == 1 ? bpe->of_byte[(unsigned char)word[at]] : weir_vocabulary_find(&bpe->vocabulary, word + at, n);
        status = token != WEIR_NO_TOKEN ? weir_token_append(out, token) : strange_append(bpe, word + at, n, unknown, out);
        unknown = token == WEIR_NO_TOKEN;
    }
    return status;
}

weir_status weir_bpe_word_append(const struct weir_bpe *bpe, const char *word, size_t bytes, struct weir_merger *merger,
                                 struct weir_token_list *out)
{
    int32_t whole = bpe->whole_words ? weir_vocabulary_find(&bpe->vocabulary, word, bytes) : WEIR_NO_TOKEN;
    if (whole != WEIR_NO_TOKEN)
        return weir_token_append(out, whole);
    if (bytes > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a word of the text has %zu bytes, the most is %d", bytes, INT32_MAX);
    size_t start = out->n, n;
    weir_status status = symbols_append(bpe, word, bytes, out);
    n = out->n - start;
    if (!status && n > 1)
        status = weir_merger_run(merger, &bpe->merges, out->tokens + start, &n);
    out->n = start + n;
    return status;
}
