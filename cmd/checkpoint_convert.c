/* weir checkpoint convert: a checkpoint becomes a Hugging Face folder, and the other way round.
 *
 * Both ways go through an engine of one stage, which checks that the weights are those of the model.  It holds the parameters
 * twice: themselves and room for their gradients. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/checkpoint_forms.h"
#include "cmd/paths.h"
#include "cmd/synonyms.h"
#include "include/weir/checkpoint.h"
#include "include/weir/weir.h"

#define FIELD(field) offsetof(struct checkpoint_options, field)

static const struct option_row rows[] = {
    {"dtype", 0, OPTION_TEXT, FIELD(dtype), "NAME", "of the weights: source (that of --like; default), f32, bf16 or f16", 0, 0},
    {"shard-size", 0, OPTION_BYTES, FIELD(shard_size), "BYTES", "most bytes of weights in one file (5GB)", 1, 0x1p62},
    {"like", 0, OPTION_TEXT, FIELD(like), "FOLDER", "copy the tokenizer's files from this model (the one that was trained)", 0, 0},
    {"force", 0, OPTION_FLAG, FIELD(force), NULL, "replace a model that weir did not write", 0, 0},
    {0},
};

const struct option_table checkpoint_convert_table = {
    "checkpoint convert", "FROM TO", "a checkpoint to a Hugging Face folder, or a model folder to a checkpoint TO/step-000000",
    "weir checkpoint convert D/step-000120 model/", rows, NULL};

struct conversion {
    const struct checkpoint_options *o;
    const char *from, *to; /* from: of a folder of checkpoints, the newest */
    bool of_checkpoint;
    struct weir_export export;
    struct weir_arena arena;
    const struct weir_model_kind *kind;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
};

/* ---- what FROM is ---------------------------------------------------------------------------------------------------- */

static bool holds_checkpoints(const char *path)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries;
    int n = 0;
    bool any = weir_checkpoint_is(path) || (!weir_checkpoint_list(path, &arena, &entries, &n) && n);
    weir_error_clear();
    weir_arena_release(&arena);
    return any;
}

/* The model's folder that the run was started with, when it was one. */
static weir_status like_find(struct conversion *c, const struct weir_checkpoint_info *info)
{
    json_t *root = NULL;
    c->export.like[0] = c->o->like;
    if (c->o->like || !info->config)
        return WEIR_OK;
    weir_status status = weir_json_parse(info->config, strlen(info->config), info->folder, &root);
    const char *model = json_string_value(json_object_get(json_object_get(root, "options"), "model"));
    if (!status && model && (strchr(model, '/') || strchr(model, '.')))
        status = weir_arena_strdup(&c->arena, model, &c->export.like[0]);
    json_decref(root);
    return status;
}

static weir_status checkpoint_model(struct conversion *c)
{
    weir_checkpoint *checkpoint;
    const char *name = NULL;
    weir_status status = checkpoint_open(c->from, &checkpoint);
    if (status)
        return status;
    const struct weir_checkpoint_info *info = weir_checkpoint_info(checkpoint);
    if (!info->hf_config)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model '%s' of '%s' has no Hugging Face form: it cannot be converted", info->model,
                           info->folder);
    if (!status)
        status = weir_arena_strdup(&c->arena, info->folder, &c->from);
    if (!status)
        status = weir_arena_strdup(&c->arena, info->model, &name);
    if (!status)
        status = weir_model_parse(info->hf_config, name, &c->arena, &c->kind);
    if (!status)
        status = like_find(c, info);
    weir_checkpoint_close(checkpoint);
    return status;
}

/* A name without a slash could be that of a built-in model. */
static weir_status folder_model(struct conversion *c)
{
    const char *path, *config;
    struct stat info;
    weir_status status = weir_arena_printf(&c->arena, &path, "%s%s", strchr(c->from, '/') ? "" : "./", c->from);
    if (!status)
        status = weir_arena_printf(&c->arena, &config, "%s/config.json", path);
    if (!status && stat(config, &info) != 0)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is neither a checkpoint nor a model's folder: it has no manifest.json and no "
                           "config.json", c->from);
    return status ? status : weir_model_open(path, &c->arena, &c->kind);
}

/* ---- the engine ------------------------------------------------------------------------------------------------------ */

/* The shortest sample: what it computes is not asked for. */
static weir_status engine_open(struct conversion *c)
{
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = c->kind->seq_len < 8 ? c->kind->seq_len : 8};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_status status = weir_model_build(c->kind, &params, &c->arena, &c->graph);
    if (!status)
        status = weir_pipeline_schedule("gpipe", 1, 0, 1, &c->arena, &c->schedule);
    if (status)
        return status;
    config.graph = c->graph;
    config.schedule = &c->schedule;
    config.optimizer = WEIR_OPTIMIZER_SGD; /* which keeps nothing */
    config.transport = "local";
    return weir_engine_open(&config, &c->engine);
}

/* ---- TO -------------------------------------------------------------------------------------------------------------- */

static weir_status folder_write(struct conversion *c)
{
    weir_status status = weir_engine_export(c->engine, &c->export);
    if (!status)
        printf("%s: the parameters of '%s'\n", c->to, c->from);
    return status;
}

static weir_status checkpoint_write(struct conversion *c)
{
    struct weir_save save = {.struct_bytes = sizeof save, .dir = c->to, .val_loss = NAN, .weights_only = true};
    weir_status status = weir_engine_save(c->engine, &save);
    if (!status)
        printf("%s/step-000000: the parameters of '%s'\n", c->to, c->from);
    return status;
}

static weir_status paths_settle(const struct conversion *c)
{
    struct paths paths = {0};
    paths_read_model(&paths, "FROM", c->from);
    paths_read_model(&paths, "--like", c->export.like[0]);
    if (c->of_checkpoint)
        paths_write_model(&paths, "TO", c->to);
    else
        paths_write(&paths, "TO", c->to);
    weir_status status = paths_check(&paths, c->o->force);
    if (!status && !c->o->force)
        status = paths_check_replaced(&paths);
    paths_release(&paths);
    return status;
}

static weir_status options_read(struct conversion *c)
{
    static const char *const dtypes[] = {"source", "f32", "bf16", "f16", NULL};
    const struct checkpoint_options *o = c->o;
    const char *other = o->like ? "like" : o->shard_size ? "shard-size" : strcmp(o->dtype, "source") ? "dtype" : NULL;
    if (!c->of_checkpoint && other)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is for a Hugging Face folder, '%s' becomes a checkpoint: leave it out", other, c->from);
    c->export.dir = c->to;
    c->export.shard_bytes = (uint64_t)o->shard_size;
    return weir_export_dtype_find(name_understood(o->dtype, dtypes, dtype_synonyms), &c->export.dtype);
}

weir_status checkpoint_convert(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out)
{
    struct conversion c = {.o = o, .from = paths[0], .to = paths[1], .of_checkpoint = holds_checkpoints(paths[0])};
    (void)n_paths;
    *outcome_out = 0;
    bool made = false;
    weir_status status = options_read(&c);
    if (!status)
        status = c.of_checkpoint ? checkpoint_model(&c) : folder_model(&c);
    if (!status)
        status = paths_settle(&c);
    if (!status)
        status = engine_open(&c);
    if (!status && c.of_checkpoint)
        status = weir_export_check(c.graph, &c.export, &made);
    if (!status)
        status = weir_engine_load_weights(c.engine, c.from);
    if (!status)
        status = c.of_checkpoint ? folder_write(&c) : checkpoint_write(&c);
    if (status && made)
        rmdir(c.to);
    weir_engine_close(c.engine);
    weir_arena_release(&c.arena);
    return status;
}
