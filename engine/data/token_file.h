/* A file of tokens that is open: where its tokens stand, and what type they have (engine/data/token_open.h opens it). */
#ifndef WEIR_ENGINE_DATA_TOKEN_FILE_H
#define WEIR_ENGINE_DATA_TOKEN_FILE_H

#include <stdbool.h>

#include "base/ranged_file.h"
#include "include/weir/data.h"

/* name, bytes of one token */
#define WEIR_TOKEN_TABLE(X)                                                                                            \
    X(uint8, 1) X(int8, 1) X(uint16, 2) X(int16, 2) X(uint32, 4) X(int32, 4) X(uint64, 8) X(int64, 8)

#define WEIR_TOKEN_ENUM(name, width) WEIR_TOKEN_##name,
enum weir_token_type { WEIR_TOKEN_TABLE(WEIR_TOKEN_ENUM) WEIR_TOKEN_TYPES };
#undef WEIR_TOKEN_ENUM

struct weir_token_file {
    struct weir_ranged_file disk;
    const char *kind;
    enum weir_data_format format; /* never AUTO */
    bool is_text; /* tokens are the bytes of a text */
    bool packed;  /* the file is gzip */
    enum weir_token_type type;
    int width;                   /* bytes of one token */
    const unsigned char *tokens; /* n_tokens of `width` bytes each, little-endian, in memory; NULL: on disk */
    int64_t n_tokens;            /* at least 1, but of a text that is a mark of byte order alone */
    int64_t n_documents;         /* 0: the file does not say */
    size_t first_byte;           /* of the tokens in the file, or in what was unpacked from it */
    unsigned char *memory;       /* `tokens` are here; NULL: they are on disk */
};

/* `width` bytes, little-endian. */
static inline uint64_t weir_little_endian(const unsigned char *b, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++)
        value |= (uint64_t)b[i] << 8 * i;
    return value;
}

/* The token of which `b` is the first byte; negative: no id. */
static inline int64_t weir_token_value(const struct weir_token_file *file, const unsigned char *b)
{
    switch (file->type) {
    case WEIR_TOKEN_uint8:
        return b[0];
    case WEIR_TOKEN_int8:
        return (int8_t)b[0];
    case WEIR_TOKEN_uint16:
        return (int64_t)weir_little_endian(b, 2);
    case WEIR_TOKEN_int16:
        return (int16_t)weir_little_endian(b, 2);
    case WEIR_TOKEN_uint32:
        return (int64_t)weir_little_endian(b, 4);
    case WEIR_TOKEN_int32:
        return (int32_t)weir_little_endian(b, 4);
    default:
        return (int64_t)weir_little_endian(b, 8); /* uint64 beyond int64 is negative: no id either way */
    }
}

/* Where token `at` stands in the file, or in what was unpacked from it. */
static inline int64_t weir_token_byte(const struct weir_token_file *file, int64_t at)
{
    return (int64_t)file->first_byte + at * file->width;
}

#endif
