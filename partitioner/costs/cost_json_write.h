/* JSON of cost graphs and plans, one object to a line.
 *
 * jansson prints every object; lists are framed by the caller, so that a graph of a million nodes is never held twice
 * and each node stands on a line of its own.  Failures stay in text->status, as with weir_text_append: nothing more is
 * appended, and the caller looks once at the end.
 *
 *     json_t *object = json_object();
 *     weir_cost_json_set(text, object, "time", weir_cost_json_number(1.5));
 *     weir_cost_json_append(text, object);                                       {"time": 1.5}
 *
 * Numbers have 17 significant digits, so they read back to the same double. */
#ifndef WEIR_PARTITIONER_COSTS_COST_JSON_WRITE_H
#define WEIR_PARTITIONER_COSTS_COST_JSON_WRITE_H

#include <jansson.h>

#include "base/text.h"
#include "partitioner/costs/cost_graph.h"

/* null when it is not finite. */
json_t *weir_cost_json_number(double value);

/* NULL and a status, WEIR_ERR_UNSUPPORTED when the string is not UTF-8. */
json_t *weir_cost_json_string(struct weir_text *text, const char *string);

/* The id of a node as the graph's file writes it: an integer or a string. */
json_t *weir_cost_json_node_id(struct weir_text *text, const struct weir_cost_graph *graph, int node);

/* Take over `value`, under `key` or at the end. */
void weir_cost_json_set(struct weir_text *text, json_t *object, const char *key, json_t *value);
void weir_cost_json_add(struct weir_text *text, json_t *array, json_t *value);

/* Print `value`, or an object without its closing brace for more members to follow, and give it back. */
void weir_cost_json_append(struct weir_text *text, json_t *value);
void weir_cost_json_open(struct weir_text *text, json_t *object);

#endif
