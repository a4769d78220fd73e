/* Byte-pair encoding: the input is vocab.json, a zero byte, merges.txt, a zero byte, and a text.  Whatever is accepted must
 * give the text back; words alone are tried on the whole input. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokens/bpe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct weir_bpe *bpe, const char *text, size_t bytes, struct weir_arena *arena)
{
    int32_t *tokens;
    int64_t n;
    size_t at = 0, piece;
    if (weir_bpe_encode(bpe, text, bytes, arena, &tokens, &n))
        return;
    for (int64_t i = 0; i < n; i++, at += piece) {
        const char *token = weir_bpe_token(bpe, tokens[i], &piece);
        if (!token || piece > bytes - at || memcmp(token, text + at, piece))
            abort();
    }
    if (at != bytes)
        abort();
}

/* A tokenizer of single bytes, whose merges come from the input: "a b" and "ab" where both are single letters. */
static const struct weir_bpe *bytes_bpe(const char *merges, size_t n, struct weir_arena *arena)
{
    char vocabulary[8192] = "{";
    const struct weir_bpe *bpe;
    size_t used = 1, id = 256;
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        used += (size_t)snprintf(vocabulary + used, sizeof vocabulary - used, "%s\"\\u%04x\": %u", b ? "," : "",
                                 itself ? b : next++, b);
    }
    for (char a = 'a'; a < 'e'; a++)
        for (char b = 'a'; b < 'e'; b++)
            used += (size_t)snprintf(vocabulary + used, sizeof vocabulary - used, ",\"%c%c\": %zu", a, b, id++);
    vocabulary[used++] = '}';
    return weir_bpe_parse(vocabulary, used, merges, n, arena, &bpe) ? NULL : bpe;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena arena = {0};
    const struct weir_bpe *bpe;
    const char *text = (const char *)data, *end = text + size;
    for (const char *at = text; at < end;) {
        size_t n = weir_bpe_word(at, (size_t)(end - at));
        if (!n || n > (size_t)(end - at))
            abort();
        at += n;
    }
    const char *first = memchr(text, 0, size), *second = first ? memchr(first + 1, 0, (size_t)(end - first - 1)) : NULL;
    if (second) {
        if (!weir_bpe_parse(text, (size_t)(first - text), first + 1, (size_t)(second - first - 1), &arena, &bpe))
            round_trip(bpe, second + 1, (size_t)(end - second - 1), &arena);
        bpe = bytes_bpe(first + 1, (size_t)(second - first - 1), &arena);
        if (bpe)
            round_trip(bpe, second + 1, (size_t)(end - second - 1), &arena);
    }
    weir_arena_release(&arena);
    return 0;
}
