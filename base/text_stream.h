/* Text for programs that take it in a callback, from functions that print into a FILE.
 *
 *     struct weir_text_stream stream;
 *     status = weir_text_stream_open(&stream);
 *     if (!status)
 *         table_print(stream.out);
 *     return status ? status : weir_text_stream_close(&stream, say, context);
 *
 * A stream is closed once, on every path; with `say` NULL its text is dropped. */
#ifndef WEIR_BASE_TEXT_STREAM_H
#define WEIR_BASE_TEXT_STREAM_H

#include <stdio.h>

#include "base/status.h"

struct weir_text_stream {
    FILE *out;
    char *text;
    size_t bytes;
};

/* WEIR_ERR_NOMEM; then there is nothing to close. */
weir_status weir_text_stream_open(struct weir_text_stream *stream);

/* Hand the text over, in one piece.  WEIR_ERR_NOMEM: there was no memory for all of it; `say` is not called. */
weir_status weir_text_stream_close(struct weir_text_stream *stream, weir_text_fn say, void *context);

/* A callback that writes to the FILE that is its context. */
void weir_text_to_file(void *file, const char *text, size_t bytes);

#endif
