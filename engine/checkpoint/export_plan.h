/* What an export will write, known before anything is: files, their order, their bytes. */
#ifndef WEIR_ENGINE_CHECKPOINT_EXPORT_PLAN_H
#define WEIR_ENGINE_CHECKPOINT_EXPORT_PLAN_H

#include <stddef.h>

#include "base/arena.h"
#include "base/safetensors.h"
#include "include/weir/checkpoint.h"
#include "include/weir/graph.h"

struct weir_export_shard {
    const char *name; /* within the folder */
    int first, n;     /* parameters of the graph */
    uint64_t bytes;   /* of their elements */
};

struct weir_export_text {
    const char *name;
    const void *data;
    size_t bytes;
};

struct weir_export_plan {
    enum weir_safetensors_dtype dtype;
    struct weir_safetensors_decl *decls; /* [n_params of the graph] */
    int n_shards, n_texts;
    struct weir_export_shard *shards;
    struct weir_export_text *texts; /* config.json last, the index of several shards before it */
};

/* `dtype` WEIR_SAFETENSORS_DTYPES: as `export` says.  All of the plan lives in the arena.
 * WEIR_ERR_UNSUPPORTED: the model has no Hugging Face form.  WEIR_ERR_IO, WEIR_ERR_INVALID: of the folders that it is like. */
weir_status weir_export_plan_make(const struct weir_graph *graph, const struct weir_export *export,
                                  enum weir_safetensors_dtype dtype, struct weir_arena *arena, struct weir_export_plan *plan_out);

#endif
