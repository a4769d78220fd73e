/* weir plan --output layout: a split of a model in Megatron-LM's letters (include/weir/plan.h). */
#ifndef WEIR_CMD_PLAN_OUTPUT_H
#define WEIR_CMD_PLAN_OUTPUT_H

#include "include/weir/weir.h"
#include "include/weir/partition.h"

/* Print a contiguous split whose nodes are the graph's layers. */
weir_status plan_output_layout(const struct weir_graph *graph, const weir_split *split);

/* The stages of a split as a costs file, for weir schedule: times in ms, bytes.  `config`: of the model, its bytes are those of the compiled
 * stages; NULL: of a cost graph, which knows parameters and activations alone. */
weir_status plan_output_costs(const weir_cost_graph *graph, const struct weir_engine_config *config, const weir_split *split);

#endif
