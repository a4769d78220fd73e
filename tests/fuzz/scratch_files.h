/* Files for fuzz targets of what reads files: one folder per process, in memory where that can be had, as thousands of files
 * are written. */
#ifndef WEIR_TESTS_FUZZ_SCRATCH_FILES_H
#define WEIR_TESTS_FUZZ_SCRATCH_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCRATCH_MOST = 4 };

static struct {
    char folder[64], paths[SCRATCH_MOST][96];
    int n;
} scratch;

static void scratch_remove(void)
{
    for (int i = 0; i < scratch.n; i++)
        remove(scratch.paths[i]);
    remove(scratch.folder);
}

static void scratch_open(void)
{
    static const char *const parents[] = {"/dev/shm", "/tmp"};
    for (int i = 0; i < 2 && !scratch.folder[0]; i++) {
        snprintf(scratch.folder, sizeof scratch.folder, "%s/weir-fuzz-XXXXXX", parents[i]);
        if (!mkdtemp(scratch.folder))
            scratch.folder[0] = 0;
    }
    if (!scratch.folder[0])
        abort();
    atexit(scratch_remove);
}

/* The path of a file of that name in the folder; it goes when the process ends. */
static const char *scratch_path(const char *name)
{
    if (!scratch.folder[0])
        scratch_open();
    if (scratch.n == SCRATCH_MOST)
        abort();
    char *path = scratch.paths[scratch.n++];
    snprintf(path, sizeof scratch.paths[0], "%s/%s", scratch.folder, name);
    return path;
}

static void scratch_write(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file))
        abort();
}

#endif
