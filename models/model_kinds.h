/* The built-in models of include/weir/graph.h, for Weir's own files: programs that embed Weir find them by name, for a table grows. */
#ifndef WEIR_MODELS_MODEL_KINDS_H
#define WEIR_MODELS_MODEL_KINDS_H

#include "include/weir/graph.h"

extern const struct weir_model_kind *const weir_model_kinds[]; /* ends with NULL */

extern const struct weir_model_kind weir_model_mlp, weir_model_umlp, weir_model_umlp_concat, weir_model_gpt2_tiny,
    weir_model_gpt2, weir_model_gpt2_medium, weir_model_gpt2_large, weir_model_gpt2_xl, weir_model_llama_tiny;

#endif
