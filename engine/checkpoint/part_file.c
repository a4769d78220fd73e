#include "engine/checkpoint/part_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file_calls.h"
#include "base/hash.h"
#include "base/replace.h"
#include "base/safetensors_layout.h"
#include "engine/checkpoint/manifest.h"

enum { CHUNK = 1 << 20 /* floats */, STARTED = 16 << 20 /* bytes handed to the disk at once */, ATTEMPTS = 2 };

/* ---- one file ------------------------------------------------------------------------------------------------------ */

/* A file that is being written: everything goes through here and into its hash. */
struct sink {
    struct weir_replacement file;
    weir_hasher *of_file, *of_piece;
    uint64_t bytes, started; /* written; of these, handed to the disk */
};

static weir_status sink_put(struct sink *sink, const void *data, size_t bytes)
{
    weir_status status = weir_replace_write(&sink->file, data, bytes);
    weir_hasher_add(sink->of_file, data, bytes);
    sink->bytes += bytes;
    if (!status && sink->bytes - sink->started >= STARTED) {
        weir_replace_start(&sink->file, sink->started, sink->bytes - sink->started);
        sink->started = sink->bytes;
    }
    return status;
}

/* Writes the content of a file into a sink. */
typedef weir_status (*content_fn)(void *context, struct sink *sink);

/* *synced_out: it is not the sync, or what follows it, that failed. */
static weir_status file_write_once(const char *path, content_fn content, void *context, struct sink *sink, bool *synced_out)
{
    *synced_out = true;
    sink->bytes = sink->started = 0;
    weir_hasher_restart(sink->of_file);
    weir_status status = weir_replace_open(path, NULL, &sink->file);
    if (status)
        return status;
    status = content(context, sink);
    if (status) {
        weir_replace_abort(&sink->file);
        return status;
    }
    *synced_out = false;
    return weir_replace_commit(&sink->file);
}

static weir_status file_write(const char *path, content_fn content, void *context, struct weir_checkpoint_file *file)
{
    struct sink sink = {0};
    bool synced = false;
    weir_status status = weir_hasher_open(&sink.of_file);
    if (!status)
        status = weir_hasher_open(&sink.of_piece);
    if (!status)
        status = file_write_once(path, content, context, &sink, &synced);
    for (int i = 1; status == WEIR_ERR_IO && !synced && i < ATTEMPTS; i++)
        status = file_write_once(path, content, context, &sink, &synced);
    if (!status)
        *file = (struct weir_checkpoint_file){file->name, sink.bytes, weir_hasher_value(sink.of_file)};
    weir_hasher_close(sink.of_file);
    weir_hasher_close(sink.of_piece);
    return status;
}

struct bytes {
    const void *data;
    size_t bytes;
};

static weir_status bytes_put(void *context, struct sink *sink)
{
    const struct bytes *b = context;
    return sink_put(sink, b->data, b->bytes);
}

/* ---- a part -------------------------------------------------------------------------------------------------------- */

struct part_content {
    const struct weir_part *part;
    struct weir_safetensors_layout layout;
    int *order; /* [n_tensors]: as they lie in the file */
    float *room;
    uint64_t *hashes; /* [n_tensors] */
};

static bool is_whole(const struct weir_part_tensor *t)
{
    return t->n == t->n_elements;
}

static weir_status tensor_put(struct part_content *content, int tensor, struct sink *sink)
{
    const struct weir_part *part = content->part;
    const struct weir_part_tensor *t = &part->tensors[tensor];
    weir_status status = WEIR_OK;
    weir_hasher_restart(sink->of_piece);
    for (int64_t at = 0, n = 0; at < t->n && !status; at += n) {
        const float *values = NULL;
        int64_t most = t->n - at < CHUNK ? t->n - at : CHUNK;
        status = part->read(part->context, tensor, t->first + at, most, content->room, &values, &n);
        if (status)
            return status;
        weir_hasher_add(sink->of_piece, values, (size_t)n * sizeof *values);
        status = sink_put(sink, values, (size_t)n * sizeof *values);
    }
    content->hashes[tensor] = weir_hasher_value(sink->of_piece);
    return status;
}

static weir_status part_put(void *context, struct sink *sink)
{
    struct part_content *content = context;
    unsigned char size[8];
    uint64_t header = content->layout.header.length, all = sizeof size + header + content->layout.data_bytes;
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(header >> (8 * i));
    /* a full disk shows here where the file system can tell */
    if (!sink->file.in_place && weir_call_allocate(sink->file.fd, all) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot write '%s', %" PRIu64 " bytes: %s", sink->file.path, all, strerror(errno));
    weir_status status = sink_put(sink, size, sizeof size);
    if (!status)
        status = sink_put(sink, content->layout.header.data, header);
    for (int i = 0; i < content->part->n_tensors && !status; i++)
        status = tensor_put(content, content->order[i], sink);
    return status;
}

static weir_status decl_make(const struct weir_part_tensor *t, struct weir_arena *arena, struct weir_safetensors_decl *decl)
{
    weir_status status = WEIR_OK;
    const char *kind = weir_checkpoint_kind_str(t->kind);
    *decl = (struct weir_safetensors_decl){t->name, WEIR_SAFETENSORS_F32, t->n_dims, t->dims};
    if (!is_whole(t)) {
        decl->n_dims = 1;
        decl->dims = &t->n;
        status = weir_arena_printf(arena, &decl->name, "%s/%s/%" PRId64, kind, t->name, t->first);
    } else if (t->kind != WEIR_CHECKPOINT_PARAMETER) {
        status = weir_arena_printf(arena, &decl->name, "%s/%s", kind, t->name);
    }
    return status;
}

/* Orders the tensors as the layout has them; there are few enough. */
static void order_make(const struct part_content *content)
{
    const struct weir_safetensors_place *places = content->layout.places;
    for (int i = 0; i < content->part->n_tensors; i++) {
        int at = i;
        for (; at > 0 && places[content->order[at - 1]].begin > places[i].begin; at--)
            content->order[at] = content->order[at - 1];
        content->order[at] = i;
    }
}

static weir_status content_make(const char *path, const struct weir_safetensors_decl *decls, struct weir_arena *arena,
                                struct part_content *content)
{
    const struct weir_safetensors_text metadata[] = {{"format", "pt"}, {"writer", "weir checkpoint"}};
    size_t n = (size_t)content->part->n_tensors;
    struct weir_safetensors_spec spec = {
        .path = path, .n_tensors = (int)n, .tensors = decls, .n_metadata = 2, .metadata = metadata};
    weir_status status = weir_safetensors_layout_make(&spec, &content->layout);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *content->order, &content->order);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *content->hashes, &content->hashes);
    if (!status)
        status = weir_alloc(CHUNK, sizeof *content->room, &content->room);
    if (!status)
        order_make(content);
    return status;
}

/* Pieces of one tensor stand one after the other in the part. */
static weir_status info_make(const struct weir_part *part, const struct weir_safetensors_decl *decls, const uint64_t *hashes,
                             struct weir_arena *arena, struct weir_checkpoint_info *info)
{
    struct weir_checkpoint_tensor *tensors;
    struct weir_checkpoint_piece *pieces;
    weir_status status = weir_arena_alloc(arena, (size_t)part->n_tensors, sizeof *tensors, &tensors);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)part->n_tensors, sizeof *pieces, &pieces);
    for (int i = 0; i < part->n_tensors && !status; i++) {
        const struct weir_part_tensor *t = &part->tensors[i];
        struct weir_checkpoint_tensor *last = info->n_tensors ? &tensors[info->n_tensors - 1] : NULL;
        pieces[i] = (struct weir_checkpoint_piece){t->first, t->n, 0, decls[i].name, hashes[i]};
        if (last && last->kind == t->kind && !strcmp(last->name, t->name))
            last->n_pieces++;
        else
            tensors[info->n_tensors++] =
                (struct weir_checkpoint_tensor){t->name, t->kind, t->n_dims, t->dims, t->n_elements, 1, &pieces[i]};
    }
    info->tensors = tensors;
    return status;
}

weir_status weir_part_write(const struct weir_part *part, struct weir_arena *arena, struct weir_checkpoint_info *info_out)
{
    struct weir_checkpoint_info info = {.extra = -1, .n_files = 1};
    struct part_content content = {.part = part};
    struct weir_checkpoint_file *file;
    struct weir_safetensors_decl *decls;
    const char *path;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *file, &file);
    if (!status)
        status = weir_arena_printf(arena, &file->name, "part-%05d.safetensors", part->index);
    if (!status)
        status = weir_arena_printf(arena, &path, "%s/%s", part->folder, file->name);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)part->n_tensors, sizeof *decls, &decls);
    for (int i = 0; i < part->n_tensors && !status; i++)
        status = decl_make(&part->tensors[i], arena, &decls[i]);
    if (!status)
        status = content_make(path, decls, arena, &content);
    if (!status)
        status = file_write(path, part_put, &content, file);
    if (!status)
        status = info_make(part, decls, content.hashes, arena, &info);
    weir_safetensors_layout_release(&content.layout);
    weir_free(content.room);
    info.files = file;
    if (!status)
        *info_out = info;
    return status;
}

/* ---- what one process writes ---------------------------------------------------------------------------------------- */

weir_status weir_part_extra_write(const char *folder, const void *data, size_t bytes, struct weir_arena *arena,
                                  struct weir_checkpoint_info *info)
{
    struct bytes content = {data, bytes};
    struct weir_checkpoint_file *files;
    const char *path;
    weir_status status = weir_arena_alloc(arena, (size_t)info->n_files + 1, sizeof *files, &files);
    if (!status)
        status = weir_arena_printf(arena, &path, "%s/%s", folder, weir_extra_name);
    if (status)
        return status;
    for (int i = 0; i < info->n_files; i++)
        files[i] = info->files[i];
    files[info->n_files].name = weir_extra_name;
    status = file_write(path, bytes_put, &content, &files[info->n_files]);
    if (status)
        return status;
    info->files = files;
    info->extra = info->n_files++;
    return WEIR_OK;
}

weir_status weir_part_manifest_write(const struct weir_checkpoint_info *info, struct weir_arena *arena)
{
    struct weir_checkpoint_file file = {.name = weir_manifest_name};
    struct bytes content = {0};
    const char *text, *path;
    weir_status status = weir_manifest_print(info, arena, &text);
    if (!status)
        status = weir_arena_printf(arena, &path, "%s/%s", info->folder, weir_manifest_name);
    if (status)
        return status;
    content = (struct bytes){text, strlen(text)};
    return file_write(path, bytes_put, &content, &file);
}

/* ---- the folder ---------------------------------------------------------------------------------------------------- */

/* A new name is on the disk once the folder that it is in is. */
static weir_status folder_of_sync(const char *path, struct weir_arena *arena)
{
    const char *parent;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length && path[length - 1] != '/')
        length--;
    weir_status status = weir_arena_printf(arena, &parent, "%.*s.", (int)length, path);
    return status ? status : weir_folder_sync(parent);
}

weir_status weir_checkpoint_dir_make(const char *path, struct weir_arena *arena, bool *made_out)
{
    struct stat info;
    *made_out = weir_call_mkdir(path) == 0;
    if (*made_out || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
        return folder_of_sync(path, arena); /* whoever made it may have been killed before */
    return WEIR_FAIL(WEIR_ERR_IO, "cannot make folder '%s': %s", path, errno == EEXIST ? "a file has this name"
                     : errno == ENOENT ? "the folder that it is to be in is not there" : strerror(errno));
}

/* What is there may be damaged, which only reading it shows; then it goes. */
static weir_status place_clear(const char *folder)
{
    weir_checkpoint *checkpoint = NULL;
    weir_status status = weir_checkpoint_open(folder, &checkpoint);
    if (!status)
        status = weir_checkpoint_verify(checkpoint);
    weir_checkpoint_close(checkpoint);
    if (!status)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is there already: remove it, or save to another folder", folder);
    return status == WEIR_ERR_INVALID ? weir_checkpoint_remove(folder) : status;
}

weir_status weir_part_folder_make(const char *dir, int64_t step, struct weir_arena *arena, const char **folder_out)
{
    const char *folder = NULL;
    bool made, made_step = false;
    weir_status status = weir_arena_printf(arena, &folder, "%s/step-%06" PRId64, dir, step);
    if (!status)
        status = weir_checkpoint_dir_make(dir, arena, &made);
    if (!status)
        status = weir_checkpoint_dir_make(folder, arena, &made_step);
    if (!status && !made_step) {
        status = place_clear(folder);
        if (!status)
            status = weir_checkpoint_dir_make(folder, arena, &made_step);
    }
    if (!status)
        *folder_out = folder;
    return status;
}
