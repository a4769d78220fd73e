/* Pieces of JSON appended to a text. */
#ifndef WEIR_PARTITIONER_COSTS_JSON_TEXT_H
#define WEIR_PARTITIONER_COSTS_JSON_TEXT_H

#include "base/text.h"
#include "partitioner/costs/cost_graph.h"

/* A quoted string with escapes. */
void weir_json_string(struct weir_text *text, const char *string);

/* A node id as the graph's file writes it: an integer or a string. */
void weir_json_id(struct weir_text *text, const struct weir_cost_graph *graph, const char *id);

/* A number, null when it is not finite. */
void weir_json_real(struct weir_text *text, double value);

#endif
