/* Names and patterns of data files to a list of paths. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "include/weir/data.h"

struct path_list {
    struct weir_arena *arena;
    const char **paths;
    size_t n, room;
};

static weir_status path_add(struct path_list *list, const char *path)
{
    const char *copy;
    weir_status status = weir_grow(&list->paths, &list->room, list->n + 1, sizeof *list->paths);
    if (!status)
        status = weir_arena_strdup(list->arena, path, &copy);
    if (!status)
        list->paths[list->n++] = copy;
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static weir_status pattern_add(struct path_list *list, const char *pattern)
{
    glob_t found = {0};
    weir_status status = WEIR_OK;
    int outcome = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (outcome == GLOB_NOSPACE)
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory for the files that match '%s'", pattern);
    else if (outcome != 0)
        status = WEIR_FAIL(WEIR_ERR_IO, "no file matches '%s'", pattern);
    else
        qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes); /* glob's own order is the locale's */
    for (size_t i = 0; i < found.gl_pathc && !status; i++)
        status = path_add(list, found.gl_pathv[i]);
    globfree(&found);
    return status;
}

static weir_status part_add(struct path_list *list, const char *part, const char *text)
{
    if (!*part)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has an empty name: files are separated by single commas", text);
    return access(part, F_OK) != 0 && strpbrk(part, "*?[") ? pattern_add(list, part) : path_add(list, part);
}

static weir_status parts_add(struct path_list *list, const char *text)
{
    char *parts, *part;
    weir_status status = weir_strdup(text, &parts);
    if (status)
        return status;
    for (part = parts; part && !status;) {
        char *comma = strchr(part, ',');
        if (comma)
            *comma = 0;
        status = part_add(list, part, text);
        part = comma ? comma + 1 : NULL;
    }
    weir_free(parts);
    return status;
}

weir_status weir_data_paths(const char *text, struct weir_arena *arena, const char *const **paths_out, int *n_paths_out)
{
    struct path_list list = {.arena = arena};
    const char **paths;
    weir_status status = access(text, F_OK) == 0 ? path_add(&list, text) : parts_add(&list, text);
    if (!status && list.n > INT32_MAX)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' names %zu files, at most %d can be taken", text, list.n, INT32_MAX);
    if (!status)
        status = weir_arena_alloc(arena, list.n, sizeof *paths, &paths);
    if (!status) {
        memcpy(paths, list.paths, list.n * sizeof *paths);
        *paths_out = paths;
        *n_paths_out = (int)list.n;
    }
    weir_free(list.paths);
    return status;
}
