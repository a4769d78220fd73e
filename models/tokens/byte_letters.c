#include "models/tokens/byte_letters.h"

#include "models/tokens/unicode.h"

/* The byte that a character stands for, or -1.  Those that do not print: 0 to 32, 127 to 160, 173. */
static int byte_of(uint32_t code)
{
    enum { FIRST = 256, LOW = 33, HIGH = 34 };
    if (code < FIRST)
        return (code >= 33 && code <= 126) || (code >= 161 && code != 173) ? (int)code : -1;
    code -= FIRST;
    if (code < LOW)
        return (int)code;
    if (code < LOW + HIGH)
        return (int)(code - LOW + 127);
    return code == LOW + HIGH ? 173 : -1;
}

bool weir_letters_read(const char *text, size_t size, char *bytes, size_t *n_out)
{
    size_t n = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        int length = weir_utf8_read((const unsigned char *)text + at, size - at, &code);
        int byte = length > 0 ? byte_of(code) : -1;
        if (byte < 0)
            return false;
        bytes[n++] = (char)byte;
        at += (size_t)length;
    }
    *n_out = n;
    return true;
}
