/* Weights of a runner from Hugging Face files; include/weir/weir.h has the contract (weir_engine_load_weights). */
#ifndef WEIR_ENGINE_CHECKPOINT_WEIGHTS_H
#define WEIR_ENGINE_CHECKPOINT_WEIGHTS_H

#include "engine/run/runner.h"

weir_status weir_weights_load(struct weir_runner *runner, const char *path);

/* The name that transformers gives to parameter `param`, in the arena: the head stands beside what the prefix is put in
 * front of. */
weir_status weir_weights_name(const struct weir_graph *graph, int param, struct weir_arena *arena, const char **name_out);

#endif
