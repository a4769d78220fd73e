/* What an export takes over from the models that training began with: the files that go with the weights, and what their
 * config.json says beside the maths.
 *
 * Tokenizer files and generation_config.json are copied as they are.  config.json gets the keys that only the source has, and
 * the source's bos_token_id, eos_token_id and pad_token_id.  What says how positions are scaled and how values are stored is
 * not taken over: the export has its own.
 *
 * A source is a folder, or a file of one (config.json, safetensors); NULL and sources without such files give nothing.
 * WEIR_ERR_IO, WEIR_ERR_INVALID: a file that is there cannot be read. */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_LIKE_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_LIKE_H

#include "base/arena.h"
#include "base/json.h"
#include "base/safetensors_dtype.h"
#include "include/weir/checkpoint.h"

enum { WEIR_EXPORT_COMPANIONS = 9 };
extern const char *const weir_export_companions[]; /* [WEIR_EXPORT_COMPANIONS], then NULL */

/* The bytes of companion `name`, in the arena: of export->tokenizer where that is given and the file is a tokenizer's, else of the
 * last source that has it; *data_out is NULL when none has. */
weir_status weir_export_like_companion(const struct weir_export *export, const char *name, struct weir_arena *arena,
                                       const void **data_out, size_t *bytes_out);

/* Put the keys of the source's config.json into `config`, unless it is of another model_type. */
weir_status weir_export_like_config(const char *source, json_t *config);

/* The dtype in which most elements of the last source with weights are stored, else what the last config.json says that says
 * it; else F32. */
weir_status weir_export_like_dtype(const char *const like[WEIR_EXPORT_LIKE], enum weir_safetensors_dtype *dtype_out);

#endif
