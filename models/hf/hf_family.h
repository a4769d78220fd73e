/* Families of models that config.json can name: one row each (hf_gpt2.c, hf_llama.c). */
#ifndef WEIR_MODELS_HF_HF_FAMILY_H
#define WEIR_MODELS_HF_HF_FAMILY_H

#include "models/hf/hf_keys.h"
#include "include/weir/graph.h"

struct weir_hf_reader {
    struct weir_hf_keys keys;
    struct weir_arena *arena;
    struct weir_model_kind *kind;
};

struct weir_hf_family {
    const char *type, *summary; /* type: of "model_type" */
    /* Fill config, build, seq_len and vocabulary of the kind. */
    weir_status (*read)(struct weir_hf_reader *r);
    const char *const *keys; /* those that `read` looks at or that are known to change nothing here; ends with NULL */
};

extern const struct weir_hf_family weir_hf_gpt2, weir_hf_llama;

#endif
