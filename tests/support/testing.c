#include "tests/support/testing.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void testing_assert_ok(weir_status status, const char *call, const char *file, int line)
{
    if (status) {
        print_error("%s: %s: %s\n", call, weir_status_str(status), weir_last_error());
        _fail(file, line);
    }
}

void testing_assert_fails(weir_status status, weir_status wanted, const char *words, const char *call, const char *file,
                          int line)
{
    if (status == wanted && strstr(weir_last_error(), words))
        return;
    print_error("%s: got '%s' with message '%s'; wanted '%s' with '%s'\n", call, weir_status_str(status),
                weir_last_error(), weir_status_str(wanted), words);
    _fail(file, line);
}

const char *testing_data_path(const char *name)
{
    static char path[4096];
    const char *folder = getenv("WEIR_TEST_DATA");
    if (!folder || !*folder) {
        print_message("skipped: WEIR_TEST_DATA is not set, '%s' lies there\n", name);
        return NULL;
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: WEIR_TEST_DATA has no '%s'\n", name);
        return NULL;
    }
    return path;
}

static char directory[4096];

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static void directory_remove(void)
{
    nftw(directory, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

const char *testing_dir(void)
{
    if (!directory[0]) {
        const char *parent = getenv("TMPDIR");
        snprintf(directory, sizeof directory, "%s/weir-test-XXXXXX", parent && *parent ? parent : "/tmp");
        if (!mkdtemp(directory)) {
            print_error("cannot make '%s'\n", directory);
            abort();
        }
        atexit(directory_remove);
    }
    return directory;
}

const char *testing_path(const char *name)
{
    static char paths[8][4400];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", testing_dir(), name);
    return path;
}
