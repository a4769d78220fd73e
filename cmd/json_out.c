#include "cmd/json_out.h"

#include <stdio.h>

#include "base/json.h"

weir_status json_out(json_t *root)
{
    struct weir_arena arena = {0};
    const char *text;
    weir_status status = weir_json_print(root, 2, &arena, &text);
    if (!status)
        puts(text);
    weir_arena_release(&arena);
    return status;
}
