#include "tests/support/tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/text.h"
#include "tests/support/testing.h"

const char *tree_root(void)
{
    const char *root = getenv("WEIR_SOURCE_DIR");
    return root && *root ? root : ".";
}

/* folder/name, or name when there is no folder */
static void join(const char *folder, const char *name, char out[4096])
{
    if (snprintf(out, 4096, "%s%s%s", folder, *folder ? "/" : "", name) >= 4096)
        fail_msg("the path '%s/%s' is too long", folder, name);
}

static void full_path(const char *path, char out[4096])
{
    join(tree_root(), path, out);
}

bool tree_has(const char *path)
{
    char full[4096];
    struct stat info;
    full_path(path, full);
    return stat(full, &info) == 0 && S_ISREG(info.st_mode);
}

char *tree_read(const char *path)
{
    char full[4096], *data = NULL;
    size_t bytes;
    full_path(path, full);
    assert_ok(weir_file_read(full, 64 << 20, &data, &bytes));
    char *copy = malloc(bytes + 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        if (!copy[i])
            copy[0] = 0; /* binary: nothing to read as text */
    weir_free(data);
    return copy;
}

static int is_visited(const struct dirent *entry)
{
    static const char *const skipped[] = {".", "..", ".git", "out", "build", ".cache", ".vscode"};
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++)
        if (!strcmp(entry->d_name, skipped[i]))
            return 0;
    return strncmp(entry->d_name, "build-", 6) != 0;
}

static void folder_visit(const char *folder, tree_fn visit, void *context)
{
    char full[4096], path[4096];
    struct dirent **entries;
    full_path(folder, full);
    int n = scandir(full, &entries, is_visited, alphasort);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        struct stat info;
        join(folder, entries[i]->d_name, path);
        free(entries[i]);
        full_path(path, full);
        if (lstat(full, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            folder_visit(path, visit, context);
        if (!S_ISREG(info.st_mode))
            continue;
        char *text = tree_read(path);
        visit(path, text, context);
        free(text);
    }
    free(entries);
}

void tree_visit(tree_fn visit, void *context)
{
    folder_visit("", visit, context);
}
