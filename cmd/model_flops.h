/* Multiplications and additions that the mathematics of a training step needs, for model flops utilization (Chowdhery et al.,
 * "PaLM", 2022, appendix B): what a run must compute, however it computes it.
 *
 *     6 N             per token: 2 forward and 4 backward for each weight of a matrix product (biases, gains and looking up an
 *                     embedding are not counted; a tied table counts once, as the head)
 *     12 L H Q T      per token: attention of L layers with H heads of width Q over T tokens, the causal half not left out
 *
 * Recomputed layers count once. */
#ifndef WEIR_CMD_MODEL_FLOPS_H
#define WEIR_CMD_MODEL_FLOPS_H

#include "include/weir/graph.h"

/* Of one micro-batch. */
double model_flops(const struct weir_graph *graph);

#endif
