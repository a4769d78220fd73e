/* Text of others, file names and names out of files, made harmless for one line of a terminal.
 *
 *     weird\x1b[2Jname\nx   is shown for a name with an escape sequence that clears the screen and a newline
 *
 * Control characters (also those of two bytes, U+0080..U+009F), marks that turn the direction of the text, line separators
 * and bytes that are no UTF-8 are written as \n, \t, \r, \x1b or \u202e.  Everything else, backslashes too, stays. */
#ifndef WEIR_BASE_PRINTABLE_H
#define WEIR_BASE_PRINTABLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Write `text` into `out`, cut at `room` bytes with the terminator, between characters.  Four times the text is always
 * enough.  Returns `out`. */
const char *weir_printable(const char *text, char *out, size_t room);

#ifdef __cplusplus
}
#endif

#endif
