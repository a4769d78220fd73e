/* Typed look-ups in the JSON of cost graphs and plans, for the readers.
 *
 * `where` names the object in messages ("node 7").  All functions answer WEIR_ERR_INVALID with key and reason. */
#ifndef WEIR_PARTITIONER_COSTS_COST_JSON_READ_H
#define WEIR_PARTITIONER_COSTS_COST_JSON_READ_H

#include "base/json.h"
#include "partitioner/costs/node_index.h"

/* A missing key gives `fallback`. */
weir_status weir_cost_json_real(const json_t *object, const char *where, const char *key, double fallback,
                                 double *value_out);
weir_status weir_cost_json_bool(const json_t *object, const char *where, const char *key, bool fallback,
                                 bool *value_out);
weir_status weir_cost_json_int(const json_t *object, const char *where, const char *key, int64_t fallback,
                                int64_t *value_out);

/* The arrays "nodes" and "edges" of a document. */
weir_status weir_cost_json_lists(const json_t *root, const json_t **nodes_out, const json_t **edges_out);

/* An id (string or integer, both kinds in one file are not mixed) as text. */
weir_status weir_cost_json_id(const json_t *value, const char *where, char text_out[256]);

/* The node that an edge's member `key` names.  WEIR_ERR_INVALID when there is none. */
weir_status weir_cost_json_end(const json_t *object, const char *where, const char *key,
                               const struct weir_cost_graph *graph, const struct weir_node_index *index, int *node_out);

#endif
