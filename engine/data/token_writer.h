/* Write a file of tokens that weir_data_open_tokens() reads.
 *
 *     weir_token_writer_open("book.bin", WEIR_DATA_FORMAT_LLMC, 50257, &writer)
 *     weir_token_writer_put(writer, tokens, n)             as often as need be
 *     weir_token_writer_commit(writer)                     now book.bin is the new file (base/replace.h)
 *
 *     format   is                                                                    read elsewhere by
 *     llmc     256 int32 of header, then uint16; uint32 for more than 65,536 ids      llm.c (GPT-2; Llama 3)
 *     u16      uint16, no header                                                     nanoGPT
 *     u32      uint32, no header */
#ifndef WEIR_ENGINE_DATA_TOKEN_WRITER_H
#define WEIR_ENGINE_DATA_TOKEN_WRITER_H

#include <stdint.h>

#include "base/status.h"
#include "include/weir/data.h"

typedef struct weir_token_writer weir_token_writer;

#ifdef __cplusplus
extern "C" {
#endif

/* For ids below `vocabulary`.  WEIR_ERR_UNSUPPORTED: a format that is not written.  WEIR_ERR_INVALID: u16 for more than 65,536
 * ids; a path that cannot be gone back in, for a header.  WEIR_ERR_IO, WEIR_ERR_NOMEM. */
weir_status weir_token_writer_open(const char *path, enum weir_data_format format, int64_t vocabulary,
                                   weir_token_writer **writer_out);

/* WEIR_ERR_INVALID: an id that is not below the vocabulary; more tokens than the header can count, 2^31 - 1.  WEIR_ERR_IO names
 * path and reason: no space left on device. */
weir_status weir_token_writer_put(weir_token_writer *writer, const int32_t *tokens, int64_t n);

int64_t weir_token_writer_count(const weir_token_writer *writer); /* tokens so far */
int weir_token_writer_width(const weir_token_writer *writer);     /* bytes of a token */

/* Put the file in its place; releases the writer in any case.  WEIR_ERR_INVALID: it has no tokens.  WEIR_ERR_IO. */
weir_status weir_token_writer_commit(weir_token_writer *writer);

/* Leave what was there as it was.  NULL is fine. */
void weir_token_writer_abort(weir_token_writer *writer);

#ifdef __cplusplus
}
#endif

#endif
