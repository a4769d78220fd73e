/* Files of cost graphs.
 *
 *     weir       Weir's own JSON (docs/planning.md): {"format": "weir-cost-graph", "nodes": [...], "edges": [...]}
 *     pipedream  graph.txt of PipeDream and DAPPLE: "id -- description -- key=value, ..." and "a -- b"
 *     msr        the JSON of dnn-partitioning: fpgaLatency, cpuLatency, colorClass, ...
 *     piper      the JSON of Piper: nodes with "TMPCs"; their t = 1 entries are read
 *
 * Times are milliseconds in pipedream and msr files and have the file's unit in Piper files.  All readers are strict:
 * an error names the file, the line or node, and the reason. */
#ifndef WEIR_PARTITIONER_COSTS_COST_GRAPH_FILE_H
#define WEIR_PARTITIONER_COSTS_COST_GRAPH_FILE_H

#include "base/text.h"
#include "partitioner/costs/cost_graph.h"

enum weir_cost_graph_format {
    WEIR_COST_GRAPH_AUTO, /* look into the file */
    WEIR_COST_GRAPH_WEIR,
    WEIR_COST_GRAPH_PIPEDREAM,
    WEIR_COST_GRAPH_MSR,
    WEIR_COST_GRAPH_PIPER,
    WEIR_COST_GRAPH_FORMATS
};

#define WEIR_COST_GRAPH_BANDWIDTH 12e9 /* bytes/s assumed for pipedream files */

#ifdef __cplusplus
extern "C" {
#endif

/* Names of the formats, indexed by the enum and NULL-terminated. */
extern const char *const weir_cost_graph_format_names[];

/* Read a graph and finish it.  `bandwidth` (bytes/s) prices the edges of pipedream and Piper files: 2 · bytes /
 * bandwidth; 0 takes the default, or what a Piper file says.  On success the caller releases *graph_out.  WEIR_ERR_IO,
 * WEIR_ERR_INVALID, WEIR_ERR_UNSUPPORTED, WEIR_ERR_NOMEM; on failure the graph is untouched. */
weir_status weir_cost_graph_read(const char *path, enum weir_cost_graph_format format, double bandwidth,
                            struct weir_cost_graph *graph_out);

/* The same from memory (`text` is terminated by a zero byte); `name` stands for the file in messages. */
weir_status weir_cost_graph_parse(const char *text, size_t bytes, const char *name, enum weir_cost_graph_format format,
                             double bandwidth, struct weir_cost_graph *graph_out);

/* Append the graph in Weir's own format, or in the msr format (what that cannot say is WEIR_ERR_UNSUPPORTED: outputs
 * with different costs on one node, pinned devices, forbidden cuts).  An msr file that is read and written keeps ids,
 * times, classes, sizes and costs. */
weir_status weir_cost_graph_write(const struct weir_cost_graph *graph, enum weir_cost_graph_format format,
                             struct weir_text *text);

#ifdef __cplusplus
}
#endif

#endif
