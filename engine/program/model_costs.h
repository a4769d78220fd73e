/* A cost graph from a layer graph, by analysis: what the planner needs to split one of Weir's own models.
 *
 * Nodes are layers, because the engine cuts between layers only; the graph is a chain.  A pass of an operation takes the
 * longer of its flops and of its memory traffic at the given ceilings (the roofline model: Williams, Waterman,
 * Patterson, "Roofline", CACM 2009); an edge carries the value that crosses, forward, and its gradient, back. */
#ifndef WEIR_ENGINE_PROGRAM_MODEL_COSTS_H
#define WEIR_ENGINE_PROGRAM_MODEL_COSTS_H

#include "include/weir/graph.h"
#include "partitioner/costs/cost_graph.h"

struct weir_ceilings {
    double flops_per_s;      /* of one device */
    double bytes_per_s;      /* of its memory */
    double link_bytes_per_s; /* between neighbouring devices */
};

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
