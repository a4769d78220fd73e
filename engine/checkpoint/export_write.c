/* Exports.
 *
 *     prepare    every file is written under no name, and synced: a full disk, a failing process changes nothing
 *     commit     only renames and removals, in an order in which the folder is never a mixture that opens:
 *
 *         one file of weights, the other files as before     one rename; then what is left of shards goes
 *         otherwise                                          - config.json      from here on nobody opens it
 *                                                            - index            where the new one is in shards
 *                                                            + weights, tokenizer files, index
 *                                                            - weights that are none of the new ones
 *                                                            + config.json
 *
 * Reading parameters is collective, so that all processes go through them in step, and process 0 writes.  Whether values are
 * too large for a narrow dtype is known when all have gone by; then, and on all processes, they go by again. */
#include "engine/checkpoint/export_write.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file_calls.h"
#include "base/grown.h"
#include "base/log.h"
#include "base/replace.h"
#include "base/text.h"
#include "engine/checkpoint/export_folder.h"
#include "engine/checkpoint/export_plan.h"
#include "engine/run/params.h"

enum { ROUNDED = 1 << 14 }; /* elements rounded at a time */

/* What process 0 has of an export. */
struct export_files {
    const char *dir;
    struct weir_arena arena;
    struct weir_export_plan plan;
    weir_safetensors_writer **writers; /* [n_shards] */
    struct weir_replacement *texts;    /* [n_texts] */
    bool differs;                      /* one of the texts is not what is there already */
};

/* ---- the folder ---------------------------------------------------------------------------------------------------- */

/* *made_out: it was not there. */
static weir_status folder_make(const char *dir, bool *made_out)
{
    struct stat info;
    *made_out = weir_call_mkdir(dir) == 0;
    if (*made_out || (errno == EEXIST && stat(dir, &info) == 0 && S_ISDIR(info.st_mode)))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_IO, "cannot make folder '%s': %s", dir, strerror(errno));
}

weir_status weir_export_take(const struct weir_export *given, size_t given_bytes, struct weir_export *own)
{
    return weir_grown_take("weir_export", "give its sizeof", given, given_bytes, own, sizeof *own);
}

weir_status weir_export_check_sized(const struct weir_graph *graph, const struct weir_export *what, size_t what_bytes, bool *made_out)
{
    struct weir_arena arena = {0};
    struct weir_export_plan plan;
    struct weir_export export;
    bool made = false;
    weir_status status = weir_export_take(what, what_bytes, &export);
    if (!status)
        status = weir_export_plan_make(graph, &export, WEIR_SAFETENSORS_DTYPES, &arena, &plan);
    if (!status)
        status = folder_make(export.dir, &made);
    if (!status)
        status = weir_export_place_check(export.dir, &plan);
    if (status && made)
        weir_call_rmdir(export.dir);
    else
        *made_out = made;
    weir_arena_release(&arena);
    return status;
}

/* ---- prepare ------------------------------------------------------------------------------------------------------- */

static weir_status path_make(struct export_files *files, const char *name, const char **path_out)
{
    return weir_arena_printf(&files->arena, path_out, "%s/%s", files->dir, name);
}

/* The file is there and has these bytes. */
static bool is_same(const char *path, const struct weir_export_text *text)
{
    char message[WEIR_ERROR_MAX], *data = NULL;
    size_t n = 0;
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || (size_t)info.st_size != text->bytes)
        return false;
    weir_error_take(message);
    bool same = !weir_file_read(path, text->bytes + 1, &data, &n) && n == text->bytes && !memcmp(data, text->data, n);
    weir_error_put(message);
    weir_free(data);
    return same;
}

static weir_status text_prepare(struct export_files *files, int i)
{
    const struct weir_export_text *text = &files->plan.texts[i];
    const char *path;
    weir_status status = path_make(files, text->name, &path);
    if (status)
        return status;
    files->differs = files->differs || !is_same(path, text);
    status = weir_replace_open(path, NULL, &files->texts[i]);
    if (!status)
        status = weir_replace_write(&files->texts[i], text->data, text->bytes);
    return status ? status : weir_replace_sync(&files->texts[i]);
}

static weir_status shard_create(struct export_files *files, int i)
{
    const struct weir_safetensors_text metadata[] = {{"format", "pt"}, /* transformers refuses files without it */
                                                     {weir_export_mark_key, weir_export_mark}};
    const struct weir_export_shard *shard = &files->plan.shards[i];
    struct weir_safetensors_spec spec = {
        .n_tensors = shard->n, .tensors = files->plan.decls + shard->first, .n_metadata = 2, .metadata = metadata};
    weir_status status = path_make(files, shard->name, &spec.path);
    return status ? status : weir_safetensors_create(&spec, &files->writers[i]);
}

static void files_abort(struct export_files *files)
{
    for (int i = 0; files->writers && i < files->plan.n_shards; i++)
        weir_safetensors_abort(files->writers[i]);
    for (int i = 0; files->texts && i < files->plan.n_texts; i++)
        weir_replace_abort(&files->texts[i]);
    weir_arena_release(&files->arena);
    *files = (struct export_files){.dir = files->dir};
}

static weir_status files_create(struct export_files *files, const struct weir_graph *graph, const struct weir_export *export,
                                enum weir_safetensors_dtype dtype)
{
    struct weir_export_plan *plan = &files->plan;
    weir_status status = weir_export_plan_make(graph, export, dtype, &files->arena, plan);
    if (!status)
        status = weir_arena_alloc(&files->arena, (size_t)plan->n_shards, sizeof *files->writers, &files->writers);
    if (!status)
        status = weir_arena_alloc(&files->arena, (size_t)plan->n_texts, sizeof *files->texts, &files->texts);
    for (int i = 0; i < plan->n_shards && !status; i++)
        status = shard_create(files, i);
    for (int i = 0; i < plan->n_texts && !status; i++)
        status = text_prepare(files, i);
    return status;
}

static weir_status shards_sync(const struct export_files *files)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < files->plan.n_shards && !status; i++)
        status = weir_safetensors_sync(files->writers[i]);
    return status;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static weir_status buffer_make(const struct weir_graph *graph, float **values_out)
{
    int64_t most = 0;
    for (int i = 0; i < graph->n_params; i++) {
        int64_t n = weir_shape_elements(&graph->params[i].shape);
        most = n > most ? n : most;
    }
    return weir_alloc((size_t)most, sizeof **values_out, values_out);
}

static weir_status tensor_write(const struct export_files *files, int param, const float *values, size_t n)
{
    uint16_t rounded[ROUNDED];
    int shard = 0;
    while (param >= files->plan.shards[shard].first + files->plan.shards[shard].n)
        shard++;
    int index = param - files->plan.shards[shard].first;
    weir_safetensors_writer *writer = files->writers[shard];
    if (files->plan.dtype == WEIR_SAFETENSORS_F32)
        return weir_safetensors_write(writer, index, 0, values, n * sizeof *values);
    weir_status status = WEIR_OK;
    for (size_t at = 0; at < n && !status; at += ROUNDED) {
        size_t some = n - at < ROUNDED ? n - at : ROUNDED;
        weir_safetensors_round(files->plan.dtype, values + at, some, rounded);
        status = weir_safetensors_write(writer, index, at * sizeof *rounded, rounded, some * sizeof *rounded);
    }
    return status;
}

static float largest_of(const float *values, size_t n, float largest)
{
    for (size_t i = 0; i < n; i++) {
        float size = fabsf(values[i]);
        largest = isfinite(size) && size > largest ? size : largest;
    }
    return largest;
}

/* `files` is NULL on processes that do not write. */
static weir_status values_pass(struct weir_runner *runner, const struct export_files *files, float *largest)
{
    float *values;
    const struct weir_graph *graph = runner->build.graph;
    weir_status status = buffer_make(graph, &values);
    if (status)
        return status;
    for (int i = 0; i < graph->n_params && !status; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        status = weir_runner_param_read(runner, graph->params[i].name, values, n);
        if (!status)
            *largest = largest_of(values, n, *largest);
        if (!status && files)
            status = tensor_write(files, i, values, n);
    }
    weir_free(values);
    return status;
}

static bool becomes_infinite(enum weir_safetensors_dtype dtype, float value)
{
    uint16_t rounded[2]; /* room for a float */
    weir_safetensors_round(dtype, &value, 1, rounded);
    return (dtype == WEIR_SAFETENSORS_BF16 && rounded[0] == 0x7f80) || (dtype == WEIR_SAFETENSORS_F16 && rounded[0] == 0x7c00);
}

/* The second pass, where the first has met values beyond F16, which no process but the writer knows to matter. */
static weir_status values_again(struct weir_runner *runner, const struct weir_export *export, struct export_files *files,
                                float largest)
{
    weir_status status = WEIR_OK;
    bool wide = files && becomes_infinite(files->plan.dtype, largest);
    if (wide) {
        weir_log(WEIR_LOG_WARN, "the export in '%s' is F32: the model has values up to %g, which %s does not have", files->dir,
                 (double)largest, weir_safetensors_dtype_str(files->plan.dtype));
        files_abort(files);
        status = files_create(files, runner->build.graph, export, WEIR_SAFETENSORS_F32);
    }
    return status ? status : values_pass(runner, wide ? files : NULL, &largest);
}

static weir_status values_write(struct weir_runner *runner, const struct weir_export *export, struct export_files *files)
{
    float largest = 0;
    weir_status status = values_pass(runner, files, &largest);
    if (status || !becomes_infinite(WEIR_SAFETENSORS_F16, largest))
        return status;
    return values_again(runner, export, files, largest);
}

/* ---- commit -------------------------------------------------------------------------------------------------------- */

static weir_status texts_commit(struct export_files *files, int first, int end)
{
    weir_status status = WEIR_OK;
    for (int i = first; i < end && !status; i++)
        status = weir_replace_commit(&files->texts[i]);
    return status;
}

static weir_status weights_commit(struct export_files *files)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < files->plan.n_shards && !status; i++) {
        status = weir_safetensors_commit(files->writers[i]);
        files->writers[i] = NULL;
    }
    return status;
}

/* A link stays, and what it points to goes. */
static weir_status text_remove(struct export_files *files, const char *name)
{
    char target[PATH_MAX];
    struct stat info;
    const char *path;
    weir_status status = path_make(files, name, &path);
    if (status || !realpath(path, target) || stat(target, &info) != 0 || !S_ISREG(info.st_mode))
        return status;
    if (weir_call_unlink(target) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot replace '%s': %s", path, strerror(errno));
    return WEIR_OK;
}

/* From here on nobody opens the folder. */
static weir_status folder_close(struct export_files *files)
{
    weir_status status = text_remove(files, weir_export_config);
    return status || files->plan.n_shards == 1 ? status : text_remove(files, weir_export_index);
}

static weir_status files_commit(struct export_files *files)
{
    bool one_rename = files->plan.n_shards == 1 && !files->differs;
    int config = files->plan.n_texts - 1;
    weir_status status = one_rename ? WEIR_OK : folder_close(files);
    if (!status)
        status = weights_commit(files);
    if (!status && !one_rename)
        status = texts_commit(files, 0, config);
    if (!status)
        status = weir_export_remove_others(files->dir, &files->plan);
    return status || one_rename ? status : texts_commit(files, config, config + 1);
}

/* ---- export -------------------------------------------------------------------------------------------------------- */

static weir_status writer_run(struct weir_runner *runner, const struct weir_export *export)
{
    struct export_files files = {.dir = export->dir};
    bool made;
    weir_status status = folder_make(export->dir, &made);
    if (status)
        return status;
    status = files_create(&files, runner->build.graph, export, WEIR_SAFETENSORS_DTYPES);
    if (!status)
        status = values_write(runner, export, &files);
    if (!status)
        status = shards_sync(&files);
    if (!status)
        status = files_commit(&files);
    files_abort(&files);
    if (status && made)
        weir_call_rmdir(export->dir); /* stays when something is in it */
    return status;
}

weir_status weir_export_write(struct weir_runner *runner, const struct weir_export *export)
{
    bool writes = !runner->world.info || runner->world.info->rank == 0;
    return writes ? writer_run(runner, export) : values_write(runner, export, NULL);
}
