/* Communicators of the stand-in: from the unique id to the end. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake_comm.h"

static struct ncclComm *comms; /* guarded by fake.lock; never released, so that a use after the end is known */
static unsigned n_ids;

ncclResult_t ncclGetVersion(int *version)
{
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    static const char *const texts[ncclNumResults] = {
        "no error", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument", "invalid usage",
        "remote process exited or there was a network error", "NCCL operation in progress"};
    return (unsigned)result < ncclNumResults ? texts[result] : "unknown result code";
}

static bool comm_known(const struct ncclComm *comm)
{
    const struct ncclComm *c = comms;
    while (c && c != comm)
        c = c->next;
    return c;
}

const char *ncclGetLastError(ncclComm_t comm)
{
    static __thread char text[FAKE_REASON];
    pthread_mutex_lock(&fake.lock);
    snprintf(text, sizeof text, "%s", comm && comm_known(comm) && *comm->reason ? comm->reason : fake.reason);
    pthread_mutex_unlock(&fake.lock);
    return text;
}

ncclResult_t fake_misuse(struct ncclComm *comm, const char *format, ...)
{
    char text[FAKE_REASON];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fake_reason_set("%s", text);
    if (comm && !comm->error) {
        comm->error = ncclInvalidUsage;
        snprintf(comm->reason, sizeof comm->reason, "%s", text);
    }
    return ncclInvalidUsage;
}

void fake_comm_fail(struct ncclComm *comm, ncclResult_t error)
{
    if (!comm_known(comm) || comm->life != FAKE_ALIVE || comm->error)
        return;
    comm->error = error;
    snprintf(comm->reason, sizeof comm->reason, "a call of the stand-in was made to fail: %s", ncclGetErrorString(error));
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

ncclResult_t fake_comm_check(struct ncclComm *comm, const char *what)
{
    static const char *const pending[] = {"", "its initialization", "its last launch", "its finalization"};
    if (!comm_known(comm)) {
        fake_reason_set("%s: %p is no communicator", what, (void *)comm);
        return ncclInvalidArgument;
    }
    if (comm->life != FAKE_ALIVE)
        return fake_misuse(NULL, "%s: the communicator was %s", what, comm->life == FAKE_ABORTED ? "aborted" : "destroyed");
    if (comm->in_use && !pthread_equal(comm->user, pthread_self()))
        return fake_misuse(comm, "%s: two threads use a communicator at once", what);
    if (comm->error) {
        fake_reason_set("%s: the communicator has an error: %s", what, comm->reason);
        return ncclInvalidUsage;
    }
    if (comm->pending)
        return fake_misuse(comm, "%s: the communicator is in use: %s is in progress", what, pending[comm->pending]);
    if (comm->finalized)
        return fake_misuse(comm, "%s: the communicator was finalized", what);
    return ncclSuccess;
}

/* NCCL tells two GPUs apart by host and bus. */
static void duplicates_find(struct ncclComm *comm)
{
    for (int a = 0; a < comm->n_ranks; a++)
        for (int b = a + 1; b < comm->n_ranks; b++) {
            const struct fake_member *x = fake_member(comm, a), *y = fake_member(comm, b);
            if (x->device == y->device && !strcmp(x->host, y->host))
                fake_shared_break(comm, "ranks %d and %d of a communicator are on one GPU, cuda:%d (give every process an "
                                  "NCCL_HOSTID of its own)", a, b, x->device);
        }
}

static bool pending_over(struct ncclComm *comm)
{
    bool over = comm->pending == FAKE_INIT       ? fake_all_present(comm, FAKE_JOINED)
                : comm->pending == FAKE_LAUNCH   ? fake_work_connected(comm->waiting)
                : comm->pending == FAKE_FINALIZE ? fake_all_present(comm, FAKE_FINALIZED)
                                                 : true;
    if (!over)
        return false;
    if (comm->n_polls > 0)
        return comm->n_polls--, false;
    if (comm->pending == FAKE_INIT)
        duplicates_find(comm);
    if (comm->pending == FAKE_LAUNCH) {
        fake_work_issue(comm->waiting);
        comm->waiting = NULL;
    }
    comm->pending = FAKE_NOTHING;
    return true;
}

static ncclResult_t peers_look(struct ncclComm *comm)
{
    int lost = fake_modes.remote && !comm->error ? fake_lost_peer(comm) : -1;
    if (lost >= 0) {
        comm->error = ncclRemoteError;
        snprintf(comm->reason, sizeof comm->reason, "rank %d of the communicator is gone", lost);
    }
    if (!comm->error && fake_shared_broken(comm))
        fake_misuse(comm, "%s", comm->shared->reason);
    return comm->error;
}

ncclResult_t fake_comm_poll(struct ncclComm *comm)
{
    if (peers_look(comm))
        return comm->error;
    return !comm->pending || pending_over(comm) ? peers_look(comm) : ncclInProgress;
}

ncclResult_t fake_comm_wait(struct ncclComm *comm)
{
    ncclResult_t result;
    while ((result = fake_comm_poll(comm)) == ncclInProgress && comm->life == FAKE_ALIVE) {
        pthread_mutex_unlock(&fake.lock);
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        pthread_mutex_lock(&fake.lock);
    }
    return result == ncclInProgress ? ncclInternalError : result;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
    ncclResult_t result = ncclSuccess;
    pthread_mutex_lock(&fake.lock);
    if (!comm_known(comm) || !error)
        result = ncclInvalidArgument;
    else if (comm->life != FAKE_ALIVE)
        result = fake_misuse(NULL, "ncclCommGetAsyncError: the communicator was %s",
                             comm->life == FAKE_ABORTED ? "aborted" : "destroyed");
    else
        *error = fake_comm_poll(comm);
    fake_flush();
    pthread_mutex_unlock(&fake.lock);
    return result;
}

static ncclResult_t number_get(const struct ncclComm *comm, int number, int *out)
{
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = !out || !comm_known(comm) ? ncclInvalidArgument : ncclSuccess;
    if (!result && (comm->life != FAKE_ALIVE || comm->pending == FAKE_INIT))
        result = fake_misuse(NULL, "a communicator that is not there is asked for its numbers");
    if (!result)
        *out = number == 0 ? comm->n_ranks : number == 1 ? comm->rank : comm->device;
    pthread_mutex_unlock(&fake.lock);
    return result;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int *count)
{
    return number_get(comm, 0, count);
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank)
{
    return number_get(comm, 1, rank);
}

ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int *device)
{
    return number_get(comm, 2, device);
}

int weir_fake_nccl_open(void)
{
    int n = 0;
    pthread_mutex_lock(&fake.lock);
    for (const struct ncclComm *c = comms; c; c = c->next)
        n += c->life == FAKE_ALIVE;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

/* ---- beginning ----------------------------------------------------------------------------------------------------- */

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = id ? fake_nccl_enter() : ncclInvalidArgument;
    if (!result) {
        memset(id, 0, sizeof *id);
        snprintf(id->internal, sizeof id->internal, "%s/weir-fake-nccl.%d.%u.%llx",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid(), n_ids++,
                 (unsigned long long)fake_now());
    }
    pthread_mutex_unlock(&fake.lock);
    return result;
}

static ncclResult_t arguments_check(int n_ranks, const ncclUniqueId *id, int rank, const ncclConfig_t *config)
{
    bool fine = n_ranks >= 1 && n_ranks <= FAKE_MOST_RANKS && rank >= 0 && rank < n_ranks && *id->internal == '/' &&
                memchr(id->internal, 0, sizeof id->internal);
    if (config)
        fine = fine && config->size == sizeof *config && config->magic == 0xcafebeef &&
               (config->minCTAs == NCCL_CONFIG_UNDEF_INT || config->maxCTAs == NCCL_CONFIG_UNDEF_INT ||
                (config->minCTAs >= 1 && config->minCTAs <= config->maxCTAs));
    if (!fine)
        fake_reason_set("ncclCommInitRankConfig: rank %d of %d, its unique id or its configuration is not valid", rank, n_ranks);
    return fine ? ncclSuccess : ncclInvalidArgument;
}

static struct ncclComm *comm_make(int n_ranks, int rank, const ncclConfig_t *config)
{
    struct ncclComm *comm = calloc(1, sizeof *comm);
    if (!comm)
        abort();
    comm->n_ranks = n_ranks;
    comm->rank = rank;
    comm->device = fake_current();
    comm->blocking = !config || config->blocking != 0;
    comm->pending = FAKE_INIT;
    comm->n_polls = 2;
    comm->next = comms;
    comms = comm;
    return comm;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm_out, int n_ranks, ncclUniqueId id, int rank, ncclConfig_t *config)
{
    fake_pause_maybe();
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = comm_out ? arguments_check(n_ranks, &id, rank, config) : ncclInvalidArgument;
    if (!result)
        result = fake_nccl_enter();
    if (!result) {
        struct ncclComm *comm = comm_make(n_ranks, rank, config);
        result = fake_segment_join(comm, &id);
        if (result) {
            comm->life = FAKE_DESTROYED;
        } else {
            *comm_out = comm;
            if (fake_grouping())
                fake_group_add_init(comm);
            result = fake_grouping() ? ncclSuccess : comm->blocking ? fake_comm_wait(comm) : ncclInProgress;
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return result;
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static ncclResult_t finalize(struct ncclComm *comm, const char *what)
{
    ncclResult_t result = fake_comm_check(comm, what);
    if (!result && comm->in_use)
        result = fake_misuse(comm, "%s: the communicator is in a group that was not ended", what);
    if (!result && comm->n_works)
        result = fake_misuse(comm, "%s: %d operations or groups of the communicator are not done", what, comm->n_works);
    if (result)
        return result;
    comm->finalized = true;
    atomic_store(&fake_member(comm, comm->rank)->presence, FAKE_FINALIZED);
    fake_ring(comm->shared);
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = fake_nccl_enter();
    if (!result)
        result = finalize(comm, "ncclCommFinalize");
    if (!result) {
        comm->pending = FAKE_FINALIZE;
        comm->n_polls = 2;
        result = comm->blocking ? fake_comm_wait(comm) : ncclInProgress;
    }
    pthread_mutex_unlock(&fake.lock);
    return result;
}

static void comm_end(struct ncclComm *comm, enum fake_life life)
{
    comm->life = life;
    comm->in_use = false;
    comm->pending = FAKE_NOTHING;
    free(comm->waiting);
    comm->waiting = NULL;
    if (comm->n_works == 0)
        fake_segment_leave(comm);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    pthread_mutex_lock(&fake.lock);
    bool finalized = comm_known(comm) && comm->life == FAKE_ALIVE && comm->finalized && !comm->pending && !comm->error;
    ncclResult_t result = finalized ? ncclSuccess : finalize(comm, "ncclCommDestroy");
    if (!result)
        comm_end(comm, FAKE_DESTROYED);
    pthread_mutex_unlock(&fake.lock);
    return result;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = comm_known(comm) ? ncclSuccess : ncclInvalidArgument;
    if (!result && comm->life != FAKE_ALIVE)
        result = fake_misuse(NULL, "ncclCommAbort: the communicator was ended before");
    while (!result && fake_modes.abort_hangs)
        pthread_cond_wait(&fake.changed, &fake.lock);
    if (!result) {
        comm->life = FAKE_ABORTED;
        fake_ring(comm->shared);
        fake_flush();
        while (fake_works_running(comm) || (fake_modes.abort_syncs && fake_works_running_beside(comm)))
            pthread_cond_wait(&fake.changed, &fake.lock);
        comm_end(comm, FAKE_ABORTED);
    }
    pthread_mutex_unlock(&fake.lock);
    return result;
}
