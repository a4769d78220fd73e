/* What is fed: inputs of a graph by name, checked and copied to the ranks here that read them. */
#ifndef WEIR_ENGINE_RUN_INPUTS_H
#define WEIR_ENGINE_RUN_INPUTS_H

#include "engine/run/runner.h"

/* WEIR_ERR_INVALID: the graph has no such input. */
weir_status weir_input_find(const struct weir_graph *graph, const char *name, int *input_out);

/* Every number that is looked up in a vocabulary lies in it.  WEIR_ERR_INVALID names the first that does not. */
weir_status weir_input_check(const struct weir_graph *graph, int input, const void *data);

/* Copy `data`, one micro-batch of the input in the type of the configuration's graph, to the DATA blocks of the ranks of
 * `replica` that read it and live here; f32 is rounded where the graph was cast to bf16. */
weir_status weir_input_push(struct weir_runner *runner, int input, int replica, int mb, const void *data);

#endif
