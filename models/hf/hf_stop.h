/* Where a text of a model ends: what its folder says of eos_token_id.
 *
 *     "eos_token_id": 50256          one token
 *     "eos_token_id": [128001, 128009]   any of them
 *
 * of generation_config.json, else of config.json, as transformers looks for them. */
#ifndef WEIR_MODELS_HF_HF_STOP_H
#define WEIR_MODELS_HF_HF_STOP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The ids, in the arena; none when neither file is there or says so.  WEIR_ERR_INVALID: a file that is no JSON object, an id that is
 * no number from 0 to 2^31 - 1 (names file and key).  WEIR_ERR_IO, WEIR_ERR_NOMEM. */
weir_status weir_hf_stop_tokens(const char *folder, struct weir_arena *arena, const int32_t **ids_out, int *n_out);

#ifdef __cplusplus
}
#endif

#endif
