/* What is in memory of a file that may hold tokens, and how a reader of a format says where they stand. */
#ifndef WEIR_ENGINE_DATA_TOKEN_CONTENT_H
#define WEIR_ENGINE_DATA_TOKEN_CONTENT_H

#include "engine/data/token_file.h"

struct weir_token_content {
    const char *path;           /* of the file, for messages */
    const char *name;           /* path without .gz */
    const unsigned char *bytes; /* [n_head], unpacked: the start of the file, all of it where `whole` */
    size_t n_head;              /* at least 128 KiB, unless the file has less; for what starts as JSON 1 MiB */
    size_t n_bytes;             /* of the file, unpacked; at least 1 */
    bool whole;
    unsigned char last[4];      /* of the file; n_bytes >= 4 */
    int64_t vocabulary;
};

/* Bytes of one token. */
int weir_token_width(enum weir_token_type type);

/* The bytes from `first_byte` on are tokens of `type`, as many as fit. */
void weir_token_file_set(const struct weir_token_content *content, enum weir_token_type type, size_t first_byte,
                         struct weir_token_file *file);

/* `name` ends in `end`, whatever the case of its letters. */
bool weir_name_ends(const char *name, const char *end);

#endif
