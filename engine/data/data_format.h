/* Formats of token data, as a user names them. */
#ifndef WEIR_ENGINE_DATA_DATA_FORMAT_H
#define WEIR_ENGINE_DATA_DATA_FORMAT_H

#include "base/status.h"

/* in order of the enum; engine/data/token_open.h says what each is */
#define WEIR_DATA_FORMAT_TABLE(X)                                                                                      \
    X(AUTO, "auto") X(TEXT, "text") X(U16, "u16") X(U32, "u32") X(I64, "i64") X(LLMC, "llmc") X(MEGATRON, "megatron")  \
    X(NPY, "npy") X(JSONL, "jsonl")

#define WEIR_DATA_FORMAT_ENUM(name, word) WEIR_DATA_FORMAT_##name,
enum weir_data_format { WEIR_DATA_FORMAT_TABLE(WEIR_DATA_FORMAT_ENUM) WEIR_DATA_FORMATS };
#undef WEIR_DATA_FORMAT_ENUM

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* "megatron" */
const char *weir_data_format_str(enum weir_data_format format);

/* WEIR_ERR_USAGE with a suggestion when there is no such format. */
weir_status weir_data_format_find(const char *name, enum weir_data_format *format_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
