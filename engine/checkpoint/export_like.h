/* What an export takes over from the model that it began with: the files that go with the weights, and what its config.json
 * says beside the maths.
 *
 *     weir_export_like("gpt2/", "tuned/")      tuned/ has weights and config.json by now
 *
 * Tokenizer files and generation_config.json are copied as they are.  config.json gets the keys that only the source has, and
 * the source's bos_token_id, eos_token_id and pad_token_id.  What says how positions are scaled and how values are stored is
 * not taken over: the export has its own. */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_LIKE_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_LIKE_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `source`: a folder, or a file of one (config.json, safetensors).  A source without such files, or that is the folder `dir`
 * itself, changes nothing but what was found.  A config.json of another model_type is left alone.
 * WEIR_ERR_IO, WEIR_ERR_INVALID: a file cannot be read or written.  For the process that writes. */
weir_status weir_export_like(const char *source, const char *dir);

#ifdef __cplusplus
}
#endif

#endif
