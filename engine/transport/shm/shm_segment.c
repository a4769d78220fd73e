/* Segments: memory that the processes of one host share. */
#include "engine/transport/shm/shm_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the others find a process's memory file, and how they know that it is the right one. */
struct note {
    int64_t pid, file;
    uint64_t bytes, inode;
};

static weir_status file_make(size_t bytes, int *file_out, struct note *note_out)
{
    int file = memfd_create("weir", MFD_CLOEXEC);
    if (file < 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot make shared memory: %s", strerror(errno));
    struct stat info;
    if (ftruncate(file, (off_t)bytes) != 0 || fstat(file, &info) != 0) {
        weir_status status = WEIR_FAIL(WEIR_ERR_NOMEM, "cannot make %zu bytes of shared memory: %s", bytes, strerror(errno));
        close(file);
        return status;
    }
    *file_out = file;
    *note_out = (struct note){getpid(), file, bytes, info.st_ino};
    return WEIR_OK;
}

static weir_status file_map(int file, size_t bytes, struct weir_shm_segment *segment)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot map %zu bytes of shared memory: %s", bytes, strerror(errno));
    madvise(base, bytes, MADV_HUGEPAGE); /* where the system gives huge pages to shared memory */
    *segment = (struct weir_shm_segment){base, bytes};
    return WEIR_OK;
}

static weir_status peer_map(const struct note *note, int rank, struct weir_shm_segment *segment)
{
    char path[64];
    struct stat info;
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)note->pid, (long long)note->file);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot open '%s', shared memory of rank %d: %s: processes of one host must "
                                               "run as one user and see each other's /proc", path, rank, strerror(errno));
    weir_status status;
    if (fstat(file, &info) != 0 || info.st_ino != note->inode || (uint64_t)info.st_size != note->bytes)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s' is not the shared memory of rank %d: processes of one host must see "
                                                 "each other's /proc", path, rank);
    else
        status = file_map(file, note->bytes, segment);
    close(file);
    return status;
}

static weir_status peers_map(const weir_transport *transport, const struct note *mine, int own_file,
                             struct weir_shm_segment *segments)
{
    weir_status status = WEIR_OK;
    for (int l = 0; l < transport->info.n_local && !status; l++) {
        struct note note;
        transport->bootstrap->get(transport->bootstrap, transport->rank_of_local[l], &note, sizeof note);
        status = l == transport->info.local_rank ? file_map(own_file, mine->bytes, &segments[l])
                                                 : peer_map(&note, transport->rank_of_local[l], &segments[l]);
    }
    return status;
}

weir_status weir_shm_segments_open(weir_transport *transport, size_t bytes, struct weir_shm_segment *segments_out)
{
    struct weir_bootstrap *bootstrap = transport->bootstrap;
    struct note mine = {0};
    int file = -1;
    weir_status status = weir_shm_agree(transport, file_make(bytes, &file, &mine));
    if (!status)
        status = bootstrap->put(bootstrap, &mine, sizeof mine);
    if (!status)
        status = bootstrap->barrier(bootstrap);
    if (!status)
        status = peers_map(transport, &mine, file, segments_out);
    status = weir_shm_agree(transport, status); /* the file stays open until all have mapped it */
    if (file >= 0)
        close(file);
    if (status)
        weir_shm_segments_close(segments_out, transport->info.n_local);
    return status;
}

void weir_shm_segments_close(struct weir_shm_segment *segments, int n)
{
    for (int l = 0; l < n; l++)
        if (segments[l].base) {
            munmap(segments[l].base, segments[l].bytes);
            segments[l].base = NULL;
        }
}
