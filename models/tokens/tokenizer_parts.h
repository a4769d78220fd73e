/* A part of a tokenizer.json, {"type": "Replace", ...}, looked at. */
#ifndef WEIR_MODELS_TOKENS_TOKENIZER_PARTS_H
#define WEIR_MODELS_TOKENS_TOKENIZER_PARTS_H

#include "models/tokens/tokenizer_model.h"

/* A member's text, "" where it is none. */
const char *weir_part_text(const json_t *part, const char *key);

bool weir_part_is(const json_t *part, const char *type);

/* {"pattern": {"String": from}, "content": to} */
bool weir_part_replaces(const json_t *part, const char *from, const char *to);

/* Names the type, and `read`, the types that are read.  WEIR_ERR_INVALID: it has none; else WEIR_ERR_UNSUPPORTED. */
weir_status weir_part_refuse(const char *what, const json_t *part, const char *read);

#endif
