/* Normalization form C of Unicode 16.0: characters that may be written in several ways are written in one,
 * e followed by U+0301 as U+00E9 (Unicode Standard Annex 15). */
#ifndef WEIR_MODELS_TOKENS_NFC_H
#define WEIR_MODELS_TOKENS_NFC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "models/tokens/byte_buffer.h"

/* false: the text is in form C for sure. */
bool weir_nfc_needed(const char *text, size_t bytes);

/* Append the text in form C; bytes that are no characters stay as they are.  WEIR_ERR_NOMEM. */
weir_status weir_nfc_append(const char *text, size_t bytes, struct weir_byte_buffer *out);

#endif
