/* A process's end: what it inherited, its bootstrap, its last words. */
#include "engine/transport/bootstrap/weir_launch_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"

static const int64_t look_ns = 100000000; /* between two looks at who has ended */

struct inherited {
    int rank, n_ranks, memory, socket;
};

static bool number_read(const char *name, int *value_out)
{
    const char *text = getenv(name);
    char *end = NULL;
    long value = text ? strtol(text, &end, 10) : -1;
    *value_out = (int)value;
    return text && end != text && !*end && value >= 0 && value <= WEIR_LAUNCH_MOST;
}

static bool is_file(int file, unsigned long long inode, mode_t type)
{
    struct stat info;
    return fstat(file, &info) == 0 && info.st_ino == inode && (info.st_mode & S_IFMT) == type;
}

/* A child of a process that was started so has the variables, but neither file: what has their numbers there are others. */
static bool inherited_read(struct inherited *out)
{
    const char *files = getenv(WEIR_LAUNCH_FILES);
    unsigned long long memory_inode, socket_inode;
    if (!files || !number_read(WEIR_LAUNCH_RANK, &out->rank) || !number_read(WEIR_LAUNCH_SIZE, &out->n_ranks) ||
        out->rank >= out->n_ranks ||
        sscanf(files, "%d:%llu,%d:%llu", &out->memory, &memory_inode, &out->socket, &socket_inode) != 4)
        return false;
    return is_file(out->memory, memory_inode, S_IFREG) && is_file(out->socket, socket_inode, S_IFSOCK);
}

bool weir_launch_is_process(void)
{
    return getenv(WEIR_LAUNCH_FILES) != NULL;
}

bool weir_launch_is_heard(void)
{
    return weir_launch_is_process() || getenv(WEIR_LAUNCH_VOICE);
}

weir_status weir_launch_voice(int socket)
{
    struct stat info;
    char text[64];
    if (fstat(socket, &info) || fcntl(socket, F_SETFD, fcntl(socket, F_GETFD) & ~FD_CLOEXEC))
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "cannot hand on a socket: %s", strerror(errno));
    snprintf(text, sizeof text, "%d:%llu", socket, (unsigned long long)info.st_ino);
    return setenv(WEIR_LAUNCH_VOICE, text, 1) ? WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for %s", WEIR_LAUNCH_VOICE) : WEIR_OK;
}

/* -1: nobody hears. */
static int voice_of(void)
{
    struct inherited inherited;
    const char *voice = getenv(WEIR_LAUNCH_VOICE);
    unsigned long long inode;
    int socket;
    if (weir_launch_is_process())
        return inherited_read(&inherited) ? inherited.socket : -1;
    return voice && sscanf(voice, "%d:%llu", &socket, &inode) == 2 && is_file(socket, inode, S_IFSOCK) ? socket : -1;
}

void weir_launch_say(const struct weir_launch_record *record)
{
    int voice = voice_of();
    if (voice >= 0)
        (void)send(voice, record, sizeof *record, MSG_NOSIGNAL | MSG_DONTWAIT); /* a launcher that is gone hears nothing */
}

/* ---- the bootstrap -------------------------------------------------------------------------------------------------- */

struct member {
    struct weir_bootstrap bootstrap; /* first: a pointer to one is a pointer to the other */
    struct weir_launch_block *block;
    size_t bytes;
    uint32_t round;
    int *host_of; /* [n_ranks]: all 0 */
};

static struct member *member_of(struct weir_bootstrap *bootstrap)
{
    return (struct member *)(void *)bootstrap;
}

static weir_status put(struct weir_bootstrap *bootstrap, const void *value, size_t bytes)
{
    struct member *member = member_of(bootstrap);
    memcpy(member->block->slots[bootstrap->rank].values[(member->round + 1) & 1], value, bytes);
    return WEIR_OK;
}

/* Whoever has passed the round has put its value, though it may have ended since. */
static weir_status slot_await(const struct member *member, int rank, int64_t start_ns)
{
    const struct weir_bootstrap *bootstrap = &member->bootstrap;
    struct weir_launch_slot *slot = &member->block->slots[rank];
    while (!weir_futex_reached(&slot->round, member->round)) {
        if (atomic_load(&slot->ended) && !weir_futex_reached(&slot->round, member->round))
            return WEIR_FAIL(WEIR_ERR_PEER, "the process of rank %d has ended", rank);
        weir_status status = bootstrap->look && weir_clock_ns() - start_ns >= look_ns
                                 ? bootstrap->look(bootstrap->look_context, start_ns) : WEIR_OK;
        if (status)
            return status;
        weir_futex_sleep(&slot->round, member->round, look_ns, WEIR_FUTEX_PROCESSES);
    }
    return WEIR_OK;
}

static weir_status barrier(struct weir_bootstrap *bootstrap)
{
    struct member *member = member_of(bootstrap);
    int64_t start = weir_clock_ns();
    weir_status status = WEIR_OK;
    member->round++;
    /* edge: value ─▶ its readers */
    weir_futex_set(&member->block->slots[bootstrap->rank].round, member->round, WEIR_FUTEX_PROCESSES);
    for (int r = 0; r < bootstrap->n_ranks && !status; r++)
        status = slot_await(member, r, start);
    return status;
}

static void get(const struct weir_bootstrap *bootstrap, int rank, void *value_out, size_t bytes)
{
    const struct member *member = (const struct member *)(const void *)bootstrap;
    memcpy(value_out, member->block->slots[rank].values[member->round & 1], bytes);
}

static void member_close(struct weir_bootstrap *bootstrap)
{
    struct member *member = member_of(bootstrap);
    munmap(member->block, member->bytes);
    weir_free(member->host_of);
    weir_free(member);
}

static weir_status block_map(const struct inherited *inherited, struct member *member)
{
    size_t bytes = weir_launch_block_bytes(inherited->n_ranks);
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, inherited->memory, 0);
    if (base == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot map %zu bytes of shared memory: %s", bytes, strerror(errno));
    member->block = base;
    member->bytes = bytes;
    if (member->block->magic == WEIR_LAUNCH_MAGIC && member->block->slot_bytes == sizeof(struct weir_launch_slot) &&
        member->block->n_ranks == inherited->n_ranks)
        return WEIR_OK;
    munmap(base, bytes);
    return WEIR_FAIL(WEIR_ERR_USAGE, "the launcher is of another version of Weir: use one for both");
}

weir_status weir_launch_join(struct weir_bootstrap **bootstrap_out)
{
    struct inherited inherited;
    struct member *member;
    if (!weir_launch_is_process())
        return WEIR_FAIL(WEIR_ERR_USAGE, "transport 'shm' connects processes that 'weir launch' started, and it did not start "
                                         "this one: use 'weir launch -n N -- train ...'");
    if (!inherited_read(&inherited))
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' names descriptors that this process has not: it is a child of one that "
                                         "'weir launch' started, not one of them", WEIR_LAUNCH_FILES, getenv(WEIR_LAUNCH_FILES));
    weir_status status = weir_alloc(1, sizeof *member, &member);
    if (status)
        return status;
    status = weir_alloc((size_t)inherited.n_ranks, sizeof *member->host_of, &member->host_of);
    if (!status)
        status = block_map(&inherited, member);
    if (status) {
        weir_free(member->host_of);
        weir_free(member);
        return status;
    }
    fcntl(inherited.memory, F_SETFD, FD_CLOEXEC); /* this process's children are none of the run's */
    fcntl(inherited.socket, F_SETFD, FD_CLOEXEC);
    member->round = atomic_load(&member->block->slots[inherited.rank].round.value);
    member->bootstrap = (struct weir_bootstrap){.rank = inherited.rank, .n_ranks = inherited.n_ranks, .host_of = member->host_of,
                                                .put = put, .barrier = barrier, .get = get, .close = member_close};
    *bootstrap_out = &member->bootstrap;
    return WEIR_OK;
}
