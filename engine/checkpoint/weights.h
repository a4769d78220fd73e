/* Weights of a runner from and to Hugging Face files; engine/weir.h has the contract (weir_engine_load_weights,
 * weir_engine_save_weights, weir_export_check). */
#ifndef WEIR_ENGINE_CHECKPOINT_WEIGHTS_H
#define WEIR_ENGINE_CHECKPOINT_WEIGHTS_H

#include "engine/run/runner.h"

weir_status weir_weights_load(struct weir_runner *runner, const char *path);
weir_status weir_weights_save(struct weir_runner *runner, const char *dir);
weir_status weir_export_check(const struct weir_graph *graph, const char *dir);

#endif
