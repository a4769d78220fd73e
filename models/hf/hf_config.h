/* Hugging Face config.json: a model kind out of the file that stands beside published weights.
 *
 *     weir_hf_config_load("gpt2/config.json", &arena, &kind);       or "gpt2/", the folder that has it
 *     weir_model_build(kind, &params, &arena, &graph);
 *
 * model_type gpt2 and llama.  Strict where the maths is concerned: a key that is needed and missing, out of range, or has a
 * value that Weir does not compute is an error that names it.  Keys that do not change the maths are passed over; keys that
 * nobody here knows are named in one warning.  The file's dropout is not taken over: params.dropout decides. */
#ifndef WEIR_MODELS_HF_HF_CONFIG_H
#define WEIR_MODELS_HF_HF_CONFIG_H

#include "include/weir/graph.h"

/* `path` is a file that ends in .json, or a folder with config.json.  The kind lives in the arena; its name is the path.
 * WEIR_ERR_IO, WEIR_ERR_INVALID, WEIR_ERR_UNSUPPORTED (a model type or value that Weir does not compute). */
weir_status weir_hf_config_load(const char *path, struct weir_arena *arena, const struct weir_model_kind **kind_out);

/* The same from text; `name` stands for the file in messages and is the kind's name. */
weir_status weir_hf_config_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 const struct weir_model_kind **kind_out);

#endif
