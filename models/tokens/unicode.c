#include "models/tokens/unicode.h"

#include <stddef.h>

#include "models/tokens/unicode_tables.h"

/* the property White_Space of PropList.txt */
static const struct weir_code_range spaces[] = {
    {0x9, 0xd}, {0x20, 0x20}, {0x85, 0x85}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
    {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};

static bool among(const struct weir_code_range *ranges, size_t n, uint32_t code)
{
    size_t low = 0;
    while (n > 1) { /* the last run that starts at or before `code` is in [low, low + n) */
        size_t half = n / 2;
        if (ranges[low + half].first <= code)
            low += half;
        n -= half;
    }
    return ranges[low].first <= code && code <= ranges[low].last;
}

static enum weir_unicode_class ascii_class(uint32_t code)
{
    if ((code | 0x20) - 'a' < 26)
        return WEIR_UNICODE_LETTER;
    if (code - '0' < 10)
        return WEIR_UNICODE_NUMBER;
    return code == ' ' || code - '\t' < 5 ? WEIR_UNICODE_SPACE : WEIR_UNICODE_OTHER;
}

enum weir_unicode_class weir_unicode_class(uint32_t code)
{
    if (code < 0x80)
        return ascii_class(code);
    if (among(spaces, sizeof spaces / sizeof *spaces, code))
        return WEIR_UNICODE_SPACE;
    if (among(weir_letters, weir_n_letters, code))
        return WEIR_UNICODE_LETTER;
    return among(weir_numbers, weir_n_numbers, code) ? WEIR_UNICODE_NUMBER : WEIR_UNICODE_OTHER;
}

int weir_utf8_read(const unsigned char *text, size_t bytes, uint32_t *code_out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char head = text[0];
    int n = head < 0x80 ? 1 : head >= 0xc2 && head < 0xe0 ? 2 : (head & 0xf0) == 0xe0 ? 3 : head >= 0xf0 && head < 0xf5 ? 4 : 0;
    uint32_t code = n == 1 ? head : n == 2 ? head & 0x1fu : n == 3 ? head & 0xfu : head & 7u;
    if (!n)
        return 0;
    for (int i = 1; i < n; i++) {
        if ((size_t)i >= bytes)
            return -n;
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *code_out = code;
    return n;
}

int weir_utf8_write(uint32_t code, char *out)
{
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(heads[n] | code);
    return n;
}
