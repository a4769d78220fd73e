/* The launcher's end. */
#include "engine/transport/bootstrap/weir_launch_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

struct sockets {
    int ours, theirs; /* -1: closed */
};

struct weir_launch {
    int n_ranks, file;
    struct weir_launch_block *block;
    struct sockets *sockets; /* [n_ranks] */
};

static weir_status block_make(struct weir_launch *launch)
{
    size_t bytes = weir_launch_block_bytes(launch->n_ranks);
    launch->file = memfd_create("weir launch", MFD_CLOEXEC);
    if (launch->file < 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot make shared memory: %s", strerror(errno));
    void *base = MAP_FAILED;
    if (ftruncate(launch->file, (off_t)bytes) == 0)
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, launch->file, 0);
    if (base == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot make %zu bytes of shared memory: %s", bytes, strerror(errno));
    launch->block = base;
    launch->block->magic = WEIR_LAUNCH_MAGIC;
    launch->block->slot_bytes = sizeof(struct weir_launch_slot);
    launch->block->n_ranks = launch->n_ranks;
    return WEIR_OK;
}

static weir_status sockets_make(struct weir_launch *launch)
{
    weir_status status = weir_alloc((size_t)launch->n_ranks, sizeof *launch->sockets, &launch->sockets);
    for (int r = 0; r < launch->n_ranks && !status; r++)
        launch->sockets[r] = (struct sockets){-1, -1};
    for (int r = 0; r < launch->n_ranks && !status; r++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
            return WEIR_FAIL(errno == EMFILE || errno == ENFILE ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_NOMEM,
                             "cannot make a socket for rank %d: %s", r, strerror(errno));
        launch->sockets[r] = (struct sockets){pair[0], pair[1]};
    }
    return status;
}

weir_status weir_launch_open(int n_ranks, struct weir_launch **launch_out)
{
    struct weir_launch *launch;
    weir_status status = weir_alloc(1, sizeof *launch, &launch);
    if (status)
        return status;
    launch->n_ranks = n_ranks;
    launch->file = -1;
    status = block_make(launch);
    if (!status)
        status = sockets_make(launch);
    if (status) {
        weir_launch_close(launch);
        return status;
    }
    *launch_out = launch;
    return WEIR_OK;
}

static void file_close(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

void weir_launch_close(struct weir_launch *launch)
{
    if (!launch)
        return;
    for (int r = 0; launch->sockets && r < launch->n_ranks; r++) {
        file_close(&launch->sockets[r].ours);
        file_close(&launch->sockets[r].theirs);
    }
    if (launch->block)
        munmap(launch->block, weir_launch_block_bytes(launch->n_ranks));
    file_close(&launch->file);
    weir_free(launch->sockets);
    weir_free(launch);
}

static int inherit(int file)
{
    return fcntl(file, F_SETFD, fcntl(file, F_GETFD) & ~FD_CLOEXEC);
}

weir_status weir_launch_enter(const struct weir_launch *launch, int rank)
{
    int socket = launch->sockets[rank].theirs;
    struct stat memory_info, socket_info;
    char number[16], size[16], files[96];
    if (inherit(launch->file) || inherit(socket) || fstat(launch->file, &memory_info) || fstat(socket, &socket_info))
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "cannot hand descriptors to rank %d: %s", rank, strerror(errno));
    snprintf(number, sizeof number, "%d", rank);
    snprintf(size, sizeof size, "%d", launch->n_ranks);
    snprintf(files, sizeof files, "%d:%llu,%d:%llu", launch->file, (unsigned long long)memory_info.st_ino, socket,
             (unsigned long long)socket_info.st_ino);
    return setenv(WEIR_LAUNCH_RANK, number, 1) || setenv(WEIR_LAUNCH_SIZE, size, 1) || setenv(WEIR_LAUNCH_FILES, files, 1)
               ? WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the variables of rank %d", rank)
               : WEIR_OK;
}

void weir_launch_started(struct weir_launch *launch, int rank)
{
    file_close(&launch->sockets[rank].theirs);
}

int weir_launch_socket(const struct weir_launch *launch, int rank)
{
    return launch->sockets[rank].ours;
}

bool weir_launch_hear(const struct weir_launch *launch, int rank, struct weir_launch_record *record_out)
{
    struct weir_launch_record record;
    ssize_t bytes = recv(launch->sockets[rank].ours, &record, sizeof record, MSG_DONTWAIT);
    if (bytes != (ssize_t)sizeof record)
        return false;
    record.message[sizeof record.message - 1] = 0;
    *record_out = record;
    return true;
}

void weir_launch_ended(struct weir_launch *launch, int rank)
{
    atomic_store(&launch->block->slots[rank].ended, 1);
    weir_futex_wake(&launch->block->slots[rank].round, WEIR_FUTEX_PROCESSES);
}
