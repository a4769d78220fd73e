/* Bytes that grow; all zero bits is the empty buffer. */
#ifndef WEIR_MODELS_TOKENS_BYTE_BUFFER_H
#define WEIR_MODELS_TOKENS_BYTE_BUFFER_H

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"

struct weir_byte_buffer {
    char *bytes;
    size_t n, room;
};

static inline weir_status weir_byte_append(struct weir_byte_buffer *buffer, const char *bytes, size_t n)
{
    weir_status status = weir_grow(&buffer->bytes, &buffer->room, buffer->n + n + 1, 1);
    if (!status && n)
        memcpy(buffer->bytes + buffer->n, bytes, n);
    if (!status)
        buffer->n += n;
    return status;
}

#endif
