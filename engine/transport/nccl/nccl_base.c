/* What all files of the nccl transport stand on: results, calls that take their time, watching a run, and the end of one that failed. */
#include "engine/transport/nccl/nccl_shared.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { SPIN_NS = 100000, FIRST_NAP_NS = 1000, LONGEST_NAP_NS = 1000000, TIMES_THE_LONGEST = 20 };

weir_status weir_nccl_result(ncclResult_t result, const char *call)
{
    if (result == ncclSuccess)
        return WEIR_OK;
    weir_status status = result == ncclRemoteError ? WEIR_ERR_PEER
                         : result == ncclInvalidArgument || result == ncclInvalidUsage ? WEIR_ERR_INTERNAL
                                                                                       : WEIR_ERR_DEVICE;
    const char *detail = ncclGetLastError(NULL);
    return WEIR_FAIL(status, "%s: %s%s%s", call, ncclGetErrorString(result), detail && *detail ? ": " : "",
                     detail ? detail : "");
}

static weir_status hang_fail(int64_t since_ns, int64_t limit_ns)
{
    if (!limit_ns || weir_clock_ns() - since_ns <= limit_ns)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_TIMEOUT, "nothing came in %.1f s", (double)limit_ns * 1e-9);
}

/* Kernels run between two messages, and nobody knows for how long before a run was seen. */
static int64_t silence_limit(const struct weir_nccl_link *link)
{
    int64_t given = weir_shm_message_ns(link->transport), seen = link->longest_ns * TIMES_THE_LONGEST;
    if (!given || !link->longest_ns)
        return weir_shm_timeout_ns(link->transport);
    return seen > given ? seen : given;
}

/* What a call came to.  A process that died is the cause of what NCCL says about its connections: it is asked for first. */
static weir_status outcome(const struct weir_nccl_link *link, ncclResult_t result, const char *call)
{
    weir_status status = result == ncclSuccess ? WEIR_OK : weir_shm_look(link->transport);
    return status ? status : weir_nccl_result(result, call);
}

weir_status weir_nccl_settle(struct weir_nccl_link *link, ncclComm_t comm, ncclResult_t result, const char *call)
{
    int64_t start = weir_clock_ns(), looked = start, pause = FIRST_NAP_NS;
    weir_status status = WEIR_OK;
    while (result == ncclInProgress && !status) {
        ncclResult_t asked = ncclCommGetAsyncError(comm, &result);
        status = weir_nccl_result(asked, "ncclCommGetAsyncError");
        if (status || result != ncclInProgress)
            break;
        if (weir_clock_ns() - start < SPIN_NS) { /* a message is under way in less than the shortest nap takes */
            sched_yield();
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)pause}, NULL);
        pause = pause < LONGEST_NAP_NS ? pause * 2 : pause;
        if (weir_clock_ns() - looked < WEIR_TRANSPORT_LOOK_NS)
            continue;
        looked = weir_clock_ns();
        status = weir_shm_look(link->transport);
        if (!status)
            status = hang_fail(start, weir_shm_timeout_ns(link->transport));
    }
    return status ? status : outcome(link, result, call);
}

struct weir_nccl_mirror *weir_nccl_mirror(const struct weir_nccl_link *link, int rank, int block)
{
    return &link->home->mirrors[rank * link->home->n_blocks + block];
}

/* An address into a mirror is only meant for the regions of messages; below `low` there is nothing. */
void *weir_nccl_memory(const struct weir_nccl_link *link, int rank, int block)
{
    const struct weir_nccl_mirror *mirror = weir_nccl_mirror(link, rank, block);
    if (rank == link->info->rank)
        return link->home->blocks[block];
    return mirror->memory ? (void *)((uintptr_t)mirror->memory - mirror->low) : NULL;
}

/* ---- watching ------------------------------------------------------------------------------------------------------- */

static weir_status comm_look(const struct weir_nccl_comm *comm)
{
    ncclResult_t state = ncclSuccess;
    if (!comm->native)
        return WEIR_OK;
    weir_status status = weir_nccl_result(ncclCommGetAsyncError(comm->native, &state), "ncclCommGetAsyncError");
    return status || state == ncclInProgress ? status : weir_nccl_result(state, "NCCL");
}

void weir_nccl_came(struct weir_nccl_link *link)
{
    int64_t now = weir_clock_ns(), quiet = now - link->came_ns;
    link->quiet_ns = quiet > link->quiet_ns ? quiet : link->quiet_ns;
    link->came_ns = now;
}

/* Which of the receives that were issued have come, in their order?  As long as some come nobody hangs. */
static weir_status arrivals_count(struct weir_nccl_link *link)
{
    bool done = true;
    weir_status status = WEIR_OK;
    while (!status && done && link->n_came < link->n_posted) {
        status = link->kind->event_done(link->receives[link->n_came].done, &done);
        if (status || !done)
            continue;
        link->n_came++;
        weir_nccl_came(link);
    }
    return status;
}

weir_status weir_nccl_look(struct weir_nccl_link *link)
{
    const struct weir_nccl_link *home = link->home;
    if (home->aborted)
        return WEIR_FAIL(WEIR_ERR_PEER, "the run was given up before");
    weir_status status = weir_shm_look(link->transport);
    for (int e = 0; e < home->n_edges && !status; e++)
        status = comm_look(&home->edges[e].comm);
    for (int s = 0; s < WEIR_COLLECT_SCOPES && !status; s++)
        status = comm_look(&home->scopes[s]);
    if (!status)
        status = arrivals_count(link);
    return status ? status : hang_fail(link->came_ns, silence_limit(link));
}

bool weir_nccl_awaited(const struct weir_nccl_link *link, int *rank_out, int *event_out)
{
    if (link->n_came >= link->n_posted)
        return false;
    *rank_out = link->receives[link->n_came].message.from;
    *event_out = link->receives[link->n_came].message.event;
    return true;
}

/* ---- giving up ------------------------------------------------------------------------------------------------------ */

/* Outlives the call when an abort hangs. */
struct aborts {
    _Atomic int n_left, n_users;
};

struct abort_task {
    struct aborts *aborts;
    ncclComm_t comm;
};

static void aborts_leave(struct aborts *aborts)
{
    if (atomic_fetch_sub(&aborts->n_users, 1) == 1)
        weir_free(aborts);
}

static void *abort_run(void *argument)
{
    struct abort_task *task = argument;
    (void)ncclCommAbort(task->comm); /* nobody to tell */
    atomic_fetch_sub(&task->aborts->n_left, 1);
    aborts_leave(task->aborts);
    weir_free(task);
    return NULL;
}

/* Without memory or a thread for it the calling thread does it. */
static void comm_abort(struct weir_nccl_comm *comm, struct aborts *aborts)
{
    struct abort_task *task = NULL;
    pthread_t thread;
    if (!comm->native)
        return;
    ncclComm_t native = comm->native;
    comm->native = NULL;
    if (!aborts || weir_alloc(1, sizeof *task, &task)) {
        (void)ncclCommAbort(native);
        return;
    }
    *task = (struct abort_task){aborts, native};
    atomic_fetch_add(&aborts->n_left, 1);
    atomic_fetch_add(&aborts->n_users, 1);
    if (pthread_create(&thread, NULL, abort_run, task) == 0)
        pthread_detach(thread);
    else
        abort_run(task);
}

bool weir_nccl_abort(struct weir_nccl_link *link)
{
    struct weir_nccl_link *home = link->home;
    struct aborts *aborts = NULL;
    if (home->aborted)
        return !home->stuck;
    home->aborted = true;
    if (weir_alloc(1, sizeof *aborts, &aborts) == WEIR_OK)
        atomic_store(&aborts->n_users, 1);
    for (int e = 0; e < home->n_edges; e++)
        comm_abort(&home->edges[e].comm, aborts);
    for (int s = 0; s < WEIR_COLLECT_SCOPES; s++)
        comm_abort(&home->scopes[s], aborts);
    int64_t end = weir_clock_ns() + WEIR_TRANSPORT_GRACE_NS;
    while (aborts && atomic_load(&aborts->n_left) && weir_clock_ns() < end)
        nanosleep(&(struct timespec){.tv_nsec = LONGEST_NAP_NS}, NULL);
    home->stuck = aborts && atomic_load(&aborts->n_left) > 0;
    if (aborts)
        aborts_leave(aborts);
    return !home->stuck;
}
