/* A cost graph from a layer graph, by analysis: what the planner needs to split one of Weir's own models.
 *
 * Nodes are layers, because the engine cuts between layers only.  A pass of an operation takes the longer of its flops and of
 * its memory traffic at the given ceilings (the roofline model: Williams, Waterman, Patterson, "Roofline", CACM 2009).
 *
 * An edge carries values from the layer that makes them, or read them before, to the next layer that reads them, and their
 * gradients back (trips.h).  A stage of layers pays for the edges that enter or leave it: those are its trips, so that the cost
 * of a cut is the sum of what crosses it, whatever the cut.
 *
 *     fc0 ──▶ fc1 ──▶ fc2        fc0's value is read by fc1 and fc2: edges fc0-fc1 and fc1-fc2, the latter with fc1's value, too
 *
 * Layers stay in their order: where one takes nothing of the layer before, there is an edge of no bytes. */
#ifndef WEIR_ENGINE_PROGRAM_MODEL_COSTS_H
#define WEIR_ENGINE_PROGRAM_MODEL_COSTS_H

#include "include/weir/plan.h"
#include "partitioner/costs/cost_graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Build and finish the cost graph of one micro-batch; times in ms.  A tied parameter counts on every layer that uses it:
 * each stage holds a copy; in a bf16 graph a parameter is f32 with a bf16 copy.  Activation bytes are those kept from forward
 * to weight gradient.  `recompute` is a list of layers as in struct weir_engine_config, or NULL: their replay is part of the
 * input gradient's time, and of their activations only the layer's input is kept.  The caller releases *costs_out.
 * WEIR_ERR_INVALID: a ceiling that is not above 0.  WEIR_ERR_USAGE: a list that names no layer.  WEIR_ERR_NOMEM. */
weir_status weir_model_cost_graph(const struct weir_graph *graph, const char *recompute,
                                  const struct weir_ceilings *ceilings, struct weir_cost_graph *costs_out);

#ifdef __cplusplus
}
#endif

#endif
