/* The objects of cost graphs and plans; base/json.h prints them. */
#include "partitioner/costs/cost_json_write.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"

enum { DIGITS = 17 };

json_t *weir_cost_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *weir_cost_json_string(struct weir_text *text, const char *string)
{
    json_t *value = json_string(string), *bytes = value ? NULL : json_string_nocheck(string);
    if (bytes && !text->status)
        text->status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%.64s' is not UTF-8: JSON cannot hold it", string);
    json_decref(bytes);
    return value;
}

json_t *weir_cost_json_node_id(struct weir_text *text, const struct weir_cost_graph *graph, int node)
{
    const char *id = graph->nodes[node].id;
    return graph->integer_ids ? json_integer(strtoll(id, NULL, 10)) : weir_cost_json_string(text, id);
}

/* The first failure stays; one without a status yet is jansson's lack of memory. */
static void failure_note(struct weir_text *text, bool failed)
{
    if (failed && !text->status)
        text->status = WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: a line of JSON");
}

void weir_cost_json_set(struct weir_text *text, json_t *object, const char *key, json_t *value)
{
    failure_note(text, json_object_set_new(object, key, value) != 0);
}

void weir_cost_json_add(struct weir_text *text, json_t *array, json_t *value)
{
    failure_note(text, json_array_append_new(array, value) != 0);
}

void weir_cost_json_append(struct weir_text *text, json_t *value)
{
    if (text->status)
        json_decref(value);
    else
        weir_json_append(text, value, DIGITS);
}

void weir_cost_json_open(struct weir_text *text, json_t *object)
{
    weir_cost_json_append(text, object);
    if (!text->status)
        text->data[--text->length] = 0;
}
