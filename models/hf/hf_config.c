#include "models/hf/hf_config.h"

#include <string.h>

#include "models/hf/hf_family.h"

static const struct weir_hf_family *const families[] = {&weir_hf_gpt2, &weir_hf_llama, NULL};

static weir_status model_read(struct weir_hf_reader *r)
{
    const char *type = NULL;
    if (!json_is_object(r->keys.object))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not a JSON object", r->keys.path);
    weir_status status = weir_hf_word(&r->keys, "model_type", &type);
    if (!status && !type)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': 'model_type' is missing", r->keys.path);
    for (int i = 0; !status && families[i]; i++) {
        if (strcmp(families[i]->type, type))
            continue;
        r->kind->summary = families[i]->summary;
        r->kind->data = WEIR_DATA_TOKENS;
        status = families[i]->read(r);
        return status ? status : weir_hf_unknown_log(&r->keys, families[i]->keys);
    }
    return status ? status : WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': 'model_type' is '%s', Weir has gpt2 and llama",
                                       r->keys.path, type);
}

static weir_status root_read(const json_t *root, const char *name, struct weir_arena *arena,
                             const struct weir_model_kind **kind_out)
{
    struct weir_hf_reader r = {.keys = {root, name}, .arena = arena};
    weir_status status = weir_arena_alloc(arena, 1, sizeof *r.kind, &r.kind);
    if (!status)
        status = weir_arena_strdup(arena, name, &r.kind->name);
    if (!status)
        status = model_read(&r);
    if (!status)
        *kind_out = r.kind;
    return status;
}

weir_status weir_hf_config_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 const struct weir_model_kind **kind_out)
{
    json_t *root;
    weir_status status = weir_json_parse(text, bytes, name, &root);
    if (status)
        return status;
    status = root_read(root, name, arena, kind_out);
    json_decref(root);
    return status;
}

weir_status weir_hf_config_load(const char *path, struct weir_arena *arena, const struct weir_model_kind **kind_out)
{
    size_t n = strlen(path);
    json_t *root;
    weir_status status = WEIR_OK;
    if (n < 5 || strcmp(path + n - 5, ".json"))
        status = weir_arena_printf(arena, &path, "%s%sconfig.json", path, n && path[n - 1] == '/' ? "" : "/");
    if (!status)
        status = weir_json_load(path, &root);
    if (status)
        return status;
    status = root_read(root, path, arena, kind_out);
    json_decref(root);
    return status;
}
