/* GPT-2 of any size: what its layer graph is built from (gpt2.c has the picture). */
#ifndef WEIR_MODELS_GPT2_H
#define WEIR_MODELS_GPT2_H

#include "include/weir/graph.h"

struct weir_gpt2_config {
    int64_t n_blocks, width, n_heads, n_positions, vocabulary;
    int64_t inner;   /* width between the two products of the MLP */
    double eps;      /* of the layer norms */
    double init_std; /* of initial weights */
    bool untied;     /* the head has its own weight, lm_head.weight */
    const struct weir_op *activation; /* one of weir_gpt2_activation's */
};

/* The row for a word of config.json's "activation_function" ("gelu_new"), or NULL. */
const struct weir_op *weir_gpt2_activation(const char *name);

/* weir_model_kind.build of kinds whose config is a struct weir_gpt2_config. */
weir_status weir_gpt2_build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                            struct weir_arena *arena, const struct weir_graph **graph_out);

#endif
