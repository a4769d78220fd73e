/* Byte-pair encoding: the input is vocab.json, a zero byte, merges.txt, a zero byte, and a text.  Whatever is accepted must
 * give the text back; words alone are tried on the whole input. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "models/tokens/bpe.h"
#include "models/tokens/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct weir_bpe *bpe, const char *text, size_t bytes)
{
    struct weir_merger merger = {0};
    struct weir_token_list out = {0};
    size_t at = 0;
    for (size_t word = 0, n; word < bytes; word += n) {
        n = weir_word_bytes(WEIR_WORDS_GPT2, text + word, bytes - word);
        if (weir_bpe_word_append(bpe, text + word, n, &merger, &out))
            abort();
    }
    for (size_t i = 0; i < out.n; i++) {
        const struct weir_token *token = &bpe->vocabulary.tokens[out.tokens[i]];
        if (token->n > bytes - at || memcmp(token->bytes, text + at, token->n) != 0)
            abort();
        at += token->n;
    }
    if (at != bytes)
        abort();
    weir_merger_release(&merger);
    weir_free(out.tokens);
}

static bool bpe_parse(const char *vocabulary, size_t bytes, const char *merges, size_t n, struct weir_arena *arena,
                      struct weir_bpe *bpe)
{
    json_t *ids;
    *bpe = (struct weir_bpe){0};
    if (weir_json_parse(vocabulary, bytes, "vocab.json", &ids))
        return false;
    weir_status status = weir_bpe_files_read(bpe, ids, NULL, merges, n, arena);
    json_decref(ids);
    return !status;
}

/* A tokenizer of single bytes, whose merges come from the input: "a b" and "ab" where both are single letters. */
static bool bytes_bpe(const char *merges, size_t n, struct weir_arena *arena, struct weir_bpe *bpe)
{
    char vocabulary[8192] = "{";
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
    return bpe_parse(vocabulary, used, merges, n, arena, bpe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena arena = {0};
    struct weir_bpe bpe;
    const char *text = (const char *)data, *end = text + size;
    for (const char *at = text; at < end;) {
        size_t n = weir_word_bytes(WEIR_WORDS_GPT2, at, (size_t)(end - at));
        if (!n || n > (size_t)(end - at))
            abort();
        at += n;
    }
    const char *first = memchr(text, 0, size), *second = first ? memchr(first + 1, 0, (size_t)(end - first - 1)) : NULL;
    if (second) {
        if (bpe_parse(text, (size_t)(first - text), first + 1, (size_t)(second - first - 1), &arena, &bpe))
            round_trip(&bpe, second + 1, (size_t)(end - second - 1));
        if (bytes_bpe(first + 1, (size_t)(second - first - 1), &arena, &bpe))
            round_trip(&bpe, second + 1, (size_t)(end - second - 1));
    }
    weir_arena_release(&arena);
    return 0;
}
