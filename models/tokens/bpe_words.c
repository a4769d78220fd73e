/* Words: what GPT-2's published pattern cuts text into,
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * Alternatives are tried from left to right.  White space before a word leaves its last character to that word.  A byte
 * that is no part of a character counts as one of the others. */
#include <string.h>

#include "models/tokens/bpe.h"
#include "models/tokens/unicode.h"

static size_t contraction_size(const char *text, size_t bytes)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i]);
        if (bytes >= n && !memcmp(text, endings[i], n))
            return n;
    }
    return 0;
}

static enum weir_unicode_class class_at(const char *text, size_t bytes, size_t *size_out)
{
    uint32_t code;
    int n = weir_utf8_read((const unsigned char *)text, bytes, &code);
    *size_out = n > 0 ? (size_t)n : 1;
    return n > 0 ? weir_unicode_class(code) : WEIR_UNICODE_OTHER;
}

/* Characters of one class; *last_out: bytes of the last. */
static size_t run_size(const char *text, size_t bytes, enum weir_unicode_class class, size_t *last_out)
{
    size_t used = 0, size;
    while (used < bytes && class_at(text + used, bytes - used, &size) == class) {
        used += size;
        *last_out = size;
    }
    return used;
}

size_t weir_bpe_word(const char *text, size_t bytes)
{
    size_t size, last = 0, first = contraction_size(text, bytes), space = text[0] == ' ' && bytes > 1;
    if (first)
        return first;
    enum weir_unicode_class class = class_at(text + space, bytes - space, &size);
    if (class != WEIR_UNICODE_SPACE)
        return space + run_size(text + space, bytes - space, class, &last);
    size_t run = run_size(text, bytes, WEIR_UNICODE_SPACE, &last);
    return run == bytes || run == last ? run : run - last;
}
