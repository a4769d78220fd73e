/* The texts of a file, one after the other: a plain file is one text, JSON Lines have one per line.
 *
 *     weir_documents_read("books.jsonl.gz", WEIR_DATA_FORMAT_AUTO, "text", take, context);
 *
 * calls take(context, text, bytes) for each.  Of JSON Lines one line is in memory at a time, a plain file is read whole.  Both
 * may be gzip.  A byte-order mark at the head of a file is no part of its text. */
#ifndef WEIR_ENGINE_DATA_DOCUMENTS_H
#define WEIR_ENGINE_DATA_DOCUMENTS_H

#include <stddef.h>

#include "base/status.h"
#include "include/weir/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `text` ends with a zero byte that does not count, and is valid until the function returns. */
typedef weir_status (*weir_document_take)(void *context, const char *text, size_t bytes);

/* What AUTO stands for, text or jsonl.  WEIR_ERR_IO, WEIR_ERR_INVALID: cannot be read, is tokens or no text. */
weir_status weir_documents_format(const char *path, enum weir_data_format *format);

/* `field`: what the string of a line is called, "text" as a rule.  Ends with the first failure of `take`.
 *
 * WEIR_ERR_IO, WEIR_ERR_INVALID: cannot be read, is tokens or no text, no UTF-8 (names line and byte), no JSON, without the
 * field, without any line.  WEIR_ERR_NOMEM. */
weir_status weir_documents_read(const char *path, enum weir_data_format format, const char *field, weir_document_take take,
                                void *context);

#ifdef __cplusplus
}
#endif

#endif
