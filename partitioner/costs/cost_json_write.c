/* jansson prints a real that happens to be whole as "4.0"; such numbers are made integers, whose text is that of
 * "%.17g".  All others are reals with 17 significant digits; their exponents have no plus sign and no leading zeros. */
#include "partitioner/costs/cost_json_write.h"

#include <math.h>
#include <stdlib.h>

static const double most_whole = 1e17; /* "%.17g" has an exponent from here on */

json_t *weir_cost_json_number(double value)
{
    if (!isfinite(value))
        return json_null();
    if (value == floor(value) && fabs(value) < most_whole)
        return json_integer((json_int_t)value);
    return json_real(value);
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

static void append(struct weir_text *text, json_t *value, size_t flags)
{
    char *line = text->status ? NULL : json_dumps(value, flags | JSON_REAL_PRECISION(17));
    failure_note(text, !line);
    if (line)
        weir_text_append(text, "%s", line);
    free(line);
    json_decref(value);
}

void weir_cost_json_append(struct weir_text *text, json_t *value)
{
    append(text, value, JSON_ENCODE_ANY);
}

void weir_cost_json_members_append(struct weir_text *text, json_t *object)
{
    append(text, object, JSON_EMBED);
}
