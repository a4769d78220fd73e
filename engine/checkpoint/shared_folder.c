/* Process 0 looks and says; all verify, each its share of the files; all agree.
 *
 * One run at a time writes into D: process 0 holds a lock on the folder itself.  Processes of a run that was killed may live a
 * little longer than their launcher, and are waited for.
 *
 * Whether D is one folder: process 0 writes a number that nobody can guess into a file there, tells it to the others, and each
 * of them reads it.  Paths, device numbers and inodes say nothing across hosts. */
#include "engine/checkpoint/shared_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file_calls.h"
#include "base/replace.h"
#include "base/text.h"
#include "engine/checkpoint/part_file.h"

enum { NONCE_BYTES = 16, NONCE_TEXT = 2 * NONCE_BYTES + 1 };

static weir_status from_first(const struct weir_world *world, void *data, size_t bytes)
{
    return world->transport ? world->transport->broadcast(world->handle, 0, data, bytes) : WEIR_OK;
}

static bool is_first(const struct weir_world *world)
{
    return !world->info || world->info->rank == 0;
}

/* ---- one folder ---------------------------------------------------------------------------------------------------- */

static void nonce_make(char text[NONCE_TEXT])
{
    unsigned char bytes[NONCE_BYTES] = {0};
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        snprintf((char *)bytes, sizeof bytes, "%" PRIx64, (uint64_t)weir_clock_ns());
    for (int i = 0; i < NONCE_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static weir_status dir_make(const char *dir)
{
    struct weir_arena arena = {0};
    bool made;
    weir_status status = weir_checkpoint_dir_make(dir, &arena, &made);
    weir_arena_release(&arena);
    return status;
}

static weir_status nonce_read(const char *path, const char *dir, const char *nonce)
{
    char host[256] = "?", *data = NULL;
    size_t bytes = 0;
    if (gethostname(host, sizeof host - 1))
        host[0] = '?';
    weir_status status = weir_file_read(path, NONCE_TEXT, &data, &bytes);
    bool same = !status && bytes == NONCE_TEXT - 1 && !memcmp(data, nonce, bytes);
    if (!status)
        weir_free(data);
    if (same || status == WEIR_ERR_NOMEM)
        return status;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' of host '%s' is not the folder that the first process has: checkpoints need one "
                     "folder that all hosts share", dir, host);
}

/* ---- one run ------------------------------------------------------------------------------------------------------- */

enum { NAP_NS = 50000000, NAPS = 200 };

/* A file system that has no locks on folders, as NFS, lets every run go on. */
static weir_status folder_lock(const char *dir, int *lock_out)
{
    int fd = weir_call_open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    bool held = fd >= 0;
    for (int i = 0; held && i < NAPS; i++) {
        held = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        if (held)
            nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    if (held) {
        weir_call_close(fd);
        return WEIR_FAIL(WEIR_ERR_IO, "'%s' is being written by another run: wait for its end, or give this one another folder", dir);
    }
    *lock_out = fd;
    return WEIR_OK;
}

void weir_shared_folder_unlock(int *lock)
{
    if (*lock >= 0)
        weir_call_close(*lock);
    *lock = -1;
}

static weir_status first_prepare(const char *dir, const char *path, char nonce[NONCE_TEXT], int *lock_out)
{
    nonce_make(nonce);
    weir_status status = dir_make(dir);
    if (!status)
        status = folder_lock(dir, lock_out);
    if (!status)
        status = weir_file_write(path, nonce, strlen(nonce));
    return status == WEIR_ERR_IO ? weir_error_prefix(status, "folder '%s' cannot take a checkpoint: ", dir) : status;
}

weir_status weir_shared_folder_check(const struct weir_world *world, const char *dir, int *lock_out)
{
    struct weir_text path = {0};
    char nonce[NONCE_TEXT] = "";
    bool first = is_first(world);
    int lock = -1;
    weir_text_append(&path, "%s/.nonce", dir);
    weir_status status = path.status;
    if (!status && first)
        status = first_prepare(dir, path.data, nonce, &lock);
    bool written = first && !status;
    status = weir_world_agree(world, status);
    if (!status)
        status = from_first(world, nonce, sizeof nonce);
    if (!status)
        status = weir_world_agree(world, nonce_read(path.data, dir, nonce));
    if (written)
        weir_call_unlink(path.data);
    if (status && lock >= 0)
        weir_call_close(lock);
    *lock_out = status ? -1 : lock;
    weir_text_release(&path);
    return status;
}

/* ---- the newest ---------------------------------------------------------------------------------------------------- */

weir_status weir_shared_checkpoint_open(const struct weir_world *world, const char *folder, weir_checkpoint **checkpoint_out)
{
    weir_checkpoint *checkpoint = NULL;
    int n = world->info ? world->info->n_ranks : 1, me = world->info ? world->info->rank : 0;
    weir_status status = weir_checkpoint_open(folder, &checkpoint);
    if (!status)
        status = weir_checkpoint_verify_some(checkpoint, me, n);
    status = weir_world_agree(world, status);
    if (status)
        weir_checkpoint_close(checkpoint);
    else
        *checkpoint_out = checkpoint;
    return status;
}

/* A flaw of a checkpoint, and no trouble of the world's. */
static bool is_flaw(weir_status status)
{
    return status == WEIR_ERR_INVALID || status == WEIR_ERR_IO;
}

static weir_status newest_of(const struct weir_world *world, struct weir_arena *arena, const char *dir, const int64_t *steps,
                             int64_t n, weir_checkpoint_said_fn said, void *context, weir_checkpoint **checkpoint_out)
{
    for (int64_t i = n - 1; i >= 0; i--) {
        const char *folder;
        weir_status status = weir_arena_printf(arena, &folder, "%s/step-%06" PRId64, dir, steps[i]);
        if (!status)
            status = weir_shared_checkpoint_open(world, folder, checkpoint_out);
        if (!status || !is_flaw(status))
            return status;
        if (said && is_first(world))
            said(context, weir_last_error());
        weir_error_clear();
    }
    return WEIR_OK;
}

weir_status weir_shared_folder_newest(const struct weir_world *world, const char *dir, weir_checkpoint_said_fn said,
                                      void *context, weir_checkpoint **checkpoint_out)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries = NULL;
    int64_t n = 0, *steps = NULL;
    int n_found = 0;
    weir_status status = is_first(world) ? weir_checkpoint_names(dir, &arena, &entries, &n_found) : WEIR_OK;
    status = weir_world_agree(world, status);
    *checkpoint_out = NULL;
    n = n_found;
    if (!status)
        status = from_first(world, &n, sizeof n);
    if (!status)
        status = weir_world_agree(world, weir_arena_alloc(&arena, (size_t)n, sizeof *steps, &steps));
    for (int i = 0; i < n_found && !status; i++)
        steps[i] = entries[i].step;
    if (!status && n)
        status = from_first(world, steps, (size_t)n * sizeof *steps);
    if (!status)
        status = newest_of(world, &arena, dir, steps, n, said, context, checkpoint_out);
    weir_arena_release(&arena);
    return status;
}
