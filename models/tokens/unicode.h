/* Unicode as far as a tokenizer needs it: UTF-8 (its reader is weir_utf8_read), and whether a character is a letter, a number or a
 * space. */
#ifndef WEIR_MODELS_TOKENS_UNICODE_H
#define WEIR_MODELS_TOKENS_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/weir/tokens.h"

enum weir_unicode_class { WEIR_UNICODE_OTHER, WEIR_UNICODE_LETTER, WEIR_UNICODE_NUMBER, WEIR_UNICODE_SPACE };

/* General categories L* and N*, the property White_Space, or none of them (Unicode 16.0). */
enum weir_unicode_class weir_unicode_class(uint32_t code);

/* Write a character, at most 4 bytes; returns how many. */
int weir_utf8_write(uint32_t code, char *out);

#endif
