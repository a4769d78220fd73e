#include "base/utf8.h"

int weir_utf8_character(const unsigned char *text, size_t n, uint32_t *code_out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int size = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc0 ? 2 : 0;
    uint32_t code = size == 1 ? text[0] : size ? text[0] & (0x7fu >> size) : 0;
    for (int i = 1; i < size; i++) {
        if ((size_t)i >= n || (text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    if (size && (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || text[0] > 0xf7))
        return 0;
    *code_out = code;
    return size;
}

size_t weir_utf8_length(const unsigned char *text, size_t n)
{
    size_t at = 0;
    uint32_t code;
    while (at < n) {
        int size = text[at] < 0x80 ? 1 : weir_utf8_character(text + at, n - at, &code);
        if (!size)
            break;
        at += (size_t)size;
    }
    return at;
}
