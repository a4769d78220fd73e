/* The readers behind partitioner/costs/cost_graph_file.h: each fills an initialised graph; its caller finishes or
 * releases it. */
#ifndef WEIR_PARTITIONER_COSTS_COST_GRAPH_READERS_H
#define WEIR_PARTITIONER_COSTS_COST_GRAPH_READERS_H

#include "base/json.h"
#include "partitioner/costs/cost_graph.h"

weir_status weir_cost_graph_read_weir(const json_t *root, struct weir_cost_graph *graph);
weir_status weir_cost_graph_read_msr(const json_t *root, struct weir_cost_graph *graph);
weir_status weir_cost_graph_read_piper(const json_t *root, double bandwidth, struct weir_cost_graph *graph);
weir_status weir_cost_graph_read_pipedream(const char *text, size_t bytes, double bandwidth,
                                           struct weir_cost_graph *graph);

#endif
