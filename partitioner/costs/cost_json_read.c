#include "partitioner/costs/cost_json_read.h"

#include <stdio.h>

weir_status weir_cost_json_real(const json_t *object, const char *where, const char *key, double fallback,
                                 double *value_out)
{
    if (!json_object_get(object, key)) {
        *value_out = fallback;
        return WEIR_OK;
    }
    return weir_json_number(object, where, key, value_out);
}

weir_status weir_cost_json_int(const json_t *object, const char *where, const char *key, int64_t fallback,
                                int64_t *value_out)
{
    if (!json_object_get(object, key)) {
        *value_out = fallback;
        return WEIR_OK;
    }
    return weir_json_integer(object, where, key, value_out);
}

weir_status weir_cost_json_bool(const json_t *object, const char *where, const char *key, bool fallback,
                                 bool *value_out)
{
    const json_t *value = json_object_get(object, key);
    bool truth = fallback;
    if (json_is_boolean(value))
        truth = json_is_true(value);
    else if (json_is_integer(value) && (json_integer_value(value) == 0 || json_integer_value(value) == 1))
        truth = json_integer_value(value) == 1;
    else if (value)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' must be true, false, 0 or 1", where, key);
    *value_out = truth;
    return WEIR_OK;
}

weir_status weir_cost_json_lists(const json_t *root, const json_t **nodes_out, const json_t **edges_out)
{
    static const char *const keys[] = {"nodes", "edges"};
    for (int i = 0; i < 2; i++)
        if (!json_is_array(json_object_get(root, keys[i])))
            return WEIR_FAIL(WEIR_ERR_INVALID, "the document has no array '%s'", keys[i]);
    *nodes_out = json_object_get(root, "nodes");
    *edges_out = json_object_get(root, "edges");
    return WEIR_OK;
}

weir_status weir_cost_json_id(const json_t *value, const char *where, char text_out[256])
{
    if (json_is_integer(value))
        snprintf(text_out, 256, "%lld", (long long)json_integer_value(value));
    else if (json_is_string(value) && json_string_length(value) && json_string_length(value) < 256)
        snprintf(text_out, 256, "%s", json_string_value(value));
    else
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: a node id must be an integer or a string of 1 to 255 bytes", where);
    return WEIR_OK;
}

weir_status weir_cost_json_end(const json_t *object, const char *where, const char *key,
                                const struct weir_cost_graph *graph, const struct weir_node_index *index, int *node_out)
{
    char id[256];
    weir_status status = weir_cost_json_id(json_object_get(object, key), where, id);
    if (status)
        return status;
    *node_out = weir_node_index_find(index, graph, id);
    if (*node_out < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' names node '%s', which is not there", where, key, id);
    return WEIR_OK;
}
