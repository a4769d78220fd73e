/* Loading a plugin.  One for each device, once in a process: that is state of the process, as the dynamic linker's is. */
#include "engine/device/plugin/plugin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "kernels/vector.h"

enum { MOST_PATH = 4096, MOST_TRIED = 3 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct weir_plugin *loaded; /* guarded by lock */

/* ---- what is given ------------------------------------------------------------------------------------------------------ */

static struct weir_plugin_host host = {
    .alloc = weir_alloc,
    .grow = weir_grow,
    .free = weir_free,
    .arena_alloc = weir_arena_alloc,
    .arena_release = weir_arena_release,
    .error_record = weir_error_record,
    .error_prefix = weir_error_prefix,
    .error_put = weir_error_put,
    .error_take = weir_error_take,
    .last_error = weir_last_error,
    .status_str = weir_status_str,
    .log = weir_log,
    .clock_ns = weir_clock_ns,
    .hash64 = weir_hash64,
    .parse_int64 = weir_parse_int64,
    .process_number = weir_process_number,
    .process_check = weir_process_check,
    .kernel_table_find = weir_kernel_table_find,
};

/* ---- where it is -------------------------------------------------------------------------------------------------------- */

struct places {
    const char *file;                  /* libweir_cuda.so.0 */
    char paths[MOST_TRIED][MOST_PATH]; /* in the order in which they are tried */
    int n;
};

static void place_add(struct places *places, const char *folder, size_t n_folder, const char *below)
{
    int n = snprintf(places->paths[places->n], MOST_PATH, "%.*s%s/%s", (int)n_folder, folder, below, places->file);
    places->n += n > 0 && n < MOST_PATH;
}

/* Beside the file that this code is in, and in lib beside that; where that is bin/weir, in lib beside bin. */
static void places_beside(struct places *places)
{
    Dl_info info;
    char path[MOST_PATH];
    void *here = (void *)(uintptr_t)&host;
    if (!dladdr(here, &info) || !info.dli_fname || !realpath(strchr(info.dli_fname, '/') ? info.dli_fname : "/proc/self/exe", path))
        return;
    size_t folder = (size_t)(strrchr(path, '/') - path), above = folder;
    while (above > 0 && path[above - 1] != '/')
        above--;
    place_add(places, path, folder, "");
    place_add(places, path, folder, "/" WEIR_PLUGIN_FOLDER);
    if (above > 1)
        place_add(places, path, above - 1, "/" WEIR_PLUGIN_FOLDER);
}

static void places_find(struct places *places, const char *file)
{
    const char *given = getenv("WEIR_CUDA_PLUGIN");
    places->file = file;
    places->n = 0;
    if (!given || !*given)
        places_beside(places);
    else if (snprintf(places->paths[0], MOST_PATH, "%s", given) < MOST_PATH)
        places->n = 1;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------ */

static weir_status missing_fail(const char *name, const struct places *places)
{
    char where[3 * MOST_PATH] = "";
    size_t n = 0;
    if (getenv("WEIR_CUDA_PLUGIN") && *getenv("WEIR_CUDA_PLUGIN"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' needs '%s', which WEIR_CUDA_PLUGIN names and which is not there: correct "
                         "or unset the variable", name, places->paths[0]);
    for (int i = 0; i < places->n; i++)
        n += (size_t)snprintf(where + n, sizeof where - n, "'%s', ", places->paths[i]);
    return WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' needs the plugin %s, which is not there (looked for %sand by that name where "
                     "the system looks): build Weir with -DWEIR_CUDA=ON, name its file in WEIR_CUDA_PLUGIN, or use " WEIR_OPTION("device=cpu"), name,
                     places->file, where);
}

/* The system has the last word; of a file that is there, its reason. */
static weir_status library_open(const char *name, void **library_out)
{
    struct places places;
    const char *path = NULL;
    char file[64];
    snprintf(file, sizeof file, "libweir_%s.so.%d", name, WEIR_VERSION_MAJOR);
    places_find(&places, file);
    for (int i = 0; i < places.n && !path; i++)
        path = access(places.paths[i], F_OK) ? NULL : places.paths[i];
    bool given = getenv("WEIR_CUDA_PLUGIN") && *getenv("WEIR_CUDA_PLUGIN");
    if (!path && given)
        return missing_fail(name, &places);
    *library_out = dlopen(path ? path : places.file, RTLD_NOW | RTLD_LOCAL);
    const char *why = *library_out ? NULL : dlerror();
    if (*library_out)
        return WEIR_OK;
    if (!path && (!why || !strncmp(why, places.file, strlen(places.file))))
        return missing_fail(name, &places);
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "device '%s': the plugin '%s' cannot be loaded: %s: install what it names, or use "
                     WEIR_OPTION("device=cpu"), name, path ? path : places.file, why ? why : "the system does not say why");
}

static weir_status stamp_fail(const char *path, const struct weir_plugin_stamp *theirs)
{
    bool known = theirs->stamp_bytes == sizeof *theirs;
    if (known && strncmp(theirs->version, WEIR_VERSION, sizeof theirs->version) != 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the plugin '%s' is of version %.*s and this is Weir %s: install both from one build", path,
                         (int)sizeof theirs->version, theirs->version, WEIR_VERSION);
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the plugin '%s' was built for other structs than this library: install both from one build",
                     path);
}

static weir_status plugin_load(const char *name, const struct weir_plugin **plugin_out)
{
    void *library;
    Dl_info info = {.dli_fname = NULL};
    struct weir_plugin_stamp theirs = {0};
    union {
        void *symbol;
        weir_plugin_entry_fn entry;
    } found;
    weir_status status = library_open(name, &library);
    if (status)
        return status;
    found.symbol = dlsym(library, WEIR_PLUGIN_ENTRY);
    const char *path = found.symbol && dladdr(found.symbol, &info) && info.dli_fname ? info.dli_fname : name;
    if (!found.symbol) {
        dlclose(library);
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "device '%s': the file that was loaded for it is no plugin of Weir", name);
    }
    host.stamp = weir_plugin_stamp(sizeof(struct weir_vector_kernels));
    const struct weir_plugin *plugin = found.entry(&host, &theirs);
    if (!plugin || memcmp(&plugin->stamp, &host.stamp, sizeof host.stamp) != 0) {
        status = stamp_fail(path, &theirs);
        dlclose(library);
        return status;
    }
    *plugin_out = plugin;
    return WEIR_OK;
}

weir_status weir_plugin_find(const char *name, const struct weir_plugin **plugin_out)
{
    pthread_mutex_lock(&lock);
    weir_status status = loaded ? WEIR_OK : plugin_load(name, &loaded);
    if (!status)
        *plugin_out = loaded;
    pthread_mutex_unlock(&lock);
    return status;
}
