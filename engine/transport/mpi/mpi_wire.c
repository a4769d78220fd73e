/* What goes between hosts beside the messages of a run: notices of failure, exchanges, broadcasts. */
#include "engine/transport/mpi/mpi_shared.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { NOTICE_TAG = 1 };
static const int64_t notice_ns = 200000000; /* a notice has so long to get away */
static const int64_t nap_ns = 20000;

static weir_status notice_take(weir_transport *transport, struct weir_shm_notice *notice_out, bool *there_out)
{
    MPI_Comm control = weir_mpi_world(transport)->control;
    int there = 0;
    weir_status status = weir_mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, NOTICE_TAG, control, &there, MPI_STATUS_IGNORE), "MPI_Iprobe");
    if (!status && there)
        status = weir_mpi_check(MPI_Recv(notice_out, sizeof *notice_out, MPI_BYTE, MPI_ANY_SOURCE, NOTICE_TAG, control,
                                         MPI_STATUS_IGNORE), "MPI_Recv");
    *there_out = there;
    return status;
}

static weir_status move(weir_transport *transport, struct weir_shm_notice *notice_out, bool *there_out)
{
    weir_mpi_lock();
    weir_status status = notice_take(transport, notice_out, there_out);
    weir_mpi_unlock();
    return status;
}

/* One more look at a send; true: it is over, well or not. */
static bool is_over(MPI_Request *request)
{
    int done = 0;
    weir_mpi_lock();
    bool failed = MPI_Test(request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS;
    weir_mpi_unlock();
    return failed || done;
}

static void tell(weir_transport *transport, const struct weir_shm_notice *notice)
{
    struct weir_mpi_world *world = weir_mpi_world(transport);
    int64_t end = weir_clock_ns() + notice_ns;
    world->notice = *notice;
    for (int r = 0; r < transport->info.n_ranks; r++) {
        MPI_Request request;
        if (weir_shm_is_here(transport, r))
            continue;
        weir_mpi_lock();
        int code = MPI_Isend(&world->notice, sizeof world->notice, MPI_BYTE, r, NOTICE_TAG, world->control, &request);
        weir_mpi_unlock();
        while (code == MPI_SUCCESS && !is_over(&request) && weir_clock_ns() < end)
            nanosleep(&(struct timespec){.tv_nsec = nap_ns}, NULL);
    }
}

static weir_status exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    struct weir_mpi_world *world = weir_mpi_world(transport);
    char *own = world->passing, *all = world->passing + WEIR_EXCHANGE_MAX;
    MPI_Request request;
    if (bytes)
        memcpy(own, mine, bytes);
    weir_mpi_lock();
    int code = bytes ? MPI_Iallgather(own, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, world->world, &request)
                     : MPI_Ibarrier(world->world, &request);
    weir_mpi_unlock();
    weir_status status = weir_shm_fail(transport, weir_mpi_check(code, "an exchange"));
    if (!status)
        status = weir_mpi_request_wait(transport, &request, "an exchange");
    if (!status && bytes)
        memcpy(all_out, all, (size_t)transport->info.n_ranks * bytes);
    return status;
}

static weir_status broadcast(weir_transport *transport, int root, void *data, size_t bytes)
{
    struct weir_mpi_world *world = weir_mpi_world(transport);
    bool is_root = root == transport->info.rank;
    weir_status status = WEIR_OK;
    for (size_t at = 0; at < bytes && !status; at += WEIR_MPI_PASSING) {
        size_t n = bytes - at < WEIR_MPI_PASSING ? bytes - at : WEIR_MPI_PASSING;
        MPI_Request request;
        if (is_root)
            memcpy(world->passing, (char *)data + at, n);
        weir_mpi_lock();
        int code = MPI_Ibcast(world->passing, (int)n, MPI_BYTE, root, world->world, &request);
        weir_mpi_unlock();
        status = weir_shm_fail(transport, weir_mpi_check(code, "a broadcast"));
        if (!status)
            status = weir_mpi_request_wait(transport, &request, "a broadcast");
        if (!status && !is_root)
            memcpy((char *)data + at, world->passing, n);
    }
    return status;
}

const struct weir_wire weir_mpi_wire = {
    .move = move,
    .tell = tell,
    .beat = weir_mpi_beat,
    .exchange = exchange,
    .broadcast = broadcast,
    .link_open = weir_mpi_messages_open,
    .link_close = weir_mpi_messages_close,
    .begin = weir_mpi_begin,
    .wait = weir_mpi_wait,
    .signal = weir_mpi_signal,
    .passed = weir_mpi_passed,
    .finish = weir_mpi_finish,
};
