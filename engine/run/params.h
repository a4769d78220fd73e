/* Parameters and gradients of a runner by name, initial values, and the rounded copies that kernels read.
 *
 * In a process that does not hold a parameter, writing checks its arguments and does nothing; reading is collective, and all
 * processes get the values. */
#ifndef WEIR_ENGINE_RUN_PARAMS_H
#define WEIR_ENGINE_RUN_PARAMS_H

#include "engine/run/runner.h"

/* The number of parameter `name` in the graph.  WEIR_ERR_INVALID: there is none, it has not `n` elements, or there is no room for
 * values. */
weir_status weir_param_find(const struct weir_graph *graph, const char *name, const void *values, size_t n,
                            int *param_out);

/* `n` float32 elements, all of the parameter.  WEIR_ERR_INVALID: no such parameter, or another number of elements.  Writing
 * sets every copy of a tied one. */
weir_status weir_runner_param_read(struct weir_runner *runner, const char *name, float *values_out, size_t n);
weir_status weir_runner_param_write(struct weir_runner *runner, const char *name, const float *values, size_t n);

/* The first parameter of the graph that has a value that is not finite; *name_out is NULL when all are.  Collective. */
weir_status weir_runner_param_bad(struct weir_runner *runner, const char **name_out);

/* What the last step left in the gradient of a parameter: the sum over uses and replicas.  Written, it is what an update by
 * itself applies. */
weir_status weir_runner_gradient_read(struct weir_runner *runner, const char *name, float *values_out, size_t n);
weir_status weir_runner_gradient_write(struct weir_runner *runner, const char *name, const float *values, size_t n);

/* The first parameter of the graph whose gradient has a value that is not finite; *name_out is NULL when all are.  Collective. */
weir_status weir_runner_gradient_bad(struct weir_runner *runner, const char **name_out);

/* A rank of this process holds the parameter with that number in the graph. */
bool weir_runner_holds(const struct weir_runner *runner, int param);

/* Initial values of the rank's parameters. */
weir_status weir_params_init(struct weir_rank *rank);

/* Elements [first, first + n) of a parameter of the rank have changed: round them into the copy that kernels read, if there
 * is one.  Call it wherever PARAMS is written, with the rank's device the current one.  `stream`: rank->native, or on the rank's
 * worker weir_rank_vectors(rank), whose threads share the work. */
weir_status weir_param_round(const struct weir_rank *rank, const struct weir_rank_param *held, int64_t first, int64_t n, void *stream);

#endif
