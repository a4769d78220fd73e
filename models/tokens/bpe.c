#include "models/tokens/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "models/tokens/unicode.h"

enum { BYTES = 256, MOST_TOKENS = 1 << 24, NONE = -1 };
enum { NO_MERGE = INT32_MAX, STALE = -1 }; /* of a pair of neighbours, beside the index of its merge */

static const size_t most_file = (size_t)256 << 20;

struct token {
    const char *bytes;
    size_t n;
    int32_t same_hash; /* next token in its bucket */
};

struct merge {
    int32_t left, right, result;
    int32_t same_hash; /* next merge in its bucket; the index of a merge is its rank */
};

struct weir_bpe {
    int64_t n_tokens; /* one more than the largest id */
    struct token *tokens;
    int32_t n_merges;
    struct merge *merges;
    uint32_t mask; /* of both tables of buckets */
    int32_t *token_buckets, *merge_buckets;
    int32_t of_byte[BYTES], end;
};

/* ---- the characters that stand for bytes --------------------------------------------------------------------------- */

static bool is_itself(uint32_t byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The byte that a character of the files stands for, or -1. */
static int byte_of(uint32_t code)
{
    uint32_t next = BYTES;
    if (code < BYTES)
        return is_itself(code) ? (int)code : -1;
    for (uint32_t byte = 0; byte < BYTES; byte++)
        if (!is_itself(byte) && next++ == code)
            return (int)byte;
    return -1;
}

/* The bytes that `text` stands for; text with other characters (*added_out: an added token) stands for itself. */
static weir_status bytes_decode(const char *text, size_t size, struct weir_arena *arena, struct token *out, bool *added_out)
{
    char *bytes;
    weir_status status = weir_arena_alloc(arena, size + 1, 1, &bytes);
    size_t n = 0;
    *added_out = false;
    for (size_t at = 0; at < size && !status;) {
        uint32_t code = 0;
        int length = weir_utf8_read((const unsigned char *)text + at, size - at, &code);
        int byte = length > 0 ? byte_of(code) : -1;
        if (byte < 0) {
            memcpy(bytes, text, size);
            n = size;
            *added_out = true;
            break;
        }
        bytes[n++] = (char)byte;
        at += (size_t)length;
    }
    out->bytes = bytes;
    out->n = n;
    return status;
}

/* ---- look-ups ------------------------------------------------------------------------------------------------------ */

static int32_t *token_bucket(const struct weir_bpe *bpe, const char *bytes, size_t n)
{
    return &bpe->token_buckets[weir_hash64(bytes, n, 1) & bpe->mask];
}

static int32_t token_find(const struct weir_bpe *bpe, const char *bytes, size_t n)
{
    int32_t t = *token_bucket(bpe, bytes, n);
    while (t != NONE && (bpe->tokens[t].n != n || memcmp(bpe->tokens[t].bytes, bytes, n)))
        t = bpe->tokens[t].same_hash;
    return t;
}

static int32_t *merge_bucket(const struct weir_bpe *bpe, int32_t left, int32_t right)
{
    int32_t pair[2] = {left, right};
    return &bpe->merge_buckets[weir_hash64(pair, sizeof pair, 2) & bpe->mask];
}

static int32_t merge_find(const struct weir_bpe *bpe, int32_t left, int32_t right)
{
    int32_t m = *merge_bucket(bpe, left, right);
    while (m != NONE && (bpe->merges[m].left != left || bpe->merges[m].right != right))
        m = bpe->merges[m].same_hash;
    return m;
}

static weir_status buckets_make(struct weir_bpe *bpe, size_t entries, struct weir_arena *arena)
{
    size_t n = 1024;
    while (n < entries)
        n *= 2;
    bpe->mask = (uint32_t)(n - 1);
    weir_status status = weir_arena_alloc(arena, n, sizeof *bpe->token_buckets, &bpe->token_buckets);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *bpe->merge_buckets, &bpe->merge_buckets);
    for (size_t i = 0; i < n && !status; i++)
        bpe->token_buckets[i] = bpe->merge_buckets[i] = NONE;
    return status;
}

/* ---- vocab.json ---------------------------------------------------------------------------------------------------- */

static weir_status ids_check(json_t *root, int64_t *n_out)
{
    const char *key;
    json_t *value;
    int64_t most = -1;
    if (!json_is_object(root))
        return WEIR_FAIL(WEIR_ERR_INVALID, "vocab.json is not an object of tokens and their ids");
    json_object_foreach(root, key, value)
    {
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= MOST_TOKENS)
            return WEIR_FAIL(WEIR_ERR_INVALID, "vocab.json: token '%s' has no id from 0 to %d", key, MOST_TOKENS - 1);
        most = json_integer_value(value) > most ? json_integer_value(value) : most;
    }
    *n_out = most + 1;
    return WEIR_OK;
}

static weir_status token_add(struct weir_bpe *bpe, const char *key, int32_t id, struct weir_arena *arena)
{
    struct token *token = &bpe->tokens[id];
    if (token->bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "vocab.json: id %d of token '%s' is taken by another", id, key);
    bool added;
    weir_status status = bytes_decode(key, strlen(key), arena, token, &added);
    if (status || added) /* no text is encoded as an added token */
        return status;
    if (token_find(bpe, token->bytes, token->n) != NONE)
        return WEIR_FAIL(WEIR_ERR_INVALID, "vocab.json: token '%s' stands for the same bytes as another", key);
    int32_t *bucket = token_bucket(bpe, token->bytes, token->n);
    token->same_hash = *bucket;
    *bucket = id;
    return WEIR_OK;
}

static weir_status vocabulary_read(struct weir_bpe *bpe, json_t *root, struct weir_arena *arena)
{
    const char *key;
    json_t *value;
    weir_status status = WEIR_OK;
    json_object_foreach(root, key, value)
    {
        status = token_add(bpe, key, (int32_t)json_integer_value(value), arena);
        if (status)
            return status;
    }
    for (int byte = 0; byte < BYTES; byte++) {
        char text = (char)byte;
        bpe->of_byte[byte] = token_find(bpe, &text, 1);
        if (bpe->of_byte[byte] == NONE)
            return WEIR_FAIL(WEIR_ERR_INVALID, "vocab.json has no token for byte %d", byte);
    }
    bpe->end = token_find(bpe, "<|endoftext|>", strlen("<|endoftext|>"));
    return WEIR_OK;
}

/* ---- merges.txt ---------------------------------------------------------------------------------------------------- */

static weir_status part_find(const struct weir_bpe *bpe, const char *text, size_t n, int line, struct weir_arena *arena,
                             int32_t *token_out)
{
    struct token part;
    bool added;
    weir_status status = bytes_decode(text, n, arena, &part, &added);
    if (status)
        return status;
    *token_out = added ? NONE : token_find(bpe, part.bytes, part.n);
    if (*token_out == NONE)
        return WEIR_FAIL(WEIR_ERR_INVALID, "merges.txt:%d: '%.*s' is not in vocab.json", line, (int)n, text);
    return WEIR_OK;
}

/* "left right"; both together are a token. */
static weir_status merge_add(struct weir_bpe *bpe, const char *text, size_t n, int line, struct weir_arena *arena)
{
    const char *space = memchr(text, ' ', n);
    struct merge *merge = &bpe->merges[bpe->n_merges];
    if (!space || space == text || space == text + n - 1 || memchr(space + 1, ' ', (size_t)(text + n - space - 1)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "merges.txt:%d: '%.*s' is not a pair of tokens", line, (int)n, text);
    size_t left = (size_t)(space - text), right = n - left - 1;
    char *whole;
    weir_status status = weir_arena_alloc(arena, n, 1, &whole);
    if (status)
        return status;
    memcpy(whole, text, left);
    memcpy(whole + left, space + 1, right);
    status = part_find(bpe, text, left, line, arena, &merge->left);
    if (!status)
        status = part_find(bpe, space + 1, right, line, arena, &merge->right);
    if (!status)
        status = part_find(bpe, whole, left + right, line, arena, &merge->result);
    if (!status && merge_find(bpe, merge->left, merge->right) != NONE)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "merges.txt:%d: '%.*s' stands there twice", line, (int)n, text);
    if (status)
        return status;
    int32_t *bucket = merge_bucket(bpe, merge->left, merge->right);
    merge->same_hash = *bucket;
    *bucket = bpe->n_merges++;
    return WEIR_OK;
}

/* One merge per line; the first line may be a comment with the version. */
static weir_status merges_read(struct weir_bpe *bpe, const char *text, size_t bytes, struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    const char *end = text + bytes;
    for (int line = 1; text < end && !status; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text)), *next = stop ? stop + 1 : end;
        size_t n = (size_t)((stop ? stop : end) - text);
        n -= n && text[n - 1] == '\r';
        bool comment = line == 1 && n >= 8 && !memcmp(text, "#version", 8);
        if (n && !comment)
            status = merge_add(bpe, text, n, line, arena);
        text = next;
    }
    return status;
}

/* ---- open ---------------------------------------------------------------------------------------------------------- */

static size_t lines_count(const char *text, size_t bytes)
{
    size_t n = 1;
    for (size_t i = 0; i < bytes; i++)
        n += text[i] == '\n';
    return n;
}

static weir_status bpe_make(json_t *root, const char *merges, size_t merges_bytes, struct weir_arena *arena,
                            const struct weir_bpe **bpe_out)
{
    struct weir_bpe *bpe;
    size_t n_lines = lines_count(merges, merges_bytes);
    weir_status status = weir_arena_alloc(arena, 1, sizeof *bpe, &bpe);
    if (!status)
        status = ids_check(root, &bpe->n_tokens);
    if (!status && n_lines > MOST_TOKENS)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "merges.txt has %zu lines, more than %d", n_lines, MOST_TOKENS);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)bpe->n_tokens, sizeof *bpe->tokens, &bpe->tokens);
    if (!status)
        status = weir_arena_alloc(arena, n_lines, sizeof *bpe->merges, &bpe->merges);
    if (!status)
        status = buckets_make(bpe, json_object_size(root) > n_lines ? json_object_size(root) : n_lines, arena);
    if (!status)
        status = vocabulary_read(bpe, root, arena);
    if (!status)
        status = merges_read(bpe, merges, merges_bytes, arena);
    if (!status)
        *bpe_out = bpe;
    return status;
}

weir_status weir_bpe_parse(const char *vocabulary, size_t vocabulary_bytes, const char *merges, size_t merges_bytes,
                           struct weir_arena *arena, const struct weir_bpe **bpe_out)
{
    json_t *root;
    weir_status status = weir_json_parse(vocabulary, vocabulary_bytes, "vocab.json", &root);
    if (status)
        return status;
    status = bpe_make(root, merges, merges_bytes, arena, bpe_out);
    json_decref(root);
    return status;
}

weir_status weir_bpe_load(const char *folder, struct weir_arena *arena, const struct weir_bpe **bpe_out)
{
    const char *names[2];
    char *texts[2] = {NULL, NULL};
    size_t bytes[2] = {0, 0};
    weir_status status = weir_arena_printf(arena, &names[0], "%s/vocab.json", folder);
    if (!status)
        status = weir_arena_printf(arena, &names[1], "%s/merges.txt", folder);
    for (int i = 0; i < 2 && !status; i++)
        status = weir_file_read(names[i], most_file, &texts[i], &bytes[i]);
    if (!status) {
        status = weir_bpe_parse(texts[0], bytes[0], texts[1], bytes[1], arena, bpe_out);
        if (status)
            weir_error_prefix(status, "%s: ", folder);
    }
    weir_free(texts[0]);
    weir_free(texts[1]);
    return status;
}

int64_t weir_bpe_vocabulary(const struct weir_bpe *bpe)
{
    return bpe->n_tokens;
}

int32_t weir_bpe_end(const struct weir_bpe *bpe)
{
    return bpe->end;
}

const char *weir_bpe_token(const struct weir_bpe *bpe, int32_t token, size_t *bytes_out)
{
    if (token < 0 || token >= bpe->n_tokens || !bpe->tokens[token].bytes)
        return NULL;
    *bytes_out = bpe->tokens[token].n;
    return bpe->tokens[token].bytes;
}

/* ---- encode -------------------------------------------------------------------------------------------------------- */

/* A word while its pairs are merged: pairs[i] is the merge of tokens i and i + 1, NO_MERGE for the last. */
struct word {
    int32_t *tokens, *pairs;
    int64_t n;
};

/* Look up the pairs that are not known. */
static void pairs_find(const struct weir_bpe *bpe, struct word *w)
{
    for (int64_t i = 0; i < w->n; i++)
        if (w->pairs[i] == STALE) {
            int32_t m = i + 1 < w->n ? merge_find(bpe, w->tokens[i], w->tokens[i + 1]) : NONE;
            w->pairs[i] = m == NONE ? NO_MERGE : m;
        }
}

static int32_t pairs_first(const struct word *w)
{
    int32_t best = NO_MERGE;
    for (int64_t i = 0; i < w->n; i++)
        best = w->pairs[i] < best ? w->pairs[i] : best;
    return best;
}

/* Every occurrence of the pair becomes one token, from left to right; its pairs with both neighbours are new. */
static void merge_apply(int32_t merge, int32_t result, struct word *w)
{
    int64_t to = 0;
    for (int64_t i = 0; i < w->n; i++, to++) {
        bool merged = w->pairs[i] == merge;
        w->tokens[to] = merged ? result : w->tokens[i];
        w->pairs[to] = merged ? STALE : w->pairs[i];
        if (merged && to > 0)
            w->pairs[to - 1] = STALE;
        i += merged;
    }
    w->n = to;
}

static void word_encode(const struct weir_bpe *bpe, const char *text, struct word *w)
{
    for (int64_t i = 0; i < w->n; i++) {
        w->tokens[i] = bpe->of_byte[(unsigned char)text[i]];
        w->pairs[i] = STALE;
    }
    pairs_find(bpe, w);
    for (int32_t m; (m = pairs_first(w)) != NO_MERGE;) {
        merge_apply(m, bpe->merges[m].result, w);
        pairs_find(bpe, w);
    }
}

weir_status weir_bpe_encode(const struct weir_bpe *bpe, const char *text, size_t bytes, struct weir_arena *arena,
                            int32_t **tokens_out, int64_t *n_out)
{
    int32_t *tokens, *pairs;
    int64_t n = 0;
    weir_status status = weir_arena_alloc(arena, bytes + 1, sizeof *tokens, &tokens);
    if (!status)
        status = weir_arena_alloc(arena, bytes + 1, sizeof *pairs, &pairs);
    if (status)
        return status;
    while (bytes) {
        size_t size = weir_bpe_word(text, bytes);
        struct word word = {tokens + n, pairs, (int64_t)size};
        word_encode(bpe, text, &word);
        n += word.n;
        text += size;
        bytes -= size;
    }
    *tokens_out = tokens;
    *n_out = n;
    return WEIR_OK;
}
