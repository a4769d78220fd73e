/* Files of tokens: what the bytes of a file are, and where its tokens stand.
 *
 *     format    kind                    known by (auto)                            tokens
 *     text      text                    no other format, no zero byte near it      bytes of the file
 *     jsonl     JSON Lines              a first line {"text": "..."}, *.jsonl      bytes of each "text", then a newline
 *     npy       NumPy uint16 ...        \x93NUMPY                                  a one-dimensional array of integers
 *     megatron  Megatron int32 ...      *.bin beside an .idx of the same name      what the .idx says
 *     llmc      llm.c gpt-2, llama-3    *.bin, the magic of 256 int32 of header    uint16 or uint32
 *     u16       uint16                  any other *.bin                            uint16 to the end (nanoGPT)
 *     u32, i64  uint32, int64           never: they are named                      to the end
 *
 * A byte-order mark at the head of a text is no part of it.
 *
 * `auto` looks at the content first and at the name then, and refuses what it cannot tell: a .bin whose numbers make
 * sense as tokens of 2 and of 4 bytes, one that holds text, a "text" that is binary or UTF-16.  Files of other programs
 * (Parquet, zip, models, ...) are refused by name.  A gzip file is unpacked into memory and looked at in the same way; its
 * name counts without .gz.  All numbers are little-endian, and sizes must be right to the byte.
 *
 * Tokens stay on disk and are read when they are asked for; those of gzip files and of JSON Lines lie in memory. */
#ifndef WEIR_ENGINE_DATA_TOKEN_OPEN_H
#define WEIR_ENGINE_DATA_TOKEN_OPEN_H

#include "include/weir/data.h"
#include "engine/data/token_file.h"

/* Text and JSON Lines: tokens are bytes, unless somebody encodes them. */
bool weir_token_format_is_text(enum weir_data_format format);

/* Open `path` and find its format, unless `format` says it.  Without `texts` no tokens are read from a text, whose n_tokens
 * is 0 then.  Reads headers, and of what has none the first 128 KiB, 1 MiB when
 * it starts as JSON.
 *
 * WEIR_ERR_IO: cannot be opened or read.  WEIR_ERR_INVALID: not a regular file, empty, of no format that is read or of
 * two, a header that is wrong or cut short, a size that is not what the header says, half a token at the end (names file and
 * byte).  WEIR_ERR_NOMEM.  On failure `file_out` is untouched. */
weir_status weir_token_file_open(const char *path, enum weir_data_format format, bool texts, int64_t vocabulary,
                                 struct weir_token_file *file_out);

void weir_token_file_close(struct weir_token_file *file); /* all zero bits are fine */

#endif
