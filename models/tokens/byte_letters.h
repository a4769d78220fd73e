/* Bytes as characters that print, as the files of byte-level tokenizers write them: a byte that prints in Latin-1 is that
 * character, the others are U+0100 and up in order.  " hello" is "Ġhello". */
#ifndef WEIR_MODELS_TOKENS_BYTE_LETTERS_H
#define WEIR_MODELS_TOKENS_BYTE_LETTERS_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes that text[0..size) stands for, in `bytes`, which has room for `size`.  false: a character stands for none. */
bool weir_letters_read(const char *text, size_t size, char *bytes, size_t *n_out);

#endif
