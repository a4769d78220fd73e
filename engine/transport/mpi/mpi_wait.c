/* Results of the library, and waiting for it with an eye on the peers. */
#include "engine/transport/mpi/mpi_shared.h"

#include <time.h>

#include "base/clock.h"

static _Atomic bool abandoned;
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER; /* one per process, as the library is */

void weir_mpi_abandon(struct weir_mpi_world *world)
{
    atomic_store(&abandoned, true);
    if (world)
        world->stays = true;
}

bool weir_mpi_is_abandoned(void)
{
    return atomic_load(&abandoned);
}

bool weir_mpi_is_over(void)
{
    int finalized = 0;
    return MPI_Finalized(&finalized) != MPI_SUCCESS || finalized;
}

void weir_mpi_lock(void)
{
    pthread_mutex_lock(&library);
}

void weir_mpi_unlock(void)
{
    pthread_mutex_unlock(&library);
}

bool weir_mpi_try_lock(int64_t patience_ns)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    int64_t ns = end.tv_nsec + patience_ns;
    end = (struct timespec){end.tv_sec + ns / 1000000000, ns % 1000000000};
    return pthread_mutex_timedlock(&library, &end) == 0;
}

static const int64_t spin_ns = 50000; /* for a message, when there are cores to spare */

weir_status weir_mpi_check(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    if (code == MPI_SUCCESS)
        return WEIR_OK;
    MPI_Error_string(code, text, &length);
    return WEIR_FAIL(WEIR_ERR_PEER, "%s failed: %s", what, text);
}

weir_status weir_mpi_request_wait(weir_transport *transport, MPI_Request *request, const char *what)
{
    struct weir_shm_watch watch = {0};
    int64_t spin_end = transport->info.crowded ? 0 : weir_clock_ns() + spin_ns;
    for (;;) {
        int done = 0;
        weir_mpi_lock();
        int code = MPI_Test(request, &done, MPI_STATUS_IGNORE);
        weir_mpi_unlock();
        weir_status status = weir_shm_fail(transport, weir_mpi_check(code, what));
        if (!status && done)
            return WEIR_OK;
        if (!status && weir_clock_ns() >= spin_end)
            status = weir_shm_watch_nap(transport, &watch);
        if (status)
            return status;
    }
}
