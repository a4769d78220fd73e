#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static bool is_harmless(uint32_t code)
{
    bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    bool turns = code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
                 (code >= 0x2066 && code <= 0x2069);
    return !control && !turns;
}

/* The character, or what stands for it; returns the bytes of `text` that were taken. */
static int character_show(const unsigned char *text, char shown[16])
{
    static const char letters[] = "\n\t\r", names[] = "ntr";
    uint32_t code;
    int n = weir_utf8_character(text, SIZE_MAX, &code); /* the terminator ends what is cut short */
    const char *letter = strchr(letters, text[0]);
    if (n && is_harmless(code))
        snprintf(shown, 16, "%.*s", n, (const char *)text);
    else if (letter)
        snprintf(shown, 16, "\\%c", names[letter - letters]);
    else if (n < 2)
        snprintf(shown, 16, "\\x%02x", text[0]);
    else
        snprintf(shown, 16, "\\u%04x", (unsigned)code);
    return n ? n : 1;
}

const char *weir_printable(const char *text, char *out, size_t room)
{
    size_t used = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        char shown[16];
        at += character_show(at, shown);
        size_t n = strlen(shown);
        if (used + n >= room)
            break;
        memcpy(out + used, shown, n);
        used += n;
    }
    out[used] = 0;
    return out;
}
