/* Llama of any size: what its layer graph is built from (llama.c has the picture). */
#ifndef WEIR_MODELS_LLAMA_H
#define WEIR_MODELS_LLAMA_H

#include "include/weir/graph.h"

struct weir_llama_config {
    int64_t n_blocks, width, n_positions, vocabulary;
    int64_t n_heads, kv_heads, head_width; /* kv_heads divides n_heads; n_heads * head_width need not be the width */
    int64_t inner;                         /* of the MLP */
    double eps;                            /* of the RMS norms */
    double init_std;                       /* of initial weights */
    struct weir_rope rope;
    bool tied; /* the head's weight is the embedding's */
};

/* weir_model_kind.build of kinds whose config is a struct weir_llama_config. */
weir_status weir_llama_build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                             struct weir_arena *arena, const struct weir_graph **graph_out);

#endif
