/* UTF-8, character by character. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at `text`, of which bytes[0..n) may be read, n >= 1; 0: there is none. */
int weir_utf8_character(const unsigned char *text, size_t n, uint32_t *code_out);

/* How many bytes from the beginning on are whole characters: `n` for UTF-8, else where the first one stands that is none. */
size_t weir_utf8_length(const unsigned char *text, size_t n);

#endif
