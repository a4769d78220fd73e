/* Readers of splits, for a fixed graph of five nodes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "partitioner/plan/plan_solve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char graph_text[] =
    "node1 -- Conv -- forward_compute_time=1.0, backward_compute_time=2.0, activation_size=8.0, "
    "parameter_size=4.0\n"
    "node2 -- ReLU -- forward_compute_time=1.0, backward_compute_time=1.0, activation_size=8.0, "
    "parameter_size=0.0\n"
    "3 -- Pool -- forward_compute_time=1.0, backward_compute_time=1.0, activation_size=[1; 2], "
    "parameter_size=0.0\n"
    "\tnode1 -- node2\n\tnode2 -- 3\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    char *text = malloc(size + 1);
    if (!text || weir_cost_graph_parse(graph_text, sizeof graph_text - 1, "graph", WEIR_COST_GRAPH_PIPEDREAM, 0, &graph)) {
        free(text);
        return 0;
    }
    memcpy(text, data, size);
    text[size] = 0;
    const int *device_of;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan plan;
    bool contiguous;
    if (weir_plan_parse(&graph, text, size, "fuzz", &arena, &device_of, &options.devices, &options.cpus) == WEIR_OK)
        (void)weir_plan_evaluate(&graph, &options, device_of, &arena, &plan, &contiguous);
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
    free(text);
    return 0;
}
