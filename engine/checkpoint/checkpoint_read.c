/* Reading a checkpoint: the manifest at open; safetensors files one at a time, as tensors are asked for. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/input_file.h"
#include "base/safetensors.h"
#include "base/text.h"
#include "engine/checkpoint/manifest.h"

enum { LARGEST_MANIFEST = 1 << 30, CHUNK = 1 << 20 };

struct weir_checkpoint {
    struct weir_arena arena;
    struct weir_checkpoint_info info;
    struct weir_safetensors *files; /* [n_files]: all zero bits until they are read from */
};

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static weir_status path_make(const char *folder, const char *name, struct weir_text *path)
{
    weir_text_append(path, "%s/%s", folder, name);
    return path->status;
}

/* A file that is not there is damage; one that cannot be read may be whole. */
static weir_status missing_check(const char *path, const char *what)
{
    struct stat info;
    bool missing = stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
    return missing ? WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is missing: %s", path, what) : WEIR_OK;
}

/* The file is there, and as long as it should be. */
static weir_status size_check(const struct weir_checkpoint *c, const struct weir_checkpoint_file *file)
{
    struct weir_text path = {0};
    struct weir_input_file input;
    weir_status status = path_make(c->info.folder, file->name, &path);
    if (!status)
        status = missing_check(path.data, "the manifest of the checkpoint names it");
    if (!status)
        status = weir_input_open(path.data, WEIR_INPUT_ANY_SIZE, &input);
    if (!status) {
        weir_input_close(&input);
        if (input.n_bytes != file->bytes)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %" PRIu64 " bytes, its manifest says %" PRIu64, path.data, input.n_bytes,
                               file->bytes);
    }
    weir_text_release(&path);
    return status;
}

static weir_status manifest_read(struct weir_checkpoint *c, const char *folder)
{
    struct weir_text path = {0};
    char *text;
    size_t bytes;
    weir_status status = path_make(folder, weir_manifest_name, &path);
    if (!status)
        status = missing_check(path.data, "there is no whole checkpoint");
    if (!status)
        status = weir_file_read(path.data, LARGEST_MANIFEST, &text, &bytes);
    weir_text_release(&path);
    if (status)
        return status;
    status = weir_manifest_parse(folder, text, bytes, &c->arena, &c->info);
    weir_free(text);
    return status;
}

weir_status weir_checkpoint_open(const char *folder, weir_checkpoint **checkpoint_out)
{
    weir_checkpoint *c;
    weir_status status = weir_alloc(1, sizeof *c, &c);
    if (status)
        return status;
    status = manifest_read(c, folder);
    if (!status)
        status = weir_arena_alloc(&c->arena, (size_t)c->info.n_files, sizeof *c->files, &c->files);
    for (int i = 0; i < c->info.n_files && !status; i++)
        status = size_check(c, &c->info.files[i]);
    if (status)
        weir_checkpoint_close(c);
    else
        *checkpoint_out = c;
    return status;
}

bool weir_checkpoint_is(const char *folder)
{
    struct weir_text path = {0};
    bool is = !path_make(folder, weir_manifest_name, &path) && weir_input_exists(path.data);
    weir_text_release(&path);
    return is;
}

void weir_checkpoint_close(weir_checkpoint *c)
{
    if (!c)
        return;
    for (int i = 0; c->files && i < c->info.n_files; i++)
        weir_safetensors_close(&c->files[i]);
    weir_arena_release(&c->arena);
    weir_free(c);
}

const struct weir_checkpoint_info *weir_checkpoint_info(const weir_checkpoint *c)
{
    return &c->info;
}

int weir_checkpoint_find(const weir_checkpoint *c, enum weir_checkpoint_kind kind, const char *name)
{
    int low = 0, high = c->info.n_tensors;
    while (low < high) {
        int middle = low + (high - low) / 2;
        const struct weir_checkpoint_tensor *t = &c->info.tensors[middle];
        int order = t->kind != kind ? (int)t->kind - (int)kind : strcmp(t->name, name);
        if (!order)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* ---- tensors ------------------------------------------------------------------------------------------------------- */

static weir_status file_open(weir_checkpoint *c, int file)
{
    struct weir_text path = {0};
    if (c->files[file].path)
        return WEIR_OK;
    weir_status status = path_make(c->info.folder, c->info.files[file].name, &path);
    if (!status)
        status = weir_safetensors_open(path.data, &c->files[file]);
    weir_text_release(&path);
    return status;
}

/* The tensor of the file that a piece is. */
static weir_status piece_find(weir_checkpoint *c, const struct weir_checkpoint_piece *piece,
                              const struct weir_safetensors **file_out, const struct weir_safetensors_tensor **found_out)
{
    weir_status status = file_open(c, piece->file);
    if (status)
        return status;
    const struct weir_safetensors *file = &c->files[piece->file];
    const struct weir_safetensors_tensor *found = weir_safetensors_find(file, piece->tensor);
    if (!found || found->n_elements != piece->n || found->dtype != WEIR_SAFETENSORS_F32)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no tensor '%s' of %" PRId64 " F32 elements, which its manifest says", file->path,
                         piece->tensor, piece->n);
    *file_out = file;
    *found_out = found;
    return WEIR_OK;
}

weir_status weir_checkpoint_read(weir_checkpoint *c, int tensor, int64_t first, int64_t n, float *values_out)
{
    const struct weir_checkpoint_tensor *t = &c->info.tensors[tensor];
    const struct weir_safetensors *file = NULL;
    const struct weir_safetensors_tensor *found = NULL;
    weir_status status = WEIR_OK;
    if (first < 0 || n < 0 || first > t->n_elements || n > t->n_elements - first)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' of '%s' has %" PRId64 " elements, %" PRId64 " from %" PRId64 " on are more", t->name,
                         c->info.folder, t->n_elements, n, first);
    for (int i = 0; i < t->n_pieces && !status; i++) {
        const struct weir_checkpoint_piece *p = &t->pieces[i];
        int64_t from = first > p->first ? first : p->first, end = first + n < p->first + p->n ? first + n : p->first + p->n;
        if (from >= end)
            continue;
        status = piece_find(c, p, &file, &found);
        if (!status)
            status = weir_safetensors_floats(file, found, from - p->first, end - from, values_out + (from - first));
    }
    return status;
}

/* ---- bytes --------------------------------------------------------------------------------------------------------- */

/* Read the file to its end, in pieces of CHUNK bytes; `take` NULL: hash it alone. */
static weir_status file_walk(const char *path, uint64_t bytes, char *room, weir_hasher *hasher, char *take)
{
    struct weir_input_file input;
    weir_status status = weir_input_open(path, WEIR_INPUT_ANY_SIZE, &input);
    if (status)
        return status;
    for (uint64_t at = 0; at < bytes && !status;) {
        char *to = take ? take + at : room;
        ssize_t n = read(input.descriptor, to, bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
        else if (n == 0)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' ends after %" PRIu64 " bytes, its manifest says %" PRIu64, path, at, bytes);
        if (n <= 0)
            break;
        weir_hasher_add(hasher, to, (size_t)n);
        at += (uint64_t)n;
    }
    weir_input_close(&input);
    return status;
}

static weir_status piece_hash(weir_checkpoint *c, const struct weir_checkpoint_piece *piece, float *room, uint64_t *hash_out)
{
    enum { ROOM = CHUNK / sizeof(float) };
    const struct weir_safetensors *file = NULL;
    const struct weir_safetensors_tensor *found = NULL;
    weir_hasher *hasher;
    weir_status status = piece_find(c, piece, &file, &found);
    if (!status)
        status = weir_hasher_open(&hasher);
    if (status)
        return status;
    for (int64_t at = 0, n = 0; at < piece->n && !status; at += n) {
        n = piece->n - at < (int64_t)ROOM ? piece->n - at : (int64_t)ROOM;
        status = weir_safetensors_floats(file, found, at, n, room);
        weir_hasher_add(hasher, room, (size_t)n * sizeof *room);
    }
    *hash_out = weir_hasher_value(hasher);
    weir_hasher_close(hasher);
    return status;
}

/* The file does not have its hash: say which tensor it is, or else that it is the header. */
static weir_status damage_name(weir_checkpoint *c, int file, const char *path, float *room)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < c->info.n_tensors; i++)
        for (int p = 0; p < c->info.tensors[i].n_pieces; p++) {
            const struct weir_checkpoint_piece *piece = &c->info.tensors[i].pieces[p];
            uint64_t hash = 0;
            if (piece->file != file)
                continue;
            status = piece_hash(c, piece, room, &hash);
            if (status)
                return status;
            if (hash != piece->hash)
                return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' is damaged: its XXH3 is %016" PRIx64 ", the manifest says %016"
                                 PRIx64, path, piece->tensor, hash, piece->hash);
        }
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is damaged%s", path, file == c->info.extra ? "" : ": its header has changed");
}

static weir_status file_verify(weir_checkpoint *c, int index, char *room)
{
    const struct weir_checkpoint_file *file = &c->info.files[index];
    struct weir_text path = {0};
    weir_hasher *hasher = NULL;
    weir_status status = path_make(c->info.folder, file->name, &path);
    if (!status)
        status = weir_hasher_open(&hasher);
    if (!status)
        status = file_walk(path.data, file->bytes, room, hasher, NULL);
    if (!status && weir_hasher_value(hasher) != file->hash)
        status = damage_name(c, index, path.data, (float *)(void *)room);
    weir_hasher_close(hasher);
    weir_text_release(&path);
    return status;
}

weir_status weir_checkpoint_verify_some(weir_checkpoint *c, int turn, int n_turns)
{
    char *room;
    weir_status status = weir_alloc(CHUNK, 1, &room);
    if (status)
        return status;
    for (int i = turn; i < c->info.n_files && !status; i += n_turns)
        status = file_verify(c, i, room);
    weir_free(room);
    return status;
}

weir_status weir_checkpoint_verify(weir_checkpoint *c)
{
    return weir_checkpoint_verify_some(c, 0, 1);
}

weir_status weir_checkpoint_extra(weir_checkpoint *c, void **data_out, size_t *bytes_out)
{
    const struct weir_checkpoint_file *file = c->info.extra >= 0 ? &c->info.files[c->info.extra] : NULL;
    struct weir_text path = {0};
    weir_hasher *hasher = NULL;
    char *data = NULL;
    *data_out = NULL;
    *bytes_out = 0;
    if (!file)
        return WEIR_OK;
    weir_status status = path_make(c->info.folder, file->name, &path);
    if (!status)
        status = weir_alloc(file->bytes, 1, &data);
    if (!status)
        status = weir_hasher_open(&hasher);
    if (!status)
        status = file_walk(path.data, file->bytes, NULL, hasher, data);
    if (!status && weir_hasher_value(hasher) != file->hash)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is damaged", path.data);
    weir_hasher_close(hasher);
    weir_text_release(&path);
    if (status) {
        weir_free(data);
        return status;
    }
    *data_out = data;
    *bytes_out = (size_t)file->bytes;
    return WEIR_OK;
}
