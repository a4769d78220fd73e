#include "partitioner/costs/json_text.h"

#include <math.h>

void weir_json_string(struct weir_text *text, const char *string)
{
    weir_text_append(text, "\"");
    for (; *string; string++) {
        unsigned char c = (unsigned char)*string;
        if (c == '"' || c == '\\')
            weir_text_append(text, "\\%c", c);
        else if (c < 0x20)
            weir_text_append(text, "\\u%04x", c);
        else
            weir_text_append(text, "%c", c);
    }
    weir_text_append(text, "\"");
}

void weir_json_id(struct weir_text *text, const struct weir_cost_graph *graph, const char *id)
{
    if (graph->integer_ids)
        weir_text_append(text, "%s", id);
    else
        weir_json_string(text, id);
}

void weir_json_real(struct weir_text *text, double value)
{
    if (isfinite(value))
        weir_text_append(text, "%.17g", value);
    else
        weir_text_append(text, "null");
}
