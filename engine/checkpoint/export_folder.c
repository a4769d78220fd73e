#include "engine/checkpoint/export_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/replace.h"
#include "base/safetensors.h"
#include "base/text.h"

const char *const weir_export_files[] = {"model.safetensors", "config.json", NULL};
const char weir_export_mark_key[] = "writer", weir_export_mark[] = "weir";

static weir_status path_make(const char *dir, const char *name, struct weir_text *path)
{
    weir_text_append(path, "%s/%s", dir, name);
    return path->status;
}

static bool is_there(const char *dir, const char *name)
{
    struct stat info;
    struct weir_text path = {0};
    bool there = path_make(dir, name, &path) || lstat(path.data, &info) == 0; /* without memory: better too careful */
    weir_text_release(&path);
    return there;
}

static bool is_marked(const char *path)
{
    struct weir_safetensors file;
    if (weir_safetensors_open(path, &file))
        return false;
    const char *writer = weir_safetensors_metadata(&file, weir_export_mark_key);
    bool marked = writer && !strcmp(writer, weir_export_mark);
    weir_safetensors_close(&file);
    return marked;
}

enum weir_export_owner weir_export_owner(const char *dir)
{
    char message[WEIR_ERROR_MAX];
    struct weir_text path = {0};
    bool any = false;
    for (int i = 0; weir_export_files[i]; i++)
        any = any || is_there(dir, weir_export_files[i]);
    if (!any)
        return WEIR_EXPORT_NOBODY;
    weir_error_take(message); /* that the file is no safetensors file is an answer, not a failure */
    bool ours = !path_make(dir, weir_export_files[0], &path) && is_marked(path.data);
    weir_error_put(message);
    weir_text_release(&path);
    return ours ? WEIR_EXPORT_WEIR : WEIR_EXPORT_OTHERS;
}

static weir_status room_check(const char *dir, uint64_t bytes)
{
    struct rlimit limit;
    struct statvfs disk;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
        return WEIR_FAIL(WEIR_ERR_IO, "the weights in '%s' need %" PRIu64 " bytes, files may have %" PRIu64 " (ulimit -f)", dir,
                         bytes, (uint64_t)limit.rlim_cur);
    if (statvfs(dir, &disk) != 0 || disk.f_blocks == 0) /* a file system that does not say */
        return WEIR_OK;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes < bytes)
        return WEIR_FAIL(WEIR_ERR_IO, "the weights in '%s' need %" PRIu64 " bytes, the disk has %" PRIu64 " left", dir, bytes,
                         free_bytes);
    return WEIR_OK;
}

weir_status weir_export_place_check(const char *dir, uint64_t weight_bytes)
{
    weir_status status = WEIR_OK;
    for (int i = 0; weir_export_files[i] && !status; i++) {
        struct weir_text path = {0};
        status = path_make(dir, weir_export_files[i], &path);
        if (!status)
            status = weir_replace_check(path.data);
        weir_text_release(&path);
    }
    return status ? status : room_check(dir, weight_bytes);
}
