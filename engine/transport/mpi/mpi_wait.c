/* Results of the library, and waiting for it with an eye on the peers. */
#include "engine/transport/mpi/mpi_shared.h"

#include "base/clock.h"

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
        weir_status status = weir_shm_fail(transport, weir_mpi_check(MPI_Test(request, &done, MPI_STATUS_IGNORE), what));
        if (!status && done)
            return WEIR_OK;
        if (!status && weir_clock_ns() >= spin_end)
            status = weir_shm_watch_nap(transport, &watch);
        if (status)
            return status;
    }
}
