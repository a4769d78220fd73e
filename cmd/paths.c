#include "cmd/paths.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "include/weir/checkpoint.h"
#include "include/weir/metrics.h"
#include "include/weir/data.h"
#include "include/weir/graph.h"

enum { MOST_LINKS = 40 }; /* as the kernel has it */

/* What a folder of a model may have that Weir or those who made it read. */
static const char *const model_files[] = {
    "config.json",       "generation_config.json", "model.safetensors",       "model.safetensors.index.json", "vocab.json",
    "merges.txt",        "tokenizer.json",         "tokenizer_config.json",   "special_tokens_map.json",      "tokenizer.model",
    "added_tokens.json", "chat_template.jinja",    NULL};

/* ---- places -------------------------------------------------------------------------------------------------------- */

/* What the link `path` points to; NULL: it is none. */
static const char *link_target(struct weir_arena *arena, const char *path)
{
    char link[PATH_MAX];
    const char *slash = strrchr(path, '/'), *target = NULL;
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n < 0)
        return NULL;
    link[n] = 0;
    int folder = *link == '/' || !slash ? 0 : (int)(slash - path) + 1;
    return weir_arena_printf(arena, &target, "%.*s%s", folder, path, link) ? NULL : target;
}

/* Take the last name off `path`, and put it before `rest`. */
static weir_status name_move(struct weir_arena *arena, char *path, const char **rest)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        path[--end] = 0;
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    weir_status status = WEIR_OK;
    if (strcmp(name, ".") != 0)
        status = weir_arena_printf(arena, rest, "%s%s%s", name, **rest ? "/" : "", *rest);
    if (!slash)
        memcpy(path, ".", 2);
    else
        slash[slash == path] = 0;
    return status;
}

/* Names below a folder that is not there yet: "e/../f" will be "f".  Nothing there can be a link. */
static void rest_normalise(char *rest)
{
    char *to = rest;
    for (char *from = rest, *end; *from; from = end) {
        end = from + strcspn(from, "/");
        size_t n = (size_t)(end - from);
        end += *end == '/';
        if (n == 0 || (n == 1 && *from == '.'))
            continue;
        if (n == 2 && from[0] == '.' && from[1] == '.' && to > rest) {
            while (to > rest && *--to != '/')
                ;
            continue;
        }
        if (to > rest)
            *to++ = '/';
        memmove(to, from, n);
        to += n;
    }
    *to = 0;
}

/* false: a pipe or a device, or nothing that could be told. */
static bool place_find(struct weir_arena *arena, struct paths_entry *entry, weir_status *status)
{
    struct stat info;
    const char *path = entry->path, *link;
    char *way;
    entry->rest = "";
    for (int i = 0; stat(path, &info) != 0 && (link = link_target(arena, path)); i++) {
        if (i == MOST_LINKS)
            return false; /* opening it says so */
        path = link;
    }
    *status = weir_arena_alloc(arena, strlen(path) + 2, 1, &way);
    if (*status)
        return false;
    strcpy(way, path); /* NOLINT: the room was asked for a line ago */
    while (stat(way, &info) != 0) {
        if (!strcmp(way, "/") || !strcmp(way, "."))
            return false;
        *status = name_move(arena, way, &entry->rest);
        if (*status)
            return false;
    }
    if (*entry->rest)
        rest_normalise((char *)(uintptr_t)entry->rest); /* the arena's */
    entry->device = info.st_dev;
    entry->inode = info.st_ino;
    return S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
}

static void entry_keep(struct paths *paths, struct paths_entry entry)
{
    if (!paths->status)
        paths->status = weir_grow(&paths->entries, &paths->room, paths->n + 1, sizeof *paths->entries);
    if (!paths->status)
        paths->entries[paths->n++] = entry;
}

/* `folder`/`name`, or with folder NULL `name` itself. */
static void entry_add(struct paths *paths, enum paths_kind kind, const char *label, const char *folder, const char *name)
{
    struct paths_entry entry = {.kind = kind, .label = label, .path = name, .folder = folder};
    if (paths->status || !name)
        return;
    if (!*name) {
        paths->status = WEIR_FAIL(WEIR_ERR_USAGE, "%s is empty: it takes the name of a file or folder", label);
        return;
    }
    if (folder) {
        size_t n = strlen(folder);
        while (n > 1 && folder[n - 1] == '/')
            n--;
        bool root = n == 1 && *folder == '/';
        paths->status = weir_arena_printf(&paths->arena, &entry.path, "%.*s%s%s", (int)n, folder, root ? "" : "/", name);
    }
    if (!paths->status && place_find(&paths->arena, &entry, &paths->status))
        entry_keep(paths, entry);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* ---- reading and writing ------------------------------------------------------------------------------------------- */

void paths_read(struct paths *paths, const char *label, const char *path)
{
    entry_add(paths, PATHS_READ, label, NULL, path && !strcmp(path, "-") ? "/dev/stdin" : path);
}

void paths_write(struct paths *paths, const char *label, const char *path)
{
    if (path && strcmp(path, "-") != 0)
        entry_add(paths, PATHS_WRITE, label, NULL, path);
}

void paths_write_metrics(struct paths *paths, const char *label, const char *path)
{
    entry_add(paths, PATHS_WRITE_METRICS, label, NULL, path);
}

/* The first bytes of an IDX file, plain or gzip. */
static bool starts_as_images(const char *folder, const char *name)
{
    char path[PATH_MAX];
    unsigned char start[4] = {1};
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "rbe") : NULL;
    size_t n = file ? fread(start, 1, sizeof start, file) : 0;
    if (file)
        fclose(file);
    return n == sizeof start && ((start[0] == 0x1f && start[1] == 0x8b) || (!start[0] && !start[1] && start[2] == 8));
}

static void folder_read_images(struct paths *paths, const char *label, const char *folder)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) && !paths->status;) {
        const char *name;
        if (!starts_as_images(folder, entry->d_name))
            continue;
        paths->status = weir_arena_strdup(&paths->arena, entry->d_name, &name);
        entry_add(paths, PATHS_READ, label, folder, name);
    }
    if (dir)
        closedir(dir);
}

/* "corpus.idx" of "corpus.bin": where the documents begin. */
static void index_read(struct paths *paths, const char *label, const char *path)
{
    size_t n = strlen(path);
    const char *index;
    if (n < 4 || strcmp(path + n - 4, ".bin") != 0)
        return;
    paths->status = weir_arena_printf(&paths->arena, &index, "%.*s.idx", (int)n - 4, path);
    if (!paths->status && access(index, F_OK) == 0)
        entry_add(paths, PATHS_READ, label, NULL, index);
}

void paths_read_data(struct paths *paths, const char *label, const char *text)
{
    const char *const *files;
    int n = 0;
    if (paths->status || !text)
        return;
    if (is_folder(text)) {
        folder_read_images(paths, label, text);
        return;
    }
    paths->status = weir_data_paths(text, &paths->arena, &files, &n);
    for (int i = 0; i < n && !paths->status; i++) {
        entry_add(paths, PATHS_READ, label, NULL, files[i]);
        if (!paths->status)
            index_read(paths, label, files[i]);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool is_weights(const char *name)
{
    return ends_with(name, ".safetensors");
}

/* Shards have names that an index gives, or an export. */
static void folder_add_shards(struct paths *paths, enum paths_kind kind, const char *label, const char *folder,
                              bool (*is_one)(const char *name))
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) && !paths->status;) {
        const char *name;
        if (!is_one(entry->d_name))
            continue;
        paths->status = weir_arena_strdup(&paths->arena, entry->d_name, &name);
        entry_add(paths, kind, label, folder, name);
    }
    if (dir)
        closedir(dir);
}

/* The folder of a file. */
static const char *folder_of(struct paths *paths, const char *path)
{
    const char *slash = strrchr(path, '/'), *folder = ".";
    if (slash && !paths->status)
        paths->status = weir_arena_printf(&paths->arena, &folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return folder;
}

void paths_read_model(struct paths *paths, const char *label, const char *path)
{
    if (paths->status || !path || access(path, F_OK) != 0)
        return;
    entry_add(paths, PATHS_READ_MODEL, label, NULL, path);
    if (is_folder(path)) {
        for (int i = 0; model_files[i]; i++)
            entry_add(paths, PATHS_READ_MODEL, label, path, model_files[i]);
        folder_add_shards(paths, PATHS_READ_MODEL, label, path, is_weights);
    } else if (ends_with(path, ".index.json")) {
        folder_add_shards(paths, PATHS_READ_MODEL, label, folder_of(paths, path), is_weights);
    }
}

bool model_is_built_in(const char *name)
{
    for (int i = 0; weir_model_at(i); i++)
        if (!strcmp(weir_model_at(i)->name, name))
            return true;
    return false;
}

void paths_read_model_name(struct paths *paths, const char *label, const char *name)
{
    if (!name || !model_is_built_in(name))
        paths_read_model(paths, label, name);
}

void paths_read_tokenizer(struct paths *paths, const char *label, const char *path)
{
    if (path && strcmp(path, "bytes") != 0)
        paths_read_model(paths, label, path);
}

void paths_write_model(struct paths *paths, const char *label, const char *folder)
{
    entry_add(paths, PATHS_WRITE_MODEL, label, NULL, folder);
    for (int i = 0; folder && model_files[i]; i++)
        entry_add(paths, PATHS_WRITE_MODEL, label, folder, model_files[i]);
    if (folder)
        folder_add_shards(paths, PATHS_WRITE_MODEL, label, folder, weir_export_is_shard);
}

/* ---- checking ------------------------------------------------------------------------------------------------------ */

static bool same_place(const struct paths_entry *a, const struct paths_entry *b)
{
    return a->device == b->device && a->inode == b->inode && !strcmp(a->rest, b->rest);
}

/* "/dev/stdout" means to be what it is. */
static bool names_a_stream(const char *path)
{
    return !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6);
}

static weir_status clash(const struct paths_entry *other, const struct paths_entry *output)
{
    if (other->kind == PATHS_READ_MODEL && output->kind == PATHS_WRITE_MODEL)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s would replace '%s', which is read by %s: give another folder, or --force",
                         output->label, other->path, other->label);
    if (output->kind == PATHS_STREAM)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s and %s are the same file '%s'", other->label, output->label, other->path);
    if (other->folder)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' of %s belongs to the folder '%s' of %s: give %s another name", output->path,
                         output->label, other->folder, other->label, output->label);
    if (output->folder)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' of %s belongs to the folder '%s' of %s: give %s another name", other->path,
                         other->label, output->folder, output->label, other->label);
    return WEIR_FAIL(WEIR_ERR_USAGE, "%s and %s are the same file '%s': give %s another name", other->label, output->label,
                     output->path, output->label);
}

static bool may_share(const struct paths_entry *other, const struct paths_entry *output, bool force)
{
    if (other->label == output->label || !strcmp(other->label, output->label))
        return true;
    if (output->kind == PATHS_STREAM && (other->kind == PATHS_STREAM || names_a_stream(other->path)))
        return true;
    return force && other->kind == PATHS_READ_MODEL && output->kind == PATHS_WRITE_MODEL;
}

/* Files that the shell has opened for the command. */
static void streams_add(struct paths *paths)
{
    static const char *const labels[] = {"standard output", "standard error"};
    struct stat info;
    for (int i = 0; i < 2; i++)
        if (fstat(STDOUT_FILENO + i, &info) == 0 && S_ISREG(info.st_mode))
            entry_keep(paths, (struct paths_entry){.kind = PATHS_STREAM, .label = labels[i], .path = labels[i], .rest = "",
                                                   .device = info.st_dev, .inode = info.st_ino});
}

weir_status paths_check(struct paths *paths, bool force)
{
    streams_add(paths);
    for (size_t out = 0; out < paths->n && !paths->status; out++) {
        const struct paths_entry *output = &paths->entries[out];
        for (size_t i = 0; i < paths->n && output->kind >= PATHS_WRITE; i++) {
            const struct paths_entry *other = &paths->entries[i];
            bool earlier = i < out || other->kind < PATHS_WRITE; /* of two outputs, the later is told */
            if (earlier && same_place(other, output) && !may_share(other, output, force))
                return clash(other, output);
        }
    }
    return paths->status;
}

static weir_status replaced_check(const struct paths_entry *entry)
{
    if (entry->kind == PATHS_WRITE_METRICS && !*entry->rest && !weir_metrics_is_file(entry->path))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' of %s is there and has no metrics: give another name, or --force to replace it",
                         entry->path, entry->label);
    if (entry->kind == PATHS_WRITE_MODEL && !entry->folder && weir_export_owner(entry->path) == WEIR_EXPORT_OTHERS)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' of %s has a model that weir did not write: give another folder, or --force to "
                                         "replace it", entry->path, entry->label);
    return WEIR_OK;
}

weir_status paths_check_replaced(const struct paths *paths)
{
    weir_status status = paths->status;
    for (size_t i = 0; i < paths->n && !status; i++)
        status = replaced_check(&paths->entries[i]);
    return status;
}

void paths_release(struct paths *paths)
{
    weir_free(paths->entries);
    weir_arena_release(&paths->arena);
}
