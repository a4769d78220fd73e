/* The formats of token files, one function each, and what tells them apart.
 *
 * A reader finds the tokens in `content` and fills kind, type, tokens, n_tokens and what else its format says; it leaves
 * `disk` alone.  Only jsonl makes memory of its own. */
#ifndef WEIR_ENGINE_DATA_TOKEN_FORMATS_H
#define WEIR_ENGINE_DATA_TOKEN_FORMATS_H

#include "include/weir/data.h"
#include "engine/data/token_content.h"

struct json_t;

/* Find what `auto` stands for.  WEIR_ERR_INVALID: nothing that can be read, or not to be told. */
weir_status weir_token_format_guess(const struct weir_token_content *content, enum weir_data_format *format_out);

weir_status weir_token_llmc_read(const struct weir_token_content *content, struct weir_token_file *file);
weir_status weir_token_megatron_read(const struct weir_token_content *content, struct weir_token_file *file);
weir_status weir_token_npy_read(const struct weir_token_content *content, struct weir_token_file *file);
weir_status weir_token_lines_read(const struct weir_token_content *content, struct weir_token_file *file);

/* The content starts with a magic of llm.c's token files, or of another of its files, which `what_out` names then (else
 * NULL). */
bool weir_token_llmc_is(const struct weir_token_content *content, const char **what_out);

/* The header of llm.c's file with `count` tokens of `type`, uint16 or uint32. */
enum { WEIR_LLMC_HEADER_BYTES = 1024 };
void weir_token_llmc_header(enum weir_token_type type, uint32_t count, unsigned char header_out[WEIR_LLMC_HEADER_BYTES]);

/* The path of the index that would belong to a .bin, in memory from weir_alloc; NULL when there is no such file. */
weir_status weir_token_megatron_index(const struct weir_token_content *content, char **path_out);

/* Line `number` of `path` as a JSON object with a string called `field`, of which the caller holds a reference. */
weir_status weir_token_line_parse(const char *path, int64_t number, const char *line, size_t n, const char *field,
                                  struct json_t **object_out);

/* The first line is a JSON object with a string "text". */
bool weir_token_lines_is(const struct weir_token_content *content);

#endif
