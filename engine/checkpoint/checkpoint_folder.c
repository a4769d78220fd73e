/* The folder of checkpoints: what is there, the newest, taking one away. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_calls.h"
#include "base/replace.h"
#include "base/text.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/part_file.h"

/* "step-000120": 120; else -1. */
static int64_t step_of(const char *name)
{
    char canonical[32];
    int64_t step;
    if (strncmp(name, "step-", 5) != 0 || !weir_parse_int64(name + 5, &step) || step < 0)
        return -1;
    snprintf(canonical, sizeof canonical, "step-%06" PRId64, step);
    return strcmp(name, canonical) ? -1 : step;
}

/* ---- list ---------------------------------------------------------------------------------------------------------- */

static int by_step(const void *a, const void *b)
{
    const struct weir_checkpoint_entry *x = a, *y = b;
    return (x->step > y->step) - (x->step < y->step);
}

static weir_status names_read(DIR *dir, const char *path, struct weir_arena *arena, struct weir_checkpoint_entry **entries_out,
                              int *n_out)
{
    struct weir_checkpoint_entry *entries = NULL;
    size_t n = 0, room = 0;
    weir_status status = WEIR_OK;
    for (const struct dirent *entry = readdir(dir); entry && !status; entry = readdir(dir)) {
        int64_t step = step_of(entry->d_name);
        if (step < 0)
            continue;
        status = weir_arena_grow(arena, &entries, &room, n + 1, sizeof *entries);
        if (!status)
            status = weir_arena_printf(arena, &entries[n].folder, "%s/%s", path, entry->d_name);
        if (!status)
            entries[n++].step = step;
    }
    if (status)
        return status;
    if (n)
        qsort(entries, n, sizeof *entries, by_step);
    *entries_out = entries;
    *n_out = (int)n;
    return WEIR_OK;
}

weir_status weir_checkpoint_names(const char *dir, struct weir_arena *arena, struct weir_checkpoint_entry **entries_out,
                                  int *n_out)
{
    DIR *open = opendir(dir);
    *entries_out = NULL;
    *n_out = 0;
    if (!open)
        return errno == ENOENT ? WEIR_OK : WEIR_FAIL(WEIR_ERR_IO, "cannot read folder '%s': %s", dir, strerror(errno));
    weir_status status = names_read(open, dir, arena, entries_out, n_out);
    closedir(open);
    return status;
}

static void bytes_count(struct weir_checkpoint_entry *entry, const struct weir_checkpoint_info *info)
{
    struct weir_text path = {0};
    struct stat found;
    for (int i = 0; i < info->n_files; i++)
        entry->bytes += info->files[i].bytes;
    weir_text_append(&path, "%s/%s", entry->folder, weir_manifest_name);
    if (!path.status && stat(path.data, &found) == 0) {
        entry->bytes += (uint64_t)found.st_size;
        entry->when = found.st_mtime;
    }
    weir_text_release(&path);
}

/* A flaw is an answer; only memory that is short is a failure. */
static weir_status entry_look(struct weir_checkpoint_entry *entry, struct weir_arena *arena)
{
    weir_checkpoint *checkpoint;
    weir_status status = weir_checkpoint_open(entry->folder, &checkpoint);
    entry->val_loss = NAN;
    if (status == WEIR_ERR_NOMEM)
        return status;
    if (status) {
        entry->damaged = status == WEIR_ERR_INVALID;
        status = weir_arena_strdup(arena, weir_last_error(), &entry->flaw);
        weir_error_clear();
        return status;
    }
    entry->val_loss = weir_checkpoint_info(checkpoint)->val_loss;
    bytes_count(entry, weir_checkpoint_info(checkpoint));
    weir_checkpoint_close(checkpoint);
    return WEIR_OK;
}

weir_status weir_checkpoint_list(const char *dir, struct weir_arena *arena, struct weir_checkpoint_entry **entries_out, int *n_out)
{
    struct weir_checkpoint_entry *entries;
    int n;
    weir_status status = weir_checkpoint_names(dir, arena, &entries, &n);
    for (int i = 0; i < n && !status; i++)
        status = entry_look(&entries[i], arena);
    if (status)
        return status;
    *entries_out = entries;
    *n_out = n;
    return WEIR_OK;
}

/* ---- newest -------------------------------------------------------------------------------------------------------- */

static weir_status whole_open(const char *folder, weir_checkpoint **checkpoint_out)
{
    weir_checkpoint *checkpoint;
    weir_status status = weir_checkpoint_open(folder, &checkpoint);
    if (status)
        return status;
    status = weir_checkpoint_verify(checkpoint);
    if (status)
        weir_checkpoint_close(checkpoint);
    else
        *checkpoint_out = checkpoint;
    return status;
}

weir_status weir_checkpoint_newest(const char *dir, weir_checkpoint_said_fn said, void *context,
                                   weir_checkpoint **checkpoint_out)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries;
    int n;
    weir_status status = weir_checkpoint_names(dir, &arena, &entries, &n);
    *checkpoint_out = NULL;
    for (int i = n - 1; i >= 0 && !status && !*checkpoint_out; i--) {
        status = whole_open(entries[i].folder, checkpoint_out);
        if (status != WEIR_ERR_INVALID && status != WEIR_ERR_IO)
            continue;
        if (said)
            said(context, weir_last_error());
        weir_error_clear();
        status = WEIR_OK;
    }
    weir_arena_release(&arena);
    return status;
}

/* ---- remove -------------------------------------------------------------------------------------------------------- */

/* A file that a checkpoint, or the writing of one, may leave. */
static bool is_ours(const char *name)
{
    const char *const begins[] = {"part-", weir_extra_name, weir_manifest_name};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (!strncmp(name, begins[i], strlen(begins[i])))
            return true;
    return false;
}

static weir_status file_remove(const char *folder, const char *name)
{
    struct weir_text path = {0};
    weir_text_append(&path, "%s/%s", folder, name);
    weir_status status = path.status;
    if (!status && weir_call_unlink(path.data) != 0 && errno != ENOENT)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot remove '%s': %s", path.data, strerror(errno));
    weir_text_release(&path);
    return status;
}

static weir_status files_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? WEIR_OK : WEIR_FAIL(WEIR_ERR_IO, "cannot read folder '%s': %s", folder, strerror(errno));
    weir_status status = WEIR_OK;
    for (const struct dirent *entry = readdir(dir); entry && !status; entry = readdir(dir))
        if (is_ours(entry->d_name))
            status = file_remove(folder, entry->d_name);
    closedir(dir);
    return status;
}

weir_status weir_checkpoint_remove(const char *folder)
{
    weir_status status = file_remove(folder, weir_manifest_name);
    if (!status)
        status = files_remove(folder);
    if (!status && weir_call_rmdir(folder) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot remove folder '%s': %s", folder, strerror(errno));
    return status;
}

/* ---- prune --------------------------------------------------------------------------------------------------------- */

/* Newer ones than the one just written are of steps that were done again: whole only if every byte of them is. */
static void flaw_find(struct weir_checkpoint_entry *entry, int64_t written)
{
    weir_checkpoint *checkpoint = NULL;
    if (entry->flaw || entry->step <= written)
        return;
    entry->damaged = whole_open(entry->folder, &checkpoint) == WEIR_ERR_INVALID;
    entry->flaw = entry->damaged ? "damaged" : NULL;
    weir_checkpoint_close(checkpoint);
    weir_error_clear();
}

static int64_t best_find(const struct weir_checkpoint_entry *entries, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (!entries[i].flaw && isfinite(entries[i].val_loss) && (best < 0 || entries[i].val_loss <= entries[best].val_loss))
            best = i;
    return best < 0 ? -1 : entries[best].step;
}

/* What cannot be read is not known to be damaged: it stays, and does not count. */
static bool stays(const struct weir_checkpoint_entry *entry, int64_t written, int64_t best, int keep, int *kept)
{
    if (entry->flaw)
        return !entry->damaged;
    bool among = !keep || *kept < keep - (entry->step > written);
    *kept += among;
    return among || entry->step == written || entry->step == best;
}

weir_status weir_checkpoint_prune(const char *dir, int64_t written, int keep, bool keep_best)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries;
    int n, kept = 0;
    weir_status status = weir_checkpoint_list(dir, &arena, &entries, &n);
    for (int i = 0; i < n && !status; i++)
        flaw_find(&entries[i], written);
    int64_t best = status || !keep_best ? -1 : best_find(entries, n);
    for (int i = n - 1; i >= 0 && !status; i--)
        if (!stays(&entries[i], written, best, keep, &kept))
            status = weir_checkpoint_remove(entries[i].folder);
    weir_arena_release(&arena);
    return status;
}
