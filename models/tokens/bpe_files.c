/* vocab.json and merges.txt. */
#include "models/tokens/bpe.h"

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
    return status;
}
