#include "models/tokens/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "models/tokens/unicode.h"

static int by_text(const void *a, const void *b)
{
    const struct weir_added_token *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

void weir_added_sort(struct weir_added_tokens *added)
{
    if (added->n)
        qsort(added->tokens, added->n, sizeof *added->tokens, by_text);
    for (size_t i = 0, byte = 0; byte <= 256; byte++) {
        while (i < added->n && (unsigned char)added->tokens[i].text[0] < byte)
            i++;
        added->starts[byte] = i;
    }
}

/* Byte `depth` of a token, or -1 behind its end. */
static int byte_at(const struct weir_added_token *token, size_t depth)
{
    return depth < token->n ? (unsigned char)token->text[depth] : -1;
}

/* The first of [low, high), which have the same first `depth` bytes, whose next byte is `byte` or more. */
static const struct weir_added_token *first_from(const struct weir_added_token *low, const struct weir_added_token *high,
                                                 size_t depth, int byte)
{
    while (low < high) {
        const struct weir_added_token *middle = low + (high - low) / 2;
        if (byte_at(middle, depth) < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that text[0..bytes), bytes >= 1, starts with, or NULL. */
static const struct weir_added_token *longest_at(const struct weir_added_tokens *added, const char *text, size_t bytes)
{
    const struct weir_added_token *low = added->tokens + added->starts[(unsigned char)text[0]], *found = NULL;
    const struct weir_added_token *high = added->tokens + added->starts[(unsigned char)text[0] + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (low->n == depth)
            found = low;
        if (depth == bytes)
            break;
        int byte = (unsigned char)text[depth];
        low = first_from(low, high, depth, byte);
        high = first_from(low, high, depth, byte + 1);
    }
    return found;
}

static size_t space_before(const char *text, size_t from, size_t end)
{
    while (end > from) {
        uint32_t code;
        size_t start = end - 1;
        while (start > from && end - start < 4 && ((unsigned char)text[start] & 0xc0) == 0x80)
            start--;
        int n = weir_utf8_read((const unsigned char *)text + start, end - start, &code);
        if (n <= 0 || (size_t)n != end - start || weir_unicode_class(code) != WEIR_UNICODE_SPACE)
            break;
        end = start;
    }
    return end;
}

static size_t space_after(const char *text, size_t bytes, size_t at)
{
    while (at < bytes) {
        uint32_t code;
        int n = weir_utf8_read((const unsigned char *)text + at, bytes - at, &code);
        if (n <= 0 || weir_unicode_class(code) != WEIR_UNICODE_SPACE)
            break;
        at += (size_t)n;
    }
    return at;
}

bool weir_added_find(const struct weir_added_tokens *added, const char *text, size_t bytes, size_t from,
                     struct weir_added_match *match_out)
{
    for (size_t at = from; at < bytes && added->n; at++) {
        const struct weir_added_token *token = longest_at(added, text + at, bytes - at);
        if (!token)
            continue;
        *match_out = (struct weir_added_match){at, at + token->n, token->id};
        if (token->lstrip)
            match_out->start = space_before(text, from, at);
        if (token->rstrip)
            match_out->end = space_after(text, bytes, match_out->end);
        return true;
    }
    return false;
}
