#include "engine/checkpoint/export_folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file_calls.h"
#include "base/replace.h"
#include "base/tensor_files.h"
#include "base/text.h"
#include "engine/checkpoint/export_plan.h"

enum { FILES_BESIDE = 64 }; /* that the process has open besides the export's */

const char weir_export_single[] = "model.safetensors", weir_export_index[] = "model.safetensors.index.json",
           weir_export_config[] = "config.json";
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

/* Every file of the weights in `dir`. */
static bool is_marked(const char *dir)
{
    struct weir_tensor_files files;
    if (weir_tensor_files_open(dir, &files))
        return false;
    bool marked = true;
    for (int i = 0; i < files.n_files; i++) {
        const char *writer = weir_safetensors_metadata(&files.files[i], weir_export_mark_key);
        marked = marked && writer && !strcmp(writer, weir_export_mark);
    }
    weir_tensor_files_close(&files);
    return marked;
}

enum weir_export_owner weir_export_owner(const char *dir)
{
    char message[WEIR_ERROR_MAX];
    if (!is_there(dir, weir_export_single) && !is_there(dir, weir_export_index) && !is_there(dir, weir_export_config))
        return WEIR_EXPORT_NOBODY;
    weir_error_take(message); /* that the file is no safetensors file is an answer, not a failure */
    bool ours = is_marked(dir);
    weir_error_put(message);
    return ours ? WEIR_EXPORT_WEIR : WEIR_EXPORT_OTHERS;
}

static bool digits_skip(const char **text, const char *before, const char *after)
{
    size_t n = strlen(before);
    if (strncmp(*text, before, n) != 0)
        return false;
    *text += n;
    size_t digits = strspn(*text, "0123456789");
    *text += digits;
    return digits == 5 && (!after || !strcmp(*text, after));
}

bool weir_export_is_shard(const char *name)
{
    return digits_skip(&name, "model-", NULL) && digits_skip(&name, "-of-", ".safetensors");
}

/* ---- before training ----------------------------------------------------------------------------------------------- */

/* Headers are small beside what they describe; a shard's is weighed as its names and 200 bytes for each. */
static uint64_t file_bytes(const struct weir_export_plan *plan, const struct weir_export_shard *shard)
{
    uint64_t bytes = shard->bytes;
    for (int i = shard->first; i < shard->first + shard->n; i++)
        bytes += strlen(plan->decls[i].name) + 200;
    return bytes;
}

static weir_status limits_check(const char *dir, const struct weir_export_plan *plan, uint64_t largest)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < largest)
        return WEIR_FAIL(WEIR_ERR_IO, "a file of the export in '%s' needs %" PRIu64 " bytes, files may have %" PRIu64
                         " (ulimit -f)", dir, largest, (uint64_t)limit.rlim_cur);
    rlim_t n_files = (rlim_t)(plan->n_shards + plan->n_texts);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < n_files + FILES_BESIDE)
        return WEIR_FAIL(WEIR_ERR_IO, "the export in '%s' is %llu files, a process may have %llu open (ulimit -n): give more bytes "
                         "to each", dir, (unsigned long long)n_files, (unsigned long long)limit.rlim_cur);
    return WEIR_OK;
}

static weir_status room_check(const char *dir, const struct weir_export_plan *plan)
{
    struct statvfs disk;
    uint64_t all = 0, largest = 0;
    for (int i = 0; i < plan->n_shards; i++) {
        uint64_t bytes = file_bytes(plan, &plan->shards[i]);
        all += bytes;
        largest = bytes > largest ? bytes : largest;
    }
    for (int i = 0; i < plan->n_texts; i++) {
        all += plan->texts[i].bytes;
        largest = plan->texts[i].bytes > largest ? plan->texts[i].bytes : largest;
    }
    weir_status status = limits_check(dir, plan, largest);
    if (status || statvfs(dir, &disk) != 0 || disk.f_blocks == 0) /* a file system that does not say */
        return status;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes < all)
        return WEIR_FAIL(WEIR_ERR_IO, "the export in '%s' needs %" PRIu64 " bytes, the disk has %" PRIu64 " left", dir, all,
                         free_bytes);
    return WEIR_OK;
}

static weir_status file_check(const char *dir, const char *name)
{
    struct weir_text path = {0};
    weir_status status = path_make(dir, name, &path);
    if (!status)
        status = weir_replace_check(path.data);
    weir_text_release(&path);
    return status;
}

weir_status weir_export_place_check(const char *dir, const struct weir_export_plan *plan)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < plan->n_shards && !status; i++)
        status = file_check(dir, plan->shards[i].name);
    for (int i = 0; i < plan->n_texts && !status; i++)
        status = file_check(dir, plan->texts[i].name);
    return status ? status : room_check(dir, plan);
}

/* ---- what is left of an earlier export ----------------------------------------------------------------------------- */

static weir_status file_remove(const char *dir, const char *name)
{
    struct weir_text path = {0};
    weir_status status = path_make(dir, name, &path);
    if (!status && weir_call_unlink(path.data) != 0 && errno != ENOENT)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot remove '%s': %s", path.data, strerror(errno));
    weir_text_release(&path);
    return status;
}

static bool is_planned(const struct weir_export_plan *plan, const char *name)
{
    for (int i = 0; i < plan->n_shards; i++)
        if (!strcmp(plan->shards[i].name, name))
            return true;
    return false;
}

static weir_status shards_remove(const char *dir, const struct weir_export_plan *plan)
{
    DIR *folder = opendir(dir);
    weir_status status = folder ? WEIR_OK : WEIR_FAIL(WEIR_ERR_IO, "cannot read folder '%s': %s", dir, strerror(errno));
    for (const struct dirent *entry; !status && (entry = readdir(folder));)
        if (weir_export_is_shard(entry->d_name) && !is_planned(plan, entry->d_name))
            status = file_remove(dir, entry->d_name);
    if (folder)
        closedir(folder);
    return status;
}

/* The single file goes first when there is an index now, the index when there is none: each has the last word while it is
 * there. */
weir_status weir_export_remove_others(const char *dir, const struct weir_export_plan *plan)
{
    weir_status status = file_remove(dir, plan->n_shards == 1 ? weir_export_index : weir_export_single);
    return status ? status : shards_remove(dir, plan);
}
