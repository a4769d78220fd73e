/* The built-in models: one row per model, each a function that builds its layer graph.
 *
 *     struct weir_model_params params = {.microbatch_size = 4};
 *     const struct weir_model_kind *kind;
 *     weir_model_find("gpt2-tiny", &kind);
 *     weir_model_build(kind, &params, &arena, &graph);
 *
 * A model folder with a Hugging Face config.json gives a kind too: weir_model_open. */
#ifndef WEIR_MODELS_MODEL_H
#define WEIR_MODELS_MODEL_H

#include "models/graph.h"

enum weir_data_kind {
    WEIR_DATA_TOKENS, /* inputs "tokens" and "targets": i32 (B, T) */
    WEIR_DATA_IMAGES, /* inputs "images": f32 (B, n_inputs), "targets": i32 (B) */
};

struct weir_model_params {
    int64_t microbatch_size; /* B >= 1 */
    int64_t seq_len;         /* T; 0: the model's own.  Token models only */
    int64_t n_inputs;        /* features of one image; image models only */
    int64_t n_classes;       /* image models only */
    double dropout;          /* 0 <= p < 1 */
    int64_t context;         /* token models: 0, a graph to train; else one that generates, with a cache of so many
                                positions per sequence: input "tokens" (1, T), result the logits (1, 1, V) of its last row */
};

struct weir_model_kind {
    const char *name, *summary;
    enum weir_data_kind data;
    int64_t seq_len;    /* the model's own, and the longest; 0 for image models */
    int64_t vocabulary; /* 0 for image models */
    const void *config; /* read by build */
    /* Build the graph into `arena`.  WEIR_ERR_INVALID names the parameter. */
    weir_status (*build)(const struct weir_model_kind *kind, const struct weir_model_params *params,
                         struct weir_arena *arena, const struct weir_graph **graph_out);
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The built-in models, one row each; the list of all ends with NULL. */
extern const struct weir_model_kind *const weir_model_kinds[];
extern const struct weir_model_kind weir_model_mlp, weir_model_umlp, weir_model_gpt2_tiny, weir_model_gpt2,
    weir_model_gpt2_medium, weir_model_gpt2_large, weir_model_gpt2_xl, weir_model_llama_tiny;

/* WEIR_ERR_USAGE with a suggestion when there is no such model. */
weir_status weir_model_find(const char *name, const struct weir_model_kind **kind_out);

/* The same, or the kind of a config.json: a name that holds a '/' or a '.', or that is no built-in model's but a folder
 * with a config.json, is the path of such a file or of its folder, whose kind is made in the arena.  WEIR_ERR_IO, WEIR_ERR_INVALID, WEIR_ERR_UNSUPPORTED as models/hf/hf_config.h says. */
weir_status weir_model_open(const char *name, struct weir_arena *arena, const struct weir_model_kind **kind_out);

/* The kind of the text of a config.json; `name` stands for its file in messages and is the kind's name. */
weir_status weir_model_parse(const char *text, const char *name, struct weir_arena *arena, const struct weir_model_kind **kind_out);

/* Check `params` against the kind and build.  See weir_model_kind.build. */
weir_status weir_model_build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                             struct weir_arena *arena, const struct weir_graph **graph_out);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
