/* A graph in the making: what the builder of include/weir/graph.h keeps in the arena. */
#ifndef WEIR_MODELS_GRAPH_MAKING_H
#define WEIR_MODELS_GRAPH_MAKING_H

#include "include/weir/graph.h"

struct weir_graph_making {
    struct weir_arena *arena;
    weir_status status; /* first failure; its message is the thread's last error */
    struct weir_graph graph;
    struct weir_node *nodes;
    struct weir_param *params;
    struct weir_layer *layers;
    struct weir_graph_input *inputs;
    size_t node_room, param_room, layer_room, input_room;
};

/* The model's Hugging Face form; `hf_config` is in the arena, `hf_prefix` lives as long.  After a failure it does nothing. */
void weir_graph_hf(struct weir_graph_builder *b, const char *hf_config, const char *hf_prefix);

#endif
