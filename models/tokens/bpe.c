/* vocab.json and merges.txt. */
#include "models/tokens/bpe.h"

#include "base/json.h"
#include "models/tokens/bpe_model.h"
#include "models/tokens/words.h"

/* ---- files --------------------------------------------------------------------------------------------------------- */

static weir_status bytes_check(const struct weir_bpe *bpe)
{
    for (int byte = 0; byte < WEIR_BYTES; byte++)
        if (bpe->of_byte[byte] == WEIR_NO_TOKEN)
            return WEIR_FAIL(WEIR_ERR_INVALID, "vocab.json has no token for byte %d", byte);
    return WEIR_OK;
}

static size_t lines_count(const char *text, size_t bytes)
{
    size_t n = 1;
    for (size_t i = 0; i < bytes; i++)
        n += text[i] == '\n';
    return n;
}

/* One merge per line; the first line may be a comment with the version. */
static weir_status merges_read(struct weir_bpe *bpe, const char *text, size_t bytes, struct weir_arena *arena)
{
    size_t n_lines = lines_count(text, bytes);
    const char *end = text + bytes;
    if (n_lines > WEIR_MOST_TOKENS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "merges.txt has %zu lines, more than %d", n_lines, WEIR_MOST_TOKENS);
    weir_status status = weir_merges_init(&bpe->merges, n_lines, arena);
    for (int line = 1; text < end && !status; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text)), *next = stop ? stop + 1 : end;
        size_t n = (size_t)((stop ? stop : end) - text);
        n -= n && text[n - 1] == '\r';
        bool comment = line == 1 && n >= 8 && !memcmp(text, "#version", 8);
        if (n && !comment)
            status = weir_bpe_merge_add_text(bpe, text, n, "vocab.json", arena);
        if (status)
            weir_error_prefix(status, "merges.txt:%d: ", line);
        text = next;
    }
    return status;
}

weir_status weir_bpe_files_read(struct weir_bpe *bpe, json_t *ids, const json_t *added, const char *merges, size_t merges_bytes,
                                struct weir_arena *arena)
{
    weir_status status = weir_bpe_vocabulary_read(bpe, ids, added, "vocab.json", arena);
    if (!status)
        status = bytes_check(bpe);
    if (!status)
        status = merges_read(bpe, merges, merges_bytes, arena);
    if (!status)
        bpe->end = weir_vocabulary_find(&bpe->vocabulary, "<|endoftext|>", strlen("<|endoftext|>"));
    return status;
}

weir_status weir_bpe_parse(const char *vocabulary, size_t vocabulary_bytes, const char *merges, size_t merges_bytes,
                           struct weir_arena *arena, const struct weir_bpe **bpe_out)
{
    struct weir_bpe *bpe;
    json_t *ids;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *bpe, &bpe);
    if (!status)
        status = weir_json_parse(vocabulary, vocabulary_bytes, "vocab.json", &ids);
    if (status)
        return status;
    status = weir_bpe_files_read(bpe, ids, NULL, merges, merges_bytes, arena);
    json_decref(ids);
    if (!status)
        *bpe_out = bpe;
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
        status = weir_file_read(names[i], WEIR_MOST_TOKENIZER_FILE, &texts[i], &bytes[i]);
    if (!status) {
        status = weir_bpe_parse(texts[0], bytes[0], texts[1], bytes[1], arena, bpe_out);
        if (status)
            weir_error_prefix(status, "%s: ", folder);
    }
    weir_free(texts[0]);
    weir_free(texts[1]);
    return status;
}

/* ---- tokens -------------------------------------------------------------------------------------------------------- */

int64_t weir_bpe_vocabulary(const struct weir_bpe *bpe)
{
    return bpe->vocabulary.n_tokens;
}

int32_t weir_bpe_end(const struct weir_bpe *bpe)
{
    return bpe->end;
}

const char *weir_bpe_token(const struct weir_bpe *bpe, int32_t token, size_t *bytes_out)
{
    if (token < 0 || token >= bpe->vocabulary.n_tokens || !bpe->vocabulary.tokens[token].bytes)
        return NULL;
    *bytes_out = bpe->vocabulary.tokens[token].n;
    return bpe->vocabulary.tokens[token].bytes;
}

size_t weir_bpe_word(const char *text, size_t bytes)
{
    return weir_word_bytes(WEIR_WORDS_GPT2, text, bytes);
}

weir_status weir_bpe_encode(const struct weir_bpe *bpe, const char *text, size_t bytes, struct weir_arena *arena,
                            int32_t **tokens_out, int64_t *n_out)
{
    struct weir_merger merger = {0};
    struct weir_token_list out = {0};
    weir_status status = WEIR_OK;
    for (size_t size; bytes && !status; text += size, bytes -= size) {
        size = weir_bpe_word(text, bytes);
        status = weir_bpe_word_append(bpe, text, size, &merger, &out);
    }
    if (!status)
        status = weir_token_list_copy(&out, arena, tokens_out, n_out);
    weir_merger_release(&merger);
    weir_free(out.tokens);
    return status;
}
