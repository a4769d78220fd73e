/* weir plan -o: a split of a model as a plan that weir train runs. */
#ifndef WEIR_CMD_PLAN_OUTPUT_H
#define WEIR_CMD_PLAN_OUTPUT_H

#include "engine/program/plan_file.h"
#include "partitioner/plan/plan.h"

/* NULL and 0: as weir train has it. */
struct plan_output {
    const char *path, *model, *dtype, *recompute, *schedule, *optimizer, *device;
    const struct weir_graph *graph; /* in f32 */
    int64_t n_microbatches, seq_len;
};

/* Write a contiguous plan whose nodes are the graph's layers. */
weir_status plan_output_write(const struct plan_output *output, const struct weir_plan *plan);

/* Print it as a layout (layer_cut.h). */
weir_status plan_output_layout(const struct weir_graph *graph, const struct weir_plan *plan);

#endif
