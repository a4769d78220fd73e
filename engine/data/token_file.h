/* Files of tokens, one format per row:
 *
 *     kind            starts with                         then
 *     text            anything                            bytes: each is a token
 *     uint16          anything but one of the magics      uint16, to the end        (nanoGPT's prepare.py)
 *     llm.c gpt-2     256 int32: 20240520, 1, n, 0 ...    n uint16                  (llm.c's dev/data scripts)
 *     llm.c llama-3   256 int32: 20240801, 7, n, 0 ...    n uint32                  (the same with -m llama-3)
 *
 * Everything is little-endian.  A name that ends in ".bin" is one of the last three, told apart by the first four bytes;
 * any other name is text.  The size of the file must be what the header says, to the byte; the other files that llm.c
 * writes (its models, states, tokenizers) are known by their magics and refused by name. */
#ifndef WEIR_ENGINE_DATA_TOKEN_FILE_H
#define WEIR_ENGINE_DATA_TOKEN_FILE_H

#include <stdbool.h>

#include "base/mapped_file.h"

struct weir_token_format {
    const char *kind;
    uint32_t magic, version; /* 0: no header */
    size_t header_bytes;
    int width; /* bytes of one token */
};

struct weir_token_file {
    struct weir_mapped_file map;
    const struct weir_token_format *format;
    const unsigned char *tokens; /* n_tokens of format->width bytes each */
    int64_t n_tokens;            /* at least 1 */
};

/* Map `path` and find its format; as_text: it is text, whatever its name.  Reads the header only.
 *
 * WEIR_ERR_IO: cannot be opened or mapped.  WEIR_ERR_INVALID: not a regular file, empty, a header that is wrong or cut
 * short, a size that is not what the header says, half a token at the end (names file and byte).  WEIR_ERR_NOMEM.  On
 * failure `file_out` is untouched. */
weir_status weir_token_file_open(const char *path, bool as_text, struct weir_token_file *file_out);

void weir_token_file_close(struct weir_token_file *file); /* all zero bits are fine */

/* Token `at`, in [0, n_tokens). */
static inline uint32_t weir_token_at(const struct weir_token_file *file, int64_t at)
{
    const unsigned char *b = file->tokens + at * file->format->width;
    switch (file->format->width) {
    case 1:
        return b[0];
    case 2:
        return (uint32_t)b[0] | (uint32_t)b[1] << 8;
    default:
        return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    }
}

/* Where token `at` stands in the file. */
static inline int64_t weir_token_byte(const struct weir_token_file *file, int64_t at)
{
    return (int64_t)file->format->header_bytes + at * file->format->width;
}

#endif
