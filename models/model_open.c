/* A model by name or by path. */
#include <stdio.h>
#include <string.h>

#include "base/input_file.h"
#include "models/hf/hf_config.h"
#include "models/model_kinds.h"

static bool is_built_in(const char *name)
{
    for (const struct weir_model_kind *const *kind = weir_model_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, name))
            return true;
    return false;
}

static bool has_config(const char *folder)
{
    char path[1024];
    return snprintf(path, sizeof path, "%s/config.json", folder) < (int)sizeof path && weir_input_exists(path);
}

weir_status weir_model_open(const char *name, struct weir_arena *arena, const struct weir_model_kind **kind_out)
{
    if (strchr(name, '/') || strchr(name, '.') || (!is_built_in(name) && has_config(name)))
        return weir_hf_config_load(name, arena, kind_out);
    return weir_model_find(name, kind_out);
}

weir_status weir_model_parse(const char *text, const char *name, struct weir_arena *arena, const struct weir_model_kind **kind_out)
{
    return weir_hf_config_parse(text, strlen(text), name, arena, kind_out);
}
