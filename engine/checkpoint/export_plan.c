#include "engine/checkpoint/export_plan.h"

#include <string.h>

#include "base/json.h"
#include "engine/checkpoint/export_folder.h"
#include "engine/checkpoint/export_like.h"
#include "engine/checkpoint/weights.h"

enum { SHARD_DIGITS_MOST = 99999 };

static const uint64_t shard_bytes_default = 5000000000; /* transformers' "5GB" */

static uint64_t tensor_bytes(const struct weir_graph *graph, int param, enum weir_safetensors_dtype dtype)
{
    return (uint64_t)weir_shape_elements(&graph->params[param].shape) * weir_safetensors_bits(dtype) / 8;
}

static weir_status decls_make(const struct weir_graph *graph, struct weir_arena *arena, struct weir_export_plan *plan)
{
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_params, sizeof *plan->decls, &plan->decls);
    for (int i = 0; i < graph->n_params && !status; i++) {
        const struct weir_shape *shape = &graph->params[i].shape;
        plan->decls[i] = (struct weir_safetensors_decl){NULL, plan->dtype, shape->n_dims, shape->dims};
        status = weir_weights_name(graph, i, arena, &plan->decls[i].name);
    }
    return status;
}

/* In the graph's order; a tensor that does not fit begins the next shard. */
static void shards_fill(const struct weir_graph *graph, uint64_t most, struct weir_export_plan *plan)
{
    for (int i = 0; i < graph->n_params; i++) {
        uint64_t bytes = tensor_bytes(graph, i, plan->dtype);
        struct weir_export_shard *shard = plan->n_shards ? &plan->shards[plan->n_shards - 1] : NULL;
        if (!shard || (shard->n && shard->bytes + bytes > most)) {
            shard = &plan->shards[plan->n_shards++];
            shard->first = i;
        }
        shard->n++;
        shard->bytes += bytes;
    }
}

static weir_status shards_make(const struct weir_graph *graph, uint64_t most, struct weir_arena *arena,
                               struct weir_export_plan *plan)
{
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_params + 1, sizeof *plan->shards, &plan->shards);
    if (!status)
        shards_fill(graph, most, plan);
    if (plan->n_shards > SHARD_DIGITS_MOST)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d files of weights are more than their names count: give more bytes to each",
                         plan->n_shards);
    for (int i = 0; i < plan->n_shards && !status; i++)
        status = plan->n_shards == 1 ? weir_arena_strdup(arena, weir_export_single, &plan->shards[0].name)
                                     : weir_arena_printf(arena, &plan->shards[i].name, "model-%05d-of-%05d.safetensors", i + 1,
                                                         plan->n_shards);
    return status;
}

static void text_add(struct weir_export_plan *plan, const char *name, const void *data, size_t bytes)
{
    plan->texts[plan->n_texts++] = (struct weir_export_text){name, data, bytes};
}

static weir_status index_add(const struct weir_export_plan *plan, struct weir_arena *arena, const char **text_out)
{
    json_t *map = json_object();
    uint64_t all = 0;
    bool whole = map; /* jansson's memory lasted */
    for (int s = 0; s < plan->n_shards; s++) {
        const struct weir_export_shard *shard = &plan->shards[s];
        all += shard->bytes;
        for (int i = shard->first; i < shard->first + shard->n; i++)
            whole = whole && !json_object_set_new(map, plan->decls[i].name, json_string(shard->name));
    }
    json_t *root = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)all, "weight_map", map);
    if (!whole) {
        json_decref(root);
        root = NULL;
    }
    return weir_json_print(root, 2, arena, text_out);
}

static const char *dtype_word(enum weir_safetensors_dtype dtype)
{
    return dtype == WEIR_SAFETENSORS_BF16 ? "bfloat16" : dtype == WEIR_SAFETENSORS_F16 ? "float16" : "float32";
}

static weir_status config_make(const struct weir_graph *graph, const struct weir_export *export,
                               const struct weir_export_plan *plan, struct weir_arena *arena, const char **text_out)
{
    json_t *config;
    weir_status status = weir_json_parse(graph->hf_config, strlen(graph->hf_config), "config.json", &config);
    if (status)
        return status;
    for (int i = 0; i < WEIR_EXPORT_LIKE && !status; i++)
        status = export->like[i] ? weir_export_like_config(export->like[i], config) : WEIR_OK;
    if (!status && json_object_set_new(config, "torch_dtype", json_string(dtype_word(plan->dtype))))
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for config.json");
    if (!status)
        return weir_json_print(config, 2, arena, text_out);
    json_decref(config);
    return status;
}

static weir_status texts_make(const struct weir_graph *graph, const struct weir_export *export, struct weir_arena *arena,
                              struct weir_export_plan *plan)
{
    const char *index = NULL, *config = NULL;
    weir_status status = weir_arena_alloc(arena, WEIR_EXPORT_COMPANIONS + 2, sizeof *plan->texts, &plan->texts);
    for (int i = 0; weir_export_companions[i] && !status; i++) {
        struct weir_export_text text = {.name = weir_export_companions[i]};
        status = weir_export_like_companion(export, text.name, arena, &text.data, &text.bytes);
        if (!status && text.data)
            text_add(plan, text.name, text.data, text.bytes);
    }
    if (!status && plan->n_shards > 1) {
        status = index_add(plan, arena, &index);
        if (!status)
            text_add(plan, weir_export_index, index, strlen(index));
    }
    if (!status)
        status = config_make(graph, export, plan, arena, &config);
    if (!status)
        text_add(plan, weir_export_config, config, strlen(config));
    return status;
}

static weir_status dtype_find(const struct weir_export *export, enum weir_safetensors_dtype *dtype_out)
{
    static const enum weir_safetensors_dtype dtypes[] = {
        [WEIR_EXPORT_F32] = WEIR_SAFETENSORS_F32, [WEIR_EXPORT_BF16] = WEIR_SAFETENSORS_BF16, [WEIR_EXPORT_F16] = WEIR_SAFETENSORS_F16};
    *dtype_out = dtypes[export->dtype];
    return export->dtype == WEIR_EXPORT_SOURCE ? weir_export_like_dtype(export->like, dtype_out) : WEIR_OK;
}

weir_status weir_export_dtype_find(const char *name, enum weir_export_dtype *dtype_out)
{
    static const char *const names[] = {"source", "f32", "bf16", "f16", NULL}; /* in the order of the enum */
    int found;
    weir_status status = weir_name_find("export dtype", name, names, &found);
    if (!status)
        *dtype_out = (enum weir_export_dtype)found;
    return status;
}

weir_status weir_export_plan_make(const struct weir_graph *graph, const struct weir_export *export,
                                  enum weir_safetensors_dtype dtype, struct weir_arena *arena, struct weir_export_plan *plan_out)
{
    struct weir_export_plan plan = {.dtype = dtype};
    if (!graph->hf_config)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model '%s' has no Hugging Face form: it cannot be exported", graph->name);
    weir_status status = dtype == WEIR_SAFETENSORS_DTYPES ? dtype_find(export, &plan.dtype) : WEIR_OK;
    if (!status)
        status = decls_make(graph, arena, &plan);
    if (!status)
        status = shards_make(graph, export->shard_bytes ? export->shard_bytes : shard_bytes_default, arena, &plan);
    if (!status)
        status = texts_make(graph, export, arena, &plan);
    if (!status)
        *plan_out = plan;
    return status;
}
