/* Where a model is cut into stages, as people write it.
 *
 *     first layers    0,5,9,13             the first layer of each stage; layers are those of the graph (include/weir/graph.h)
 *     a layout        Et*3|(tt|)*2tL       what Megatron-LM writes: E the embedding, t a transformer block (attention half and
 *                                          MLP half), L head and loss, | the border between two stages; *n repeats the last
 *                                          letter or group n times in all; commas and spaces say nothing
 *
 * Stages are in the order of their global number; on which rank one lies is the schedule's.  Both become an array
 * [n_stages + 1], the last entry being the number of layers, as struct weir_engine_config has it. */
#ifndef WEIR_ENGINE_PROGRAM_LAYER_CUT_H
#define WEIR_ENGINE_PROGRAM_LAYER_CUT_H

#include "base/arena.h"
#include "base/text.h"
#include "include/weir/graph.h"

struct weir_layer_cut {
    int n_stages;
    const int *first_layer; /* [n_stages + 1] */
};

#ifdef __cplusplus
extern "C" {
#endif

/* WEIR_ERR_USAGE: a word that is no number, a first layer other than 0, layers that do not ascend (a stage would be empty) or
 * that the model does not have; the message names it. */
weir_status weir_layer_cut_numbers(const char *text, const struct weir_graph *graph, struct weir_arena *arena,
                                   struct weir_layer_cut *cut_out);

/* WEIR_ERR_USAGE: an unknown letter, an empty stage, an unclosed group, other blocks than the model has; `m` (multi-token
 * prediction) is refused by name.  WEIR_ERR_UNSUPPORTED: a model that does not consist of embedding, blocks and head. */
weir_status weir_layer_cut_layout(const char *text, const struct weir_graph *graph, struct weir_arena *arena,
                                  struct weir_layer_cut *cut_out);

/* Append "0,5,9". */
void weir_layer_cut_print(const struct weir_layer_cut *cut, struct weir_text *text);

/* Append the layout.  WEIR_ERR_UNSUPPORTED: a stage begins inside a block, whose layer is named; or the model has none. */
weir_status weir_layer_cut_layout_print(const struct weir_layer_cut *cut, const struct weir_graph *graph, struct weir_text *text);

#ifdef __cplusplus
}
#endif

#endif
