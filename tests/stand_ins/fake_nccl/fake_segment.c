/* What the ranks of a communicator share: a mapped file, who is there, and the bell. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake_comm.h"

static size_t segment_bytes(size_t n_ranks)
{
    return sizeof(struct fake_shared) + n_ranks * sizeof(struct fake_member) + n_ranks * n_ranks * sizeof(struct fake_channel);
}

/* A rank holds the byte of its number in the file: the system gives it back when the process ends, however it does. */
static bool place_take(const struct ncclComm *comm)
{
    struct flock place = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = comm->rank, .l_len = 1};
    return fcntl(comm->file, F_OFD_SETLK, &place) == 0;
}

static bool place_taken(const struct ncclComm *comm, int rank)
{
    struct flock place = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = rank, .l_len = 1};
    return fcntl(comm->file, F_OFD_GETLK, &place) != 0 || place.l_type != F_UNLCK;
}

static ncclResult_t segment_map(struct ncclComm *comm, const ncclUniqueId *id)
{
    comm->file = open(id->internal, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    comm->mapped = segment_bytes((size_t)comm->n_ranks);
    if (comm->file < 0)
        return ncclSystemError;
    struct flock size = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FAKE_MOST_RANKS, .l_len = 1};
    void *at = MAP_FAILED;
    if (fcntl(comm->file, F_OFD_SETLKW, &size) == 0 && lseek(comm->file, 0, SEEK_END) < (off_t)comm->mapped &&
        ftruncate(comm->file, (off_t)comm->mapped) != 0)
        goto failed;
    size.l_type = F_UNLCK;
    fcntl(comm->file, F_OFD_SETLK, &size);
    at = mmap(NULL, comm->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, comm->file, 0);
    if (at != MAP_FAILED) {
        comm->shared = at;
        return ncclSuccess;
    }
failed:
    close(comm->file);
    return ncclSystemError;
}

/* The environment as NCCL reads it: once in a process. */
static void host_name(char name_out[64])
{
    static char name[64];
    static pid_t reader;
    if (reader != getpid())
        snprintf(name, sizeof name, "%s", getenv("NCCL_HOSTID") ? getenv("NCCL_HOSTID") : "");
    reader = getpid();
    memcpy(name_out, name, sizeof name);
}

ncclResult_t fake_segment_join(struct ncclComm *comm, const ncclUniqueId *id)
{
    int n_ranks = 0;
    ncclResult_t result = segment_map(comm, id);
    if (result)
        return result;
    if (!atomic_compare_exchange_strong(&comm->shared->n_ranks, &n_ranks, comm->n_ranks) && n_ranks != comm->n_ranks)
        fake_shared_break(comm, "rank %d says that the communicator has %d ranks, another one %d", comm->rank, comm->n_ranks,
                          n_ranks);
    else if (!place_take(comm))
        fake_shared_break(comm, "rank %d has come twice", comm->rank);
    else {
        struct fake_member *me = fake_member(comm, comm->rank);
        me->device = fake.first_number + comm->device; /* the bus knows all */
        host_name(me->host);
        atomic_store(&me->presence, FAKE_JOINED);
        if (fake_all_present(comm, FAKE_JOINED))
            unlink(id->internal);
    }
    comm->name = *id;
    fake_ring(comm->shared);
    return ncclSuccess;
}

void fake_segment_leave(struct ncclComm *comm)
{
    if (!comm->shared)
        return;
    if (!fake_all_present(comm, FAKE_JOINED))
        unlink(comm->name.internal);
    munmap(comm->shared, comm->mapped);
    close(comm->file);
    comm->shared = NULL;
}

void fake_ring(struct fake_shared *shared)
{
    atomic_fetch_add(&shared->bell, 1);
    syscall(SYS_futex, &shared->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void fake_listen(struct fake_shared *shared, uint32_t bell)
{
    syscall(SYS_futex, &shared->bell, FUTEX_WAIT, bell, &(struct timespec){.tv_nsec = 5000000}, NULL, 0);
}

bool fake_all_present(const struct ncclComm *comm, enum fake_presence presence)
{
    for (int r = 0; r < comm->n_ranks; r++)
        if (atomic_load(&fake_member(comm, r)->presence) < (int)presence)
            return false;
    return true;
}

int fake_lost_peer(const struct ncclComm *comm)
{
    for (int r = 0; r < comm->n_ranks; r++)
        if (r != comm->rank && atomic_load(&fake_member(comm, r)->presence) == FAKE_JOINED && !place_taken(comm, r))
            return r;
    return -1;
}

void fake_shared_break(struct ncclComm *comm, const char *format, ...)
{
    int whole = 0;
    if (!atomic_compare_exchange_strong(&comm->shared->broken, &whole, 1))
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(comm->shared->reason, sizeof comm->shared->reason, format, arguments);
    va_end(arguments);
    atomic_store(&comm->shared->broken, 2);
    fake_ring(comm->shared);
}

bool fake_shared_broken(struct ncclComm *comm)
{
    for (int i = 0; i < 10000 && atomic_load(&comm->shared->broken) == 1; i++)
        sched_yield(); /* who found it writes why, or was killed meanwhile */
    return atomic_load(&comm->shared->broken);
}
