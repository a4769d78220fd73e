/* Memory of the cpu device, and how much there is.
 *
 * Small blocks come from the heap, behind their header.  Blocks from 2 MiB on are mapped at a multiple of 2 MiB, so that
 * the kernel can use huge pages, and are not touched here: what a program does not use of a block costs no memory, and
 * pages come from the NUMA node of the worker that writes first. */
#include "engine/device/cpu/cpu_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, GROUP_RESERVE = 4 << 20 };

struct weir_cpu_block {
    struct weir_cpu_block *next;
    void *memory;
    size_t mapped_bytes; /* 0: on the heap */
};

/* Map one huge page more than needed, then give back what lies before and behind the aligned part. */
static weir_status block_map(size_t bytes, void **memory_out, size_t *mapped_out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX / 2 - HUGE_PAGE)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: %zu bytes", bytes);
    bytes = (bytes + page - 1) / page * page;
    char *raw = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory: cannot map %zu bytes: %s", bytes, strerror(errno));
    size_t before = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
    if (before)
        munmap(raw, before);
    if (before < HUGE_PAGE)
        munmap(raw + before + bytes, HUGE_PAGE - before);
    madvise(raw + before, bytes, MADV_HUGEPAGE);
    *memory_out = raw + before;
    *mapped_out = bytes;
    return WEIR_OK;
}

weir_status weir_cpu_memory_alloc(struct weir_cpu_device *device, size_t bytes, void **memory_out)
{
    bool large = bytes >= HUGE_PAGE;
    struct weir_cpu_block *block;
    weir_status status = weir_alloc(1, sizeof *block + (large ? 0 : bytes + ALIGNMENT), &block);
    if (status)
        return status;
    if (large) {
        status = block_map(bytes, &block->memory, &block->mapped_bytes);
    } else {
        uintptr_t behind = (uintptr_t)(block + 1);
        block->memory = (char *)(block + 1) + (ALIGNMENT - behind % ALIGNMENT) % ALIGNMENT;
    }
    if (status) {
        weir_free(block);
        return status;
    }
    block->next = device->blocks;
    device->blocks = block;
    *memory_out = block->memory;
    return WEIR_OK;
}

void weir_cpu_memory_free(struct weir_cpu_device *device, void *memory)
{
    struct weir_cpu_block **link = &device->blocks;
    while (*link && (*link)->memory != memory)
        link = &(*link)->next;
    struct weir_cpu_block *block = *link;
    if (!block)
        return;
    *link = block->next;
    if (block->mapped_bytes)
        munmap(block->memory, block->mapped_bytes);
    weir_free(block);
}

/* ---- how much there is ------------------------------------------------------------------------------------------- */

/* The beginning of a small file of /proc or /sys as text; "" when it cannot be read. */
static void text_read(const char *path, char *text, size_t bytes)
{
    ssize_t n = -1;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        n = read(file, text, bytes - 1);
        close(file);
    }
    text[n > 0 ? n : 0] = 0;
}

/* The number behind `key` at the beginning of a line (or of the text: key ""); `otherwise` when there is none. */
static size_t number_find(const char *text, const char *key, size_t otherwise)
{
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) != 0)
            continue;
        char *end;
        unsigned long long value = strtoull(line + length, &end, 10);
        return end == line + length ? otherwise : (size_t)value;
    }
    return otherwise;
}

static size_t file_number(const char *folder, const char *name, const char *key, size_t otherwise)
{
    char path[4200], text[8192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    text_read(path, text, sizeof text);
    return number_find(text, key, otherwise);
}

static const struct cgroup_version {
    const char *marker, *mount, *limit, *usage, *reclaimable; /* marker: of the line in /proc/self/cgroup */
} cgroup_versions[] = {
    {"0::", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
};

/* What a group counts besides and nobody asks for: tables of pages (a 512th of what they map), what the kernel itself takes, what
 * a program holds for itself.  Beyond the limit the kernel kills, it does not refuse. */
static size_t beside(size_t limit)
{
    return GROUP_RESERVE + limit / 256;
}

/* One control group: lower the figures to its limit and to what it has left.  Cached files can be given up. */
static void group_apply(const struct cgroup_version *version, const char *folder, size_t *free_bytes, size_t *total)
{
    size_t limit = file_number(folder, version->limit, "", SIZE_MAX);
    if (limit >= *total)
        return;
    size_t usage = file_number(folder, version->usage, "", 0);
    size_t reclaimable = file_number(folder, "memory.stat", version->reclaimable, 0);
    usage -= reclaimable < usage ? reclaimable : usage;
    usage += beside(limit);
    size_t left = limit > usage ? limit - usage : 0;
    *total = limit;
    *free_bytes = left < *free_bytes ? left : *free_bytes;
}

/* A limit may be set on the process's group and on each group above it. */
static void groups_apply(const struct cgroup_version *version, const char *table, size_t *free_bytes, size_t *total)
{
    const char *line = strstr(table, version->marker);
    if (!line)
        return;
    const char *name = line + strlen(version->marker);
    char folder[4096];
    size_t mount = strlen(version->mount);
    snprintf(folder, sizeof folder, "%s%.*s", version->mount, (int)strcspn(name, "\n"), name);
    for (;;) {
        group_apply(version, folder, free_bytes, total);
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < mount)
            return;
        *slash = 0;
    }
}

weir_status weir_cpu_memory_info(size_t *free_out, size_t *total_out)
{
    char text[8192];
    errno = 0;
    text_read("/proc/meminfo", text, sizeof text);
    if (errno)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read /proc/meminfo: %s", strerror(errno));
    size_t total = number_find(text, "MemTotal:", 0) * 1024;
    size_t free_bytes = number_find(text, "MemAvailable:", 0) * 1024;
    if (!total)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "/proc/meminfo does not say how much memory this machine has");
    text_read("/proc/self/cgroup", text, sizeof text);
    for (size_t v = 0; v < sizeof cgroup_versions / sizeof cgroup_versions[0]; v++)
        groups_apply(&cgroup_versions[v], text, &free_bytes, &total);
    *free_out = free_bytes;
    *total_out = total;
    return WEIR_OK;
}
